"""`penstock account prove` and `account claim`: out of the vault by proof, with a key that pays the gas only."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.orders import read_key
from penstock.cli.output import print_json, print_pairs, refuse
from penstock.cli.queries import DEFAULT_URL, AsJson, Url, accounts, ask
from penstock.settlement.chain import ChainError
from penstock.settlement.exits import Claim, ClaimRefused, claim_payload, read_claim, verify_claim
from penstock.settlement.rpc import Rpc, RpcError
from penstock.settlement.wallet import Wallet
from penstock.simulation.accounts import local_accounts

KeyFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the private key, in hex, that pays the gas. Default: a PUBLISHED DEVELOPMENT KEY.",
        exists=True, dir_okay=False,
    ),
]  # fmt: skip


@accounts.command("prove")
def prove_account(subaccount: int, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """The arguments of `Vault.claim` in its order, against the newest batch: keep them until that batch is final."""
    proof = ask(url, "penstock/get_proof", {"subaccount": subaccount})
    if as_json:
        print_json(proof)
    else:
        print_pairs(proof | {"siblings": f"[{','.join(proof['siblings'])}]"})


@accounts.command("claim")
def claim_account(
    subaccount: int,
    rpc: Annotated[str, typer.Option(help="The chain's JSON-RPC, http[s]://HOST:PORT.")],
    key_file: KeyFile = None,
    proof: Annotated[
        Path | None,
        typer.Option(
            help="What `account prove --json` printed; default: asks for it now.", exists=True, dir_okay=False
        ),
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the batch to be final.", min=0)] = 60.0,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Prove a subaccount, check it against the chain, and have the vault pay its owner. Anyone may; it costs gas."""
    secret = read_key(key_file) if key_file else local_accounts().deployer
    told = read_proof(proof) if proof else ask(url, "penstock/get_proof", {"subaccount": subaccount})
    domain = ask(url, "penstock/get_domain", {})
    try:
        claim = read_claim(told)
        if claim.subaccount != subaccount:
            raise ValueError(f"the proof is of subaccount {claim.subaccount}")
        chain = Rpc.to(rpc)
        check_chain(chain, rpc)
        found = pay_out(Wallet(chain, secret), domain, claim, wait)
    except (ChainError, ClaimRefused, ValueError) as error:
        raise refuse(f"claim: {error}") from error
    except OSError as error:
        raise refuse(f"no chain answers at {rpc}: {error}") from error
    (print_json if as_json else print_pairs)(found)


def check_chain(chain: Rpc, url: str) -> None:
    """Whether a chain is there at all. Raises ClaimRefused where something else answers, OSError where nothing does."""
    try:
        int(chain.request("eth_chainId"), 16)
    except (RpcError, TypeError, ValueError) as error:
        raise ClaimRefused(f"{url} is not a chain's JSON-RPC") from error
    except ConnectionError as error:
        if isinstance(error.__cause__, ValueError):
            raise ClaimRefused(f"{url} is not a chain's JSON-RPC") from error
        raise


def pay_out(wallet: Wallet, domain: dict[str, Any], claim: Claim, wait: float) -> dict[str, Any]:
    """Wait until the claim's batch is final, then have the vault pay. Raises ClaimRefused, ChainError, OSError."""
    if domain["settlement"] is None:
        raise ClaimRefused("this node names no settlement contract")
    vault, settlement = (bytes.fromhex(domain[name].removeprefix("0x")) for name in ("vault", "settlement"))
    proved = verify_claim(claim, wallet.view(settlement, "root_at(uint64)", "bytes32", claim.number))
    before = wallet.view(vault, "paid(uint24)", "uint96", claim.subaccount)
    give_up = time.monotonic() + wait
    while not wallet.view(settlement, "is_final(uint64)", "bool", claim.number):
        if time.monotonic() >= give_up:
            raise ClaimRefused(
                f"batch {claim.number} is not final yet: keep what `account prove --json` prints and claim later"
            )
        time.sleep(0.5)
    receipt = wallet.send(vault, claim_payload(claim))
    return {
        "subaccount": claim.subaccount,
        "owner": "0x" + proved.owner.hex(),
        "paid": f"{Decimal(proved.withdrawn - before).scaleb(-6):f}",
        "batch": claim.number,
        "transaction": "0x" + receipt.transaction.hex(),
        "block": receipt.block,
        "gas": receipt.gas_used,
    }


def read_proof(path: Path) -> dict[str, Any]:
    """A kept proof. Raises typer.BadParameter."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (msgspec.DecodeError, OSError) as error:
        raise typer.BadParameter(f"{path}: not what `account prove --json` prints: {error}") from error
