"""Keepers: pokes at what is due. They see what anybody sees and go through the sequencer like anybody."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from msgspec import Struct

from penstock.protocol.commands import (
    AccrueFunding,
    ExpireMarket,
    ExpirePosition,
    Liquidate,
    MarkStale,
    PayBuilder,
    Poke,
    RemoveDeadOrder,
    ReopenMarket,
    SweepFees,
)
from penstock.protocol.quantities import FUNDING_SCALE
from penstock.spec.state import EXPIRED, HALTED, RESTRICTED, STALE
from penstock.venue.clock import Clock
from penstock.venue.engine_port import Engine
from penstock.venue.market_data import MarketData
from penstock.venue.outcomes import Answer, Recorded
from penstock.venue.sequencer import Sequencer

INSURANCE_FUND: Final = 0
NEAR: Final = 1.5
"""An account whose equity is below so many times its maintenance margin is looked at more often."""


class KeeperPace(Struct, frozen=True):
    """Seconds between rounds of each keeper, and how much one round may look at; 0 seconds turns a keeper off.

    A round of liquidations looks at `accounts_a_round` holders in turn, and at as many of those it has found `NEAR`.
    """

    funding: float = 1.0
    fees: float = 60.0
    liquidations: float = 0.2
    dead_orders: float = 1.0
    contracts: float = 0.25
    builders: float = 60.0
    accounts_a_round: int = 128
    positions_a_round: int = 256
    orders_a_round: int = 64


class Keepers:
    """Untrusted and replaceable. `sent` and `refused` count by kind of poke; a refusal is normal."""

    def __init__(
        self, sequencer: Sequencer, engine: Engine, market_data: MarketData, clock: Clock, pace: KeeperPace
    ) -> None:
        self.sent: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self._sequencer = sequencer
        self._engine = engine
        self._market_data = market_data
        self._clock = clock
        self._pace = pace
        self._funded_at: dict[int, int] = {}
        self._pass: deque[int] = deque()
        self._near: dict[int, None] = {}
        self._ended: set[tuple[int, int]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin the rounds on the running loop."""
        rounds = (
            (self._pace.funding, self.accrue_funding),
            (self._pace.fees, self.sweep_fees),
            (self._pace.liquidations, self.liquidate),
            (self._pace.dead_orders, self.remove_dead_orders),
            (self._pace.contracts, self.end_contracts),
            (self._pace.builders, self.pay_builders),
        )
        for seconds, once in rounds:
            if seconds > 0:
                self._tasks.append(asyncio.create_task(self._repeat(seconds, once), name=f"keeper {once.__name__}"))

    async def stop(self) -> None:
        """End the rounds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def accrue_funding(self) -> None:
        """Poke each market that has gathered some funding and whose interval has passed since the last poke."""
        now = self._clock.now()
        for number, market in self._market_data.markets.items():
            due = self._funded_at.get(number, 0) + market.terms.funding_interval
            if market.rate_time and now >= due:
                self._funded_at[number] = now
                self._poke(AccrueFunding(number))

    def sweep_fees(self) -> None:
        """Poke each market that has fees or whole dust."""
        for view in self._engine.markets():
            if view.fees + view.dust // FUNDING_SCALE > 0:
                self._poke(SweepFees(view.market))

    def liquidate(self) -> None:
        """Look at some of the accounts that were near liquidation, and at the next few of all that hold positions;
        poke those below maintenance margin."""
        if not self._pass:
            self._pass.extend(self._market_data.positions)
        limit = self._pace.accounts_a_round
        turn = dict.fromkeys(islice(self._near, limit))
        turn |= dict.fromkeys(self._pass.popleft() for _ in range(min(len(self._pass), limit)))
        for subaccount in turn:
            self._near.pop(subaccount, None)
            self._look_at(subaccount)

    def _look_at(self, subaccount: int) -> None:
        """Poke it if it is due; if it is near, look again in the next rounds."""
        account = self._engine.account(subaccount)
        if account is None or subaccount == INSURANCE_FUND:
            return
        if account.equity < account.maintenance_margin:
            self._poke(Liquidate(subaccount))
        if account.equity < NEAR * account.maintenance_margin:
            self._near[subaccount] = None

    def remove_dead_orders(self) -> None:
        """Poke some of the dead orders that still stand in the engine's books."""
        for subaccount, slot in list(self._market_data.dead)[: self._pace.orders_a_round]:
            self._poke(RemoveDeadOrder(subaccount, slot))

    def end_contracts(self) -> None:
        """Poke markets whose time is over, positions in those that have expired, statuses that may end, prices that
        are stale and not said to be."""
        now = self._clock.now()
        for number, market in self._market_data.markets.items():
            if market.flags & EXPIRED:
                continue
            if market.over(now):
                self._poke(ExpireMarket(number))
            elif market.flags & (RESTRICTED | HALTED) and now >= market.until:
                self._poke(ReopenMarket(number))
            elif market.mark_price and not market.flags & STALE and now > market.priced_at + market.terms.stale_after:
                self._poke(MarkStale(number))
        expired = {n for n, market in self._market_data.markets.items() if market.flags & EXPIRED}
        ended = [(who, n) for who, held in self._market_data.positions.items() for n in held if n in expired]
        # One that stays for whatever reason is tried again after all the others.
        self._ended &= set(ended)
        untried = [one for one in ended if one not in self._ended]
        if not untried:
            self._ended.clear()
        for one in (untried or ended)[: self._pace.positions_a_round]:
            self._ended.add(one)
            self._poke(ExpirePosition(*one))

    def pay_builders(self) -> None:
        """Poke what markets have gathered for builders since the node began; a builder may also poke for itself."""
        owed, self._market_data.builders = self._market_data.builders, {}
        for market, builder in owed:
            self._poke(PayBuilder(market, builder))

    async def _repeat(self, seconds: float, once: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            if self._sequencer.unavailable() is None:
                once()

    def _poke(self, poke: Poke) -> None:
        kind = type(poke).__name__
        self.sent[kind] += 1
        self._sequencer.submit_local(poke).add_done_callback(lambda answered: self._count(kind, answered))

    def _count(self, kind: str, answered: "asyncio.Future[Answer]") -> None:
        if answered.cancelled():
            return
        answer = answered.result()
        if isinstance(answer, Recorded):
            reason = answer.outcomes[0].reason
            if reason is not None:
                self.refused[kind, reason] += 1
