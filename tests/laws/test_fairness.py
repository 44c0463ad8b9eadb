"""Nobody gains by splitting, and nobody by being number one."""

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from penstock.protocol.commands import BUY, SELL, Bundle, CreditDeposit
from penstock.protocol.events import Traded
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Member
from penstock.simulation.cast import SUBACCOUNTS
from penstock.simulation.profiles import NORMAL
from penstock.simulation.streams import Stream
from penstock.spec.margin import assess
from penstock.spec.state import State
from penstock.spec.transition import apply
from world import World, owner_of, terms

MAKER, TAKER, OTHER = 1, 2, 3


def fees_of(world, taker):
    return sum(e.taker_fee for e in world.events if isinstance(e, Traded) and e.taker == taker)


def deep_book(side, offers):
    """A market with odd prices and offers (price, size) of two makers on one side."""
    world = World([terms(lot=1, price_step_ppm=50_000)], cash=1_000 * MICRO)
    world.price(997)
    for i, (price, size) in enumerate(offers):
        send = world.sell if side == BUY else world.buy
        send((MAKER, OTHER)[i % 2], price, size, slot=16 + i)
    return world


@pytest.mark.parametrize("side", [BUY, SELL])
@given(
    offers=st.lists(st.tuples(st.integers(990, 1_004), st.integers(1, 5_000)), min_size=1, max_size=6),
    parts=st.lists(st.integers(1, 3_000), min_size=2, max_size=6),
)
def test_splitting_an_order_never_saves_fees_or_gains(side, offers, parts):
    """I22: n parts pay at least what the whole pays, and are worth at most as much."""
    whole = deep_book(side, offers)
    split = deepcopy(whole)
    limit = 2_000 if side == BUY else 1
    for world, sizes in ((whole, [sum(parts)]), (split, parts)):
        for size in sizes:
            order = world.order(TAKER, side, limit, size, 20, time_in_force=1)
            world.send(order, signers=(owner_of(TAKER),))
    assert whole.size(TAKER) == split.size(TAKER)
    assert fees_of(whole, TAKER) <= fees_of(split, TAKER)
    assert assess(whole.state, whole.account(TAKER)).equity >= assess(split.state, split.account(TAKER)).equity


@given(price=st.integers(950, 1_040), size=st.integers(2, 50_000), parts=st.integers(2, 7), basis=st.integers(-9, 9))
@settings(max_examples=30)
def test_splitting_a_close_never_gains(price, size, parts, basis):
    """Truncation and funding rounding may cost the splitter, and the sum of entries always comes to nothing."""
    equities = []
    for pieces in (1, parts):
        world = deep_book(BUY, [(997, size)])
        world.buy(TAKER, 997, size, slot=30)
        world.price(997, 997 + basis)
        world.wait(30)
        world.price(997, 997 + basis)
        world.accrue()
        world.buy(OTHER, price, size, slot=31)
        share = -(-size // pieces)
        for done in range(0, size, share):
            world.sell(TAKER, price, min(share, size - done), slot=40, time_in_force=1)
        assert world.size(TAKER) == 0
        equities.append(world.account(TAKER).cash)
    assert equities[1] <= equities[0]


def relabel_record(record, people, places):
    changes = {}
    if hasattr(record, "subaccount"):
        changes["subaccount"] = people.get(record.subaccount, record.subaccount)
    if hasattr(record, "market"):
        changes["market"] = places.get(record.market, record.market)
    return replace(record, **changes) if changes else record


def relabel_message(message, people, places):
    """The same message with other numbers; hashes are kept, so that events compare."""
    members = tuple(Member(relabel_record(m.record, people, places), m.record_hash) for m in message.members)
    record = relabel_record(message.record, people, places)
    assert isinstance(record, Bundle) == bool(members)
    return replace(message, record=record, members=members)


def relabel_event(event, people, places):
    fields = asdict(event)
    for name in ("subaccount", "maker", "taker"):
        if name in fields:
            fields[name] = people.get(fields[name], fields[name])
    if "market" in fields:
        fields["market"] = places.get(fields["market"], fields["market"])
    fields.pop("head", None)
    return type(event).__name__, fields


def relabelled_genesis(places):
    listed = tuple(replace(t, market=places.get(t.market, t.market)) for t in NORMAL.genesis().markets)
    return replace(NORMAL.genesis(), markets=listed)


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_other_numbers_for_subaccounts_and_markets_change_nothing_else(seed):
    """I24: permuted ids give permuted events, command by command."""
    order = [3, 1, 4, 2, 10, 9, 5, 8, 7, 6]
    people = dict(zip(range(1, SUBACCOUNTS + 1), order, strict=True))
    back, places = {new: old for old, new in people.items()}, {0: 1, 1: 0}
    stream = Stream(seed, NORMAL)
    opening = [stream.advance() for _ in range(SUBACCOUNTS)]
    twin = State.from_genesis(relabelled_genesis(places))
    for number in range(SUBACCOUNTS):
        # The Vault numbers subaccounts as they come, so the newcomers come in their new order.
        step = opening[back[number + 1] - 1]
        deposit = replace(relabel_record(step.message.record, people, places), deposit=number)
        assert isinstance(deposit, CreditDeposit)
        apply(twin, number + 1, step.time, replace(step.message, record=deposit))
    for _ in range(1_500):
        step = stream.advance()
        found = apply(twin, step.sequence, step.time, relabel_message(step.message, people, places)).events
        assert [relabel_event(e, back, places) for e in found] == [
            relabel_event(e, {}, {}) for e in step.applied.events
        ]
    for old, new in people.items():
        ours, theirs = stream.state.accounts[old], twin.accounts[new]
        assert (ours.cash, ours.withdrawn, ours.open_orders) == (theirs.cash, theirs.withdrawn, theirs.open_orders)
        assert ours.positions == {places[m]: p for m, p in theirs.positions.items()}


@pytest.mark.parametrize("seed", [31, 32])
def test_a_refused_command_could_as_well_never_have_come(seed):
    """Streams without their refused messages reach the same money; only guard nonces differ."""
    stream = Stream(seed, NORMAL)
    twin = State.from_genesis(NORMAL.genesis())
    for _ in range(1_500):
        step = stream.advance()
        names = {type(e).__name__ for e in step.applied.events}
        if not names <= {"Refused", "SlotGuarded"}:
            apply(twin, step.sequence, step.time, step.message)
    for subaccount, account in stream.state.accounts.items():
        other = twin.accounts[subaccount]
        other.guards = account.guards
        assert other == account
    assert twin.markets == stream.state.markets
