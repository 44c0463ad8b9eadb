"""What a replay measured: the tape's matched share, how close the book came, how fast the venue answered."""

from collections import Counter
from typing import Any

from penstock.participants.client import Answer
from penstock.protocol.commands import BUY, SELL
from penstock.simulation.best_price import BestPrice
from penstock.simulation.mirror import Change, Put


class ReplayStatistics:
    """Counts since the replay began; floats live only here.

    `levels` is the most one side of a book had, `levels_left_out` the most that no maker could show.
    `played_us` is recorded time played, all loops together.

    Notionals are in 1e-6 USD at the printed prices. Mid errors are basis points of the recorded mid: `mirrored`
    by the acknowledged state of our own orders after each update, `venue` by the venue's own book whenever
    nothing was in flight.
    """

    def __init__(self) -> None:
        self.trades = 0
        self.printed = 0
        self.matched = 0
        self.updates = 0
        self.conflated = 0
        self.records = 0
        self.loops = 0
        self.played_us = 0
        self.prices = 0
        self.levels = 0
        self.levels_left_out = 0
        self.refused: Counter[str] = Counter()
        self.mirrored_errors: list[float] = []
        self.venue_errors: list[float] = []
        self.acks: list[float] = []

    def count(self, answer: Answer) -> None:
        """Note one answer's latency and refusals."""
        self.acks.append(answer.ack_s * 1000)
        self.refused.update(answer.reasons)

    def summary(self) -> dict[str, Any]:
        """Everything as plain numbers, ready for JSON; volumes in USD, times in ms."""
        share = self.matched / self.printed if self.printed else None
        return {
            "tape": {
                "trades": self.trades,
                "volume": self.printed / 1e6,
                "matched": self.matched / 1e6,
                "matched_share": share,
            },
            "mid_error_bps": _quantiles(self.mirrored_errors),
            "venue_mid_error_bps": _quantiles(self.venue_errors),
            "ack_ms": _quantiles(self.acks),
            "refused": dict(sorted(self.refused.items())),
            "updates": self.updates,
            "conflated": self.conflated,
            "records": self.records,
            "prices": self.prices,
            "book_levels": {"most": self.levels, "left_out": self.levels_left_out},
            "loops": self.loops,
            "played_seconds": self.played_us / 1e6,
        }


class AcknowledgedBook:
    """Our own orders as the venue has acknowledged them: best prices of our side of the world."""

    def __init__(self) -> None:
        self._orders: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._levels: dict[int, dict[int, tuple[int, int]]] = {BUY: {}, SELL: {}}
        self._best = {side: BestPrice(side, levels) for side, levels in self._levels.items()}

    def accept(self, maker: int, change: Change) -> None:
        """An order change was acknowledged."""
        owner = (maker, change.slot)
        self._drop(owner)
        if isinstance(change, Put):
            self._orders[owner] = (change.side, change.price, change.size)
            self._levels[change.side][change.price] = owner
            self._best[change.side].came(change.price)

    def accept_fill(self, taker_side: int, size: int) -> None:
        """A taker's order of ours matched `size`, best prices first."""
        side = SELL if taker_side == BUY else BUY
        while size and (price := self._best[side].now()) is not None:
            owner = self._levels[side][price]
            rest = self._orders[owner][2]
            traded = min(size, rest)
            size -= traded
            if traded == rest:
                self._drop(owner)
            else:
                self._orders[owner] = (side, price, rest - traded)

    def clear(self) -> None:
        """Every order is gone."""
        self._orders.clear()
        for side, levels in self._levels.items():
            levels.clear()
            self._best[side].went()

    def mid(self) -> float | None:
        """Middle of the best prices in price units, None while a side is empty."""
        bid, ask = self._best[BUY].now(), self._best[SELL].now()
        return None if bid is None or ask is None else (bid + ask) / 2

    def _drop(self, owner: tuple[int, int]) -> None:
        order = self._orders.pop(owner, None)
        if order is not None and self._levels[order[0]].get(order[1]) == owner:
            del self._levels[order[0]][order[1]]
            self._best[order[0]].went(order[1])


class VenueBook:
    """The venue's book by its own channel: a snapshot, then changes."""

    def __init__(self, price_unit: float) -> None:
        self._price_unit = price_unit
        self._levels: dict[str, set[int]] = {"bids": set(), "asks": set()}
        self._best = {"bids": BestPrice(BUY, self._levels["bids"]), "asks": BestPrice(SELL, self._levels["asks"])}

    def take(self, notification: dict[str, Any]) -> None:
        """Apply one `book.*` notification."""
        for side, prices in self._levels.items():
            if notification["type"] == "snapshot":
                prices.clear()
                self._best[side].went()
            for action, price, _ in notification[side]:
                units = round(price / self._price_unit)
                if action == "delete":
                    prices.discard(units)
                    self._best[side].went(units)
                else:
                    prices.add(units)
                    self._best[side].came(units)

    def mid(self) -> float | None:
        """Middle of the best prices in price units, None while a side is empty."""
        bid, ask = self._best["bids"].now(), self._best["asks"].now()
        return None if bid is None or ask is None else (bid + ask) / 2


def _quantiles(values: list[float]) -> dict[str, float | int | None]:
    ordered = sorted(values)
    if not ordered:
        return {"p50": None, "p99": None, "count": 0}
    last = len(ordered) - 1
    return {"p50": ordered[round(last * 0.5)], "p99": ordered[round(last * 0.99)], "count": len(ordered)}
