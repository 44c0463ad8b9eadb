"""One recorded market on stage: makers mirror its book, takers replay its tape, all through signed records."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any, Final

from msgspec import Struct

from penstock.participants.client import Answer, GatewayClient
from penstock.participants.session import Session
from penstock.protocol.commands import BUY, IMMEDIATE_OR_CANCEL, SELL, CancelOrder, PlaceOrder, Record
from penstock.simulation.mirror import BAND, Batch, Change, Mirror, Put
from penstock.simulation.recorded_book import RecordedBook
from penstock.simulation.recording import Depth, Quote, Snapshot, Trade
from penstock.simulation.replay_statistics import AcknowledgedBook, ReplayStatistics, VenueBook

_QUIET_S: Final = 0.003
"""How long nothing may have been sent before the venue's own book is compared."""


class Listing(Struct, frozen=True):
    """How the venue lists a market: its number, its units (USD, coin) and its tick in price units."""

    instrument: str
    market: int
    price_unit: float
    size_unit: float
    tick: int


class MarketPlayer:
    """Plays one market. `makers` and `takers` are sessions that nobody else uses meanwhile."""

    def __init__(
        self,
        client: GatewayClient,
        listing: Listing,
        makers: list[Session],
        takers: list[Session],
        statistics: ReplayStatistics,
        levels: int | None,
        max_in_flight: int,
    ) -> None:
        self.listing = listing
        self.makers = makers
        self.takers = takers
        self.recorded = RecordedBook()
        self.dirty = False
        self._client = client
        self._statistics = statistics
        self._levels = levels
        self._max_in_flight = max_in_flight
        self._mirror = Mirror([maker.slots for maker in makers], listing.tick, band=BAND)
        self._acknowledged = AcknowledgedBook()
        self._venue = VenueBook(listing.price_unit)
        self._positions = [0] * len(takers)
        self._taker_slots = [taker.slots.take() for taker in takers]
        self._sent = 0
        self._flying: Counter[tuple[int, int]] = Counter()

    def absorb(self, event: Quote | Depth | Snapshot) -> None:
        """A change from before the replay's start: to be shown with the first update."""
        self.recorded.apply(event)
        self.dirty = True

    async def watch(self) -> None:
        """Follow the venue's own book of this market."""
        await self._client.listen(f"book.{self.listing.instrument}.raw", self._venue.take)

    def change(self, event: Quote | Depth | Snapshot) -> None:
        """The recorded book moved on; nothing is sent yet."""
        self._statistics.conflated += self.dirty
        self.recorded.apply(event)
        self.dirty = True

    async def flush(self) -> None:
        """Send what makes the venue's book equal to the recorded one."""
        if not self.dirty or not self.recorded.ready:
            return
        self.dirty = False
        target = self.recorded.target(self._levels)
        batches = self._mirror.update(target)
        counts = self._statistics
        counts.levels = max(counts.levels, len(target.bids), len(target.asks))
        counts.levels_left_out = max(counts.levels_left_out, self._mirror.left_out)
        self._statistics.updates += bool(batches)
        for number, batch in enumerate(batches, 1):
            await self._send(batch, target.mid() if number == len(batches) else None)

    async def trade(self, trade: Trade) -> None:
        """Show the book as it was, then send the printed trade as an immediate-or-cancel order."""
        await self.flush()
        await self._client.room(self._max_in_flight)
        side = BUY if trade.buyer_is_taker else SELL
        number = self._taker_for(side)
        taker = self.takers[number]
        order = taker.place(
            self._taker_slots[number], self.listing.market, side, trade.price, trade.size,
            time_in_force=IMMEDIATE_OR_CANCEL,
        )  # fmt: skip
        expected, touched = self._mirror.fill(side, trade.price, trade.size)
        self._statistics.trades += 1
        self._statistics.printed += trade.price * trade.size
        self._statistics.records += 1
        self._sent += 1
        self._flying.update(touched)
        answer = self._client.send(taker.seal(order))
        answer.add_done_callback(partial(self._trade_answered, order, number, expected, touched))

    async def clear(self) -> None:
        """Take all our orders out and start from an empty recorded book."""
        for batch in self._mirror.clear():
            await self._send(batch, None)
        self.recorded = RecordedBook()
        self.dirty = False

    def forget(self) -> None:
        """All our orders were killed by mass cancels."""
        self._mirror.forget()
        self._acknowledged.clear()
        self.recorded = RecordedBook()
        self.dirty = False

    async def audit(self) -> None:
        """Compare which slots hold orders with what the makers think; what differs is cancelled and placed anew.

        Slots that a message still in flight may touch are left for the next audit.
        """
        for maker, session in enumerate(self.makers):
            used = self._mirror.used(maker)
            steady = {
                slot: session.last_nonce(slot)
                for slot in range(session.slots.first, session.slots.last + 1)
                if not self._flying[maker, slot]
            }
            account = await self._client.call("penstock/get_subaccount", {"subaccount": session.subaccount})
            resting = {order["slot"] for order in account["orders"]}
            still = self._mirror.used(maker)
            for slot in (resting ^ used) & steady.keys():
                if session.last_nonce(slot) == steady[slot] and (slot in still) == (slot in used):
                    self._mirror.doubt(maker, slot)

    def _taker_for(self, side: int) -> int:
        """The taker whose position is furthest on the other side."""
        numbers = range(len(self.takers))
        return (min if side == BUY else max)(numbers, key=self._positions.__getitem__)

    async def _send(self, batch: Batch, mid: float | None) -> None:
        await self._client.room(self._max_in_flight)
        session = self.makers[batch.maker]
        records: list[Record] = [self._record(session, change) for change in batch.changes]
        self._statistics.records += len(records)
        self._sent += 1
        self._flying.update((batch.maker, change.slot) for change in batch.changes)
        answer = self._client.send(session.seal_all(records))
        answer.add_done_callback(partial(self._batch_answered, batch, records, mid, self._sent))

    def _record(self, session: Session, change: Change) -> PlaceOrder | CancelOrder:
        if isinstance(change, Put):
            return session.place(
                change.slot, self.listing.market, change.side, change.price, change.size, post_only=True
            )
        return session.cancel(change.slot)

    def _batch_answered(
        self, batch: Batch, records: list[Any], mid: float | None, sent: int, done: asyncio.Future[Answer]
    ) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        self._statistics.count(answer)
        self._flying.subtract((batch.maker, change.slot) for change in batch.changes)
        session = self.makers[batch.maker]
        for position, (change, record) in enumerate(zip(batch.changes, records, strict=True)):
            if answer.refused is None and answer.outcomes[position].reason is None:
                self._acknowledged.accept(batch.maker, change)
            elif isinstance(change, Put) and session.last_nonce(change.slot) == record.nonce:
                self._mirror.doubt(batch.maker, change.slot)
        if mid is not None:
            _note_error(self._statistics.mirrored_errors, self._acknowledged.mid(), mid)
            if sent == self._sent:
                asyncio.get_running_loop().call_later(_QUIET_S, self._compare_venue, sent, mid)

    def _compare_venue(self, sent: int, mid: float) -> None:
        if sent == self._sent:
            _note_error(self._statistics.venue_errors, self._venue.mid(), mid)

    def _trade_answered(
        self,
        order: PlaceOrder,
        taker: int,
        expected: int,
        touched: list[tuple[int, int]],
        done: asyncio.Future[Answer],
    ) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        self._statistics.count(answer)
        self._flying.subtract(touched)
        filled = answer.outcomes[0].filled if answer.outcomes else 0
        self._statistics.matched += order.price * filled
        self._positions[taker] += filled if order.side == BUY else -filled
        self._acknowledged.accept_fill(order.side, filled)
        if filled != expected:
            for maker, slot in touched:
                self._mirror.doubt(maker, slot)


def _note_error(errors: list[float], shown: float | None, recorded: float) -> None:
    if shown is not None:
        errors.append(abs(shown - recorded) / recorded * 10_000)
