"""From a wanted price to the next one that the venue will take; and the record that says it."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from penstock.protocol.commands import PublishPrice
from penstock.protocol.instruments import CALL, NO_OPTION
from penstock.protocol.quantities import PPM
from penstock.protocol.terms import MarketTerms
from penstock.venue.oracle.rules import MOST_PREMIUM


class Price(Struct, frozen=True):
    """Index and mark in price units, premium in parts of 1e9. An index of 0 is a market without a price."""

    index: int
    mark: int
    premium: int = 0


class Settling(Struct, frozen=True):
    """How much of the settlement index is known, in ppm, and the average of that part, in price units."""

    known_ppm: int = 0
    average: int = 0

    def expected(self, index: int) -> int:
        """The settlement index if the index stays at `index`, price units; `index` itself while nothing is known."""
        return (self.known_ppm * self.average + (PPM - self.known_ppm) * index) // PPM


NOT_SETTLING: Final = Settling()


class Bounds(Struct, frozen=True):
    """How far one publication of a market may move, and where its mark may be: as the engine has both.

    `strike` (price units) and `option_type` are an option's. Its mark moves by a step of the index, and is between
    its intrinsic value and the most it can pay, or a band of the index beyond either. Any other mark moves by a step of
    itself, and is in a band of the index. In the last half hour the mark may also be near what the market will settle
    at, or between the two: `settling` says what is known of that.
    """

    step_ppm: int
    band_ppm: int
    strike: int = 0
    option_type: int = NO_OPTION
    settling: Settling = NOT_SETTLING

    @staticmethod
    def of(terms: MarketTerms, most: int = PPM, settling: Settling = NOT_SETTLING) -> "Bounds":
        """A market's, with a step of `most` ppm at the largest."""
        step = min(most, terms.price_step_ppm)
        return Bounds(step, terms.mark_band_ppm, terms.strike, terms.option_type, settling)

    def indices(self, committed: Price) -> tuple[int, int]:
        """The least and the largest index one step from a price."""
        return _around(committed.index, self.step_ppm)

    def marks_after(self, committed: Price) -> tuple[int, int]:
        """The least and the largest mark one step from a price."""
        return _around(committed.mark, self.step_ppm, self._measure(committed.index, committed.mark))

    def marks_at(self, index: int) -> tuple[int, int]:
        """The least and the largest mark that go with an index."""
        least, most = sorted((index, self.settling.expected(index)))
        if self.option_type == NO_OPTION:
            return _around(least, self.band_ppm)[0], _around(most, self.band_ppm)[1]
        is_call = self.option_type == CALL
        intrinsic = max(0, least - self.strike if is_call else self.strike - most)
        reach = max(index * self.band_ppm // PPM, 1)
        return max(intrinsic - reach, 1), (most if is_call else self.strike) + reach

    def is_step(self, said: Price, committed: Price) -> bool:
        """Whether index and mark are each at most a step from `committed`."""
        measure = self._measure(committed.index, committed.mark)
        return within(said.index, committed.index, self.step_ppm) and within(
            said.mark, committed.mark, self.step_ppm, measure
        )

    def is_in_band(self, said: Price) -> bool:
        """Whether the mark goes with the index."""
        low, high = self.marks_at(said.index)
        return low <= said.mark <= high

    def _measure(self, index: int, mark: int) -> int:
        return mark if self.option_type == NO_OPTION else index


def next_step(committed: Price, wanted: Price, bounds: Bounds) -> Price | None:
    """The price nearest to `wanted` that is one step from `committed` at most, its mark in the band of its index.

    From no price every price is one step. Where the mark cannot follow, the index waits for it. None only where the
    committed mark is outside the band, too far to come back in one step. The premium is a sample, not a place: it is
    never walked to.
    """
    premium = min(max(wanted.premium, -MOST_PREMIUM), MOST_PREMIUM)
    if committed.index == 0:
        return Price(wanted.index, _clamp(wanted.mark, *bounds.marks_at(wanted.index)), premium)
    nearest, furthest = bounds.marks_after(committed)

    def marks(index: int) -> tuple[int, int]:
        low, high = bounds.marks_at(index)
        return max(low, nearest), min(high, furthest)

    index = _clamp(wanted.index, *bounds.indices(committed))
    low, high = marks(index)
    if low > high:
        index = _furthest(committed.index, index, lambda at: marks(at)[0] <= marks(at)[1])
        low, high = marks(index)
    return None if low > high else Price(index, _clamp(wanted.mark, low, high), premium)


def within(price: int, reference: int, ppm: int, of: int | None = None) -> bool:
    """|price − reference| ≤ `of` (else the reference) × ppm / 1e6, or one price unit where that is more: as the engine
    has it."""
    return abs(price - reference) * PPM <= max((reference if of is None else of) * ppm, PPM)


def price_record(market: int, published_at: int, price: Price) -> PublishPrice:
    """The record of one publication: the only place that builds it."""
    return PublishPrice(market, published_at, price.index, price.mark, price.premium)


def price_of(record: PublishPrice) -> Price:
    """What a publication says."""
    return Price(record.index_price, record.mark_price, record.premium)


def _around(reference: int, ppm: int, of: int | None = None) -> tuple[int, int]:
    reach = max((reference if of is None else of) * ppm // PPM, 1)
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
