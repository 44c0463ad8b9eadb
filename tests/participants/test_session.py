"""Sessions: nonces that follow venue time and rise, records and envelopes that verify."""

from types import SimpleNamespace

import pytest

from penstock.participants.client import GatewayClient
from penstock.participants.session import NONCE_LEAD, NonceExhausted, Session
from penstock.participants.slots import Slots
from penstock.protocol.commands import (
    BUY,
    SCOPE_TRADE,
    CancelAll,
    CancelOrder,
    GrantSession,
    PlaceOrder,
    RevokeSession,
    Withdraw,
)
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Domain, Signer, verify
from venue.harness import SEPARATOR as NODE_SEPARATOR
from venue.harness import SESSION as KEY
from venue.harness import owner, running

SEPARATOR = Domain(1, bytes(20)).separator()
SIGNER = Signer(bytes(31) + b"\x01")


def session_at(venue_time):
    clock = SimpleNamespace(venue_time=venue_time)
    return clock, Session(clock, SEPARATOR, 7, SIGNER)


def test_nonces_follow_venue_time_and_rise_strictly_per_slot():
    clock, session = session_at(1_000)
    assert [session.nonce(16), session.nonce(16), session.nonce(17)] == [1_000, 1_001, 1_000]
    clock.venue_time = 5_000
    assert session.nonce(16) == 5_000
    assert session.last_nonce(16) == 5_000
    assert session.last_nonce(99) == 0


def test_a_nonce_never_runs_more_than_thirty_seconds_ahead_of_a_slow_venue_clock():
    _, session = session_at(1_000)
    session._nonces[16] = 1_000 + NONCE_LEAD - 1
    assert session.nonce(16) == 1_000 + NONCE_LEAD
    with pytest.raises(NonceExhausted, match="slot 16 of subaccount 7"):
        session.nonce(16)
    assert session.last_nonce(16) == 1_000 + NONCE_LEAD


def test_a_sealed_order_verifies_as_the_sessions_key():
    _, session = session_at(1_000)
    order = session.place(16, 1, BUY, 100, 5, post_only=True)
    verified = verify(SEPARATOR, session.seal(order))
    assert verified.record == order
    assert verified.signers == (SIGNER.address,)
    assert isinstance(order, PlaceOrder) and order.post_only and not order.reduce_only


def test_a_sealed_bundle_verifies_with_its_members_in_order():
    _, session = session_at(1_000)
    records = [session.place(16, 1, BUY, 100, 5), session.cancel(17)]
    verified = verify(SEPARATOR, session.seal_all(records))
    assert [member.record for member in verified.members] == records


def test_owner_commands_use_the_slots_below_sixteen():
    _, session = session_at(1_000)
    commands = [session.withdraw(5), session.grant(bytes(20), 9, Slots(), 3), session.revoke(bytes(20))]
    assert [type(c) for c in commands] == [Withdraw, GrantSession, RevokeSession]
    assert all(c.slot < 16 for c in commands)
    assert isinstance(session.cancel(16), CancelOrder)


def test_a_mass_cancel_names_a_slot_the_key_may_use_unless_told_another():
    """A session key whose range begins at 16 may not use slot 0."""
    _, session = session_at(1_000)
    assert isinstance(session.cancel_all(), CancelAll)
    assert session.cancel_all().slot == session.slots.first == 16
    assert session.cancel_all(slot=4095).slot == 4095


async def test_an_owner_gives_a_bots_own_key_the_slots_that_another_key_has_by_revoking_that_first(tmp_path):
    bot = Signer(b"\x07" * 32)
    async with running(tmp_path) as node, await GatewayClient.connect(node.url) as client:
        mine = Session(client, NODE_SEPARATOR, 1, owner(1))
        expiry = client.venue_time // MICRO + 3600
        assert (await mine.submit(mine.grant(KEY.address, expiry, Slots(), SCOPE_TRADE))).reasons == []
        granted = mine.grant(bot.address, expiry, Slots(), SCOPE_TRADE)
        assert (await mine.submit(granted)).reasons == ["SESSION_TERMS_INVALID"]
        assert (await mine.submit(mine.revoke(KEY.address))).reasons == []
        assert (await mine.submit(mine.grant(bot.address, expiry, Slots(), SCOPE_TRADE))).reasons == []
        trading = Session(client, NODE_SEPARATOR, 1, bot)
        assert (await trading.submit(trading.place(16, 0, BUY, 590_000, 100))).reasons == []
