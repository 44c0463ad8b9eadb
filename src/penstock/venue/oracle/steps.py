"""From a wanted price to the next one that the venue will take; and the record that says it."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from penstock.protocol.commands import PublishPrice
from penstock.protocol.quantities import PPM
from penstock.venue.oracle.rules import MOST_PREMIUM


class Price(Struct, frozen=True):
    """Index and mark in price units, premium in parts of 1e9. An index of 0 is a market without a price."""

    index: int
    mark: int
    premium: int = 0


def next_step(committed: Price, wanted: Price, step_ppm: int, band_ppm: int) -> Price | None:
    """The price nearest to `wanted` that is one step from `committed` at most, its mark in the band of its index.

    From no price every price is one step. Where the mark cannot follow, the index waits for it. None only where the
    committed mark is outside the band, too far to come back in one step. The premium is a sample, not a place: it is
    never walked to.
    """
    premium = min(max(wanted.premium, -MOST_PREMIUM), MOST_PREMIUM)
    if committed.index == 0:
        return Price(wanted.index, _clamp(wanted.mark, *_around(wanted.index, band_ppm)), premium)
    nearest, furthest = _around(committed.mark, step_ppm)

    def marks(index: int) -> tuple[int, int]:
        low, high = _around(index, band_ppm)
        return max(low, nearest), min(high, furthest)

    index = _clamp(wanted.index, *_around(committed.index, step_ppm))
    low, high = marks(index)
    if low > high:
        index = _furthest(committed.index, index, lambda at: marks(at)[0] <= marks(at)[1])
        low, high = marks(index)
    return None if low > high else Price(index, _clamp(wanted.mark, low, high), premium)


def within(price: int, reference: int, ppm: int) -> bool:
    """|price − reference| ≤ reference × ppm / 1e6, or one price unit where that is more: as the engine has it."""
    return abs(price - reference) * PPM <= max(reference * ppm, PPM)


def price_record(market: int, published_at: int, price: Price) -> PublishPrice:
    """The record of one publication: the only place that builds it.

    The premium goes into it where the record has a field for it, and stays with the oracles where it has none.
    """
    said: dict[str, Any] = {"index_price": price.index, "mark_price": price.mark, "premium": price.premium}
    there = {name: value for name, value in said.items() if name in PublishPrice.__struct_fields__}
    return PublishPrice(market=market, published_at=published_at, **there)


def price_of(record: PublishPrice) -> Price:
    """What a publication says; a premium of 0 where the record has no field for it."""
    return Price(record.index_price, record.mark_price, getattr(record, "premium", 0))


def _around(reference: int, ppm: int) -> tuple[int, int]:
    reach = max(reference * ppm // PPM, 1)
    return max(reference - reach, 1), reference + reach


def _furthest(start: int, end: int, holds: Callable[[int], bool]) -> int:
    """The integer furthest from `start` towards `end` for which it holds: up to there it does, and at `end` not."""
    while abs(end - start) > 1:
        middle = (start + end) // 2
        if holds(middle):
            start = middle
        else:
            end = middle
    return start


def _clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)
