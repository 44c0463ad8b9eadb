"""Recorded markets: raw venue messages on disk, as typed events in exact integers, in exchange-time order."""

import gzip
import heapq
import lzma
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct, field

Level = tuple[int, int]
"""(price, size): price units and size units."""

SPOT_CLOCK_OFFSET_US: Final = 1_272_000
"""Exchange time minus the recorder's clock where no line of the file tells: the recorder's clock was slow by
1,268 to 1,274 ms (medians of the six files that carry exchange times, see the sample's PROVENANCE.md)."""


class RecordingError(Exception):
    """A recording that cannot be read; the message names the file and the line."""


class Scale(Struct, frozen=True):
    """How many decimals of a venue's decimal strings become integers: units are 10^-decimals."""

    price_decimals: int
    size_decimals: int


class RecordedMarket(Struct, frozen=True):
    """A recorded perpetual and the spot market whose mid is its index."""

    instrument: str
    perpetual: str
    spot: str
    scale: Scale
    spot_scale: Scale


BTC: Final = RecordedMarket(
    "BTC_USDC-PERPETUAL", "usdm_btcusdt_20240808", "spot_btcusdt_20240808", Scale(1, 5), Scale(2, 8)
)
"""Price unit 0.1 USD, size unit 0.00001 BTC."""
ETH: Final = RecordedMarket(
    "ETH_USDC-PERPETUAL", "usdm_ethusdt_20240808", "spot_ethusdt_20240808", Scale(2, 4), Scale(2, 8)
)
"""Price unit 0.01 USD, size unit 0.0001 ETH."""


class Trade(Struct, frozen=True, gc=False):
    """A printed trade."""

    time_us: int
    price: int
    size: int
    buyer_is_taker: bool


class Quote(Struct, frozen=True, gc=False):
    """The best bid and ask from here on."""

    time_us: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


class Depth(Struct, frozen=True):
    """Levels that changed; size 0 removes. `first`..`last` are update ids, `previous` the last one before."""

    time_us: int
    first: int
    last: int
    previous: int
    bids: list[Level]
    asks: list[Level]


class Snapshot(Struct, frozen=True):
    """All levels (1,000 a side) as of update id `last`."""

    time_us: int
    last: int
    bids: list[Level]
    asks: list[Level]


class IndexPrice(Struct, frozen=True, gc=False):
    """The spot mid, in the perpetual's price units (half a unit rounds up)."""

    time_us: int
    price: int


Event = Trade | Quote | Depth | Snapshot
MarketEvent = Event | IndexPrice


class Recording(Struct, frozen=True):
    """Recorded markets side by side: instrument -> events, instrument -> index prices, each in time order."""

    markets: dict[str, RecordedMarket]
    events: dict[str, list[Event]]
    index: dict[str, list[IndexPrice]]

    def starts_at(self) -> int:
        """The first moment (µs, exchange time) at which every market has had its snapshot."""
        return max(_snapshot_time(name, events) for name, events in self.events.items())

    def ends_at(self) -> int:
        """The time (µs) of the last event of any market."""
        return max(events[-1].time_us for events in self.events.values())

    def merged(self, until_us: int | None = None) -> Iterator[tuple[str, MarketEvent]]:
        """(instrument, event) of all markets in exchange-time order, up to and including `until_us`.

        At equal times trades come before everything else, then index prices, then the books' changes.
        """
        streams: list[Iterator[tuple[int, int, str, MarketEvent]]] = []
        for name, events in self.events.items():
            streams.append(_keyed(name, events))
            streams.append(_keyed(name, self.index[name]))
        for time_us, _, name, event in heapq.merge(*streams, key=lambda item: item[:2]):
            if until_us is not None and time_us > until_us:
                return
            yield name, event


def load_recording(folder: Path, markets: tuple[RecordedMarket, ...] = (BTC, ETH)) -> Recording:
    """Read each market's perpetual and spot file, .xz or .gz, from `folder`. Raises RecordingError."""
    events: dict[str, list[Event]] = {}
    index: dict[str, list[IndexPrice]] = {}
    for market in markets:
        events[market.instrument] = load_file(_find(folder, market.perpetual), market.scale)
        spot = load_file(_find(folder, market.spot), market.spot_scale)
        index[market.instrument] = index_prices(spot, market)
    return Recording({market.instrument: market for market in markets}, events, index)


