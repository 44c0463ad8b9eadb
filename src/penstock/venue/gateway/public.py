"""The methods, one row each in `table`; parameters are typed, and their annotations say what is allowed."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from penstock import __version__
from penstock.protocol.quantities import MAX_ENVELOPE, MAX_SUBACCOUNTS, POSITION_BITS, PRICE_BITS, SLOTS
from penstock.protocol.signing import Domain
from penstock.protocol.terms import Genesis
from penstock.protocol.views import AccountView, SessionView
from penstock.venue.clock import Clock, ClockRefusal, DevClock
from penstock.venue.engine_port import Engine
from penstock.venue.gateway.batches import Batches
from penstock.venue.gateway.consumer import Consumer
from penstock.venue.gateway.figures import DIRECTIONS, Figures, kind_of
from penstock.venue.gateway.rpc import (
    INVALID_PARAMS,
    NOT_FOUND,
    QUEUE_FULL,
    UNAVAILABLE,
    Method,
    Nothing,
    RpcError,
)
from penstock.venue.gateway.signed import shown
from penstock.venue.gateway.statistics import Statistics
from penstock.venue.gateway.subscriptions import Subscriptions, shown_batch
from penstock.venue.gateway.units import exact_dollars, hexed, milliseconds
from penstock.venue.market_data import KEPT_TRADES, MarketData
from penstock.venue.outcomes import FOLLOWING, Answer, Unavailable
from penstock.venue.receipt_log import ReceiptLog
from penstock.venue.sequencer import NodeStopped, Sequencer

MOST_CHANNELS: Final = 1_000
MOST_SLOTS: Final = 256
ROOT_SHARE: Final = 20
"""An engine root may take one part in this many of the node's time; asked for more often, the last one is given."""

InstrumentName = Annotated[str, Meta(max_length=64, description="an instrument_name of public/get_instruments")]
Depth = Annotated[int, Meta(ge=1, le=1000, description="integer, 1 to 1000")]
TradeCount = Annotated[int, Meta(ge=1, le=KEPT_TRADES, description=f"integer, 1 to {KEPT_TRADES}")]
BatchCount = Annotated[int, Meta(ge=1, le=1000, description="integer, 1 to 1000")]
GroupNumber = Annotated[int, Meta(ge=1, le=(1 << 53) - 1, description="a group's number, 1 to 2^53 - 1")]
ReceiptCount = Annotated[int, Meta(ge=1, le=1000, description="integer, 1 to 1000")]
Subaccount = Annotated[int, Meta(ge=0, lt=MAX_SUBACCOUNTS, description=f"integer, 0 to {MAX_SUBACCOUNTS - 1}")]
SlotList = Annotated[
    str, Meta(max_length=2_000, description=f"up to {MOST_SLOTS} slots, 0 to {SLOTS - 1}, separated by commas")
]
SignedSize = Annotated[
    int, Meta(gt=-(1 << POSITION_BITS), lt=1 << POSITION_BITS, description="size units, negative to sell")
]
PriceUnits = Annotated[int, Meta(ge=0, lt=1 << PRICE_BITS, description="price units, 0 to 2^40 - 1")]
Channels = Annotated[list[str], Meta(max_length=MOST_CHANNELS, description=f"list of up to {MOST_CHANNELS} names")]
Currency = Annotated[str, Meta(max_length=16, description="a currency, or any")]
Kind = Annotated[Literal["future", "option", "any"], Meta(description="future, option or any")]
Truth = Annotated[bool, Meta(description="true or false")]
HEX: Final = f"hex of one envelope of at most {MAX_ENVELOPE:,} bytes, 0x or not"
Envelope = Annotated[str, Meta(min_length=2, max_length=2 * MAX_ENVELOPE + 2, description=HEX)]
VenueTime = Annotated[int, Meta(ge=0, le=(1 << 63) - 1, description="venue time in µs, not before now")]


