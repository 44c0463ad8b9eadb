"""An oracle's own view of a market: its sources, its index, the venue's book, its mark and premium."""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from penstock.pricing.delivery import Delivery
from penstock.pricing.index import Constituent, Dropped, Index, NoIndex, take_index
from penstock.pricing.marks import Average, Marker, OwnBook
from penstock.pricing.premium import funding_rate, impact_price, premium
from penstock.protocol.quantities import MICRO, PPM, PRICE_BITS, RATE_SCALE
from penstock.protocol.terms import MarketTerms
from penstock.venue.oracle.decisions import Withheld
from penstock.venue.oracle.port import Seen, VenuePort
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import Clock, Quote, Source
from penstock.venue.oracle.steps import NOT_SETTLING, Price, Settling
from penstock.venue.oracle.telling import printable, told_by

_SHOWN: Final = 200
_TIMES: Final = 1 << 63


class View(Struct, frozen=True):
    """What a market is worth in this oracle's eyes, in its own units, at `time` (µs since 1970). In its last half hour
    `settling` says what is known of its settlement."""

    time: int
    price: Price
    dropped: tuple[Dropped, ...] = ()
    settling: Settling = NOT_SETTLING


class NoView(Struct, frozen=True):
    """There is no view, and why."""

    time: int
    reason: Withheld
    detail: str
    dropped: tuple[Dropped, ...] = ()


class Viewer:
    """Looks at one market. Keeps the averages of mark and premium from look to look.

    `silences` says of each source that gave no answer at the last look what it did instead.
    """

    def __init__(
        self, terms: MarketTerms, sources: Sequence[Source], venue: VenuePort, rules: OracleRules, clock: Clock
    ) -> None:
        self.silences: dict[str, str] = {}
        self._terms = terms
        self._unit = float(terms.price_unit)
        self._sources = sources
        self._venue = venue
        self._rules = rules
        self._clock = clock
        self._marker = Marker(rules.mark)
        self._premium = Average(rules.premium_seconds)
        self._looked_at = 0.0
        self._delivery: Delivery | None = None

    def ends(self, expiry: int) -> None:
        """The market ends at `expiry` (s): in the half hour before, its mark goes over to what it will settle at."""
        self._terms = replace(self._terms, expiry=expiry)

    async def look(self) -> View | NoView:
        """Ask every source and the venue, once. Never raises for what they say or do not say."""
        asked = [(source.name, source.weight, source) for source in self._sources]
        answers = await asyncio.gather(*(self._ask(name, source) for name, _, source in asked))
        now = self._clock()
        quotes = [
            Constituent(name, quote.bid, quote.ask, (now - quote.time_us) / MICRO, weight)
            for (name, weight, _), quote in zip(asked, answers, strict=True)
            if quote is not None
        ]
        heard = {quote.name for quote in quotes}
        silent = [name for name, _, _ in asked if name not in heard]
        try:
            index = take_index(quotes, self._rules.index, silent)
        except OverflowError as error:
            return NoView(now, Withheld.OUT_OF_RANGE, f"index: {told_by(error)}")
        if isinstance(index, NoIndex):
            return NoView(now, Withheld.NO_INDEX, index.reason, index.dropped)
        if not index.value / self._unit < 1 << PRICE_BITS:
            # Before the averages hear of it.
            detail = f"index {index.value:g}, price unit {self._terms.price_unit}"
            return NoView(now, Withheld.OUT_OF_RANGE, detail, index.dropped)
        try:
            async with asyncio.timeout(self._rules.venue_timeout):
                seen = await self._venue.look(self._terms)
                time = await self._venue.time() if self._terms.expiry else 0
            return self._conclude(index, seen, now, time)
        except (ConnectionError, TimeoutError) as error:
            return NoView(now, Withheld.VENUE_SILENT, told_by(error), index.dropped)
        except ValueError as error:
            return NoView(now, Withheld.VENUE_SILENT, f"no sensible book: {told_by(error)}", index.dropped)
        except OverflowError as error:
            return NoView(now, Withheld.OUT_OF_RANGE, f"index {index.value:g}: {told_by(error)}", index.dropped)

    def _conclude(self, index: Index, seen: Seen, now: int, time: int) -> View | NoView:
        # A clock set back must not stop the averages: they stand still until it is past where it was.
        self._looked_at = max(self._looked_at, now / MICRO)
        bid, ask = impact_prices(seen, self._rules.impact_notional)
        of_premium = self._premium.take(min(max(premium(bid, ask, index.value), -1.0), 1.0), self._looked_at)
        own = own_book(seen, self._rules.impact_notional)
        term = funding_rate(of_premium, self._rules.funding)
        mark = self._marker.take(index.value, own, term, self._looked_at)
        value, settling = self._expiring(index.value, mark.value, seen, time)
        units = [round(price / self._unit) for price in (index.value, value)]
        if not all(0 < price < 1 << PRICE_BITS for price in units):
            detail = f"index {index.value:g}, mark {value:g}, price unit {self._terms.price_unit}"
            return NoView(now, Withheld.OUT_OF_RANGE, detail, index.dropped)
        return View(now, Price(units[0], units[1], round(of_premium * RATE_SCALE)), index.dropped, settling)

    def _expiring(self, index: float, mark: float, seen: Seen, time: int) -> tuple[float, Settling]:
        """The mark (USD) of a market that ends, at venue time `time` (µs), and what is known of its settlement."""
        if not self._terms.expiry:
            return mark, NOT_SETTLING
        if self._delivery is None:
            self._delivery = Delivery(self._terms.expiry * MICRO, seen.committed.index * self._unit)
        self._delivery.take(index, time)
        return self._delivery.expected(mark, time), settling_of(self._delivery, time, self._unit)

    async def _ask(self, name: str, source: Source) -> Quote | None:
        """What a source says, in plain numbers, its time one of 64 bits; None for whatever else it does."""
        self.silences.pop(name, None)
        try:
            async with asyncio.timeout(self._rules.source_timeout):
                quote = await source.quote(self._terms.base)
            if quote is None:
                self.silences[name] = f"has no price of {self._terms.base}"
                return None
            plain = Quote(float(quote.bid), float(quote.ask), int(quote.time_us))
            if not -_TIMES <= plain.time_us < _TIMES:
                raise ValueError("time_us is out of range, wants -2^63 to 2^63 - 1")
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self.silences[name] = f"{type(error).__name__}: its own doing"
            return None
        except Exception as error:  # a source is a stranger's code: whatever it does, it is silent and says so
            self.silences[name] = printable(f"{type(error).__name__}: {told_by(error)}", _SHOWN)
            return None
        return plain


def settling_of(delivery: Delivery, time: int, unit: float) -> Settling:
    """What is known of a settlement at venue time `time` (µs), for the engine's band; the delivery is in USD, a price
    unit is `unit` USD."""
    share, average = delivery.fixed(time)
    return Settling(round(share * PPM), round(average / unit))


def impact_prices(seen: Seen, notional: float) -> tuple[float | None, float | None]:
    """Bid and ask at which `notional` (USD) would trade; None for a side too thin. Raises ValueError for no book."""
    bid, ask = (
        impact_price([price for price, _ in side], [size for _, size in side], notional)
        for side in (seen.bids, seen.asks)
    )
    return bid, ask


def own_book(seen: Seen, notional: float) -> OwnBook:
    """What the venue's book says of a mark. Raises ValueError for no book."""
    bid, ask = impact_prices(seen, notional)
    return OwnBook(None if bid is None or ask is None else (bid + ask) / 2, seen.last)
