"""Several makers together show a recorded book: one order a level. Pure: targets in, order changes out."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from penstock.participants.slots import Slots
from penstock.protocol.commands import BUY, SELL
from penstock.protocol.quantities import MAX_BUNDLE, MAX_OPEN_ORDERS
from penstock.simulation.best_price import BestPrice
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
    """Our resting levels of one side: price -> remaining size, price -> slot.

    `touched` holds the prices that something else than an update has changed since the last update.
    """

    def __init__(self, side: int, makers: int) -> None:
        self.side = side
        self.sizes: dict[int, int] = {}
        self.slots: dict[int, int] = {}
        self.counts = [0] * makers
        self.left_out = 0
        self.touched: set[int] = set()
        self._best = BestPrice(side, self.sizes)

    def best(self) -> int | None:
        return self._best.now()

    def add(self, price: int, slot: int, maker: int) -> None:
        """A new level, its size still to be set."""
        self.slots[price] = slot
        self.counts[maker] += 1
        self._best.came(price)

    def drop(self, price: int, maker: int) -> int:
        """The slot of a level that has gone."""
        del self.sizes[price]
        self.counts[maker] -= 1
        self._best.went(price)
        return self.slots.pop(price)


class Mirror:
    """Keeps the makers' resting orders equal to the last target.

    `slots` holds one range per maker; bands of `band` ticks belong to the makers in turn, so that what changes near
    the touch is few makers' and few bundles. A maker shows at most `max_orders` / 2 levels a side, the best ones.
    """

    def __init__(self, slots: Sequence[Slots], tick: int = 1, max_orders: int = MAX_OPEN_ORDERS, band: int = 1) -> None:
        if not slots:
            raise ValueError("a mirror wants at least one maker")
        self._slots: Final = list(slots)
        self._tick, self._band = tick, band
        self._max_levels = max_orders // 2
        self._sides = {side: _Side(side, len(slots)) for side in (BUY, SELL)}
        self._doubted: list[list[int]] = [[] for _ in slots]

    @property
    def left_out(self) -> int:
        """Levels of the last target that no maker may have open."""
        return sum(side.left_out for side in self._sides.values())

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
        asks, bids = self._sides[SELL], self._sides[BUY]
        lowest_ask, best_bid = asks.best(), target.best_bid
        upwards = lowest_ask is not None and best_bid is not None and best_bid >= lowest_ask
        moves = [(bids, *self._differences(bids, target, 0)), (asks, *self._differences(asks, target, 1))]
        changes: list[list[Change]] = self._pull_doubted()
        highest_bid, best_ask = bids.best(), target.best_ask
        crossing = upwards or (highest_bid is not None and best_ask is not None and best_ask <= highest_bid)
        batches: list[Batch] = []
        for side, gone, changed in reversed(moves) if upwards else moves:
            self._move(side, gone, changed, changes)
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
                side.touched.add(price)
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
            side.touched.add(best)
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
                    side.drop(price, maker)
                    side.touched.add(price)
                    self._doubted[maker].append(slot)
                    return
        if self._slots[maker].claim(slot):
            self._doubted[maker].append(slot)

    def _maker_of(self, price: int) -> int:
        return price // (self._tick * self._band) % len(self._slots)

    def _vacate(self, side: _Side, price: int) -> None:
        maker = self._maker_of(price)
        self._slots[maker].give_back(side.drop(price, maker))

    def _pull_doubted(self) -> list[list[Change]]:
        changes: list[list[Change]] = []
        for maker, slots in enumerate(self._doubted):
            changes.append([Pull(slot) for slot in slots])
            for slot in slots:
                self._slots[maker].give_back(slot)
            slots.clear()
        return changes

    def _differences(self, side: _Side, target: Target, number: int) -> tuple[list[int], list[tuple[int, int]]]:
        """Which of our levels of one side must go, and which must be set to what."""
        wanted = (target.bids, target.asks)[number]
        sizes, touched = side.sizes, side.touched
        side.touched = set()
        if target.changed is None or self.left_out:
            wanted = self._affordable(side, wanted)
            return list(sizes.keys() - wanted.keys()), list(wanted.items() - sizes.items())
        prices = target.changed[number] | touched
        gone = [price for price in prices if price in sizes and price not in wanted]
        changed = [(price, wanted[price]) for price in prices if price in wanted and sizes.get(price) != wanted[price]]
        if not self._fits(side, gone, changed):
            wanted = self._affordable(side, wanted)
            return list(sizes.keys() - wanted.keys()), list(wanted.items() - sizes.items())
        return gone, changed

    def _fits(self, side: _Side, gone: list[int], changed: list[tuple[int, int]]) -> bool:
        """Whether every maker may have open what it would then show."""
        counts = list(side.counts)
        for price in gone:
            counts[self._maker_of(price)] -= 1
        for price, _ in changed:
            counts[self._maker_of(price)] += price not in side.sizes
        return max(counts) <= self._max_levels

    def _move(self, side: _Side, gone: list[int], changed: list[tuple[int, int]], changes: list[list[Change]]) -> None:
        """Turn one side into what is wanted; vacated slots are given to new levels of the same maker."""
        if not gone and not changed:
            return
        vacated: list[list[int]] = [[] for _ in self._slots]
        for price in sorted(gone):
            maker = self._maker_of(price)
            vacated[maker].append(side.drop(price, maker))
        for price, size in sorted(changed, reverse=side.side == BUY):
            maker = self._maker_of(price)
            slot = side.slots.get(price)
            if slot is None:
                slot = vacated[maker].pop() if vacated[maker] else self._slots[maker].take()
                side.add(price, slot, maker)
            side.sizes[price] = size
            changes[maker].append(Put(slot, side.side, price, size))
        for maker, slots in enumerate(vacated):
            for slot in slots:
                changes[maker].append(Pull(slot))
                self._slots[maker].give_back(slot)

    def _affordable(self, side: _Side, wanted: dict[int, int]) -> dict[int, int]:
        """One side without the levels that are more than their maker may have open, the best first."""
        counts = [0] * len(self._slots)
        kept: dict[int, int] = {}
        for price in sorted(wanted, reverse=side.side == BUY):
            maker = self._maker_of(price)
            counts[maker] += 1
            if counts[maker] <= self._max_levels:
                kept[price] = wanted[price]
        side.left_out = len(wanted) - len(kept)
        return kept


def _batches(changes: list[list[Change]]) -> list[Batch]:
    return [
        Batch(maker, mine[start : start + MAX_BUNDLE])
        for maker, mine in enumerate(changes)
        for start in range(0, len(mine), MAX_BUNDLE)
    ]