class OneInstrument(Struct, frozen=True):
    """Parameters naming an instrument."""

    instrument_name: InstrumentName


class Listing(Struct, frozen=True):
    """Parameters of get_instruments."""

    currency: Currency = "any"
    kind: Kind = "any"
    expired: Truth = False


class BookRequest(Struct, frozen=True):
    """Parameters of get_order_book."""

    instrument_name: InstrumentName
    depth: Depth = 20


class TradesRequest(Struct, frozen=True):
    """Parameters of get_last_trades_by_instrument and get_last_settlements_by_instrument."""

    instrument_name: InstrumentName
    count: TradeCount = 10


class ChannelList(Struct, frozen=True):
    """Parameters of subscribe and unsubscribe."""

    channels: Channels


class BatchesRequest(Struct, frozen=True):
    """Parameters of get_batches."""

    count: BatchCount = 10


class ReceiptsRequest(Struct, frozen=True):
    """Parameters of get_receipts."""

    from_group: GroupNumber
    count: ReceiptCount = 100


class OneSubaccount(Struct, frozen=True):
    """Parameters naming a subaccount."""

    subaccount: Subaccount


class WhatIfRequest(Struct, frozen=True):
    """Parameters of what_if: a fill of `size` at `price`, the market's mark where none is given."""

    subaccount: Subaccount
    instrument_name: InstrumentName
    size: SignedSize = 0
    price: PriceUnits | None = None


class NoncesRequest(Struct, frozen=True):
    """Parameters of get_nonces."""

    subaccount: Subaccount
    slots: SlotList


class Submission(Struct, frozen=True):
    """Parameters of submit."""

    envelope: Envelope


class ClockRequest(Struct, frozen=True):
    """Parameters of dev/set_clock."""

    time: VenueTime


