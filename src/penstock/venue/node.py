"""One node: home folder, clock, engine, journal, snapshots, sequencer, market data, gateway, keepers, wired and run."""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from msgspec import Struct

from penstock.protocol.instruments import OPTION
from penstock.protocol.signing import Domain, Signer
from penstock.protocol.terms import Genesis
from penstock.venue.clock import REPORTED_DRIFT, Clock, DevClock, WallClock
from penstock.venue.disk.segments import SEGMENT_BYTES
from penstock.venue.engine_port import Engine, open_engine
from penstock.venue.feed import Feed
from penstock.venue.follower import FollowingSequencer, Link
from penstock.venue.gateway.app import Gateway, GatewayLimits
from penstock.venue.gateway.batches import Batches, PostedBatch
from penstock.venue.gateway.public import Methods
from penstock.venue.gateway.rpc import Rpc
from penstock.venue.gateway.statistics import Statistics
from penstock.venue.gateway.subscriptions import EVERY_100_MS, RAW, Subscriptions
from penstock.venue.journal import HomeLock, Journal, JournalError
from penstock.venue.keepers import KeeperPace, Keepers
from penstock.venue.market_data import MarketData
from penstock.venue.receipt_log import ReceiptLog, open_issuer
from penstock.venue.receipts import Issuer
from penstock.venue.recovery import Reached, bring_up, keep_genesis
from penstock.venue.sequencer import DISK_RESERVE, WAITING_LIMIT, NodeStopped, Observer, Sequencer
from penstock.venue.snapshot_taker import SnapshotTaker
from penstock.venue.snapshots import Snapshots

log = logging.getLogger(__name__)

TICK: Final = 0.1
"""Seconds between aggregated messages, and between looks at what expired."""
DRIFT_CHECK: Final = 5.0
OBSERVED_TAIL: Final = WAITING_LIMIT
"""Commands at the journal's end that a restart observes one by one: as many as can have been left without a reply."""
SNAPSHOT_EVERY: Final = 250_000
"""Commands from one snapshot to the next."""


class NodeConfig(Struct, frozen=True):
    """All a node can be told. `keepers` None runs none; `settlement` is the contract's address, for `get_domain`.

    `leader` is the URL of a node to follow: this one then takes no commands, and runs no keepers.
    """

    home: Path
    genesis: Genesis
    host: str = "127.0.0.1"
    port: int = 0
    console: Path | None = None
    chart_library: Path | None = None
    keepers: KeeperPace | None = KeeperPace()
    limits: GatewayLimits = GatewayLimits()
    unsafe: tuple[str, ...] = ()
    settlement: bytes | None = None
    waiting_limit: int = WAITING_LIMIT
    disk_reserve: int = DISK_RESERVE
    segment_bytes: int = SEGMENT_BYTES
    observed_tail: int = OBSERVED_TAIL
    snapshot_every: int = SNAPSHOT_EVERY
    leader: str | None = None


