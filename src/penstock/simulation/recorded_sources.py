"""A recorded market as an oracle's sources: the spot mid and the perpetual's best levels, round and round."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock.simulation.recording import BTC, ETH, Quote, RecordedMarket, Recording, RecordingError, load_recording
from penstock.venue.oracle.sources import Clock, wall_clock
from penstock.venue.oracle.sources import Quote as SourceQuote

Points = Sequence[tuple[int, float, float]]
"""(recorded µs, bid, ask), in time order."""


class RecordedSource:
    """Plays one recorded market in a loop, anchored at 1970: every oracle that plays it is at the same place."""

    def __init__(
        self, name: str, points: Mapping[str, Points], start_us: int, end_us: int, clock: Clock | None = None
    ) -> None:
        """`points` by coin; the loop is what lies between `start_us` and `end_us`. Raises ValueError for no span."""
        if end_us <= start_us:
            raise ValueError(f"end_us is {end_us}, wants more than start_us ({start_us})")
        self.name = name
        self.weight = 1.0
        self._points = dict(points)
        self._times = {base: [time for time, _, _ in of_base] for base, of_base in points.items()}
        self._start = start_us
        self._length = end_us - start_us
        self._clock = clock or wall_clock

    async def quote(self, base: str) -> SourceQuote | None:
        """What stood at this place of the recording; None for a coin it has not, and before its first price."""
        if base not in self._points:
            return None
        now = self._clock()
        into = now % self._length
        at = bisect_right(self._times[base], self._start + into) - 1
        if at < 0:
            return None
        time, bid, ask = self._points[base][at]
        # As old as it was in the recording at this place.
        return SourceQuote(bid, ask, now - (self._start + into - time))


def recorded_sources(
    folder: Path, markets: tuple[RecordedMarket, ...] = (BTC, ETH), clock: Clock | None = None
) -> list[RecordedSource]:
    """The two sources in a folder of recordings, `spot` and `perpetual`. Raises RecordingError."""
    return sources_of(load_recording(folder, markets), clock)


def sources_of(recording: Recording, clock: Clock | None = None) -> list[RecordedSource]:
    """The two sources of a recording, `spot` and `perpetual`. Raises RecordingError where one has no prices."""
    spot: dict[str, Points] = {}
    perpetual: dict[str, Points] = {}
    for name, market in recording.markets.items():
        base = name.partition("_")[0]
        unit = 10.0**-market.scale.price_decimals
        spot[base] = [(p.time_us, p.price * unit, p.price * unit) for p in recording.index[name]]
        quotes = [event for event in recording.events[name] if isinstance(event, Quote)]
        perpetual[base] = [(quote.time_us, quote.bid * unit, quote.ask * unit) for quote in quotes]
        if not spot[base] or not quotes:
            raise RecordingError(f"{name}: no quotes in the recording")
    start, end = recording.starts_at(), recording.ends_at()
    return [RecordedSource("spot", spot, start, end, clock), RecordedSource("perpetual", perpetual, start, end, clock)]
