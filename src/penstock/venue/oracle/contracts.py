"""Which dated contracts an oracle prices: what the venue says is listed, as far as the genesis bears it out."""

from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct

from penstock.protocol.instruments import CALL, NO_OPTION, OPTION, PUT, is_listable
from penstock.protocol.quantities import MAX_MARKETS, MICRO, PRICE_BITS
from penstock.protocol.terms import Genesis, MarketTerms, Template
from penstock.venue.oracle.port import Listed

MOST_IGNORED: Final = 1_000
"""Different claims that are remembered as ignored; after so many, `TOO_MANY` is said once and no other."""
_SHOWN: Final = 200


class Ignored(StrEnum):
    """Why what the venue says of a market is not believed."""

    NOT_READ = "it is not told as a contract is"
    NO_TEMPLATE = "no template of the genesis lists it"
    NUMBER_TAKEN = "its number is that of another market, or can be none"
    RENUMBERED = "it had another number before"
    END_CONTRADICTED = "the perpetual has another end: one is given once, and stays"
    TOO_MANY = "more false contracts than are told apart: the rest goes unsaid"


class Contract(Struct, frozen=True):
    """A listed contract: its terms, from its template, and the perpetual that has its index."""

    terms: MarketTerms
    index_market: MarketTerms

    def ends(self) -> int:
        """Its expiry, µs."""
        return self.terms.expiry * MICRO


class Contracts:
    """The contracts that an oracle prices, by their numbers in `live`; the perpetuals of the genesis are not among
    them.

    Of what the venue tells only number, strike and date are new, and they must be such as a template allows: every
    other term is the template's. A contract keeps the number that it was first told with.
    """

    def __init__(self, genesis: Genesis) -> None:
        self.live: dict[int, Contract] = {}
        self._templates = genesis.templates
        self._markets = {terms.market: terms for terms in genesis.markets}
        self._last = max(self._markets)
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._ignored: set[str] = set()

    def take(
        self, told: Iterable[Listed], unread: Collection[str], time: int
    ) -> tuple[list[Contract], list[tuple[Ignored, str]]]:
        """Take up what is new at venue time `time` (µs); gives it, and what was ignored that was not before."""
        found: list[Contract] = []
        ignored = [(Ignored.NOT_READ, text) for text in unread]
        for one in told:
            if one.ended or one.expiry * MICRO <= time or self._is_known(one):
                continue
            judged = self._judge(one, time)
            if isinstance(judged, Ignored):
                ignored.append((judged, _shown(one)))
            else:
                self.live[one.number] = judged
                self._numbers[judged.terms.name] = one.number
                self._names[one.number] = judged.terms.name
                found.append(judged)
        return found, self._not_said_yet(ignored)

    def drop(self, told: Iterable[Listed], time: int) -> list[Contract]:
        """Drop and give what ended: its expiry is reached at venue time `time` (µs), or the venue says so."""
        over = {one.name for one in told if one.ended}
        ended = [one for one in self.live.values() if one.ends() <= time or one.terms.name in over]
        for one in ended:
            del self.live[one.terms.market]
        return ended

    def _is_known(self, one: Listed) -> bool:
        """Whether it is a market of the genesis, or is priced already."""
        live = self.live.get(one.number)
        terms = self._markets.get(one.number) if live is None else live.terms
        return terms is not None and one.name == terms.name

    def _judge(self, one: Listed, time: int) -> Contract | Ignored:
        found = next((each for each in self._foreseen(one, time) if each.terms.name == one.name), None)
        if found is None:
            return Ignored.NO_TEMPLATE
        if not self._last < one.number < MAX_MARKETS or self._names.get(one.number, one.name) != one.name:
            return Ignored.NUMBER_TAKEN
        if self._numbers.get(one.name, one.number) != one.number:
            return Ignored.RENUMBERED
        return found

    def _foreseen(self, one: Listed, time: int) -> Iterator[Contract]:
        for template in self._templates:
            terms = contract_of(template, one, time)
            if terms is not None:
                yield Contract(terms, self._markets[template.index_market])

    def _not_said_yet(self, ignored: list[tuple[Ignored, str]]) -> list[tuple[Ignored, str]]:
        new: list[tuple[Ignored, str]] = []
        for reason, detail in ignored:
            if detail in self._ignored or len(self._ignored) > MOST_IGNORED:
                continue
            full = len(self._ignored) == MOST_IGNORED
            self._ignored.add(detail)
            new.append((Ignored.TOO_MANY, f"{MOST_IGNORED}") if full else (reason, detail))
        return new


def _shown(one: Listed) -> str:
    said = f"{one.number} {one.name!r}: {one.base!r}, kind {one.kind}, expiry {one.expiry}, strike {one.strike:g}"
    return f"{said[:_SHOWN]}, type {one.option_type}"


def contract_of(template: Template, one: Listed, time: int) -> MarketTerms | None:
    """The terms of what was told, if a template may have listed it by venue time `time` (µs); else None.

    How far its strike was from the index when it was listed cannot be known afterwards.
    """
    shared = template.terms
    if (shared.kind, shared.base) != (one.kind, one.base) or not is_listable(template.dates, one.expiry, time // MICRO):
        return None
    if not 0 <= one.strike < float(shared.price_unit) * (1 << PRICE_BITS):
        return None
    strike, rest = divmod(Decimal(str(one.strike)), shared.price_unit)
    if shared.kind != OPTION:
        fits = (one.strike, one.option_type) == (0, NO_OPTION)
    else:
        fits = one.option_type in (CALL, PUT) and not rest and strike > 0 and strike % template.strike_step == 0
    return shared.contract(one.number, one.expiry, int(strike), one.option_type) if fits else None