class Node:
    """A running venue. `observers` see every durable group, in order, from where a restart begins to observe.

    That is the last `observed_tail` commands of the journal, or from behind sequence `needed_from` if that is earlier;
    what came before is brought up from a snapshot and in bulk. `restored` is told the sequence it begins behind.
    With an `operator` every group gets a receipt signed by that key. Without one there are none.
    """

    def __init__(
        self,
        config: NodeConfig,
        *,
        clock: Clock | None = None,
        engine: Engine | None = None,
        batches: Batches | None = None,
        observers: Sequence[Observer] = (),
        restored: Callable[[int], None] = lambda _: None,
        operator: Signer | None = None,
    ) -> None:
        self.config = config
        self.needed_from: int | None = None
        self.ended_by = ""
        self.clock: Clock = clock or WallClock()
        self.engine: Engine = engine or open_engine(config.genesis)
        self.batches = batches
        self.separator = Domain(config.genesis.chain_id, config.genesis.vault).separator()
        self.market_data: MarketData
        self.subscriptions: Subscriptions
        self.feed: Feed
        self.issuer: Issuer | None = None
        self.receipts: ReceiptLog | None = None
        self._operator = operator
        self.statistics = Statistics()
        self.sequencer: Sequencer
        self.keepers: Keepers | None = None
        self._observers = list(observers)
        self._restored = restored
        self._snapshots: SnapshotTaker | None = None
        self._gateway: Gateway | None = None
        self._journal: Journal | None = None
        self._lock: HomeLock | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped: asyncio.Future[BaseException] | None = None

    @property
    def url(self) -> str:
        """Where the gateway listens, with a slash at the end; empty before `start`."""
        return self._gateway.url if self._gateway else ""

    async def start(self) -> None:
        """Take the home folder, go on from its newest good snapshot by its journal, listen.

        Raises JournalBusy, JournalForeign, JournalCorrupt, or NodeStopped when the replay fails.
        """
        config = self.config
        self._stopped = asyncio.get_running_loop().create_future()
        self._lock = HomeLock(config.home)
        try:
            keep_genesis(config.home, config.genesis)
            self._journal = Journal(
                config.home, config.genesis.ruleset(), self.separator, segment_bytes=config.segment_bytes
            )
            reached = self._bring_up(self._journal)
            last = self.sequencer.recover()
        except (JournalError, NodeStopped):
            self._release_home()
            raise
        log.info(
            "node: at sequence %d on the %s engine; %s, %d commands observed", last, self.engine.name,
            f"from the snapshot of {reached.snapshot.sequence}" if reached.snapshot else "from the first command",
            last - reached.sequence,
        )  # fmt: skip
        if config.snapshot_every:
            begun = reached.snapshot.sequence if reached.snapshot else 0
            self._snapshots = SnapshotTaker(config.home, self.engine.name, config.snapshot_every, begun)
            self.sequencer.observe(self._snapshots.follow)
        self.sequencer.observe(self.statistics.follow)
        self.sequencer.observe(self.subscriptions.follow)
        self.feed = Feed(self._journal, config.genesis, self.separator)
        self.sequencer.observe_groups(self.feed.follow)
        self.sequencer.start()
        if self.batches is not None:
            self.batches.watch(self._tell_batch)
        if self.issuer is not None:
            self.issuer.watch(self.subscriptions.tell_receipt)
        self._gateway = self._build_gateway()
        await self._gateway.start(config.host, config.port)
        if config.keepers is not None and config.leader is None:
            self.keepers = Keepers(self.sequencer, self.engine, self.market_data, self.clock, config.keepers)
            self.keepers.start()
        self._tasks = [asyncio.create_task(self._tick(), name="market data tick")]
        if isinstance(self.clock, WallClock):
            self._tasks.append(asyncio.create_task(self._watch_drift(self.clock), name="clock drift"))
        if isinstance(self.sequencer, FollowingSequencer) and config.leader is not None:
            link = Link(config.leader, self.sequencer, config.genesis)
            self._tasks.append(asyncio.create_task(link.run(), name="journal link"))
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    @staticmethod
    def settle_memory() -> None:
        """For a process that is this node and nothing else: no full collection walks again what it has restored."""
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Take no more commands, answer those taken, close every connection, let go of the home folder."""
        if self.keepers is not None:
            await self.keepers.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sequencer.stop()
        if self._snapshots is not None:
            await self._snapshots.stop()
        if self._gateway is not None:
            await self._gateway.stop()
            self._gateway = None
        self._release_home()

    async def run(self) -> int:
        """Wait until the node has to stop of itself. Returns the process's exit code: 1. Cancel it to stop the node."""
        assert self._stopped is not None, "start the node first"
        try:
            error = await self._stopped
            self.ended_by = str(error) or type(error).__name__
            log.critical("node: stopped at sequence %d: %r", self.sequencer.sequence, error)
        finally:
            await self.stop()
        return 1

    def _bring_up(self, journal: Journal) -> Reached:
        """Engine, market data and sequencer, standing where the observed rest of the journal begins."""
        genesis, before = self.config.genesis, max(0, journal.last_sequence - self.config.observed_tail)
        if self.needed_from is not None:
            before = min(before, self.needed_from)
        snapshots = Snapshots(self.config.home, genesis.ruleset(), self.separator)
        reached = bring_up(self.engine, journal, snapshots, before)
        self.market_data = MarketData(genesis)
        if reached.sequence:
            self.market_data = MarketData.restore(genesis, reached.time, self.engine.markets(), self.engine.resting())
            self._restored(reached.sequence)
        if self._operator is not None:
            self.issuer, self.receipts = open_issuer(self.config.home, journal, self._operator, self.separator)
            self.issuer.watch(self.receipts.append)
        self.subscriptions = Subscriptions(self.market_data, receipts=self.issuer is not None)
        self._open_sequencer(journal)
        self.sequencer.stand(reached.sequence, reached.time)
        return reached

    def _open_sequencer(self, journal: Journal) -> None:
        kind = Sequencer if self.config.leader is None else FollowingSequencer
        self.sequencer = kind(
            self.engine,
            journal,
            self.clock,
            self.separator,
            waiting_limit=self.config.waiting_limit,
            disk_reserve=self.config.disk_reserve,
            on_stop=self._fall,
            issuer=self.issuer,
        )
        self.sequencer.observe(self.market_data.follow)
        for observer in self._observers:
            self.sequencer.observe(observer)

    def _build_gateway(self) -> Gateway:
        config = self.config
        unsafe = list(config.unsafe)
        if isinstance(self.clock, DevClock):
            unsafe.append("Dev clock")
        if self.issuer is None:
            unsafe.append("no signed receipts")
        methods = Methods(
            config.genesis, self.engine, self.sequencer, self.market_data, self.subscriptions, self.statistics,
            self.clock, self.batches, unsafe, config.settlement, self.receipts,
        )  # fmt: skip
        listable = [template.terms for template in config.genesis.templates]
        if any(terms.kind == OPTION for terms in [*config.genesis.markets, *listable]):
            # Before anybody connects: the first option's ticker would hold the loop for half a second.
            import_module("penstock.venue.gateway.options")
        return Gateway(
            Rpc(methods.table(), self.clock.now),
            self.sequencer,
            self.subscriptions,
            console=config.console,
            chart_library=config.chart_library,
            limits=config.limits,
            feed=self.feed,
        )

    def _tell_batch(self, batch: PostedBatch) -> None:
        self.statistics.batches += batch.status == "posted"
        self.subscriptions.tell_batch(batch)

    def _fall(self, error: BaseException) -> None:
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(error)

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._fall(task.exception() or NodeStopped(f"{task.get_name()} ended"))

    def _release_home(self) -> None:
        if self.receipts is not None:
            self.receipts.close()
            self.receipts = None
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            if self.sequencer.waiting == 0:
                # Nothing is on its way with an earlier stamp, so what expired by now may leave the books now.
                # A follower's venue time is the leader's: it knows no later one than it was told.
                following = self.config.leader is not None
                self.market_data.advance(self.sequencer.durable_time if following else self.clock.now())
                self.subscriptions.flush(RAW)
                self.sequencer.look_at_disk()
            self.subscriptions.flush(EVERY_100_MS)

    async def _watch_drift(self, clock: WallClock) -> None:
        reported = 0
        while True:
            await asyncio.sleep(DRIFT_CHECK)
            drift = clock.drift()
            if abs(drift - reported) > REPORTED_DRIFT:
                reported = drift
                log.warning("clock: the wall clock is %d µs ahead of venue time; venue time goes on evenly", drift)
