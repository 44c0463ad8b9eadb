"""The index: one price out of several outside books, which no single one of them can move far.

The rule is Deribit's (support.deribit.com 25944739377309): the mid of each constituent, clamped to ±0.5 % of the
median, averaged by weight. The median counts every live source once, whatever its weight: a weight says how much a
source adds to the mean, never how much it has to say about where the middle is.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from statistics import median

from msgspec import Struct

from penstock.pricing.inputs import number


class Flaw(StrEnum):
    """Why a source takes no part."""

    EXCLUDED = "excluded by hand"
    SILENT = "no answer"
    NOT_A_NUMBER = "not a finite number"
    NOT_POSITIVE = "zero or negative"
    CROSSED = "bid above ask"
    FROM_THE_FUTURE = "newer than now"
    STALE = "too old"
    FAR_OFF = "far from the median"


class Constituent(Struct, frozen=True):
    """One outside book: best bid and ask (USD), how old they are (s), and its weight; weight 0 excludes it.

    Where only one price is known, bid and ask are both that price.
    """

    name: str
    bid: float
    ask: float
    age: float
    weight: float = 1.0

    @property
    def mid(self) -> float:
        """The middle of bid and ask."""
        return self.bid + (self.ask - self.bid) / 2


class IndexRules(Struct, frozen=True):
    """How the index is taken.

    `clamp` and `far` are fractions of the median: a mid further than `far` (a wrong unit, wrong decimals) is dropped,
    one further than `clamp` counts as the nearest price within it. A source older than `stale_after` (s) is dropped;
    one newer than now by more than `ahead` (s) too. At least `least` sources must be live, and at least `agreeing` of
    them within `clamp` of the median, so that two sources that contradict each other make no index of their middle.
    """

    clamp: float = 0.005
    far: float = 0.5
    stale_after: float = 180.0
    ahead: float = 5.0
    least: int = 3
    agreeing: int = 1

    def check(self) -> None:
        """Raises ValueError naming the first rule that is out of range."""
        for name, low, high in (("clamp", 0, 0.1), ("far", self.clamp, 0.9), ("stale_after", 0, 86_400)):
            number(name, getattr(self, name), low, high, above=True)
        number("ahead", self.ahead, 0, 60)
        number("least", self.least, 1)
        number("agreeing", self.agreeing, 1, self.least)


class Dropped(Struct, frozen=True):
    """A source that took no part, and why."""

    name: str
    flaw: Flaw


class Share(Struct, frozen=True):
    """What a live source brought in: its mid, the mid as clamped, its weight."""

    name: str
    mid: float
    clamped: float
    weight: float


class Index(Struct, frozen=True):
    """An index price (USD), the median it was clamped around, who took part and who did not."""

    value: float
    median: float
    shares: tuple[Share, ...]
    dropped: tuple[Dropped, ...]


class NoIndex(Struct, frozen=True):
    """There is no index: too few sources live, or too few in agreement. `reason` is a sentence with the numbers."""

    reason: str
    dropped: tuple[Dropped, ...]


def take_index(
    constituents: Sequence[Constituent], rules: IndexRules | None = None, silent: Sequence[str] = ()
) -> Index | NoIndex:
    """The weighted mean of the live sources' mids, each within ±`clamp` of their median.

    `silent` names the sources that were asked and gave no answer. Whatever a source says, it is taken or it is named in
    `dropped`; nothing it says raises. Raises ValueError for rules out of range, names given twice, and weights that
    are negative or no number.
    """
    rules = rules or IndexRules()
    rules.check()
    _check_sources(constituents, silent)
    dropped = [Dropped(name, Flaw.SILENT) for name in silent]
    sound: list[Constituent] = []
    for source in constituents:
        flaw = _flaw(source, rules)
        if flaw is None:
            sound.append(source)
        else:
            dropped.append(Dropped(source.name, flaw))
    live = sound
    if sound:
        middle = median(source.mid for source in sound)
        live = [source for source in sound if abs(source.mid - middle) <= rules.far * middle]
        dropped += [Dropped(source.name, Flaw.FAR_OFF) for source in sound if source not in live]
    if len(live) < rules.least:
        return NoIndex(
            f"{len(live)} of {len(constituents) + len(silent)} sources live, {rules.least} wanted", tuple(dropped)
        )
    return _average(live, rules, tuple(dropped))


def _average(live: list[Constituent], rules: IndexRules, dropped: tuple[Dropped, ...]) -> Index | NoIndex:
    middle = median(source.mid for source in live)
    low, high = middle * (1 - rules.clamp), middle * (1 + rules.clamp)
    agreeing = sum(low <= source.mid <= high for source in live)
    if agreeing < rules.agreeing:
        reason = f"{agreeing} of {len(live)} live sources within {rules.clamp:.2%} of the median {middle:g}"
        return NoIndex(f"{reason}, {rules.agreeing} wanted", dropped)
    shares = tuple(Share(s.name, s.mid, min(max(s.mid, low), high), s.weight) for s in live)
    total = math.fsum(share.weight for share in shares)
    value = math.fsum(share.weight / total * share.clamped for share in shares)
    return Index(min(max(value, low), high), middle, shares, dropped)


def _flaw(source: Constituent, rules: IndexRules) -> Flaw | None:
    if source.weight == 0:
        return Flaw.EXCLUDED
    if not all(math.isfinite(value) for value in (source.bid, source.ask, source.age)):
        return Flaw.NOT_A_NUMBER
    if source.bid <= 0 or source.ask <= 0:
        return Flaw.NOT_POSITIVE
    if source.bid > source.ask:
        return Flaw.CROSSED
    if source.age < -rules.ahead:
        return Flaw.FROM_THE_FUTURE
    if source.age > rules.stale_after:
        return Flaw.STALE
    return None


def _check_sources(constituents: Sequence[Constituent], silent: Sequence[str]) -> None:
    names = [*(source.name for source in constituents), *silent]
    if len(set(names)) != len(names):
        raise ValueError(f"{max(names, key=names.count)} is given twice: the names of sources must differ")
    for source in constituents:
        number(f"weight of {source.name}", source.weight, 0.0, 1e9)
