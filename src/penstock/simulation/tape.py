"""How much of a recorded tape a mirrored book can match, computed offline from the recording alone."""

import sys
import time
from pathlib import Path

from msgspec import Struct

from penstock.participants.slots import Slots
from penstock.protocol.commands import BUY, SELL
from penstock.simulation.accounts import makers_of
from penstock.simulation.best_price import BestPrice
from penstock.simulation.mirror import BAND, Batch, Mirror, Pull
from penstock.simulation.recorded_book import RecordedBook
from penstock.simulation.recording import IndexPrice, Recording, Trade, load_recording


class NaiveBook:
    """Orders by (maker, slot), matched best price first. Obvious, and knows no mirror."""

    def __init__(self) -> None:
        self.levels: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
        self._best = {side: BestPrice(side, prices) for side, prices in self.levels.items()}
        self._orders: dict[tuple[int, int], tuple[int, int]] = {}
        self._owners: dict[tuple[int, int], tuple[int, int]] = {}

    def best(self, side: int) -> int | None:
        """The best price of a side, or None."""
        return self._best[side].now()

    def apply(self, batch: Batch) -> None:
        """Place, replace and cancel. Raises ValueError for what a venue would refuse: a crossing post-only order,
        two orders at one level, or a cancel of nothing."""
        for change in batch.changes:
            owner = (batch.maker, change.slot)
            if isinstance(change, Pull):
                if not self.pull(owner):
                    raise ValueError(f"maker {batch.maker} cancels slot {change.slot}, which is empty")
                continue
            self.pull(owner)
            self.put(owner, change.side, change.price, change.size)

    def put(self, owner: tuple[int, int], side: int, price: int, size: int) -> None:
        """Rest one order. Raises ValueError when it would cross, or when the level is taken."""
        opposite = self.best(SELL if side == BUY else BUY)
        if opposite is not None and (price >= opposite if side == BUY else price <= opposite):
            raise ValueError(f"post-only order at {price} would trade with {opposite}")
        if price in self.levels[side]:
            raise ValueError(f"two orders at {price}")
        self.levels[side][price] = size
        self._best[side].came(price)
        self._orders[owner] = (side, price)
        self._owners[side, price] = owner

    def pull(self, owner: tuple[int, int]) -> bool:
        """Take the owner's order out; whether there was one."""
        place = self._orders.pop(owner, None)
        if place is None:
            return False
        del self._owners[place], self.levels[place[0]][place[1]]
        self._best[place[0]].went(place[1])
        return True

    def take(self, side: int, limit: int, size: int) -> int:
        """Match an immediate-or-cancel order; returns the size matched."""
        opposite = SELL if side == BUY else BUY
        left = size
        while left:
            best = self.best(opposite)
            if best is None or (best > limit if side == BUY else best < limit):
                break
            traded = min(left, self.levels[opposite][best])
            left -= traded
            self.levels[opposite][best] -= traded
            if not self.levels[opposite][best]:
                self.pull(self._owners[opposite, best])
        return size - left


class MarketShare(Struct):
    """One market's tape: counts, and notionals in 1e-6 USD (price units x size units), at the printed prices."""

    trades: int = 0
    printed: int = 0
    matched: int = 0
    batches: int = 0
    changes: int = 0

    @property
    def share(self) -> float:
        """Matched notional over printed notional; 1.0 when nothing was printed."""
        return self.matched / self.printed if self.printed else 1.0


class _MarketTape:
    """One market played offline: recorded book, mirror, naive book."""

    def __init__(self, levels: int | None, makers: int, conflate: bool) -> None:
        self.share = MarketShare()
        self.recorded = RecordedBook()
        self.mirror = Mirror([Slots() for _ in range(makers)], band=BAND)
        self.book = NaiveBook()
        self._levels = levels
        self._conflate = conflate
        self._dirty = False

    def play(self, event: object, counted: bool) -> None:
        if isinstance(event, Trade):
            self.flush()
            side = BUY if event.buyer_is_taker else SELL
            matched = self.book.take(side, event.price, event.size)
            self.mirror.fill(side, event.price, event.size)
            if counted:
                self.share.trades += 1
                self.share.printed += event.price * event.size
                self.share.matched += event.price * matched
        elif not isinstance(event, IndexPrice):
            self.recorded.apply(event)  # type: ignore[arg-type]
            self._dirty = True
            if not self._conflate:
                self.flush()

    def flush(self) -> None:
        if not self._dirty or not self.recorded.ready:
            return
        self._dirty = False
        for batch in self.mirror.update(self.recorded.target(self._levels)):
            self.book.apply(batch)
            self.share.batches += 1
            self.share.changes += len(batch.changes)


def reachable_share(
    recording: Recording,
    levels: int | None = 20,
    markets: tuple[str, ...] | None = None,
    seconds: float | None = None,
    *,
    makers: int | None = None,
    conflate: bool = True,
) -> dict[str, MarketShare]:
    """Play makers' mirror and takers' tape against a naive book; instrument -> share, and "all" for the sum.

    Every recorded trade is an immediate-or-cancel order at its printed price. Counted after the moment all
    markets have their REST snapshot, for `seconds` of exchange time (None: to the end). `markets` are
    instrument names (None: all), `makers` a market (None: as many as a local venue funds). `conflate` leaves out
    book states that no trade sees; the shares are the same. Raises RecordingError when a market has no snapshot,
    ValueError if the mirror ever crosses itself.
    """
    names = tuple(recording.events) if markets is None else markets
    start = recording.starts_at()
    until = None if seconds is None else start + int(seconds * 1_000_000)
    tapes = {name: _MarketTape(levels, makers or makers_of(name), conflate) for name in names}
    for name, event in recording.merged(until):
        if name in tapes:
            tapes[name].play(event, event.time_us > start)
    shares = {name: tape.share for name, tape in tapes.items()}
    total = MarketShare()
    for share in shares.values():
        for field in MarketShare.__struct_fields__:
            setattr(total, field, getattr(total, field) + getattr(share, field))
    return {**shares, "all": total}


def _print_table(recording: Recording) -> None:
    print("| window | levels a side | market | trades | printed USD | reachable | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for seconds in (60.0, None):
        for levels in (20, 400, None):
            began = time.process_time()
            shares = reachable_share(recording, levels, seconds=seconds)
            spent = time.process_time() - began
            for name, share in shares.items():
                window = "whole" if seconds is None else f"{seconds:.0f} s"
                cells = (window, levels or "all", name, f"{share.trades:,}", f"{share.printed / 1e6:,.0f}")
                print("|", " | ".join(map(str, cells)), "|", f"{share.share:.2%} | {spent:.1f} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m penstock.simulation.tape RECORDING_FOLDER")
    _print_table(load_recording(Path(sys.argv[1])))
