"""One pretend market: a mid price that walks, a book around it, trades at its edges."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

STARTED = 1_767_225_600_000  # 2026-01-01, ms
STEP_MS = 100
LEVELS = 60
PAST_STEPS = 3_000
FIRST_QUOTES = 5
DAY_VOLUME = 18_240.5
NEVER = 32_503_708_800_000


class FakeMarket:
    """Prices are whole ticks inside, and numbers of USD in what it says; the kind and expiry are in the name."""

    def __init__(self, name: str, identity: int, tick: float, mid: int, random_: random.Random, trades: bool) -> None:
        self.name = name
        self.identity = identity
        self.tick = tick
        self.mid = mid
        self.random = random_
        self.trading = trades
        self.kind = "option" if name.count("-") == 3 else "future"
        self.ended = False
        self.told: dict[str, Any] = {}
        self.time = STARTED
        self.change_id = 1_000
        self.bids: dict[int, float] = {}
        self.asks: dict[int, float] = {}
        self.trades: list[dict[str, Any]] = []
        for _ in range(PAST_STEPS):
            self._walk()
            self._trade()
        for _ in range(FIRST_QUOTES):
            self._quote()

    @classmethod
    def three(cls, seed: int, trades: bool) -> "list[FakeMarket]":
        return [
            cls("BTC_USDC-PERPETUAL", 1, 0.5, 174_310, random.Random(seed), trades),
            cls("ETH_USDC-PERPETUAL", 2, 0.05, 59_400, random.Random(seed + 1), trades),
            cls("BTC_USDC-26JUN26", 3, 0.5, 176_020, random.Random(seed + 2), trades),
        ]

    def step(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Move once. Returns the book's change and the trades."""
        before = (dict(self.bids), dict(self.asks))
        previous, self.change_id = self.change_id, self.change_id + 1
        self._walk()
        traded = self._trade()
        self._quote()
        change = self._says(
            "change", changes(before[0], self.bids, self.tick), changes(before[1], self.asks, self.tick)
        )
        return change | {"prev_change_id": previous}, traded

    def snapshot(self) -> dict[str, Any]:
        return self._says("snapshot", changes({}, self.bids, self.tick), changes({}, self.asks, self.tick))

    @property
    def expiry(self) -> int:
        """08:00 UTC of the day in the name, ms."""
        day = self.name.split("-")[1]
        if day == "PERPETUAL":
            return NEVER
        at = datetime.strptime(day, "%d%b%y").replace(tzinfo=UTC) + timedelta(hours=8)
        return int(at.timestamp() * 1_000)

    def instrument(self) -> dict[str, Any]:
        coin = self.name.split("_", maxsplit=1)[0]
        perpetual = self.name.endswith("PERPETUAL")
        contract = {}
        if self.kind == "option":
            strike, letter = self.name.split("-")[2:]
            contract = {"strike": float(strike), "option_type": "call" if letter == "C" else "put"}
        return contract | {
            "instrument_name": self.name,
            "instrument_id": self.identity,
            "kind": self.kind,
            "base_currency": coin,
            "quote_currency": "USD",
            "settlement_currency": "USDC",
            "tick_size": self.tick,
            "price_unit": "0.1" if coin == "BTC" else "0.01",
            "contract_size": 0.001,
            "min_trade_amount": 0.001,
            "maker_commission": -0.0001,
            "taker_commission": 0.0005,
            "is_active": True,
            "state": self.told.get("state", "open"),
            "settlement_period": "perpetual" if perpetual else "month",
            "creation_timestamp": STARTED,
            "expiration_timestamp": self.expiry,
        }

    def ticker(self) -> dict[str, Any]:
        price = self.mid * self.tick
        return {
            "instrument_name": self.name,
            "timestamp": self.time,
            "state": "open",
            "best_bid_price": max(self.bids) * self.tick,
            "best_ask_price": min(self.asks) * self.tick,
            "mark_price": price + self.tick,
            "index_price": price - 9 * self.tick,
            "last_price": self.trades[-1]["price"] if self.trades else None,
            "open_interest": 5_183.412,
            "funding_8h": 0.000061,
            "current_funding": 0.0000127,
            "stats": {"high": price * 1.013, "low": price * 0.978, "volume": DAY_VOLUME, "price_change": 1.27},
        } | self.told

    def _walk(self) -> None:
        self.time += STEP_MS
        self.mid += round(self.random.gauss(0, 3.2))

    def _quote(self) -> None:
        """Keep most levels near the mid, change a few, fill in what is missing."""
        for side, sign in ((self.bids, -1), (self.asks, 1)):
            for price in list(side):
                if not 1 <= sign * (price - self.mid) <= LEVELS or self.random.random() < 0.06:
                    del side[price]
            for distance in range(1, LEVELS + 1):
                if self.random.random() < (0.9 if distance < 3 else 0.25):
                    amount = self.random.expovariate(1) * (0.4 + distance / 12)
                    side.setdefault(self.mid + sign * distance, round(max(0.001, amount), 3))

    def _trade(self) -> list[dict[str, Any]]:
        if not self.trading or self.random.random() > 0.4:
            return []
        bought = self.random.random() < 0.5
        sequence = len(self.trades) + 1
        trade = {
            "trade_id": str(sequence),
            "trade_seq": sequence,
            "instrument_name": self.name,
            "timestamp": self.time,
            "price": (self.mid + (1 if bought else -1)) * self.tick,
            "amount": round(max(0.001, self.random.expovariate(2)), 3),
            "direction": "buy" if bought else "sell",
            "index_price": self.mid * self.tick,
            "mark_price": self.mid * self.tick,
            "tick_direction": 0,
        }
        if self.random.random() < 0.02:
            trade["liquidation"] = "T"
        self.trades.append(trade)
        return [trade]

    def _says(self, kind: str, bids: list[list[Any]], asks: list[list[Any]]) -> dict[str, Any]:
        return {
            "type": kind,
            "timestamp": self.time,
            "instrument_name": self.name,
            "change_id": self.change_id,
            "bids": bids,
            "asks": asks,
        }


def changes(before: dict[int, float], after: dict[int, float], tick: float) -> list[list[Any]]:
    """What turns one side of a book into another, as `[action, price, amount]`."""
    deleted = [["delete", price * tick, 0] for price in before.keys() - after.keys()]
    new = [["new", price * tick, after[price]] for price in after.keys() - before.keys()]
    kept = [price for price in before.keys() & after.keys() if before[price] != after[price]]
    return deleted + new + [["change", price * tick, after[price]] for price in kept]
