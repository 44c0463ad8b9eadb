"""When the perpetuals of the genesis end: at no time, until a governor delists one (`DelistMarket`)."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import MarketTerms


class Ends:
    """The perpetuals of one venue, each with its end once the venue has told it.

    The engine gives a perpetual an end once, and no command takes it back or moves it: so the first one told is kept
    until this oracle is started again, and another told later contradicts it.
    """

    def __init__(self, perpetuals: Iterable[MarketTerms]) -> None:
        self.terms = {terms.market: terms for terms in perpetuals}
        self._contradicted: set[int] = set()

    def take(self, told: Mapping[int, int]) -> tuple[list[MarketTerms], list[tuple[MarketTerms, int]]]:
        """Take up when markets end (s; 0 for no end), by their numbers. Gives the terms of those whose end is new; and
        with what was told, of each market once, those that had another."""
        found, contradicted = [], []
        for market, expiry in told.items():
            terms = self.terms[market]
            if not terms.expiry and expiry:
                self.terms[market] = replace(terms, expiry=expiry)
                found.append(self.terms[market])
            elif expiry != terms.expiry and market not in self._contradicted:
                self._contradicted.add(market)
                contradicted.append((terms, expiry))
        return found, contradicted

    def over(self, time: int) -> list[MarketTerms]:
        """The perpetuals whose end is reached at venue time `time` (µs)."""
        return [terms for terms in self.terms.values() if 0 < terms.expiry * MICRO <= time]
