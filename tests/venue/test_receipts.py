"""Issuing receipts: linked groups, the same bytes again, a bounded memory, and what a thousand messages cost."""

import random
import time

import pytest

from penstock.protocol.commands import CancelOrder, Liquidate, encode_record
from penstock.protocol.receipts import (
    COMMIT_WITHIN,
    NO_RECEIPT,
    check_path,
    check_receipt,
    decode_receipt,
    receipt_leaf,
)
from penstock.protocol.signing import Signer, pack_envelope, seal, split_envelope
from penstock.protocol.words import keccak
from penstock.venue.receipts import Issuer

from .harness import SEPARATOR

OPERATOR = Signer(b"\x0f" * 32)
CANCELS = [seal(SEPARATOR, CancelOrder(1, 16, nonce, 0), [Signer(b"\x11" * 32)]) for nonce in range(1, 41)]
POKE = pack_envelope(SEPARATOR, encode_record(Liquidate(5)), [], [])


def messages(first, count):
    """Sequences from `first` on, 10 µs apart, each with its own envelope, or a poke every seventh."""
    return [(s, 10 * s, POKE if s % 7 == 0 else CANCELS[s % 40]) for s in range(first, first + count)]


def issuer(epoch=1, group=0, previous=NO_RECEIPT, **bounds):
    return Issuer(OPERATOR, SEPARATOR, epoch, group, previous, **bounds)


def of_sizes(desk, *sizes, first=1):
    """Issue groups of these sizes; what was issued."""
    issued = []
    for size in sizes:
        issued.append(desk.issue(messages(first, size)))
        first += size
    return issued


def test_groups_are_numbered_linked_and_signed_by_the_operator():
    desk = issuer()
    issued = of_sizes(desk, 1, 5, 32)
    previous, last = NO_RECEIPT, 0
    for number, group in enumerate(issued, 1):
        signed = decode_receipt(group.wire)
        check_receipt(SEPARATOR, OPERATOR.address, signed)
        receipt = signed.receipt
        assert receipt == group.receipt and receipt.sound
        assert (receipt.epoch, receipt.group, receipt.previous) == (1, number, previous)
        assert receipt.first_sequence == last + 1
        assert (receipt.time, receipt.deadline) == (10 * receipt.last_sequence, receipt.time + COMMIT_WITHIN)
        previous, last = receipt.hash(), receipt.last_sequence
    assert (desk.group, desk.previous, desk.operator) == (3, previous, OPERATOR.address)


def test_every_message_of_a_group_can_be_shown_to_be_in_it():
    [_, issued] = of_sizes(issuer(), 3, 11)
    for index, message in enumerate(messages(4, 11)):
        assert issued.index(message[0]) == index
        assert check_path(receipt_leaf(*message), index, 11, issued.path(index), issued.receipt.root)
    with pytest.raises(ValueError, match="sequence 15 is not in group 2"):
        issued.index(15)


def test_hashes_known_already_change_nothing():
    known = [keccak(split_envelope(envelope)[0]) for _, _, envelope in messages(1, 9)]
    assert issuer().issue(messages(1, 9), known) == issuer().issue(messages(1, 9))


def test_a_group_is_rebuilt_byte_for_byte_from_its_messages_and_what_precedes_it():
    desk = issuer(kept_groups=1)
    first, second, _ = of_sizes(desk, 4, 6, 2)
    assert desk.find(5) is None
    assert issuer(epoch=9).rebuild(1, 2, first.receipt.hash(), messages(5, 6)) == second


def test_a_restart_that_follows_the_old_groups_goes_on_where_they_ended_and_sends_them_again():
    before = issuer()
    old = of_sizes(before, 4, 6)
    after = issuer(epoch=2)
    after.follow(1, messages(1, 4))
    after.follow(1, messages(5, 6))
    assert (after.group, after.previous) == (2, before.previous)
    assert after.newest_from(1, 9) == old
    assert after.find(7) == old[1]
    [new] = of_sizes(after, 2, first=11)
    assert (new.receipt.epoch, new.receipt.group, new.receipt.previous) == (2, 3, old[1].receipt.hash())
    with pytest.raises(ValueError, match="not older than epoch 2"):
        after.follow(2, messages(13, 1))


def test_messages_that_do_not_follow_are_no_group():
    desk = issuer()
    of_sizes(desk, 4)
    with pytest.raises(ValueError, match="sequence 6 at 60 does not follow 4 at 40"):
        desk.issue(messages(6, 2))
    with pytest.raises(ValueError, match="sequence 5 at 1 does not follow 4 at 40"):
        desk.issue([(5, 1, POKE)])
    with pytest.raises(ValueError, match="2 messages are not the sequences 5 to 7"):
        desk.issue([messages(5, 1)[0], messages(7, 1)[0]])
    with pytest.raises(ValueError, match="at least one"):
        desk.issue([])
    assert desk.group == 1, "what was refused left nothing behind"
    of_sizes(desk, 2, first=5)


def test_a_message_is_found_in_its_group_as_long_as_it_is_kept():
    desk = issuer(kept_groups=5)
    dice = random.Random(3)
    issued = of_sizes(desk, *(dice.randrange(1, 9) for _ in range(20)))
    kept = issued[-5:]
    assert desk.oldest == 16
    for sequence in range(issued[-1].receipt.last_sequence + 3):
        expected = [i for i in kept if i.receipt.first_sequence <= sequence <= i.receipt.last_sequence]
        assert desk.find(sequence) == (expected[0] if expected else None)
    assert issuer().find(1) is None


def test_what_is_kept_is_bounded_by_messages_too_but_the_newest_group_always_is():
    desk = issuer(kept_messages=10)
    of_sizes(desk, 4, 4, 4)
    assert desk.oldest == 2
    of_sizes(desk, 30, first=13)
    assert desk.oldest == desk.group == 4
    assert [i.receipt.group for i in desk.newest_from(4, 5)] == [4]
    assert desk.newest_from(5, 5) == []
    with pytest.raises(KeyError):
        desk.newest_from(3, 5)


def test_watchers_hear_of_each_group_once():
    desk, heard = issuer(), []
    desk.watch(heard.append)
    assert heard == of_sizes(desk, 2, 3) == heard


def test_a_thousand_messages_cost_a_few_milliseconds():
    group = [(s, s, CANCELS[s % 40]) for s in range(1, 1_001)]
    known = [keccak(split_envelope(envelope)[0]) for _, _, envelope in group]
    took = []
    for _ in range(5):
        desk, begun = issuer(), time.perf_counter()
        desk.issue(group, known)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.05, "5 to 8 ms on the machine this was written on"
