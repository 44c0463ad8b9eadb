"""The end of a replay: no orders, no positions, no cash left behind."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from penstock.participants.client import GatewayClient
from penstock.protocol.commands import BUY, IMMEDIATE_OR_CANCEL, SELL
from penstock.simulation.market_player import Listing
from penstock.simulation.seats import Seat, account_of

_ROUNDS = 3
_KEY_IS_GONE: Final = frozenset({"SIGNER_UNKNOWN", "SESSION_REVOKED", "SESSION_EXPIRED"})
"""A guest took its key away and gave one of its own: then the owner signs, which it always may."""


class CloseReport(Struct):
    """How closing went: what is still open per (subaccount, instrument) in size units, and refusals on the way."""

    rounds: int
    left: dict[tuple[int, str], int]
    reasons: list[str]

    @property
    def flat(self) -> bool:
        """Whether every position is closed."""
        return not self.left


async def cancel_everything(seats: list[Seat]) -> list[str]:
    """CancelAll for every account, signed by its owner; returns the refusals."""
    reasons: list[str] = []
    for seat in seats:
        answer = await seat.owner.submit(seat.owner.cancel_all())
        reasons += answer.reasons
    return reasons


async def close_positions(client: GatewayClient, seats: list[Seat], listings: list[Listing]) -> CloseReport:
    """Close all positions of the seats against each other through the book, at the tick nearest the mark.

    Longs rest reduce-only post-only sells there, shorts take them. What has no counterpart among the seats
    (strangers traded, or stand in the way) is left and reported. Call with no orders of the seats resting.
    """
    report = CloseReport(0, {}, [])
    for report.rounds in range(1, _ROUNDS + 1):
        for listing in listings:
            await _close_market(client, seats, listing, report)
        report.reasons += await cancel_everything(seats)
        report.left = await positions_of(client, seats, listings)
        if not any(_matchable(report.left, listing) for listing in listings):
            break
    return report


async def positions_of(
    client: GatewayClient, seats: list[Seat], listings: Iterable[Listing]
) -> dict[tuple[int, str], int]:
    """(subaccount, instrument) → size units, of every open position of the seats in these instruments."""
    units = {listing.instrument: Decimal(str(listing.size_unit)) for listing in listings}
    found: dict[tuple[int, str], int] = {}
    for seat in seats:
        for position in (await account_of(client, seat))["positions"]:
            name = position["instrument_name"]
            size = int(Decimal(position["size"]) / units[name]) if name in units else 0
            if size:
                found[seat.subaccount, name] = size
    return found


async def withdraw_cash(client: GatewayClient, seats: list[Seat]) -> dict[int, int]:
    """Each owner withdraws min(cash, equity - initial margin); subaccount -> amount accepted (1e-6 USDC)."""
    paid: dict[int, int] = {}
    for seat in seats:
        amount = withdrawable(await account_of(client, seat))
        if amount <= 0:
            continue
        answer = await seat.owner.submit(seat.owner.withdraw(amount))
        if not answer.reasons:
            paid[seat.subaccount] = amount
    return paid


def withdrawable(account: dict[str, Any]) -> int:
    """min(cash, equity - initial margin) of an account as the venue tells it, 1e-6 USDC."""
    free = min(Decimal(account["cash"]), Decimal(account["equity"]) - Decimal(account["initial_margin"]))
    return int(free * 1_000_000)


def facing_strangers(left: dict[tuple[int, str], int]) -> dict[str, int]:
    """Instrument -> net size units of what is left on one side only: longs and shorts sum to zero over everybody, so
    strangers hold the other side. What is left on both sides is not among them: the seats could have closed it."""
    net: dict[str, int] = {}
    for instrument in {instrument for _, instrument in left}:
        sizes = [size for (_, name), size in left.items() if name == instrument]
        if min(sizes) > 0 or max(sizes) < 0:
            net[instrument] = sum(sizes)
    return net


def _matchable(left: dict[tuple[int, str], int], listing: Listing) -> bool:
    sizes = [size for (_, instrument), size in left.items() if instrument == listing.instrument]
    return any(size > 0 for size in sizes) and any(size < 0 for size in sizes)


async def _close_market(client: GatewayClient, seats: list[Seat], listing: Listing, report: CloseReport) -> None:
    held = await positions_of(client, seats, [listing])
    positions = {seat.subaccount: held.get((seat.subaccount, listing.instrument), 0) for seat in seats}
    longs = [seat for seat in seats if positions[seat.subaccount] > 0]
    shorts = [seat for seat in seats if positions[seat.subaccount] < 0]
    if not longs or not shorts:
        return
    ticker = await client.call("public/ticker", {"instrument_name": listing.instrument})
    ticks = round(ticker["mark_price"] / listing.price_unit / listing.tick)
    price = max(1, ticks) * listing.tick
    for seats_of_side, side in ((longs, SELL), (shorts, BUY)):
        for seat in seats_of_side:
            slot = seat.trading.slots.take()
            order = seat.trading.place(
                slot, listing.market, side, price, abs(positions[seat.subaccount]), reduce_only=True,
                post_only=side == SELL, time_in_force=IMMEDIATE_OR_CANCEL if side == BUY else 0,
            )  # fmt: skip
            answer = await seat.trading.submit(order)
            if not _KEY_IS_GONE.isdisjoint(answer.reasons):
                answer = await seat.owner.submit(order)
            report.reasons += answer.reasons
            seat.trading.slots.give_back(slot)
