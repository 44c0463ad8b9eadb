"""Slots: handed out once, taken back, handed out again."""

import pytest

from penstock.participants.slots import NoSlotFree, Slots


def test_a_slot_is_handed_out_once_until_it_is_given_back():
    slots = Slots(16, 17)
    assert [slots.take(), slots.take()] == [16, 17]
    with pytest.raises(NoSlotFree, match="16 to 17"):
        slots.take()
    slots.give_back(16)
    assert slots.take() == 16
    assert len(slots) == 2


def test_only_a_slot_in_use_can_be_given_back():
    slots = Slots()
    with pytest.raises(ValueError, match="16 is not in use"):
        slots.give_back(16)


def test_a_free_slot_that_was_used_before_can_be_claimed_by_number():
    slots = Slots(16, 18)
    first = slots.take()
    assert not slots.claim(first)
    slots.give_back(first)
    assert slots.claim(first)
    assert slots.take() == 17


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (5, 4), (0, 4096)])
def test_a_range_outside_the_subaccounts_slots_is_refused(first, last):
    with pytest.raises(ValueError, match="not a range"):
        Slots(first, last)
