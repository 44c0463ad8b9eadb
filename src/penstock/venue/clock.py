"""Venue time: microseconds, never decreasing. The sequencer stamps with it; nothing else tells the engine the time."""

import time
from collections.abc import Callable
from typing import Protocol

NANOSECONDS = 1_000
REPORTED_DRIFT = 100_000
"""µs the wall clock may leave venue time before it is worth a line in the log."""


class ClockRefusal(ValueError):
    """Somebody asked venue time to go back, or asked a clock that is not driven to move."""


class Clock(Protocol):
    """What the node needs of time."""

    def now(self) -> int:
        """Venue time in µs; never less than any earlier answer."""

    def not_before(self, moment: int) -> None:
        """Never answer less than `moment` (µs): what the journal has already stamped."""


class WallClock:
    """The time of day at the start, carried on by the monotonic clock: a wall clock set back cannot be seen here."""

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset = wall_ns() - monotonic_ns()
        self._floor = 0

    def now(self) -> int:
        """Venue time in µs since 1970."""
        moment = (self._monotonic_ns() + self._offset) // NANOSECONDS
        self._floor = max(moment, self._floor)
        return self._floor

    def not_before(self, moment: int) -> None:
        """Stand still at `moment` (µs) until time gets there."""
        self._floor = max(self._floor, moment)

    def drift(self) -> int:
        """µs by which the wall clock is ahead of venue time; negative when it was set back. Worth an alarm."""
        return self._wall_ns() // NANOSECONDS - self.now()


class DevClock:
    """Venue time that runs `rate` times as fast as the wall from `start` (µs); rate 0 moves only when driven."""

    def __init__(self, start: int, rate: float = 1.0, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        if start < 0 or rate < 0:
            raise ClockRefusal(f"a clock cannot start at {start} µs with rate {rate}")
        self.rate = rate
        self._monotonic_ns = monotonic_ns
        self._start = start
        self._since = monotonic_ns()
        self._floor = start

    @property
    def driven(self) -> bool:
        """Whether only `advance_to` moves it."""
        return self.rate == 0

    def now(self) -> int:
        """Venue time in µs."""
        if self.rate:
            elapsed = (self._monotonic_ns() - self._since) // NANOSECONDS
            self._floor = max(self._floor, self._start + int(elapsed * self.rate))
        return self._floor

    def not_before(self, moment: int) -> None:
        """Carry on from `moment` (µs) if that is later than now."""
        if moment > self.now():
            self._jump(moment)

    def advance_to(self, moment: int) -> None:
        """Move on to `moment` (µs). Raises ClockRefusal when that is in the past."""
        now = self.now()
        if moment < now:
            raise ClockRefusal(f"venue time is {now} µs and does not go back to {moment}")
        self._jump(moment)

    def _jump(self, moment: int) -> None:
        self._start = self._floor = moment
        self._since = self._monotonic_ns()
