"""Plays futures and options at a venue whose perpetuals somebody else prices: lists, prices, quotes, takes, leaves."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final

from penstock.participants.client import GatewayClient, GatewayError
from penstock.protocol.commands import BUY, IMMEDIATE_OR_CANCEL, SELL, PayBuilder, PlaceOrder, Record
from penstock.protocol.instruments import CALL, FUTURE, NO_OPTION, OPTION, PUT
from penstock.protocol.quantities import MAX_BUNDLE, MICRO
from penstock.protocol.signing import Signer, seal
from penstock.protocol.terms import default_templates
from penstock.simulation.accounts import DATED_BASES, MAKER, TAKER, dated_traders, guest, local_accounts
from penstock.simulation.closing import (
    cancel_everything,
    close_positions,
    facing_strangers,
    positions_of,
    withdraw_cash,
    withdrawable,
)
from penstock.simulation.dated.oracle import IN_FLIGHT, DatedOracle
from penstock.simulation.dated.plan import Contract, listings
from penstock.simulation.dated.statistics import DatedStatistics
from penstock.simulation.market_player import Listing
from penstock.simulation.seats import Seat, account_of, grant_key, take_seat

STEP_US: Final = 1 * MICRO
"""Venue time between two rounds of prices, quotes and orders."""
REFRESH_US: Final = 3 * MICRO
"""Venue time between two looks at what is listed."""
LOOK_S: Final = 0.02
QUORUM: Final = 2
TAKES: Final = 4
"""Orders of takers a round."""
BUILDER_FEE_PPM: Final = 50
SILENT_S: Final = 1.0
"""How long prices may be waited for before it is said."""
PATIENCE_S: Final = 15.0
"""How long keepers may take to turn what has expired into cash."""
LEAST: Final = 1 * MICRO
"""1e-6 USDC that an account must be able to use."""
Say = Callable[[str], None]


class DatedPlay:
    """One run. The maker quotes every live contract, takers hit random ones, oracles price all of them once a round."""

    def __init__(self, client: GatewayClient, separator: bytes, seed: int = 1) -> None:
        self.statistics = DatedStatistics()
        self._client = client
        self._separator = separator
        self._dice = Random(seed)
        quorum = [Signer(key) for key in local_accounts().oracles[:QUORUM]]
        self._oracle = DatedOracle(client, separator, quorum, self.statistics)
        seated = [(trader, take_seat(client, separator, trader)) for trader in dated_traders()]
        self._seats = [seat for _, seat in seated]
        self._makers = {trader.instrument: seat for trader, seat in seated if trader.role == MAKER}
        self._takers = {trader.instrument: seat for trader, seat in seated if trader.role == TAKER}
        self._builder = self._seats[-1].subaccount
        self._contracts: dict[int, Contract] = {}
        self._indices: dict[str, int] = {}
        self._quoted: dict[int, tuple[int, int]] = {}
        self._slots: dict[tuple[int, int], int] = {}
        self.trading = False
        self._stopping = False

    def stop(self) -> None:
        """End `run` at its next round."""
        self._stopping = True

    async def prepare(self, say: Say) -> None:
        """Wait for prices of the perpetuals, grant session keys, list what the plan foresees.

        `say` hears what is waited for. Raises ValueError when accounts have no money, when it is stopped before there
        are prices, or when the venue refuses a grant.
        """
        await self._want_money()
        await self._want_prices(say)
        for seat in self._seats:
            await grant_key(self._client, seat)
        await cancel_everything(self._seats)  # of a run before this one
        await self._list()
        await self._take_up()

    async def run(self) -> None:
        """Price, quote and take once every second of venue time, until stopped."""
        self.trading = True
        last = refreshed = 0
        while not self._stopping:
            await self._client.read_time()
            if self._client.venue_time - last >= STEP_US:
                last = self._client.venue_time
                if last - refreshed >= REFRESH_US:
                    refreshed = last
                    await self._take_up()
                await self._round(last)
            await asyncio.sleep(LOOK_S)
        await self._client.drain()

    async def settle(self) -> None:
        """Note what has expired by now, and have our builder paid what is due to it."""
        await self._note_expiries()
        await self._collect()

    async def close_out(self) -> dict[str, Any]:
        """Cancel everything, close what lives against each other, wait until what expired is cash, withdraw.

        The guest is closed and withdrawn with everybody. What is left because strangers hold the other side is told as
        `strangers` (instrument → our net size in coin) and is nobody's failure.
        """
        seats = await self._with_guest()
        reasons = await cancel_everything(seats)
        await self._client.read_time()
        live = [c for c in self._contracts.values() if c.expiry * MICRO > self._client.venue_time]
        report = await close_positions(self._client, seats, [_listing(c) for c in live])
        left = await self._wait_for_expiries(seats)
        strangers = facing_strangers({key: size for key, size in left.items() if not self._over(key[1])})
        left = {key: size for key, size in left.items() if key[1] not in strangers}
        units = {contract.name: contract.size_unit for contract in self._contracts.values()}
        await self.settle()
        paid = await withdraw_cash(self._client, seats)
        return {
            "flat": not left,
            "left": len(left),
            "strangers": {name: round(size * units[name], 8) for name, size in sorted(strangers.items())},
            "reasons": reasons + report.reasons,
            "withdrawn": sum(paid.values()),
        }

    async def _with_guest(self) -> list[Seat]:
        """Our seats and the guest's, where the venue has a guest."""
        seat = take_seat(self._client, self._separator, guest())
        try:
            await account_of(self._client, seat)
        except GatewayError:
            return self._seats
        return [*self._seats, seat]

    async def _want_money(self) -> None:
        poor = []
        for seat in self._seats:
            try:
                free = withdrawable(await account_of(self._client, seat))
            except GatewayError:  # no such subaccount
                free = 0
            if free < LEAST:
                poor.append(str(seat.subaccount))
        if poor:
            raise ValueError(
                f"subaccounts {', '.join(poor)} have no money: a venue funds them once, and a run without --keep "
                "withdraws it; start a new one (penstock up)"
            )

    async def _want_prices(self, say: Say) -> None:
        bases = []
        for listed in await self._client.call("public/get_instruments", {"currency": "any", "kind": "future"}):
            if listed["settlement_period"] == "perpetual" and listed["base_currency"] in DATED_BASES:
                bases.append(listed["base_currency"])
                await self._client.listen(f"ticker.{listed['instrument_name']}.100ms", self._hear(listed))
        clock, said = asyncio.get_running_loop().time, False
        began = clock()
        while missing := [base for base in bases if base not in self._indices]:
            if self._stopping:
                raise ValueError(
                    f"stopped before there were prices of {', '.join(missing)}; penstock replay run --keep brings some"
                )
            if not said and clock() - began >= SILENT_S:
                said = True
                say(f"waiting for prices of {', '.join(missing)}")
            await asyncio.sleep(LOOK_S)

    def _hear(self, listed: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        base, unit = listed["base_currency"], float(listed["price_unit"])

        def hear(ticker: dict[str, Any]) -> None:
            if ticker["index_price"] and ticker["state"] != "stale":
                self._indices[base] = round(ticker["index_price"] / unit)

        return hear

    async def _list(self) -> None:
        templates = [template for template in default_templates() if template.terms.base in self._indices]
        indices = {template.index_market: self._indices[template.terms.base] for template in templates}
        await self._client.read_time()
        wanted = listings(tuple(templates), self._client.venue_time // MICRO, indices)
        answers = [self._client.send(seal(self._separator, record, [])) for record in wanted]
        for answer in await asyncio.gather(*answers):
            # Somebody else, or a run before this one, may have listed it; whatever is wrong, we play what is there.
            self.statistics.refused.update(reason for reason in answer.reasons if reason != "MARKET_LISTED")

    async def _take_up(self) -> None:
        """Play what is listed by now and go on from the prices it has; free the slots of what has ended."""
        listed = await self._client.call("public/get_instruments", {"currency": "any", "kind": "any"})
        found = [contract_of(one) for one in listed if one["settlement_period"] != "perpetual"]
        added = [c for c in found if c.market not in self._contracts and c.base in self._indices]
        await self._begin([*added, *(self._contracts[market] for market in self._oracle.doubted)])
        self._contracts |= {contract.market: contract for contract in added}
        self.statistics.listed(added)
        for market, side in [key for key in self._slots if self._over(self._contracts[key[0]].name)]:
            self._makers[self._contracts[market].base].trading.slots.give_back(self._slots.pop((market, side)))

    async def _begin(self, contracts: list[Contract]) -> None:
        asked = [self._client.call_soon("public/ticker", {"instrument_name": c.name}) for c in contracts]
        for contract, ticker in zip(contracts, await asyncio.gather(*asked), strict=True):
            index, mark = (round((ticker[name] or 0) / contract.price_unit) for name in ("index_price", "mark_price"))
            self._oracle.begin(contract, index, mark, self._client.venue_time)

    def _over(self, name: str) -> bool:
        """Whether the time of a contract of ours has come."""
        expiry = next(contract.expiry for contract in self._contracts.values() if contract.name == name)
        return expiry * MICRO <= self._client.venue_time

    async def _round(self, now: int) -> None:
        live = [c for c in self._contracts.values() if c.expiry * MICRO > now]
        await self._oracle.publish(live, self._indices, now)
        await self._quote(live, now)
        for _ in range(TAKES if live else 0):
            await self._take(self._dice.choice(live))

    async def _quote(self, live: list[Contract], now: int) -> None:
        """A bid and an ask around each mark: two points of volatility and two ticks wide, replaced when they move."""
        vegas = self._oracle.vegas(live, now)
        records: dict[str, list[Record]] = {base: [] for base in self._makers}
        for contract in live:
            mark, tick = self._oracle.mark(contract), contract.tick
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
        mark, tick = self._oracle.mark(contract), contract.tick
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

    async def _wait_for_expiries(self, seats: list[Seat]) -> dict[tuple[int, str], int]:
        """What the seats hold (subaccount, contract → size units) once keepers have turned what ended into cash, or
        after `PATIENCE_S`."""
        listings = [_listing(contract) for contract in self._contracts.values()]
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            await self._client.read_time()
            held = await positions_of(self._client, seats, listings)
            if not any(self._over(name) for _, name in held) or asyncio.get_running_loop().time() > deadline:
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
                self.statistics.ended(contract, ticker["index_price"] or 0.0, ticker["mark_price"] or 0.0)


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
