"""Put the contracts on a chain. Who is who is fixed before the first transaction."""

import msgspec

from penstock.protocol.words import keccak
from penstock.settlement.chain import Chain, ChainError
from penstock.settlement.contract import Contract, deploy_contract
from penstock.settlement.contracts import Library


class Deployment(msgspec.Struct, frozen=True):
    """The contracts, who operates them, and the L1 block after which their events begin."""

    token: Contract
    vault: Contract
    settlement: Contract
    referee: Contract
    command_referee: Contract
    operator: bytes
    block: int


def vault_address(chain: Chain, operator: bytes) -> bytes:
    """The address the vault will have if `deploy` is the operator's next act, 20 bytes.

    It enters the EIP-712 domain, so whatever hashes the domain can be built before the contracts exist.
    """
    return created_address(operator, chain.nonce(operator) + 1)


def deploy(
    chain: Chain,
    library: Library,
    *,
    operator: bytes,
    finality_window: int,
    minimum_bond: int,
    genesis_root: bytes,
    ruleset: bytes,
    dev: bool,
    token: bytes | None = None,
) -> Deployment:
    """Deploy settlement, vault and referee from the operator's account and post the minimum bond.

    `finality_window` in seconds, `minimum_bond` in wei. With `dev` any window goes, and without a `token` a
    development token is deployed. Raises ValueError for a production deployment without a token, ChainError when
    a contract refuses its terms.
    """
    if token is None and not dev:
        raise ValueError("a production deployment names its token")
    block, nonce = chain.block().number, chain.nonce(operator)
    promised_vault, own_token = created_address(operator, nonce + 1), created_address(operator, nonce + 2)
    settlement = deploy_contract(
        chain,
        library.artifact("DevSettlement" if dev else "Settlement"),
        operator, promised_vault, finality_window, minimum_bond, genesis_root, ruleset,
        sender=operator,
    )  # fmt: skip
    vault = deploy_contract(chain, library.artifact("Vault"), token or own_token, settlement.address, sender=operator)
    artifact = library.artifact("DevToken")
    collateral = Contract(chain, token, artifact) if token else deploy_contract(chain, artifact, sender=operator)
    if vault.address != promised_vault or collateral.address != (token or own_token):
        raise ChainError("the operator's account sent something else while deploying")
    if minimum_bond:
        settlement.send("post_bond", sender=operator, value=minimum_bond)
    referee = deploy_referee(chain, library, settlement.address, vault.address, operator)
    of_commands = deploy_contract(chain, library.artifact("CommandReferee"), settlement.address, sender=operator)
    return Deployment(collateral, vault, settlement, referee, of_commands, operator, block)


def deploy_referee(chain: Chain, library: Library, settlement: bytes, vault: bytes, sender: bytes) -> Contract:
    """Both halves of the referee: it judges that settlement contract's batches, and signatures for that vault.

    Anyone may deploy one: it holds nothing, and it has no owner.
    """
    first = deploy_contract(chain, library.artifact("EntryReferee"), settlement, vault, sender=sender)
    return deploy_contract(chain, library.artifact("Referee"), settlement, vault, first.address, sender=sender)


def attach(
    chain: Chain,
    library: Library,
    *,
    token: bytes,
    vault: bytes,
    settlement: bytes,
    referee: bytes,
    command_referee: bytes,
    block: int = 0,
) -> Deployment:
    """Contracts already on the chain. Raises ChainError when they do not belong together."""
    deployed = Deployment(
        Contract(chain, token, library.artifact("DevToken")),
        Contract(chain, vault, library.artifact("Vault")),
        Contract(chain, settlement, library.artifact("Settlement")),
        Contract(chain, referee, library.artifact("Referee")),
        Contract(chain, command_referee, library.artifact("CommandReferee")),
        b"",
        block,
    )
    first = Contract(chain, deployed.referee.call("ENTRY_REFEREE"), library.artifact("EntryReferee"))
    judged = {first.call("SETTLEMENT"), deployed.command_referee.call("SETTLEMENT")}
    vaults = {deployed.settlement.call("vault"), first.call("VAULT")}
    if deployed.vault.call("TOKEN") != token or judged != {settlement} or vaults != {vault}:
        raise ChainError("these contracts do not belong together")
    return msgspec.structs.replace(deployed, operator=deployed.settlement.call("operator"))


def created_address(sender: bytes, nonce: int) -> bytes:
    """The address of the contract that the account's transaction `nonce` creates: keccak(rlp([sender, nonce]))."""
    if nonce == 0:
        number = b"\x80"
    elif nonce < 0x80:
        number = bytes([nonce])
    else:
        digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
        number = bytes([0x80 + len(digits)]) + digits
    fields = bytes([0x80 + len(sender)]) + sender + number
    return keccak(bytes([0xC0 + len(fields)]) + fields)[12:]
