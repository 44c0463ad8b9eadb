"""Traders at a venue: the sessions they sign with, and the grant that lets a session key trade."""

from typing import Any, Final

from msgspec import Struct

from penstock.participants.client import GatewayClient
from penstock.participants.session import Session
from penstock.participants.slots import Slots
from penstock.protocol.commands import SCOPE_CANCEL, SCOPE_TRADE
from penstock.protocol.quantities import FIRST_ORDER_SLOT, MICRO
from penstock.simulation.accounts import Trader

SESSION_S: Final = 7 * 24 * 3600


class Seat(Struct, frozen=True):
    """A trader at the venue: the owner's session (slots 0 to 15) and the session key's."""

    subaccount: int
    owner: Session
    trading: Session


def take_seat(client: GatewayClient, separator: bytes, trader: Trader) -> Seat:
    """Both sessions of a trader; nothing is sent."""
    return Seat(
        trader.subaccount,
        Session(client, separator, trader.subaccount, trader.owner(), Slots(0, FIRST_ORDER_SLOT - 1)),
        Session(client, separator, trader.subaccount, trader.session()),
    )


async def grant_key(client: GatewayClient, seat: Seat, *, unless_it_has_another: bool = False) -> None:
    """Have the owner grant the session key, unless it has it. Raises ValueError when the venue refuses."""
    key = seat.trading.signer.address
    account = await account_of(client, seat)
    live = {session["key"].lower() for session in account["sessions"] if not session.get("revoked_at")}
    if "0x" + key.hex() in live or (live and unless_it_has_another):
        return
    expiry = client.venue_time // MICRO + SESSION_S
    answer = await seat.owner.submit(seat.owner.grant(key, expiry, seat.trading.slots, SCOPE_TRADE | SCOPE_CANCEL))
    if answer.reasons:
        raise ValueError(f"subaccount {seat.subaccount}: session key refused: {answer.reasons[0]}")


async def account_of(client: GatewayClient, seat: Seat) -> dict[str, Any]:
    """What `penstock/get_subaccount` tells of it. Raises GatewayError where there is no such subaccount."""
    account: dict[str, Any] = await client.call("penstock/get_subaccount", {"subaccount": seat.subaccount})
    return account
