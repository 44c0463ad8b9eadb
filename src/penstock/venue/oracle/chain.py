"""An oracle's own view of dated contracts: the index of their perpetual, and marks that follow from it.

The forward is the index: no carry is stated. In the last half hour it is what the contract will settle at, as far as
this oracle saw the index since the half hour began, or since it was started (`pricing.delivery`).
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from penstock.pricing.delivery import Delivery
from penstock.pricing.marks import Marker, Volatility, option_marks
from penstock.protocol.instruments import CALL, FUTURE, OPTION
from penstock.protocol.quantities import MICRO, PRICE_BITS, SETTLEMENT_WINDOW
from penstock.venue.oracle.contracts import Contract
from penstock.venue.oracle.decisions import Withheld
from penstock.venue.oracle.port import VenuePort
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import Clock
from penstock.venue.oracle.steps import Price
from penstock.venue.oracle.telling import told_by
from penstock.venue.oracle.viewing import NoView, View, own_book, settling_of

YEAR: Final = 365 * 86_400.0
"""Seconds."""


class Outlook(Struct, frozen=True):
    """What a contract is priced from: the view of its index, the index (USD), venue time (µs), seconds to expiry, and
    the delivery that its settlement is the mean of."""

    view: View
    index: float
    time: int
    left: float
    delivery: Delivery

    def expiring(self, forward: float) -> float:
        """`forward`, or what is left of it in the last half hour."""
        return self.delivery.expected(forward, self.time)


class Chain:
    """Looks at all listed contracts at once. Keeps each one's delivery, and the averages of futures' marks."""

    def __init__(
        self, volatilities: Mapping[str, Volatility], venue: VenuePort, rules: OracleRules, clock: Clock
    ) -> None:
        """`volatilities` has the stated surface of each base; options of any other are not priced."""
        self._volatilities = volatilities
        self._venue = venue
        self._rules = rules
        self._clock = clock
        self._deliveries: dict[int, Delivery] = {}
        self._markers: dict[int, Marker] = {}
        self._looked_at = 0.0

    def is_stated(self, contract: Contract) -> bool:
        """Whether there is what it takes to price it: for an option, a volatility of its base."""
        return contract.terms.kind != OPTION or contract.terms.base in self._volatilities

    async def look(
        self, contracts: Collection[Contract], indices: Mapping[int, View | NoView]
    ) -> dict[int, View | NoView]:
        """Views of contracts from `indices`, the views of their perpetuals. Never raises for what the venue does."""
        now = self._clock()
        self._looked_at = max(self._looked_at, now / MICRO)
        try:
            async with asyncio.timeout(self._rules.venue_timeout):
                time = await self._venue.time()
        except (ConnectionError, TimeoutError) as error:
            silent = NoView(now, Withheld.VENUE_SILENT, told_by(error))
            return {one.terms.market: silent for one in contracts}
        if abs(time - now) > self._rules.clocks_apart * MICRO:
            apart = f"venue time is {(time - now) / MICRO:+.1f} s from this oracle's"
            return {one.terms.market: NoView(now, Withheld.CLOCKS_APART, apart) for one in contracts}
        outlooks = await asyncio.gather(
            *(self._outlook(one, indices.get(one.index_market.market), time) for one in contracts)
        )
        found: dict[int, View | NoView] = {}
        priced: list[tuple[Contract, Outlook]] = []
        for one, outlook in zip(contracts, outlooks, strict=True):
            if isinstance(outlook, NoView):
                found[one.terms.market] = outlook
            elif not self.is_stated(one):
                detail = f"none stated for {one.terms.base}"
                found[one.terms.market] = NoView(now, Withheld.NO_VOLATILITY, detail)
            else:
                priced.append((one, outlook))
        found |= await self._look_at_futures([pair for pair in priced if pair[0].terms.kind == FUTURE])
        for base in self._volatilities:
            options = [pair for pair in priced if pair[0].terms.kind == OPTION and pair[0].terms.base == base]
            found |= self._options(base, options) if options else {}
        return found

    def forget(self, ended: Iterable[Contract]) -> None:
        """Give up what was kept of contracts that ended."""
        for one in ended:
            self._markers.pop(one.terms.market, None)
            self._deliveries.pop(one.terms.market, None)

    async def _outlook(self, one: Contract, view: View | NoView | None, time: int) -> Outlook | NoView:
        now = self._clock()
        if not isinstance(view, View):
            name = one.index_market.name
            if view is None:
                return NoView(now, Withheld.NO_INDEX, f"{name} was not looked at")
            return NoView(view.time, view.reason, f"{name}: {view.detail}", view.dropped)
        index = view.price.index * float(one.index_market.price_unit)
        try:
            delivery = await self._delivery(one, time)
        except (ConnectionError, TimeoutError) as error:
            return NoView(now, Withheld.VENUE_SILENT, told_by(error))
        delivery.take(index, time)
        return Outlook(view, index, time, max(0.0, (one.ends() - time) / MICRO), delivery)

    async def _delivery(self, one: Contract, time: int) -> Delivery:
        """What is kept of a contract's settlement. The first time, in its last half hour, the venue is asked what its
        index was before. Raises ConnectionError, TimeoutError."""
        known = self._deliveries.get(one.terms.market)
        if known is None:
            before = 0.0
            if time > one.ends() - SETTLEMENT_WINDOW:
                async with asyncio.timeout(self._rules.venue_timeout):
                    committed = (await self._venue.look(one.terms)).committed
                before = committed.index * float(one.terms.price_unit)
            known = self._deliveries[one.terms.market] = Delivery(one.ends(), before)
        return known

    async def _look_at_futures(self, futures: Sequence[tuple[Contract, Outlook]]) -> dict[int, View | NoView]:
        views = await asyncio.gather(*(self._look_at_future(*pair) for pair in futures))
        return {one.terms.market: view for (one, _), view in zip(futures, views, strict=True)}

    async def _look_at_future(self, one: Contract, outlook: Outlook) -> View | NoView:
        """As a perpetual's, by the own book, around the index; there is no premium in it."""
        terms, now = one.terms, self._clock()
        try:
            async with asyncio.timeout(self._rules.venue_timeout):
                seen = await self._venue.look(terms)
            own = own_book(seen, self._rules.impact_notional)
            marker = self._markers.setdefault(terms.market, Marker(self._rules.mark))
            mark = marker.take(outlook.index, own, 0.0, self._looked_at).value
        except (ConnectionError, TimeoutError) as error:
            return NoView(now, Withheld.VENUE_SILENT, told_by(error))
        except ValueError as error:
            return NoView(now, Withheld.VENUE_SILENT, f"no sensible book: {told_by(error)}")
        return _view(one, outlook, outlook.expiring(mark))

    def _options(self, base: str, options: Sequence[tuple[Contract, Outlook]]) -> dict[int, View | NoView]:
        """All options of a base at once."""
        # Imported where options are: scipy takes half a second.
        from penstock.pricing.black import price

        strikes = np.array([one.terms.strike * float(one.terms.price_unit) for one, _ in options])
        calls = np.array([one.terms.option_type == CALL for one, _ in options])
        forwards = np.array([outlook.expiring(outlook.index) for _, outlook in options])
        years = np.array([outlook.left / YEAR for _, outlook in options])
        try:
            marks = option_marks(forwards, strikes, calls, years, self._volatilities[base], price)
        except ValueError as error:
            if len(options) == 1:
                return {options[0][0].terms.market: NoView(self._clock(), Withheld.NO_MARK, str(error))}
            # One that has no mark must not take it from the others: each by itself.
            return {market: view for pair in options for market, view in self._options(base, [pair]).items()}
        return {
            one.terms.market: _view(one, outlook, mark)
            for (one, outlook), mark in zip(options, marks.tolist(), strict=True)
        }


def _view(one: Contract, outlook: Outlook, mark: float) -> View | NoView:
    """The view in the contract's price units; a mark is at least one of them."""
    unit = float(one.terms.price_unit)
    index, units = round(outlook.index / unit), mark / unit
    # Before it is rounded: no integer is infinite, or no number.
    if not (0 < index < 1 << PRICE_BITS and units < (1 << PRICE_BITS) - 0.5):
        detail = f"index {outlook.index:g}, mark {mark:g}, price unit {one.terms.price_unit}"
        return NoView(outlook.view.time, Withheld.OUT_OF_RANGE, detail, outlook.view.dropped)
    settling = settling_of(outlook.delivery, outlook.time, unit)
    return View(outlook.view.time, Price(index, max(1, round(units))), outlook.view.dropped, settling)