def check_folder(folder: Path, markets: tuple[RecordedMarket, ...] = (BTC, ETH)) -> None:
    """Whether each market's files are there, without reading them. Raises RecordingError."""
    for market in markets:
        _find(folder, market.perpetual)
        _find(folder, market.spot)


def load_file(path: Path, scale: Scale) -> list[Event]:
    """One file's events in exchange-time order; trades first at equal times, else in file order.

    Reads .gz and .xz. Lines are `local_ns json`. Raises RecordingError for a file that is missing or torn, and
    for a line that does not parse or whose numbers are no whole price or size units.
    """
    reader = _Reader(scale)
    try:
        with _open(path) as lines:
            for line in lines:
                reader.number += 1
                reader.read(line)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise RecordingError(f"{path.resolve()}: unreadable after line {reader.number}: {error}") from error
    except (msgspec.DecodeError, ValueError, ArithmeticError) as error:
        raise RecordingError(f"{path.resolve()}: line {reader.number}: {error}") from error
    return reader.ordered()


def index_prices(spot: list[Event], market: RecordedMarket) -> list[IndexPrice]:
    """The spot mid at every spot quote that changes it, in the perpetual's price units."""
    halves = 2 * 10 ** (market.spot_scale.price_decimals - market.scale.price_decimals)
    prices: list[IndexPrice] = []
    for event in spot:
        if isinstance(event, Quote):
            price = (2 * (event.bid + event.ask) + halves) // (2 * halves)
            if not prices or prices[-1].price != price:
                prices.append(IndexPrice(event.time_us, price))
    return prices


class _Units(dict[str, int]):
    """Decimal string -> whole units of 10^-decimals, remembered; prices and sizes repeat a lot."""

    def __init__(self, decimals: int) -> None:
        super().__init__()
        self._decimals = decimals

    def __missing__(self, text: str) -> int:
        scaled = Decimal(text).scaleb(self._decimals)
        units = int(scaled)
        if units != scaled or units < 0:
            raise ValueError(f"{text} is not a whole number of units of 1e-{self._decimals}")
        self[text] = units
        return units


class _TradeFields(Struct, gc=False):
    time_ms: int = field(name="T")
    price: str = field(name="p")
    size: str = field(name="q")
    buyer_is_maker: bool = field(name="m")


class _QuoteFields(Struct, gc=False):
    bid: str = field(name="b")
    bid_size: str = field(name="B")
    ask: str = field(name="a")
    ask_size: str = field(name="A")
    time_ms: int | None = field(name="T", default=None)
    sent_ms: int | None = field(name="E", default=None)


class _DepthFields(Struct):
    sent_ms: int = field(name="E")
    first: int = field(name="U")
    last: int = field(name="u")
    bids: list[tuple[str, str]] = field(name="b")
    asks: list[tuple[str, str]] = field(name="a")
    previous: int = field(name="pu", default=0)
    time_ms: int | None = field(name="T", default=None)


class _TradeLine(Struct, gc=False):
    fields: _TradeFields = field(name="data")


class _QuoteLine(Struct, gc=False):
    fields: _QuoteFields = field(name="data")


class _DepthLine(Struct):
    fields: _DepthFields = field(name="data")


class _SnapshotLine(Struct):
    last: int = field(name="lastUpdateId")
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    time_ms: int | None = field(name="T", default=None)


_trade_line = msgspec.json.Decoder(_TradeLine).decode
_quote_line = msgspec.json.Decoder(_QuoteLine).decode
_depth_line = msgspec.json.Decoder(_DepthLine).decode
_snapshot_line = msgspec.json.Decoder(_SnapshotLine).decode


