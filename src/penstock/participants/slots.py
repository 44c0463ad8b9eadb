"""Slots of a subaccount, handed out to orders that live and taken back from orders that are gone."""

from penstock.protocol.quantities import FIRST_ORDER_SLOT, SLOTS


class NoSlotFree(Exception):
    """Every slot of the range is in use."""


class Slots:
    """A range of slots, `first` to `last` inclusive; the lowest never used comes first, then the freed ones."""

    def __init__(self, first: int = FIRST_ORDER_SLOT, last: int = SLOTS - 1) -> None:
        if not 0 <= first <= last < SLOTS:
            raise ValueError(f"slots {first} to {last}: not a range within 0 to {SLOTS - 1}")
        self.first = first
        self.last = last
        self._next = first
        self._freed: list[int] = []
        self._taken: set[int] = set()

    def __len__(self) -> int:
        """How many slots are in use."""
        return len(self._taken)

    def take(self) -> int:
        """A free slot, now in use. Raises NoSlotFree."""
        if self._freed:
            slot = self._freed.pop()
        elif self._next <= self.last:
            slot, self._next = self._next, self._next + 1
        else:
            raise NoSlotFree(f"all slots from {self.first} to {self.last} are in use")
        self._taken.add(slot)
        return slot

    def claim(self, slot: int) -> bool:
        """Take this slot if it was used before and is free now; whether it was."""
        if slot not in self._freed:
            return False
        self._freed.remove(slot)
        self._taken.add(slot)
        return True

    def give_back(self, slot: int) -> None:
        """Free a slot that was taken. Raises ValueError for any other."""
        if slot not in self._taken:
            raise ValueError(f"slot {slot} is not in use")
        self._taken.remove(slot)
        self._freed.append(slot)