class Methods:
    """What the methods read and whom they ask. Public data come from the projection, which holds durable facts only."""

    def __init__(
        self,
        genesis: Genesis,
        engine: Engine,
        sequencer: Sequencer,
        market_data: MarketData,
        subscriptions: Subscriptions,
        statistics: Statistics,
        clock: Clock,
        batches: Batches | None,
        unsafe: Sequence[str],
        settlement: bytes | None,
        receipts: ReceiptLog | None = None,
    ) -> None:
        self._genesis = genesis
        self._engine = engine
        self._sequencer = sequencer
        self._market_data = market_data
        self._subscriptions = subscriptions
        self._statistics = statistics
        self._clock = clock
        self._batches = batches
        self._unsafe = list(unsafe)
        self._settlement = settlement
        self._receipt_log = receipts
        self._root: tuple[int, bytes, float, float] | None = None

    def table(self) -> dict[str, Method]:
        """Every method the gateway answers."""
        rows = {
            "public/get_time": Method(Nothing, lambda _: milliseconds(self._clock.now())),
            "public/test": Method(Nothing, lambda _: {"version": __version__}),
            "public/status": Method(Nothing, self._status),
            "public/get_currencies": Method(Nothing, self._currencies),
            "public/get_instruments": Method(Listing, self._instruments),
            "public/get_instrument": Method(OneInstrument, lambda p: self._figures(p.instrument_name).instrument()),
            "public/get_order_book": Method(BookRequest, self._order_book),
            "public/ticker": Method(OneInstrument, lambda p: self._figures(p.instrument_name).ticker(self._time())),
            "public/get_last_trades_by_instrument": Method(TradesRequest, self._trades),
            "public/get_last_settlements_by_instrument": Method(TradesRequest, self._settlements),
            "public/subscribe": Method(ChannelList, self._subscribe, needs_socket=True),
            "public/unsubscribe": Method(ChannelList, self._unsubscribe, needs_socket=True),
            "penstock/get_domain": Method(Nothing, self._domain),
            "penstock/get_batches": Method(BatchesRequest, self._newest_batches),
            "penstock/get_receipts": Method(ReceiptsRequest, self._receipts),
            "penstock/get_subaccount": Method(OneSubaccount, self._subaccount),
            "penstock/what_if": Method(WhatIfRequest, self._what_if),
            "penstock/get_nonces": Method(NoncesRequest, self._nonces),
            "penstock/get_roots": Method(Nothing, self._roots),
            "penstock/get_proof": Method(OneSubaccount, self._proof),
            "penstock/get_statistics": Method(Nothing, lambda _: self._statistics.shown()),
            "penstock/submit": Method(Submission, self._submit, reads_only=False),
        }
        if isinstance(self._clock, DevClock) and self._clock.driven:
            rows["dev/set_clock"] = Method(ClockRequest, self._set_clock, reads_only=False)
        return rows

    def _time(self) -> int:
        return self._market_data.time

    def _figures(self, name: str) -> Figures:
        figures = self._subscriptions.figures.get(name)
        if figures is None:
            raise RpcError(NOT_FOUND, "not_found", f"no instrument {name!r}", param="instrument_name")
        return figures

    def _status(self, _: Nothing) -> dict[str, Any]:
        reason = self._sequencer.unavailable()
        locked = "true" if reason in ("stopped", "disk full", FOLLOWING) else "false"
        return {"locked": locked, "engine": self._engine.name, "unsafe": self._unsafe, "reason": reason}

    def _currencies(self, _: Nothing) -> list[dict[str, str]]:
        """What `currency` may be elsewhere: the coins, and USDC in which all is paid."""
        return [{"currency": name, "currency_long": name} for name in [*self._coins(), "USDC"]]

    def _coins(self) -> list[str]:
        """The base coins of all markets, in the order of their first listing."""
        return list(dict.fromkeys(figures.market.terms.base for figures in self._subscriptions.figures.values()))

    def _instruments(self, wanted: Listing) -> list[dict[str, Any]]:
        currency, coins = wanted.currency.upper(), self._coins()
        if currency not in ("ANY", "USDC", *coins):
            allowed = ", ".join([*coins, "USDC or any"])
            raise RpcError(
                INVALID_PARAMS, "Invalid params", f"no currency {wanted.currency!r}", param="currency", allowed=allowed
            )
        return [
            figures.instrument()
            for figures in self._subscriptions.figures.values()
            if currency in ("ANY", "USDC", figures.market.terms.base)
            and wanted.kind in ("any", kind_of(figures.market.terms))
            and wanted.expired == figures.market.over(self._time())
        ]

    def _order_book(self, wanted: BookRequest) -> dict[str, Any]:
        return self._figures(wanted.instrument_name).order_book(wanted.depth, self._time())

    def _trades(self, wanted: TradesRequest) -> dict[str, Any]:
        figures = self._figures(wanted.instrument_name)
        kept = list(figures.market.trades)[: -wanted.count - 1 : -1]
        has_more = figures.market.trade_count > len(kept)
        return {"trades": [figures.trade(trade) for trade in kept], "has_more": has_more}

    def _settlements(self, wanted: TradesRequest) -> dict[str, Any]:
        figures = self._figures(wanted.instrument_name)
        kept = list(figures.market.settlements)[: -wanted.count - 1 : -1]
        has_more = figures.market.settlement_count > len(kept)
        return {"settlements": [figures.settlement(one) for one in kept], "has_more": has_more}

    def _subscribe(self, consumer: Consumer, wanted: ChannelList) -> list[str]:
        """The accepted channels; the caller starts them behind the response."""
        known = self._subscriptions.known(wanted.channels)
        if len(consumer.channels | set(known)) > MOST_CHANNELS:
            raise RpcError(INVALID_PARAMS, "Invalid params", f"over {MOST_CHANNELS} channels", param="channels")
        return known

    def _unsubscribe(self, consumer: Consumer, wanted: ChannelList) -> list[str]:
        held = [channel for channel in dict.fromkeys(wanted.channels) if channel in consumer.channels]
        self._subscriptions.unsubscribe(consumer, held)
        return held

    def _domain(self, _: Nothing) -> dict[str, Any]:
        genesis = self._genesis
        return {
            "name": "Penstock",
            "version": "1",
            "chain_id": genesis.chain_id,
            "vault": hexed(genesis.vault),
            "settlement": None if self._settlement is None else hexed(self._settlement),
            "separator": hexed(Domain(genesis.chain_id, genesis.vault).separator()),
            "ruleset": hexed(genesis.ruleset()),
            "operator": None if self._sequencer.issuer is None else hexed(self._sequencer.issuer.operator),
        }

    def _newest_batches(self, wanted: BatchesRequest) -> list[dict[str, Any]]:
        if self._batches is None:
            return []
        return [shown_batch(batch) for batch in self._batches.newest(wanted.count)]

    def _receipts(self, wanted: ReceiptsRequest) -> list[str]:
        if self._receipt_log is None:
            return []
        return [hexed(wire) for wire in self._receipt_log.read(wanted.from_group, wanted.count)]

    async def _subaccount(self, wanted: OneSubaccount) -> dict[str, Any]:
        account = self._engine.account(wanted.subaccount)
        await self._durable()
        if account is None:
            raise _no_subaccount(wanted.subaccount)
        return self._shown_account(account)

    async def _what_if(self, wanted: WhatIfRequest) -> dict[str, Any]:
        figures = self._figures(wanted.instrument_name)
        terms = figures.market.terms
        if wanted.size and figures.unpriced():
            # Its margin would be counted at a mark of 0, whatever the price of the fill: nothing, and wrong.
            reason = "PRICE_STALE: the market has no price yet, and margin is counted at its mark"
            allowed = "any, once the market has its first price; until then only a size of 0"
            raise RpcError(INVALID_PARAMS, "Invalid params", reason, param="price", allowed=allowed)
        price = figures.market.mark_price if wanted.price is None else wanted.price
        try:
            found = self._engine.what_if(wanted.subaccount, terms.market, wanted.size, price)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, "Invalid params", str(error), param="size") from error
        await self._durable()
        if found is None:
            raise _no_subaccount(wanted.subaccount)
        liquidated_at = found.liquidation_price
        return {
            "equity": exact_dollars(found.equity),
            "initial_margin": exact_dollars(found.initial_margin),
            "maintenance_margin": exact_dollars(found.maintenance_margin),
            "liquidation_price": figures.units.exact_price(liquidated_at) if liquidated_at else None,
            "margin_allows": found.legal,
            "state": figures.state(),
        }

    def _shown_account(self, account: AccountView) -> dict[str, Any]:
        by_number = self._subscriptions.by_number
        money = {
            name: exact_dollars(getattr(account, name))
            for name in ("cash", "withdrawn", "equity", "initial_margin", "maintenance_margin")
        }
        positions = [
            {
                "instrument_name": by_number[p.market].name,
                "size": by_number[p.market].units.exact_amount(p.size),
                "entry": exact_dollars(p.entry),
                "unrealised": exact_dollars(p.unrealised),
                "unsettled_funding": exact_dollars(p.unsettled_funding),
            }
            for p in account.positions
        ]
        orders = [
            {
                "instrument_name": by_number[o.market].name,
                "slot": o.slot,
                "nonce": o.nonce,
                "side": DIRECTIONS[o.side],
                "price": by_number[o.market].units.exact_price(o.price),
                "amount": by_number[o.market].units.exact_amount(o.size),
                "filled": by_number[o.market].units.exact_amount(o.filled),
            }
            for o in account.orders
        ]
        head = {"subaccount": account.subaccount, "owner": hexed(account.owner)}
        sessions = [_shown_session(session) for session in account.sessions]
        return head | money | {"positions": positions, "orders": orders, "sessions": sessions}

    async def _nonces(self, wanted: NoncesRequest) -> dict[str, int]:
        slots = _parse_slots(wanted.slots)
        nonces = self._engine.guard_nonces(wanted.subaccount, slots)
        await self._durable()
        if nonces is None:
            raise _no_subaccount(wanted.subaccount)
        return {str(slot): nonce for slot, nonce in zip(slots, nonces, strict=True)}

    async def _roots(self, _: Nothing) -> dict[str, Any]:
        now, sequence = perf_counter(), self._sequencer.sequence
        known = self._root
        if known is None or (known[0] != sequence and now - known[2] > ROOT_SHARE * known[3]):
            root = self._engine.engine_root()
            known = self._root = (sequence, root, perf_counter(), perf_counter() - now)
        await self._durable(known[0])
        shown_roots: dict[str, Any] = {
            "sequence": known[0],
            "engine_root": hexed(known[1]),
            "settlement_root": None,
            "ledger_entries": self._statistics.ledger_entries,
        }
        if self._batches is not None:
            settled = await self._batches.settlement_root(known[0])
            shown_roots["settlement_root"] = hexed(settled.settlement_root)
            shown_roots["ledger_entries"] = settled.ledger_entries
        return shown_roots

    async def _proof(self, wanted: OneSubaccount) -> dict[str, Any]:
        proof = None if self._batches is None else await self._batches.proof(wanted.subaccount)
        if proof is None:
            raise RpcError(NOT_FOUND, "not_found", "not in any posted batch", param="subaccount")
        return {
            "subaccount": wanted.subaccount,
            "leaf": hexed(proof.leaf),
            "siblings": [hexed(sibling) for sibling in proof.siblings],
            "markets_root": hexed(proof.markets_root),
            "globals_hash": hexed(proof.globals_hash),
            "deposit_head": hexed(proof.deposit_head),
            "forced_head": hexed(proof.forced_head),
            "number": proof.batch,
        }

    async def _submit(self, wanted: Submission) -> dict[str, Any]:
        try:
            envelope = bytes.fromhex(wanted.envelope.removeprefix("0x"))
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, "Invalid params", "not hex", param="envelope", allowed=HEX) from error
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._sequencer.submit(envelope, reply)
        answer = await answered
        if isinstance(answer, Unavailable):
            full = answer.reason == "queue full"
            message = "matching_engine_queue_full" if full else "system_maintenance"
            raise RpcError(QUEUE_FULL if full else UNAVAILABLE, message, f"unavailable, not executed: {answer.reason}")
        return shown(answer, self._sequencer.issuer)

    def _set_clock(self, wanted: ClockRequest) -> int:
        assert isinstance(self._clock, DevClock)
        try:
            self._clock.advance_to(wanted.time)
        except ClockRefusal as error:
            allowed = f"integer, from {self._clock.now()}"
            raise RpcError(INVALID_PARAMS, "Invalid params", str(error), param="time", allowed=allowed) from error
        return self._clock.now()

    async def _durable(self, sequence: int | None = None) -> None:
        try:
            await self._sequencer.durable(sequence)
        except NodeStopped as error:
            raise RpcError(UNAVAILABLE, "system_maintenance", "unavailable: the journal cannot be written") from error


def _no_subaccount(number: int) -> RpcError:
    return RpcError(NOT_FOUND, "not_found", f"no such subaccount: {number}", param="subaccount")


def _parse_slots(text: str) -> list[int]:
    parts = text.split(",")
    if len(parts) > MOST_SLOTS or not all(part.isascii() and part.isdigit() and int(part) < SLOTS for part in parts):
        allowed = f"up to {MOST_SLOTS} slots, 0 to {SLOTS - 1}, separated by commas"
        raise RpcError(INVALID_PARAMS, "Invalid params", "not a list of slots", param="slots", allowed=allowed)
    return [int(part) for part in parts]


def _shown_session(session: SessionView) -> dict[str, Any]:
    names = ("session", "expiry", "slot_first", "slot_last", "scopes", "underlyings", "kinds", "revoked_at")
    return {"key": hexed(session.key)} | {name: getattr(session, name) for name in names}
