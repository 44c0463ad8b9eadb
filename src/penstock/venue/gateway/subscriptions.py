"""Channels: who listens to what, and one encoding of each message for all of them."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from penstock.venue.gateway.batches import PostedBatch
from penstock.venue.gateway.consumer import Consumer
from penstock.venue.gateway.figures import Figures
from penstock.venue.gateway.units import hexed
from penstock.venue.market_data import Changes, MarketData
from penstock.venue.receipts import Issued
from penstock.venue.sequencer import Executed

RAW: Final = "raw"
EVERY_100_MS: Final = "100ms"
BATCHES: Final = "penstock.batches"
RECEIPTS: Final = "penstock.receipts"
_CHANNEL: Final = re.compile(r"(book|trades|ticker)\.([A-Z0-9_-]{1,64})\.(raw|100ms)")
_encode: Final = msgspec.json.Encoder().encode


class Stream:
    """One market at one interval: its listeners per kind, and what happened since they were last told."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.listeners: dict[str, set[Consumer]] = {"book": set(), "trades": set(), "ticker": set()}
        self.changes = Changes()
        self.last_id = 0
        self._watching = False

    def listen(self, kind: str, channel: str, consumer: Consumer, time: int) -> None:
        """Add a listener and send it the present: the book, or the ticker."""
        market = self.figures.market
        if not self._watching:
            self._watching = True
            market.watchers.append(self.changes)
        self.flush(channel.rpartition(".")[2], time)
        if kind == "book":
            if not self.listeners["book"]:
                self.last_id = market.change_id
            consumer.send(push(channel, self.figures.snapshot(self.last_id)))
        elif kind == "ticker":
            consumer.send(push(channel, self.figures.ticker(time)))
        self.listeners[kind].add(consumer)

    def leave(self, kind: str, consumer: Consumer) -> None:
        """Remove a listener; without any, the market is no longer watched."""
        self.listeners[kind].discard(consumer)
        if not any(self.listeners.values()):
            self.figures.market.watchers = [w for w in self.figures.market.watchers if w is not self.changes]
            self.changes, self._watching = Changes(), False

    def flush(self, interval: str, time: int) -> None:
        """Tell every listener what happened since the last flush."""
        changes, name = self.changes, self.figures.name
        if changes.levels:
            if self.listeners["book"]:
                change = self.figures.change(changes, self.last_id)
                if change is not None:
                    self.last_id = change["change_id"]
                    self._tell("book", push(f"book.{name}.{interval}", change))
            changes.levels.clear()
        if changes.trades:
            if self.listeners["trades"]:
                trades = [self.figures.trade(trade) for trade in changes.trades]
                self._tell("trades", push(f"trades.{name}.{interval}", trades))
            changes.trades.clear()
        if changes.ticker:
            changes.ticker = False
            if self.listeners["ticker"]:
                self._tell("ticker", push(f"ticker.{name}.{interval}", self.figures.ticker(time)))

    def _tell(self, kind: str, message: bytes) -> None:
        for consumer in self.listeners[kind]:
            consumer.send(message)


class Subscriptions:
    """All channels of the gateway; that of receipts exists on a node that issues them."""

    def __init__(self, market_data: MarketData, *, receipts: bool = False) -> None:
        self._market_data = market_data
        self.figures: dict[str, Figures] = {}
        self.by_number: dict[int, Figures] = {}
        self._streams: dict[str, dict[str, Stream]] = {RAW: {}, EVERY_100_MS: {}}
        self._see_new_markets()
        self._of_the_venue: dict[str, set[Consumer]] = {BATCHES: set()}
        if receipts:
            self._of_the_venue[RECEIPTS] = set()

    def known(self, channels: Sequence[str]) -> list[str]:
        """Those of `channels` that exist, each once, in the order asked for."""
        return [channel for channel in dict.fromkeys(channels) if channel in self._of_the_venue or self._find(channel)]

    def subscribe(self, consumer: Consumer, channels: Sequence[str]) -> None:
        """Start the channels (all known) for a consumer; those it already has go on undisturbed."""
        for channel in channels:
            if channel in consumer.channels:
                continue
            consumer.channels.add(channel)
            found = self._find(channel)
            if found:
                kind, stream = found
                stream.listen(kind, channel, consumer, self._market_data.time)
            else:
                self._of_the_venue[channel].add(consumer)

    def unsubscribe(self, consumer: Consumer, channels: Sequence[str]) -> None:
        """Stop the channels for a consumer; those it does not have are no matter."""
        for channel in channels:
            consumer.channels.discard(channel)
            found = self._find(channel)
            if found:
                kind, stream = found
                stream.leave(kind, consumer)
            elif channel in self._of_the_venue:
                self._of_the_venue[channel].discard(consumer)

    def forget(self, consumer: Consumer) -> None:
        """The consumer is gone."""
        self.unsubscribe(consumer, list(consumer.channels))

    def follow(self, _: Sequence[Executed]) -> None:
        """A group became durable and market data has taken it: tell the raw channels."""
        self._see_new_markets()
        self.flush(RAW)

    def _see_new_markets(self) -> None:
        for number, market in self._market_data.markets.items():
            if number not in self.by_number:
                figures = self.by_number[number] = self.figures[market.terms.name] = Figures(market)
                for streams in self._streams.values():
                    streams[figures.name] = Stream(figures)

    def flush(self, interval: str) -> None:
        """Tell the listeners of one interval."""
        for stream in self._streams[interval].values():
            stream.flush(interval, self._market_data.time)

    def tell_batch(self, batch: PostedBatch) -> None:
        """A batch was posted, or is final now."""
        self._tell(BATCHES, shown_batch(batch))

    def tell_receipt(self, issued: Issued) -> None:
        """A group is durable and has its receipt; its replies follow."""
        self._tell(RECEIPTS, hexed(issued.wire))

    def _tell(self, channel: str, said: Any) -> None:
        listeners = self._of_the_venue[channel]
        message = push(channel, said) if listeners else b""
        for consumer in listeners:
            consumer.send(message)

    def _find(self, channel: str) -> tuple[str, Stream] | None:
        found = _CHANNEL.fullmatch(channel)
        stream = self._streams[found[3]].get(found[2]) if found else None
        return (found[1], stream) if found and stream else None


def push(channel: str, said: Any) -> bytes:
    """A subscription message."""
    params = {"channel": channel, "data": said}
    return _encode({"jsonrpc": "2.0", "method": "subscription", "params": params})


def shown_batch(batch: PostedBatch) -> dict[str, Any]:
    """A batch as the gateway tells it: roots and transaction in hex."""
    fields: dict[str, Any] = msgspec.structs.asdict(batch)
    return {name: hexed(value) if isinstance(value, bytes) else value for name, value in fields.items()}
