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
    """How many subaccounts there were, how many proved their leaf, how many got exactly what it says.

    `holding` of them have positions left, and with them cash that they cannot take yet.
    """

    subaccounts: int = 0
    proved: int = 0
    paid: int = 0
    holding: int = 0


class Conservation(Struct, frozen=True):
    """1e-6 USDC. `held` is subaccount 0's cash as its leaf proves it, `strangers` what others still have inside.

    `open` is what the drill's own accounts have inside beside positions, less what all open positions have agreed and
    not paid: opening one moves no cash. `difference` is deposited − withdrawn − held − strangers − open; `vault` is
    what the token says the vault holds.
    """

    deposited: int
    withdrawn: int
    held: int
    strangers: int
    open: int
    vault: int
    difference: int


def cash_of(leaf: bytes) -> int:
    """The cash of a packed account leaf."""
    return int.from_bytes(leaf[32:44], "big", signed=True)


def positions_in(leaf: bytes) -> int:
    """How many positions a packed account leaf has."""
    return leaf[31]


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
        exits.holding += positions_in(claim.leaf) > 0
        exits.paid += got == due and (cash_of(claim.leaf) == 0 or positions_in(claim.leaf) > 0)
    return exits


async def conserve(local: LocalChain, batcher: Batcher, subaccounts: Sequence[int], agreed: int = 0) -> Conservation:
    """Count deposits, payouts and the rest, from the chain and from proven leaves. Raises ClaimRefused.

    `subaccounts` are those of the drill; whoever else opened one is a stranger, with cash or an unpaid withdrawal.
    `agreed` is the entry cost of all open positions, signed, as the engine has it (1e-6 USDC): it is no one's cash yet.
    """
    vault, settlement = local.deployment.vault, local.deployment.settlement
    everyone = range(1, int(vault.call("subaccount_count")) + 1)
    deposited = sum(event.fields["amount"] for event in vault.events("Deposited", local.deployment.block))
    withdrawn = sum(paid(vault, subaccount) for subaccount in everyone)
    strangers, inside = 0, -agreed
    for subaccount in everyone:
        claim = await batcher.claim(subaccount)
        proved = verify_claim(claim, root_at(settlement, claim.number))
        there = cash_of(claim.leaf) + proved.withdrawn - paid(vault, subaccount)
        if subaccount in subaccounts:
            inside += there
        else:
            strangers += there
    fund_claim = await batcher.claim(0)
    if claim_root(fund_claim) != root_at(settlement, fund_claim.number):
        raise ClaimRefused("subaccount 0's leaf is not in the root on chain")
    fund_cash = cash_of(fund_claim.leaf)
    in_vault = held(vault, local.deployment.token)
    difference = deposited - withdrawn - fund_cash - strangers - inside
    return Conservation(deposited, withdrawn, fund_cash, strangers, inside, in_vault, difference)
