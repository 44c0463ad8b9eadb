"""Prices of real exchanges, through ccxt's REST calls. ccxt is an optional extra and is imported here only."""

import asyncio
import importlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from penstock.venue.oracle.sources import Clock, Quote, wall_clock

_DEPTH: Final = 5
_MILLISECOND: Final = 1_000


class ExchangeMissing(RuntimeError):
    """ccxt is not installed, or knows no exchange of that name."""


class ExchangeSource:
    """One exchange's best bid and ask. `symbols` maps a coin to the exchange's market, e.g. BTC to BTC/USD.

    A book without a time of its own is as old as its best levels have stood unchanged: an exchange that froze must
    not look fresh because it still answers.
    """

    def __init__(
        self,
        exchange: str,
        symbols: Mapping[str, str],
        weight: float = 1.0,
        *,
        timeout: float = 3.0,
        urls: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`urls` replaces the addresses of the exchange's APIs by kind. Raises ExchangeMissing."""
        self.name = exchange
        self.weight = weight
        self._symbols = dict(symbols)
        self._exchange = _open(exchange, timeout, urls)
        self._clock = clock or wall_clock
        self._unchanged: dict[str, tuple[tuple[float, float], int]] = {}
        # A thread of its own: its object is not thread-safe, and when it hangs, nobody else waits behind it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=exchange)

    async def quote(self, base: str) -> Quote | None:
        """The best levels now. Raises what ccxt raises: network, rate limit, an answer that does not parse."""
        symbol = self._symbols.get(base)
        if symbol is None:
            return None
        best = await asyncio.get_running_loop().run_in_executor(self._thread, self._fetch, symbol)
        if best is None:
            return None
        bid, ask, time_ms = best
        if time_ms is not None:
            return Quote(bid, ask, int(time_ms) * _MILLISECOND)
        stood, since = self._unchanged.get(symbol, ((0.0, 0.0), 0))
        if stood != (bid, ask):
            since = self._clock()
            self._unchanged[symbol] = ((bid, ask), since)
        return Quote(bid, ask, since)

    def _fetch(self, symbol: str) -> tuple[float, float, float | None] | None:
        if self._exchange.has.get("fetchOrderBook"):
            book = self._exchange.fetch_order_book(symbol, _DEPTH)
            if not book["bids"] or not book["asks"]:
                return None
            return float(book["bids"][0][0]), float(book["asks"][0][0]), book.get("timestamp")
        ticker = self._exchange.fetch_ticker(symbol)
        if ticker["bid"] is None or ticker["ask"] is None:
            return None
        return float(ticker["bid"]), float(ticker["ask"]), ticker.get("timestamp")


def _open(exchange: str, timeout: float, urls: Mapping[str, str] | None) -> Any:
    try:
        ccxt = importlib.import_module("ccxt")
    except ImportError as error:
        raise ExchangeMissing("ccxt is not installed: pip install 'penstock[exchanges]'") from error
    if exchange not in ccxt.exchanges:
        raise ExchangeMissing(f"ccxt knows no exchange {exchange!r}")
    opened = getattr(ccxt, exchange)({"timeout": int(timeout * _MILLISECOND), "enableRateLimit": True})
    if urls is not None:
        opened.urls["api"] = dict(urls)
    return opened
