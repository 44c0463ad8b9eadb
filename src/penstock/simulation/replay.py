"""Replays recorded markets at a venue: makers, takers and oracle in exchange-time order over one connection."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import Struct

from penstock.participants.client import ConnectionLost, GatewayClient
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer
from penstock.simulation.accounts import GUEST, MAKER, TAKER, Accounts, Trader
from penstock.simulation.closing import CloseReport, cancel_everything, close_positions, withdraw_cash
from penstock.simulation.market_player import Listing, MarketPlayer
from penstock.simulation.price_feed import PriceFeed
from penstock.simulation.recording import IndexPrice, MarketEvent, Recording, Trade
from penstock.simulation.replay_statistics import ReplayStatistics
from penstock.simulation.seats import Seat, grant_key, take_seat

_AUDIT_EVERY_US: Final = 10 * MICRO
_CLOCK_STEP_US: Final = 10_000
"""A driven clock is moved when the recording is this much further."""
_LATE_S: Final = 0.05
"""Behind schedule by more than this (wall time), book states between trades are conflated."""
_BREATHE_EVERY: Final = 32


class ReplayOptions(Struct, frozen=True, kw_only=True):
    """How to replay.

    `pace` multiplies recorded time (the node's Dev clock must run at that rate), or is "max": as fast as the
    venue answers, with the replay driving the clock. `levels` a side (None: all). `seconds` of recorded time to
    play, looping when the recording is shorter (None: once through). `quorum` is how many oracles sign.
    """

    pace: float | Literal["max"] = 1.0
    levels: int | None = 20
    seconds: float | None = None
    max_in_flight: int = 64
    quorum: int = 2


class Replay:
    """One run over a recording. `statistics` may be read at any time."""

    def __init__(
        self,
        client: GatewayClient,
        recording: Recording,
        accounts: Accounts,
        options: ReplayOptions | None = None,
        guests: Sequence[Trader] = (),
    ) -> None:
        """`guests` play no part, but are closed and withdrawn with everybody at the end."""
        self.statistics = ReplayStatistics()
        self.players: dict[str, MarketPlayer] = {}
        self._client = client
        self._recording = recording
        self._accounts = accounts
        self._traders = [*accounts.traders, *guests]
        self._options = options if options is not None else ReplayOptions()
        self._seats: list[Seat] = []
        self._feed: PriceFeed | None = None
        self._stopping = False
        self._began_wall = 0.0
        self._began_us = 0
        self._clock_offset = 0
        self._clock_at = 0
        self._audited_at = 0
        self._audit: asyncio.Task[None] | None = None
        self._clock_error: BaseException | None = None

    async def prepare(self) -> None:
        """Read what the venue lists, grant session keys where they are missing, publish first prices.

        A guest who has a key of its own keeps it.

        Accounts must be funded. Raises GatewayError, or ValueError when the venue refuses a grant or a price.
        """
        domain = await self._client.call("penstock/get_domain")
        separator = bytes.fromhex(domain["separator"].removeprefix("0x"))
        quorum = [Signer(key) for key in self._accounts.oracles[: self._options.quorum]]
        self._feed = PriceFeed(self._client, separator, quorum, self.statistics)
        self._seats = [take_seat(self._client, separator, trader) for trader in self._traders]
        for seat, trader in zip(self._seats, self._traders, strict=True):
            await grant_key(self._client, seat, unless_it_has_another=trader.role == GUEST)
        for instrument in self._recording.events:
            await self._prepare_market(instrument)
        self._want_first_prices()
        await self._feed.arrive(self._tick)

    async def run(self) -> ReplayStatistics:
        """Play until the recording, `seconds`, or `stop` ends it. Our orders stay in the book.

        Raises ConnectionLost; GatewayError when pace is "max" and the venue's clock cannot be driven.
        """
        if self._feed is None:
            await self.prepare()
        start, end = self._recording.starts_at(), self._recording.ends_at()
        left = None if self._options.seconds is None else int(self._options.seconds * MICRO)
        while not self._stopping:
            until = end if left is None else min(end, start + left)
            before = self.statistics.played_us
            await self._play(start, until)
            if not self._stopping:
                self.statistics.played_us = before + until - start
            if left is None or left <= until - start:
                break
            left -= until - start
            if not self._stopping:
                await self._rewind()
        await self._client.drain()
        if self._clock_error is not None:
            raise self._clock_error
        return self.statistics

    def stop(self) -> None:
        """End `run` at its next event."""
        self._stopping = True

    async def close_out(self) -> CloseReport:
        """Cancel everything, then close all positions against each other. See `CloseReport` for what is left."""
        self.stop()
        if self._audit is not None:
            self._audit.cancel()
        await self._client.drain()
        reasons = await cancel_everything(self._seats)
        for player in self.players.values():
            player.forget()
        listings = [player.listing for player in self.players.values()]
        report = await close_positions(self._client, self._seats, listings)
        report.reasons[:0] = reasons
        return report

    async def withdraw_all(self) -> dict[int, int]:
        """Every owner withdraws all it can; subaccount -> amount (1e-6 USDC)."""
        return await withdraw_cash(self._client, self._seats)

    async def _prepare_market(self, instrument: str) -> None:
        assert self._feed is not None
        listed = await self._client.call("public/get_instrument", {"instrument_name": instrument})
        tick = int(Decimal(str(listed["tick_size"])) / Decimal(str(listed["price_unit"])))
        listing = Listing(
            instrument, listed["instrument_id"], float(listed["price_unit"]), float(listed["size_unit"]), tick
        )
        by_subaccount = {seat.subaccount: seat.trading for seat in self._seats}
        makers, takers = (
            [by_subaccount[trader.subaccount] for trader in self._accounts.of(instrument, role)]
            for role in (MAKER, TAKER)
        )
        options = self._options
        player = MarketPlayer(
            self._client, listing, makers, takers, self.statistics, options.levels, options.max_in_flight
        )
        await player.watch()
        self.players[instrument] = player
        ticker = await self._client.call("public/ticker", {"instrument_name": instrument})
        index, mark = (round((ticker[name] or 0) / listing.price_unit) for name in ("index_price", "mark_price"))
        self._feed.begin(listing.market, index, mark)

    def _want_first_prices(self) -> None:
        assert self._feed is not None
        start = self._recording.starts_at()
        for name, player in self.players.items():
            index = self._recording.index[name]
            price = next((p.price for p in reversed(index) if p.time_us <= start), index[0].price)
            self._feed.want(player.listing.market, index=price, mark=price)

    async def _rewind(self) -> None:
        """Empty the book, take the prices back to the recording's first, ready to play again."""
        assert self._feed is not None
        for player in self.players.values():
            await player.clear()
        await self._client.drain()
        self._want_first_prices()
        await self._feed.arrive(self._tick)
        self._feed.restart()
        self.statistics.loops += 1

    async def _play(self, start: int, until: int) -> None:
        await self._client.read_time()
        self._began_us = self._audited_at = self._clock_at = start
        self._clock_offset = self._client.venue_time - start
        began, played = False, self.statistics.played_us
        for count, (name, event) in enumerate(self._recording.merged(until)):
            if event.time_us <= start:
                self._absorb(name, event)
                continue
            if not began:
                began = True
                self._began_wall = time.perf_counter()
                await self._flush_all()
            if self._stopping:
                break
            await self._keep_pace(event.time_us, count)
            await self._step(name, event)
            self.statistics.played_us = played + event.time_us - start
        await self._flush_all()

    def _absorb(self, name: str, event: MarketEvent) -> None:
        """Before the curtain: the books fill, nobody trades."""
        if not isinstance(event, Trade | IndexPrice):
            self.players[name].absorb(event)

    async def _step(self, name: str, event: MarketEvent) -> None:
        assert self._feed is not None
        player = self.players[name]
        if isinstance(event, Trade):
            await player.trade(event)
        elif isinstance(event, IndexPrice):
            self._feed.want(player.listing.market, index=event.price)
        else:
            player.change(event)
            if not self._behind(event.time_us):
                await player.flush()
                self._feed.want(player.listing.market, mark=round(player.recorded.target(1).mid()))
        self._feed.publish_due(event.time_us)
        if event.time_us - self._audited_at >= _AUDIT_EVERY_US and (self._audit is None or self._audit.done()):
            self._audited_at = event.time_us
            self._audit = asyncio.create_task(self._audit_all())

    async def _flush_all(self) -> None:
        for player in self.players.values():
            await player.flush()

    async def _audit_all(self) -> None:
        with suppress(ConnectionLost):  # whoever sends next hears of it
            for player in self.players.values():
                await player.audit()

    def _ahead(self, time_us: int) -> float:
        """Wall seconds until this moment of the recording is due; negative when late, 0 at pace "max"."""
        if self._options.pace == "max":
            return 0.0
        due = (time_us - self._began_us) / MICRO / self._options.pace
        return self._began_wall + due - time.perf_counter()

    def _behind(self, time_us: int) -> bool:
        return self._client.in_flight >= self._options.max_in_flight or self._ahead(time_us) < -_LATE_S

    async def _keep_pace(self, time_us: int, count: int) -> None:
        if self._options.pace == "max":
            if time_us - self._clock_at >= _CLOCK_STEP_US:
                self._clock_at = time_us
                self._drive_clock(time_us + self._clock_offset)
        elif (ahead := self._ahead(time_us)) > 0.001:
            await self._flush_all()
            await asyncio.sleep(ahead)
            return
        if count % _BREATHE_EVERY == 0:
            await asyncio.sleep(0)

    async def _tick(self) -> None:
        """Let at least a millisecond of venue time pass."""
        if self._options.pace == "max":
            await self._client.call("dev/set_clock", {"time": self._client.venue_time + 2_000})
        else:
            await asyncio.sleep(0.002)
        await self._client.read_time()

    def _drive_clock(self, moment: int) -> None:
        future = self._client.call_soon("dev/set_clock", {"time": moment})
        future.add_done_callback(self._clock_moved)

    def _clock_moved(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._clock_error = error
            self.stop()
