"""Plays futures and options at a venue whose perpetuals somebody else prices: lists, prices, quotes, takes, leaves."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final

from penstock.participants.client import GatewayClient
from penstock.participants.session import Session
from penstock.participants.slots import Slots
from penstock.protocol.commands import (
    BUY,
    IMMEDIATE_OR_CANCEL,
    SCOPE_CANCEL,
    SCOPE_TRADE,
    SELL,
    PayBuilder,
    PlaceOrder,
    PublishPrice,
    Record,
)
from penstock.protocol.instruments import CALL, FUTURE, NO_OPTION, OPTION, PUT
from penstock.protocol.quantities import FIRST_ORDER_SLOT, MAX_BUNDLE, MICRO
from penstock.protocol.signing import Signer, seal
from penstock.protocol.terms import default_templates
from penstock.simulation.accounts import MAKER, TAKER, Trader, dated_traders, local_accounts
from penstock.simulation.closing import Seat, cancel_everything, close_positions, withdraw_cash
from penstock.simulation.dated.plan import Contract, listings
from penstock.simulation.dated.statistics import DatedStatistics
from penstock.simulation.dated.worth import Pricer, towards
from penstock.simulation.market_player import Listing

STEP_US: Final = 1 * MICRO
"""Venue time between two rounds of prices, quotes and orders."""
LOOK_S: Final = 0.02
QUORUM: Final = 2
SESSION_S: Final = 7 * 24 * 3600
TAKES: Final = 4
"""Orders of takers a round."""
BUILDER_FEE_PPM: Final = 50
STEP_PPM: Final = {FUTURE: 9_000, OPTION: 18_000}
"""How far one publication moves a mark: a little less than the venue takes."""
IN_FLIGHT: Final = 64


class DatedPlay:
    """One run. The maker quotes every live contract, takers hit random ones, oracles price all of them once a round."""

    def __init__(self, client: GatewayClient, separator: bytes, seed: int = 1) -> None:
        self.statistics = DatedStatistics()
        self._client = client
        self._separator = separator
        self._dice = Random(seed)
        self._oracles = [Signer(key) for key in local_accounts().oracles[:QUORUM]]
        self._pricer = Pricer()
        self._seats = [self._seat(trader) for trader in dated_traders()]
        seated = list(zip(dated_traders(), self._seats, strict=True))
        self._makers = {trader.instrument: seat for trader, seat in seated if trader.role == MAKER}
        self._takers = {trader.instrument: seat for trader, seat in seated if trader.role == TAKER}
        self._builder = self._seats[-1].subaccount
        self._contracts: dict[int, Contract] = {}
        self._indices: dict[str, int] = {}
        self._units: dict[str, float] = {}
        self._marks: dict[int, tuple[int, int]] = {}
        self._quoted: dict[int, tuple[int, int]] = {}
        self._slots: dict[tuple[int, int], int] = {}
        self._stopping = False

    def stop(self) -> None:
        """End `run` at its next round."""
        self._stopping = True

    async def prepare(self) -> None:
        """Wait for prices of the perpetuals, grant session keys, list what the plan foresees.

        Raises ValueError when the venue refuses a grant, GatewayError when it lists no perpetual.
        """
        for listed in await self._client.call("public/get_instruments", {"currency": "any", "kind": "future"}):
            if listed["settlement_period"] == "perpetual":
                self._units[listed["base_currency"]] = float(listed["price_unit"])
                await self._client.listen(f"ticker.{listed['instrument_name']}.100ms", self._hear(listed))
        while len(self._indices) < len(self._units) and not self._stopping:
            await asyncio.sleep(LOOK_S)
        for seat in self._seats:
            await self._grant(seat)
        await self._list()

    async def run(self) -> None:
        """Price, quote and take once every second of venue time, until stopped."""
        last = 0
        while not self._stopping:
            await self._client.read_time()
            if self._client.venue_time - last >= STEP_US:
                last = self._client.venue_time
                await self._round(last)
            await asyncio.sleep(LOOK_S)
        await self._client.drain()

    async def close_out(self) -> dict[str, Any]:
        """Cancel everything, close what lives against each other, wait until what expired is cash, withdraw."""
        reasons = await cancel_everything(self._seats)
        await self._client.read_time()
        live = [c for c in self._contracts.values() if c.expiry * MICRO > self._client.venue_time]
        report = await close_positions(self._client, self._seats, [_listing(c) for c in live])
        held = await self._wait_for_expiries({c.name for c in live})
        await self._note_expiries()
        await self._collect()
        paid = await withdraw_cash(self._client, self._seats)
        return {
            "flat": report.flat and not held,
            "left": len(report.left) + len(held),
            "reasons": reasons + report.reasons,
            "withdrawn": sum(paid.values()),
        }

    def _seat(self, trader: Trader) -> Seat:
        owner = Session(
            self._client, self._separator, trader.subaccount, trader.owner(), Slots(0, FIRST_ORDER_SLOT - 1)
        )
        return Seat(
            trader.subaccount, owner, Session(self._client, self._separator, trader.subaccount, trader.session())
        )

    def _hear(self, listed: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        base, unit = listed["base_currency"], float(listed["price_unit"])

        def hear(ticker: dict[str, Any]) -> None:
            if ticker["index_price"]:
                self._indices[base] = round(ticker["index_price"] / unit)

        return hear

    async def _grant(self, seat: Seat) -> None:
        expiry = self._client.venue_time // MICRO + SESSION_S
        key = seat.trading.signer.address
        answer = await seat.owner.submit(seat.owner.grant(key, expiry, seat.trading.slots, SCOPE_TRADE | SCOPE_CANCEL))
        if answer.reasons:
            raise ValueError(f"subaccount {seat.subaccount}: session key refused: {answer.reasons[0]}")

    async def _list(self) -> None:
        templates = default_templates()
        indices = {t.index_market: self._indices[t.terms.base] for t in templates}
        await self._client.read_time()
        wanted = listings(templates, self._client.venue_time // MICRO, indices)
        answers = [self._client.send(seal(self._separator, record, [])) for record in wanted]
        for answer in await asyncio.gather(*answers):
            # Somebody else may have listed it before us; whatever else is wrong, we play what is there.
            self.statistics.refused.update(answer.reasons)
        for kind in ("future", "option"):
            for listed in await self._client.call("public/get_instruments", {"currency": "any", "kind": kind}):
                if listed["settlement_period"] != "perpetual":
                    contract = contract_of(listed)
                    self._contracts[contract.market] = contract
        self.statistics.listed(self._contracts.values())

    async def _round(self, now: int) -> None:
        live = [c for c in self._contracts.values() if c.expiry * MICRO > now]
        wanted = self._pricer.marks(live, self._indices, now)
        prices: list[Record] = [self._price(contract, wanted[contract.market], now) for contract in live]
        for record in prices:
            await self._client.room(IN_FLIGHT)
            self._count(self._client.send(seal(self._separator, record, self._oracles)))
        self.statistics.prices += len(prices)
        await self._quote(live, now)
        for _ in range(TAKES if live else 0):
            await self._take(self._dice.choice(live))

    def _price(self, contract: Contract, wanted: int, now: int) -> PublishPrice:
        """The next step towards what the surface says; an option's step is measured by the index."""
        index, mark = self._marks.get(contract.market, (0, 0))
        index = towards(self._indices[contract.base], index, STEP_PPM[FUTURE], index)
        mark = towards(wanted, mark, STEP_PPM[contract.kind], index if contract.kind == OPTION else mark)
        self._marks[contract.market] = (index, mark)
        return PublishPrice(contract.market, now, index, mark)

    async def _quote(self, live: list[Contract], now: int) -> None:
        """A bid and an ask around each mark: two points of volatility and two ticks wide, replaced when they move."""
        vegas = self._pricer.vegas(live, self._indices, now)
        records: dict[str, list[Record]] = {base: [] for base in self._makers}
        for contract in live:
            mark, tick = self._marks[contract.market][1], contract.tick
            half = max(tick, round(vegas.get(contract.market, mark / 5_000)))
            bid, ask = (mark - half) // tick * tick, -(-(mark + half) // tick) * tick
            if self._quoted.get(contract.market) == (bid, ask):
                continue
            self._quoted[contract.market] = (bid, ask)
            for side, price in ((BUY, bid), (SELL, ask)):
                if price > 0:
                    records[contract.base].append(self._order(contract, side, price))
        for base, quotes in records.items():
            for at in range(0, len(quotes), MAX_BUNDLE):
                await self._client.room(IN_FLIGHT)
                bundle = self._makers[base].trading.seal_all(quotes[at : at + MAX_BUNDLE])
                self._count(self._client.send(bundle))
            self.statistics.quotes += len(quotes)

    def _order(self, contract: Contract, side: int, price: int) -> PlaceOrder:
        maker = self._makers[contract.base].trading
        slot = self._slots.get((contract.market, side))
        if slot is None:
            slot = self._slots[contract.market, side] = maker.slots.take()
        return maker.place(slot, contract.market, side, price, 100 * contract.lot, post_only=True)

    async def _take(self, contract: Contract) -> None:
        """The coin's taker buys or sells a few lots for up to a tenth beyond the mark."""
        taker, side = self._takers[contract.base], self._dice.choice((BUY, SELL))
        mark, tick = self._marks[contract.market][1], contract.tick
        reach = max(20 * tick, mark // 10)
        price = max(tick, (mark + reach if side == BUY else mark - reach) // tick * tick)
        slot = taker.trading.slots.take()
        order = taker.trading.place(
            slot, contract.market, side, price, self._dice.randrange(1, 20) * contract.lot,
            time_in_force=IMMEDIATE_OR_CANCEL, builder=self._builder, builder_fee_ppm=BUILDER_FEE_PPM,
        )  # fmt: skip
        await self._client.room(IN_FLIGHT)
        answer = self._client.send(taker.trading.seal(order))
        self._count(answer)
        answer.add_done_callback(lambda done: self._taken(contract, order, done))
        taker.trading.slots.give_back(slot)

    def _taken(self, contract: Contract, order: PlaceOrder, done: "asyncio.Future[Any]") -> None:
        if not done.cancelled() and done.exception() is None and done.result().outcomes:
            outcome = done.result().outcomes[0]
            if outcome.filled:
                self.statistics.took(contract, outcome.filled, outcome.average_price)

    def _count(self, answer: "asyncio.Future[Any]") -> None:
        def answered(done: "asyncio.Future[Any]") -> None:
            if not done.cancelled() and done.exception() is None:
                self.statistics.refused.update(done.result().reasons)

        answer.add_done_callback(answered)

    async def _wait_for_expiries(self, living: set[str], patience: float = 15.0) -> set[tuple[int, str]]:
        """Until keepers have turned every position in an ended contract into cash; what is left after `patience` s."""
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            held = {
                (seat.subaccount, position["instrument_name"])
                for seat in self._seats
                for position in (await self._client.call("penstock/get_subaccount", {"subaccount": seat.subaccount}))[
                    "positions"
                ]
                if position["instrument_name"] not in living
            }
            if not held or asyncio.get_running_loop().time() > deadline:
                return held
            await asyncio.sleep(0.2)

    async def _collect(self) -> None:
        """Have the builder paid what the contracts have gathered for it."""
        pokes = [
            self._client.send(seal(self._separator, PayBuilder(market, self._builder), []))
            for market in self._contracts
        ]
        for answer in await asyncio.gather(*pokes):
            self.statistics.builder_paid += not answer.reasons

    async def _note_expiries(self) -> None:
        for contract in self._contracts.values():
            ticker = await self._client.call("public/ticker", {"instrument_name": contract.name})
            if ticker["state"] == "expired":
                self.statistics.ended(contract, ticker["index_price"], ticker["mark_price"])


def contract_of(listed: dict[str, Any]) -> Contract:
    """What `public/get_instruments` tells of a dated contract."""
    unit, size_unit = float(listed["price_unit"]), float(listed["size_unit"])
    rights = {"call": CALL, "put": PUT}
    return Contract(
        listed["instrument_id"], listed["instrument_name"], listed["base_currency"],
        OPTION if listed["kind"] == "option" else FUTURE, listed["expiration_timestamp"] // 1_000,
        round(listed.get("strike", 0) / unit), rights.get(listed.get("option_type", ""), NO_OPTION), unit, size_unit,
        round(listed["tick_size"] / unit), round(listed["min_trade_amount"] / size_unit),
    )  # fmt: skip


def _listing(contract: Contract) -> Listing:
    return Listing(contract.name, contract.market, contract.price_unit, contract.size_unit, contract.tick)
