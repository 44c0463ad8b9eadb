"""One sequence number, many members, each on its own feet."""

import pytest

from penstock.protocol.commands import BUY, SELL, Bundle, CancelOrder
from penstock.protocol.events import Refused, SlotGuarded, Traded
from penstock.protocol.ledger import decode_entry
from penstock.protocol.quantities import NO_DEADLINE
from penstock.protocol.reasons import Cause, Reason
from penstock.protocol.signing import Verified, hash_record
from world import SESSION_KEY, STRANGER, World, owner_of, reasons, story

MARK = 600_000
MAKER, TAKER = 1, 2


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    return venue


def test_a_refused_member_does_not_stop_the_others(world):
    good = world.order(TAKER, BUY, MARK - 5, 100, 20)
    bad = world.order(TAKER, BUY, MARK - 5, 150, 21)
    gone = CancelOrder(TAKER, 22, world.next_nonce(), NO_DEADLINE)
    last = world.order(TAKER, BUY, MARK - 6, 100, 23)
    events = world.send(good, bad, gone, last, signers=(owner_of(TAKER),))
    assert story(events) == [
        ("rested", TAKER, BUY, MARK - 5, 100),
        ("refused", 1, Reason.SIZE_OFF_LOT),
        ("refused", 2, Reason.ORDER_UNKNOWN),
        ("rested", TAKER, BUY, MARK - 6, 100),
    ]
    assert [e.slot for e in events if isinstance(e, SlotGuarded)] == [20, 21, 22, 23]


def test_a_strangers_bundle_is_refused_member_by_member_and_raises_no_guard(world):
    orders = [world.order(TAKER, BUY, MARK, 100, 20 + i) for i in range(3)]
    events = world.send(*orders, signers=(STRANGER,))
    assert events == [Refused(i, Reason.SIGNER_UNKNOWN) for i in range(3)]


def test_members_see_what_earlier_members_did(world):
    first = world.order(TAKER, BUY, MARK - 5, 100, 20)
    cancel = CancelOrder(TAKER, 20, world.next_nonce(), NO_DEADLINE)
    events = world.send(first, cancel, signers=(owner_of(TAKER),))
    assert story(events) == [
        ("rested", TAKER, BUY, MARK - 5, 100),
        ("cancelled", TAKER, 20, 100, Cause.BY_OWNER),
    ]


def test_the_same_slot_twice_needs_rising_nonces(world):
    first = world.order(TAKER, BUY, MARK - 5, 100, 20)
    second = world.order(TAKER, BUY, MARK - 6, 100, 20)
    assert reasons(world.send(second, first, signers=(owner_of(TAKER),))) == [Reason.NONCE_USED]


def test_the_bundles_deadline_binds_every_member(world):
    orders = [world.order(TAKER, BUY, MARK - 5, 100, 20 + i) for i in range(2)]
    orders.append(world.order(TAKER, BUY, MARK - 5, 100, 30, deadline=world.time - 1))
    late = world.send(*orders, signers=(owner_of(TAKER),), bundle_deadline=world.time + 999)
    assert reasons(late) == [Reason.DEADLINE_PASSED] * 3
    orders = [world.order(TAKER, BUY, MARK - 5, 100, 20 + i) for i in range(2)]
    orders.append(world.order(TAKER, BUY, MARK - 5, 100, 30, deadline=world.time - 1))
    in_time = world.send(*orders, signers=(owner_of(TAKER),), bundle_deadline=world.time + 1_000)
    assert story(in_time)[2:] == [("refused", 2, Reason.DEADLINE_PASSED)]


def test_a_session_key_signs_bundles_inside_its_terms(world):
    world.grant(TAKER, slot_first=20, slot_last=29)
    inside, outside = world.order(TAKER, BUY, MARK - 5, 100, 20), world.order(TAKER, BUY, MARK - 5, 100, 30)
    events = world.send(inside, outside, signers=(SESSION_KEY,))
    assert story(events) == [
        ("rested", TAKER, BUY, MARK - 5, 100),
        ("refused", 1, Reason.SESSION_SLOT_FORBIDDEN),
    ]


def test_256_fills_are_shared_by_all_members(world):
    for i in range(300):
        world.sell(MAKER, MARK, 100, slot=16 + i)
    orders = [world.order(TAKER, BUY, MARK, 20_000, 20), world.order(TAKER, BUY, MARK, 10_000, 21)]
    told = story(world.send(*orders, signers=(owner_of(TAKER),)))
    assert told[:256] == [("traded", MAKER, TAKER, MARK, 100)] * 256
    assert told[256:] == [("dropped", TAKER, 21, 4_400, Cause.FILL_LIMIT)]


def test_ledger_entries_name_sequence_member_and_a_rising_index(world):
    for i in range(4):
        world.sell(MAKER, MARK, 100, slot=16 + i)
    world.entries.clear()
    orders = [world.order(TAKER, BUY, MARK, 200, 20), world.order(TAKER, BUY, MARK, 200, 21)]
    events = world.send(*orders, signers=(owner_of(TAKER),))
    keys = [decode_entry(entry.packed) for entry in world.entries]
    assert [(k["sequence"], k["member"], k["index"]) for k in keys] == [
        (world.sequence, 0, 0),
        (world.sequence, 0, 1),
        (world.sequence, 1, 2),
        (world.sequence, 1, 3),
    ]
    assert [e.member for e in events if isinstance(e, Traded)] == [0, 0, 1, 1]


def test_an_order_in_a_bundle_rests_with_its_members_place_in_the_queue(world):
    orders = [world.order(MAKER, SELL, MARK, 100, slot) for slot in (25, 20, 22)]
    world.send(*orders, signers=(owner_of(MAKER),))
    world.buy(TAKER, MARK, 300)
    assert [e.maker_slot for e in world.events if isinstance(e, Traded)] == [25, 20, 22]


def test_a_bundle_that_verify_never_saw_is_refused_whole(world):
    bundle = Bundle(bytes(32), 1, 0, TAKER, NO_DEADLINE)
    message = Verified(bundle, hash_record(bundle), (owner_of(TAKER),))
    world.assert_refused(Reason.BUNDLE_MEMBER_REFUSED, lambda: world.apply(message).events, guarded=False)
