"""Everybody out: claim every withdrawn dollar by proof, then count what the vault still holds."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from penstock.settlement.batches import root_at
from penstock.settlement.exits import ClaimRefused, claim_root, pay, verify_claim
from penstock.settlement.vault import held, paid
from penstock.simulation.local_chain import LocalChain
from penstock.venue.batcher import Batcher


class Exits(Struct):
    """How many subaccounts there were, how many proved their leaf, how many got exactly what it says."""

    subaccounts: int = 0
    proved: int = 0
    paid: int = 0


class Conservation(Struct, frozen=True):
    """1e-6 USDC. `held` is subaccount 0's cash as its leaf proves it, `strangers` what others still have inside.

    `difference` is deposited − withdrawn − held − strangers; `vault` is what the token says the vault holds.
    """

    deposited: int
    withdrawn: int
    held: int
    strangers: int
    vault: int
    difference: int


def cash_of(leaf: bytes) -> int:
    """The cash of a packed account leaf."""
    return int.from_bytes(leaf[32:44], "big", signed=True)


async def claim_all(local: LocalChain, batcher: Batcher, subaccounts: Sequence[int], payer: bytes) -> Exits:
    """Prove and pay each subaccount against the newest posted batch, which must be final."""
    exits = Exits(len(subaccounts))
    vault, token = local.deployment.vault, local.deployment.token
    for subaccount in subaccounts:
        claim = await batcher.claim(subaccount)
        proved = verify_claim(claim, root_at(local.deployment.settlement, claim.number))
        exits.proved += 1
        due = proved.withdrawn - paid(vault, subaccount)
        before = int(token.call("balanceOf", proved.owner))
        if due:
            await asyncio.to_thread(pay, vault, claim, payer)
        got = int(token.call("balanceOf", proved.owner)) - before
        exits.paid += got == due and cash_of(claim.leaf) == 0
    return exits


async def conserve(local: LocalChain, batcher: Batcher, subaccounts: Sequence[int]) -> Conservation:
    """Count deposits, payouts and the rest, from the chain and from proven leaves. Raises ClaimRefused.

    `subaccounts` are those of the drill; whoever else opened one is a stranger, with cash or an unpaid withdrawal.
    """
    vault, settlement = local.deployment.vault, local.deployment.settlement
    everyone = range(1, int(vault.call("subaccount_count")) + 1)
    deposited = sum(event.fields["amount"] for event in vault.events("Deposited", local.deployment.block))
    withdrawn = sum(paid(vault, subaccount) for subaccount in everyone)
    strangers = 0
    for subaccount in sorted(set(everyone) - set(subaccounts)):
        claim = await batcher.claim(subaccount)
        proved = verify_claim(claim, root_at(settlement, claim.number))
        strangers += cash_of(claim.leaf) + proved.withdrawn - paid(vault, subaccount)
    fund_claim = await batcher.claim(0)
    if claim_root(fund_claim) != root_at(settlement, fund_claim.number):
        raise ClaimRefused("subaccount 0's leaf is not in the root on chain")
    fund_cash = cash_of(fund_claim.leaf)
    in_vault = held(vault, local.deployment.token)
    difference = deposited - withdrawn - fund_cash - strangers
    return Conservation(deposited, withdrawn, fund_cash, strangers, in_vault, difference)
