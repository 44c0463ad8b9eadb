"""A whole venue on this machine: development chain, contracts, one node, deposits in, batches out."""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock.protocol.commands import CreditDeposit
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import Signer
from penstock.settlement.batches import last_sequence
from penstock.simulation.local_chain import DEV_FINALITY, LocalChain
from penstock.venue.batcher import Batcher, Mark, post_every
from penstock.venue.clock import Clock, DevClock
from penstock.venue.engine_port import open_engine
from penstock.venue.gateway.app import GatewayLimits
from penstock.venue.keepers import KeeperPace
from penstock.venue.l1 import DepositWatcher
from penstock.venue.node import Node, NodeConfig
from penstock.venue.outcomes import Recorded, Unavailable
from penstock.venue.sequencer import Executed, NodeStopped

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
BATCH_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.25
UNSAFE: Final = (
    "development keys",
    f"development chain; batches are final after {DEV_FINALITY} s (DevSettlement)",
    "one operator: a false trade is judged on chain, other entries are not, and neither costs it anything yet",
)


class LocalVenue:
    """Node, batcher and deposit watcher around a local chain. Start it, use `node.url`, stop it."""

    def __init__(
        self,
        local: LocalChain,
        home: Path,
        clock: Clock,
        *,
        port: int = 0,
        console: Path | None = None,
        chart_library: Path | None = None,
        keepers: KeeperPace | None = KeeperPace(fees=5.0),  # noqa: B008  frozen
        reopen: bool = False,
        engine: str = "auto",
        operator: Signer | None = None,
    ) -> None:
        """`engine` is `auto` (native where it is installed), `native` or `spec`.

        `operator` signs receipts; without that key there are none.
        `reopen` goes on with the journal in `home`; without it the home must be new.
        """
        self.local = local
        self.home = home
        self.clock = clock
        self.engine = open_engine(local.genesis, engine)
        self.batcher = Batcher(self.engine.tree(), local.deployment, home / "batches", self._mark, self._durable)
        self.batcher.chain_time = self._chain_time
        config = NodeConfig(
            home=home,
            genesis=local.genesis,
            host=HOST,
            port=port,
            console=console,
            chart_library=chart_library,
            keepers=keepers,
            limits=GatewayLimits(),
            unsafe=UNSAFE,
            settlement=local.deployment.settlement.address,
        )
        self.node = Node(
            config, clock=clock, engine=self.engine, batches=self.batcher, observers=[self._observe],
            operator=operator,
            restored=lambda sequence: self.batcher.stand(self.engine.tree(), sequence),
        )  # fmt: skip
        self.watcher = DepositWatcher(local.deployment, self._credit)
        self._posting: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._reopen = reopen
        self._started = False

    async def start(self) -> None:
        """Start the node, then credit and post in the background."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not self._reopen:
            check_home(self.home)
        self.node.needed_from = await asyncio.to_thread(last_sequence, self.local.deployment.settlement)
        await self.node.start()
        self._started = True
        await self.batcher.resume()
        self._posting = [
            asyncio.create_task(self.watcher.run(POLL_SECONDS, self._stopping, log.warning), name="deposits"),
            asyncio.create_task(post_every(self.batcher, BATCH_SECONDS, self._stopping, log.warning), name="batches"),
        ]

    async def credited(self, deposits: int, timeout: float = 30.0) -> None:
        """Wait until so many deposits are credited. Raises TimeoutError, or what stopped the watcher."""
        async with asyncio.timeout(timeout):
            while self.watcher.credited < deposits:
                self.check()
                await asyncio.sleep(0.02)

    def check(self) -> None:
        """Raises what stopped the node or a background task, if anything did."""
        if self.node.sequencer.failure is not None:
            raise NodeStopped(str(self.node.sequencer.failure))
        for task in self._posting:
            if task.done() and not task.cancelled():
                task.result()

    async def stop_posting(self) -> None:
        """End the background tasks, each behind what it is doing: a transaction under way is never abandoned."""
        self._stopping.set()
        await asyncio.gather(*self._posting, return_exceptions=True)
        self._posting = []

    async def stop(self) -> None:
        """Stop the tasks and the node. The chain stays up: it belongs to whoever opened it."""
        await self.stop_posting()
        if self._started:
            self._started = False
            await self.node.stop()

    def _mark(self) -> Mark:
        mark = Mark(self.node.sequencer.sequence, self.engine.engine_root())
        self.node.feed.mark(mark.sequence, mark.engine_root)
        return mark

    async def _durable(self, sequence: int) -> None:
        await self.node.sequencer.durable(sequence)

    def _observe(self, group: Sequence[Executed]) -> None:
        for executed in group:
            self.batcher.observe(
                executed.sequence, executed.time, executed.envelope, executed.message.record_hash, executed.entries
            )
        self.batcher.read_block = self.watcher.read_block

    def _chain_time(self) -> int:
        return self.clock.now() // MICRO

    async def _credit(self, deposit: CreditDeposit) -> Reason | None:
        answer = await self.node.sequencer.submit_local(deposit)
        if isinstance(answer, Unavailable) and answer.reason != "stopped":
            raise BlockingIOError(f"deposit {deposit.deposit} not taken now: {answer.reason}")
        if not isinstance(answer, Recorded):
            raise NodeStopped(f"deposit {deposit.deposit} was not sequenced: {answer}")
        reason = answer.outcomes[0].reason
        return Reason[reason] if reason else None


def check_home(home: Path) -> None:
    """Raises FileExistsError when a journal is there: a local chain starts new, and an old journal is of another."""
    journal = home.resolve() / "journal"
    if journal.exists():
        raise FileExistsError(f"{journal} exists: a development chain starts from nothing, so give an empty home")


def check_start(home: Path | None, port: int) -> None:
    """What can be refused before there is a chain: OSError for a home with a journal in it, or a port that is taken."""
    if home is not None:
        check_home(home)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))


def dev_clock(pace: float | None, start: int | None = None) -> DevClock:
    """A Dev clock from `start` (s; None: now) at `pace` times real time; None is driven by the replay."""
    begins = time.time_ns() // 1000 if start is None else start * MICRO
    return DevClock(begins, 0.0 if pace is None else pace)