class _Reader:
    """Turns lines into events; quotes and snapshots without an exchange time wait for the file's clock offset."""

    def __init__(self, scale: Scale) -> None:
        self.number = 0
        self._prices = _Units(scale.price_decimals)
        self._sizes = _Units(scale.size_decimals)
        self._keyed: list[tuple[int, int, Event]] = []
        self._untimed: list[tuple[int, Quote | Snapshot]] = []
        self._offsets_us: list[int] = []

    def read(self, line: bytes) -> None:
        local_ns, _, message = line.partition(b" ")
        local_us = int(local_ns) // 1000
        stream = message[message.find(b"@", 0, 64) :][:8] if message.startswith(b'{"stream"') else b""
        position = len(self._keyed) + len(self._untimed)
        if stream.startswith(b"@trade"):
            trade = _trade_line(message).fields
            event = Trade(
                trade.time_ms * 1000, self._prices[trade.price], self._sizes[trade.size], not trade.buyer_is_maker
            )
            self._keyed.append((event.time_us, position - (1 << 40), event))
        elif stream.startswith(b"@bookTi"):
            self._read_quote(_quote_line(message).fields, local_us, position)
        elif stream.startswith(b"@depth"):
            self._read_depth(_depth_line(message).fields, local_us, position)
        elif not stream:
            self._read_snapshot(_snapshot_line(message), local_us, position)
        else:
            raise ValueError(f"unknown stream {stream.decode(errors='replace')}")

    def ordered(self) -> list[Event]:
        """All events by (time, trades first, file order)."""
        offset = int(median(self._offsets_us)) if self._offsets_us else SPOT_CLOCK_OFFSET_US
        for position, event in self._untimed:
            timed = msgspec.structs.replace(event, time_us=event.time_us + offset)
            self._keyed.append((timed.time_us, position, timed))
        self._keyed.sort(key=lambda item: item[:2])
        return [event for _, _, event in self._keyed]

    def _read_quote(self, quote: _QuoteFields, local_us: int, position: int) -> None:
        prices, sizes = self._prices, self._sizes
        time_us = local_us if quote.time_ms is None else quote.time_ms * 1000
        event = Quote(time_us, prices[quote.bid], sizes[quote.bid_size], prices[quote.ask], sizes[quote.ask_size])
        self._keep(event, quote.time_ms is not None, position)
        if quote.sent_ms is not None:
            self._offsets_us.append(quote.sent_ms * 1000 - local_us)

    def _read_depth(self, depth: _DepthFields, local_us: int, position: int) -> None:
        time_us = (depth.sent_ms if depth.time_ms is None else depth.time_ms) * 1000
        bids, asks = self._levels(depth.bids), self._levels(depth.asks)
        event = Depth(time_us, depth.first, depth.last, depth.previous, bids, asks)
        self._keyed.append((time_us, position, event))
        self._offsets_us.append(depth.sent_ms * 1000 - local_us)

    def _read_snapshot(self, shot: _SnapshotLine, local_us: int, position: int) -> None:
        time_us = local_us if shot.time_ms is None else shot.time_ms * 1000
        event = Snapshot(time_us, shot.last, self._levels(shot.bids), self._levels(shot.asks))
        self._keep(event, shot.time_ms is not None, position)

    def _keep(self, event: Quote | Snapshot, timed: bool, position: int) -> None:
        if timed:
            self._keyed.append((event.time_us, position, event))
        else:
            self._untimed.append((position, event))

    def _levels(self, levels: list[tuple[str, str]]) -> list[Level]:
        prices, sizes = self._prices, self._sizes
        return [(prices[price], sizes[size]) for price, size in levels]


def _open(path: Path) -> gzip.GzipFile | lzma.LZMAFile:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    raise RecordingError(f"{path.resolve()}: not a .gz or .xz file")


def _find(folder: Path, name: str) -> Path:
    for suffix in (".xz", ".gz"):
        path = folder / f"{name}{suffix}"
        if path.exists():
            return path
    raise RecordingError(f"{name}: neither .xz nor .gz in {folder.resolve()}")


def _snapshot_time(name: str, events: list[Event]) -> int:
    for event in events:
        if isinstance(event, Snapshot):
            return event.time_us
    raise RecordingError(f"{name}: no depth snapshot in the recording")


def _keyed(name: str, events: list[Event] | list[IndexPrice]) -> Iterator[tuple[int, int, str, MarketEvent]]:
    for event in events:
        rank = 0 if isinstance(event, Trade) else 1 if isinstance(event, IndexPrice) else 2
        yield event.time_us, rank, name, event
