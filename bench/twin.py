"""The books as the generator sees them: who rests where and in which order they are met. No money, no margin."""

from heapq import heappop, heappush
from typing import Final

BUY: Final = 0
SELL: Final = 1
SLOT_BITS: Final = 12


class TwinBook:
    """One market. An order is `subaccount << 12 | slot`; prices are counted in ticks, sizes in lots."""

    __slots__ = ("_heaps", "_places", "levels", "live", "resting")

    def __init__(self) -> None:
        self.resting: dict[int, tuple[int, int]] = {}
        """Side and price of every order."""
        self.live: list[int] = []
        """The orders, in no order: for picking one."""
        self.levels: tuple[dict[int, dict[int, int]], dict[int, dict[int, int]]] = ({}, {})
        """Per side and price the queue, first come first, with what is left of each order."""
        self._places: dict[int, int] = {}
        self._heaps: tuple[list[int], list[int]] = ([], [])

    def best(self, side: int) -> int | None:
        """The best price of a side."""
        heap, levels, sign = self._heaps[side], self.levels[side], -1 if side == BUY else 1
        while heap:
            price = heap[0] * sign
            if price in levels:
                return price
            heappop(heap)
        return None

    def rest(self, order: int, side: int, price: int, lots: int) -> None:
        """Join the queue at the price, last."""
        levels = self.levels[side]
        queue = levels.get(price)
        if queue is None:
            queue = levels[price] = {}
            heappush(self._heaps[side], -price if side == BUY else price)
        queue[order] = lots
        self.resting[order] = (side, price)
        self._places[order] = len(self.live)
        self.live.append(order)

    def leave(self, order: int) -> None:
        """Take an order out."""
        side, price = self.resting.pop(order)
        levels = self.levels[side]
        queue = levels[price]
        del queue[order]
        if not queue:
            del levels[price]
        place, last = self._places.pop(order), self.live.pop()
        if last != order:
            self.live[place] = last
            self._places[last] = place

    def replace(self, order: int, price: int, lots: int) -> None:
        """Amend in place where the price stays and the size does not grow, else leave and join again."""
        side, old = self.resting[order]
        queue = self.levels[side][old]
        if price == old and lots <= queue[order]:
            queue[order] = lots
            return
        self.leave(order)
        self.rest(order, side, price, lots)

    def meet(self, side: int, taker: int, wanted: int) -> tuple[list[int], list[int], int]:
        """What a taker of the opposite side meets until `wanted` makers are found: makers, own orders met, lots."""
        makers: list[int] = []
        own: list[int] = []
        lots = 0
        levels = self.levels[side]
        for price in sorted(levels, reverse=side == BUY) if levels else ():
            for order, left in levels[price].items():
                if order >> SLOT_BITS == taker:
                    own.append(order)
                    continue
                makers.append(order)
                lots += left
                if len(makers) == wanted:
                    return makers, own, lots
        return makers, own, lots

    def shrink(self, order: int, lots: int) -> None:
        """Fill part of an order: this much is left."""
        side, price = self.resting[order]
        self.levels[side][price][order] = lots

    def left(self, order: int) -> int:
        """Lots left of an order."""
        side, price = self.resting[order]
        return self.levels[side][price][order]
