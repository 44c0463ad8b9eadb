"""Several makers together show a recorded book: one order a level. Pure: targets in, order changes out."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from penstock.participants.slots import Slots
from penstock.protocol.commands import BUY, SELL
from penstock.protocol.quantities import MAX_BUNDLE, MAX_OPEN_ORDERS
from penstock.simulation.recorded_book import Target

BAND: Final = 64
"""Ticks of a maker's band in a replay."""


class Put(Struct, frozen=True, gc=False):
    """Rest `size` at `price` from this slot: a new order, or a replacement of the slot's present one."""

    slot: int
    side: int
    price: int
    size: int


class Pull(Struct, frozen=True, gc=False):
    """Cancel the slot's order."""

    slot: int


Change = Put | Pull


class Batch(Struct, frozen=True):
    """Up to 64 changes of one maker (its number), to be sent as one independent bundle."""

    maker: int
    changes: list[Change]


class _Side:
    """Our resting levels of one side: price -> remaining size, price -> slot."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.sizes: dict[int, int] = {}
        self.slots: dict[int, int] = {}

    def best(self) -> int | None:
        if not self.sizes:
            return None
        return max(self.sizes) if self.side == BUY else min(self.sizes)


class Mirror:
    """Keeps the makers' resting orders equal to the last target.

    `slots` holds one range per maker; bands of `band` ticks belong to the makers in turn, so that what changes near
    the touch is few makers' and few bundles. A maker shows at most
    `max_orders` / 2 levels a side, the best ones; `left_out` counts what the last target had beyond that.
    """

    def __init__(self, slots: Sequence[Slots], tick: int = 1, max_orders: int = MAX_OPEN_ORDERS, band: int = 1) -> None:
        if not slots:
            raise ValueError("a mirror wants at least one maker")
        self.left_out = 0
        self._slots: Final = list(slots)
        self._tick, self._band = tick, band
        self._max_levels = max_orders // 2
        self._sides = {BUY: _Side(BUY), SELL: _Side(SELL)}
        self._doubted: list[list[int]] = [[] for _ in slots]

    def levels(self, side: int) -> dict[int, int]:
        """Price -> remaining size of our orders on one side (a copy)."""
        return dict(self._sides[side].sizes)

    def best(self, side: int) -> int | None:
        """Our best price on a side, or None."""
        return self._sides[side].best()

    def update(self, target: Target) -> list[Batch]:
        """What to send, in this order, so that the book shows `target`; assumes that it is sent.

        The side that the other side's new best would cross is moved first, over all makers; so no batch ever
        places one of our levels through another.
        """
        target = self._affordable(target)
        asks, bids = self._sides[SELL], self._sides[BUY]
        lowest_ask = asks.best()
        upwards = lowest_ask is not None and max(target.bids, default=-1) >= lowest_ask
        order = ((asks, target.asks), (bids, target.bids)) if upwards else ((bids, target.bids), (asks, target.asks))
        changes: list[list[Change]] = self._pull_doubted()
        highest_bid = bids.best()
        crossing = upwards or (highest_bid is not None and min(target.asks, default=1 << 62) <= highest_bid)
        batches: list[Batch] = []
        for side, wanted in order:
            self._move(side, wanted, changes)
            if crossing:
                batches += _batches(changes)
                changes = [[] for _ in self._slots]
        return batches + _batches(changes)

    def clear(self) -> list[Batch]:
        """What to send to take every order out of the book; assumes that it is sent."""
        return self.update(Target({}, {}))

    def forget(self) -> None:
        """All our orders are gone (a mass cancel): start from an empty book, nothing to send."""
        for side in self._sides.values():
            for price in list(side.sizes):
                self._vacate(side, price)
        for maker, slots in enumerate(self._doubted):
            for slot in slots:
                self._slots[maker].give_back(slot)
            slots.clear()

    def fill(self, taker_side: int, limit: int, size: int) -> tuple[int, list[tuple[int, int]]]:
        """A taker's order of ours will trade against our levels, best first.

        Returns the size that should match and the (maker, slot) of every order it should touch.
        """
        side = self._sides[SELL if taker_side == BUY else BUY]
        left = size
        touched: list[tuple[int, int]] = []
        while left:
            best = side.best()
            if best is None or (best > limit if taker_side == BUY else best < limit):
                break
            touched.append((self._maker_of(best), side.slots[best]))
            traded = min(left, side.sizes[best])
            left -= traded
            side.sizes[best] -= traded
            if not side.sizes[best]:
                self._vacate(side, best)
        return size - left, touched

    def used(self, maker: int) -> set[int]:
        """The slots that hold one of our levels, of one maker."""
        return {
            slot
            for side in self._sides.values()
            for price, slot in side.slots.items()
            if self._maker_of(price) == maker
        }

    def doubt(self, maker: int, slot: int) -> None:
        """What the venue has in this slot is not what we thought: cancel it before using the slot again."""
        for side in self._sides.values():
            for price, used in side.slots.items():
                if used == slot and self._maker_of(price) == maker:
                    del side.sizes[price], side.slots[price]
                    self._doubted[maker].append(slot)
                    return
        if self._slots[maker].claim(slot):
            self._doubted[maker].append(slot)

    def _maker_of(self, price: int) -> int:
        return price // (self._tick * self._band) % len(self._slots)

    def _vacate(self, side: _Side, price: int) -> None:
        del side.sizes[price]
        self._slots[self._maker_of(price)].give_back(side.slots.pop(price))

    def _pull_doubted(self) -> list[list[Change]]:
        changes: list[list[Change]] = []
        for maker, slots in enumerate(self._doubted):
            changes.append([Pull(slot) for slot in slots])
            for slot in slots:
                self._slots[maker].give_back(slot)
            slots.clear()
        return changes

    def _move(self, side: _Side, wanted: dict[int, int], changes: list[list[Change]]) -> None:
        """Turn one side into `wanted`; vacated slots are given to new levels of the same maker."""
        gone = side.sizes.keys() - wanted.keys()
        changed = wanted.items() - side.sizes.items()
        if not gone and not changed:
            return
        vacated: list[list[int]] = [[] for _ in self._slots]
        for price in sorted(gone):
            del side.sizes[price]
            vacated[self._maker_of(price)].append(side.slots.pop(price))
        for price, size in sorted(changed, reverse=side.side == BUY):
            maker = self._maker_of(price)
            slot = side.slots.get(price)
            if slot is None:
                slot = vacated[maker].pop() if vacated[maker] else self._slots[maker].take()
                side.slots[price] = slot
            side.sizes[price] = size
            changes[maker].append(Put(slot, side.side, price, size))
        for maker, slots in enumerate(vacated):
            for slot in slots:
                changes[maker].append(Pull(slot))
                self._slots[maker].give_back(slot)

    def _affordable(self, target: Target) -> Target:
        """The target without the levels that are more than their maker may have open."""
        self.left_out = 0
        if max(len(target.bids), len(target.asks)) <= self._max_levels:
            return target
        return Target(self._best_of(target.bids), self._best_of(target.asks))

    def _best_of(self, wanted: dict[int, int]) -> dict[int, int]:
        counts = [0] * len(self._slots)
        kept: dict[int, int] = {}
        for price, size in wanted.items():
            maker = self._maker_of(price)
            counts[maker] += 1
            if counts[maker] <= self._max_levels:
                kept[price] = size
        self.left_out += len(wanted) - len(kept)
        return kept


def _batches(changes: list[list[Change]]) -> list[Batch]:
    return [
        Batch(maker, mine[start : start + MAX_BUNDLE])
        for maker, mine in enumerate(changes)
        for start in range(0, len(mine), MAX_BUNDLE)
    ]
