"""The demo: a whole venue, a recorded market, everybody out at the end, and a report of what was true."""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from penstock.protocol.commands import SweepFees
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer
from penstock.protocol.verdicts import Finding
from penstock.settlement.batches import batch_count, root_at
from penstock.settlement.contracts import repository
from penstock.simulation.accounts import everybody, local_accounts
from penstock.simulation.children import Child, ChildEnded
from penstock.simulation.dated.plan import next_expiry
from penstock.simulation.exit_drill import Conservation, Exits, claim_all, conserve
from penstock.simulation.local_chain import LocalChain, fund, open_local_chain
from penstock.simulation.local_venue import LocalVenue, check_start, dev_clock
from penstock.simulation.recording import check_folder
from penstock.simulation.replay_run import sample_folder
from penstock.simulation.watching import Watched, watch
from penstock.spec.state import EXPIRED
from penstock.venue.outcomes import Recorded
from penstock.venue.recovery import Roots, replay_journal

AHEAD: Final = 45 * 60
"""Seconds of venue time before the first expiry at which a demo begins."""
PATIENCE: Final = 60.0
"""Seconds that trading, and later expiring, futures and options may take."""
BEFORE: Final = ("starting", "loading", "preparing")
"""Phases in which nothing has been played."""
DISK_USE: Final = "; every level at real time writes about 190 MB a minute, and a journal segment of 67 MB lies ready"
Say = Callable[[str], None]
Show = Callable[["Demo"], Coroutine[Any, Any, None]]


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What to run. `seconds` of recorded time (None: until `stop`); `recording` None is the shipped sample.

    `levels` a side to mirror (None: every one); `engine` is `auto`, `native` or `spec`.
    """

    seconds: float | None = None
    pace: float | Literal["max"] = 1.0
    levels: int | None = None
    engine: str = "auto"
    port: int = 8420
    home: Path | None = None
    recording: Path | None = None


class Interrupted(Exception):
    """It was stopped before the replay began, or told twice to stop: there is nothing to report."""


class Demo:
    """One run. `progress` may be read at any time while it runs."""

    def __init__(self, options: DemoOptions, say: Say) -> None:
        self.options = options
        self.venue: LocalVenue | None = None
        self.stop = asyncio.Event()
        self._say = say
        self._accounts = local_accounts()
        self._replay: Child | None = None
        self._dated: Child | None = None
        self._expiry = next_expiry(int(time.time()) + AHEAD)
        """The first at least so far ahead; venue time begins that much before it."""

    async def run(self, show: Show) -> dict[str, Any]:
        """Everything from chain to report. `show` runs beside the replay and is cancelled after it.

        Raises Interrupted when `stop` is set before the replay has begun; OSError for a home or port in use, and
        RecordingError for a recording that is not there, before there is a chain.
        """
        check_start(self.options.home, self.options.port)
        check_folder(self.options.recording or sample_folder())
        home = self.options.home or Path(tempfile.mkdtemp(prefix="penstock-demo-"))
        self._say(f"home {home.resolve()}{DISK_USE if self.options.home else f', removed at the end{DISK_USE}'}")
        local = await asyncio.to_thread(open_local_chain, self._accounts, self._expiry - AHEAD)
        try:
            self._say(local.chain.describe())
            self._go_on()
            await self._open(local, home)
            self._go_on()
            return await self._play_and_leave(local, home, show)
        finally:
            await self._end_children()
            if self.venue is not None:
                await self.venue.stop()
            local.close()
            if self.options.home is None:
                shutil.rmtree(home, ignore_errors=True)

    @property
    def progress(self) -> dict[str, Any]:
        """The replay's newest line."""
        return {"phase": "starting"} if self._replay is None else self._replay.progress

    @property
    def begun(self) -> bool:
        """Whether the replay has begun, so that there is something to close, withdraw and report."""
        return self.progress["phase"] not in BEFORE

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise Interrupted("before the replay began")

    async def _open(self, local: LocalChain, home: Path) -> None:
        owners = [trader.owner().address for trader in everybody()]
        await asyncio.to_thread(fund, local, self._accounts, owners)
        pace = None if self.options.pace == "max" else self.options.pace
        self.venue = LocalVenue(
            local, home, dev_clock(pace, self._expiry - AHEAD), port=self.options.port, console=console_folder(),
            chart_library=charts(), engine=self.options.engine, operator=Signer(self._accounts.operator),
        )  # fmt: skip
        await self.venue.start()
        self.venue.node.settle_memory()
        await self.venue.credited(len(owners))
        self._say(f"vault 0x{local.deployment.vault.address.hex()}: {len(owners)} subaccounts funded and credited")
        self._say(f"open {self.venue.node.url}")

    async def _play_and_leave(self, local: LocalChain, home: Path, show: Show) -> dict[str, Any]:
        assert self.venue is not None
        showing = asyncio.create_task(show(self))
        try:
            replayed, dated = await self._play(self.venue)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
        self._say("everything is flat and withdrawn; sweeping fees, posting the last batch")
        return await self._leave(local, home, replayed, dated)

    async def _play(self, venue: LocalVenue) -> tuple[dict[str, Any], dict[str, Any]]:
        """The replay, and beside it, once it has prices, futures and options, until their first expiry is over."""
        self._replay = Child("replay", replay_command(venue.node.url, self.options), venue.check)
        self._dated = Child("futures and options", dated_command(venue.node.url), venue.check)
        stopping = asyncio.create_task(self._stop_replay())
        trading = asyncio.create_task(self._trade_dated())
        try:
            replayed = await self._replay.run()
            await self._pass_expiry(venue, trading)
            self._dated.terminate()
            return replayed, await trading
        except ChildEnded:
            if not self.begun:
                self._go_on()
            raise
        finally:
            for task in (stopping, trading):
                task.cancel()
            await asyncio.gather(stopping, trading, return_exceptions=True)

    async def _trade_dated(self) -> dict[str, Any]:
        assert self._dated is not None
        while not self.begun:
            await asyncio.sleep(0.1)
        return await self._dated.run()

    async def _pass_expiry(self, venue: LocalVenue, trading: "asyncio.Task[Any]") -> None:
        """Take the Dev clock past the first expiry, and wait until everything in it is cash."""
        assert self._dated is not None
        async with asyncio.timeout(PATIENCE):
            while not self._dated.progress.get("taker_fills") and not trading.done():
                await asyncio.sleep(0.1)
            self._say("the Dev clock goes on to the first expiry, 08:00 UTC")
            for step in range(-8, 5):
                venue.clock.not_before(self._expiry * MICRO + step * MICRO // 2)
                await asyncio.sleep(0.25)
            while not trading.done() and not settled(venue):
                await asyncio.sleep(0.1)

    async def _stop_replay(self) -> None:
        await self.stop.wait()
        assert self._replay is not None
        while not self.begun:
            self._replay.kill()
            await asyncio.sleep(0.05)  # at the first try it may be no process yet
        self._replay.terminate()

    async def _end_children(self) -> None:
        for child in (self._replay, self._dated):
            if child is not None:
                await child.end()

    async def _leave(
        self, local: LocalChain, home: Path, replayed: dict[str, Any], dated: dict[str, Any]
    ) -> dict[str, Any]:
        assert self.venue is not None
        venue, batcher = self.venue, self.venue.batcher
        if venue.node.keepers is not None:
            await venue.node.keepers.stop()
        await sweep(venue)
        await venue.stop_posting()
        await batcher.post_all()
        local.pass_finality()
        await batcher.refresh_finality()
        subaccounts = [trader.subaccount for trader in everybody()]
        payer = Signer(self._accounts.deployer).address
        exits = await claim_all(local, batcher, subaccounts, payer)
        conservation = await conserve(local, batcher, subaccounts, agreed_by(venue))
        number = await asyncio.to_thread(batch_count, local.deployment.settlement)
        on_chain = await asyncio.to_thread(root_at, local.deployment.settlement, number)
        engine_root = venue.engine.engine_root()
        statistics = venue.node.statistics.shown()
        await venue.stop()
        self._say("a watcher re-executes the published batches and has trades judged on chain")
        watched = await asyncio.to_thread(
            watch, batcher.folder, local.genesis, local.deployment, engine=self.options.engine
        )
        self._say("replaying the journal from nothing")
        recovered = await asyncio.to_thread(replay_journal, home, local.genesis, engine=self.options.engine)
        return build_report(
            self.options, venue, statistics, replayed, dated, exits, conservation, engine_root, on_chain, watched,
            recovered,
        )  # fmt: skip


async def sweep(venue: LocalVenue) -> None:
    """Poke every market's fees and dust to subaccount 0 until the engine says there are none."""
    for view in venue.engine.markets():
        answer = await venue.node.sequencer.submit_local(SweepFees(view.market))
        if not isinstance(answer, Recorded):
            raise RuntimeError(f"fees of market {view.market} were not swept: {answer}")


def agreed_by(venue: LocalVenue) -> int:
    """The entry cost of every open position, signed, 1e-6 USDC; sizes sum to zero, what was agreed need not."""
    accounts = [venue.engine.account(subaccount) for subaccount in sorted(venue.node.market_data.positions)]
    return sum(position.entry for account in accounts if account for position in account.positions)


def settled(venue: LocalVenue) -> bool:
    """Whether every contract whose time is over has expired, and nobody holds a position in one."""
    markets = venue.node.market_data.markets
    over = {number for number, market in markets.items() if market.over(venue.clock.now())}
    held = {number for positions in venue.node.market_data.positions.values() for number in positions}
    return all(markets[number].flags & EXPIRED for number in over) and not over & held


def build_report(
    options: DemoOptions,
    venue: LocalVenue,
    statistics: dict[str, Any],
    replayed: dict[str, Any],
    dated: dict[str, Any],
    exits: Exits,
    conservation: Conservation,
    engine_root: bytes,
    on_chain: bytes,
    watched: Watched,
    recovered: Roots,
) -> dict[str, Any]:
    """What `--report` writes."""
    batcher = venue.batcher
    gas = [posted.gas for posted in batcher.posted]
    trades = statistics["trades"]
    tape = replayed["tape"]
    return {
        "engine": venue.engine.name,
        "seconds": options.seconds,
        "pace": options.pace,
        "levels": options.levels or "all",
        "book_levels": replayed["book_levels"],
        "commands": statistics["commands"],
        "orders": statistics["orders"],
        "cancels": statistics["cancels"],
        "trades": trades,
        "volume": statistics["volume"],
        "refused": statistics["refused"],
        "tape": {name: tape[name] for name in ("trades", "volume", "matched_share", "reachable_share")},
        "mid_error_bps": {name: replayed["mid_error_bps"][name] for name in ("p50", "p99")},
        "venue_mid_error_bps": replayed["venue_mid_error_bps"],
        "ack_ms": {name: replayed["ack_ms"][name] for name in ("p50", "p99")},
        "closed": replayed["closed"],
        "dated": {name: value for name, value in dated.items() if name != "phase"},
        "batches": len(batcher.posted),
        "ledger_entries": batcher.entries,
        "engine_root": "0x" + engine_root.hex(),
        "settlement_root": "0x" + batcher.cut_root.hex(),
        "settlement_root_on_chain": "0x" + on_chain.hex(),
        "gas": {
            "batch_mean": sum(gas) / len(gas) if gas else None,
            "per_trade": sum(gas) / trades if trades else None,
        },
        "exits": msgspec.to_builtins(exits),
        "conservation": msgspec.to_builtins(conservation),
        "watched": msgspec.to_builtins(watched),
        "recovered_root_equal": (recovered.engine_root, recovered.settlement_root) == (engine_root, batcher.cut_root),
    }


def problems(report: dict[str, Any]) -> list[str]:
    """What of a report must not be: empty when the demo did what it promises."""
    exits, conservation, watched = report["exits"], report["conservation"], report["watched"]
    checks = {
        "not every position was closed": report["closed"]["flat"] and report["dated"]["closed"]["flat"],
        "no future or option expired": bool(report["dated"]["expired"]),
        "no option was traded": bool(report["dated"]["taker_fills"].get("options")),
        "the settlement root on chain is another": report["settlement_root"] == report["settlement_root_on_chain"],
        "not every subaccount proved its exit": exits["proved"] == exits["subaccounts"],
        "not every subaccount was paid to the last unit": exits["paid"] == exits["subaccounts"],
        "deposits, withdrawals and the fund do not add up": conservation["difference"] == 0,
        "the vault holds something else than the fund and strangers": conservation["vault"]
        == conservation["held"] + conservation["strangers"] + conservation["open"],
        "the journal leads to other roots": report["recovered_root_equal"],
        "the watcher found differences in what was published": not watched["differences"],
        "the watcher did not see every entry": watched["entries"] == report["ledger_entries"],
        "the referee found a trade that is not honest": set(watched["findings"]) <= {Finding.HONEST.name},
    }
    return [sentence for sentence, held in checks.items() if not held]


def replay_command(url: str, options: DemoOptions) -> list[str]:
    """The child's command line."""
    command = [sys.executable, "-m", "penstock", "replay", "run", "--lines", "--url", url]
    command += ["--pace", str(options.pace), "--levels", str(options.levels or "all")]
    if options.recording is not None:
        command += ["--recording", str(options.recording)]
    command += ["--seconds", str(options.seconds if options.seconds is not None else 1e9)]
    return command


def dated_command(url: str) -> list[str]:
    """The command line of the child that plays futures and options."""
    return [sys.executable, "-m", "penstock", "dated", "run", "--lines", "--url", url]


def console_folder() -> Path:
    """The page's files."""
    return repository() / "console"


def charts() -> Path | None:
    """The chart library npm has installed, or None."""
    path = repository() / "node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.mjs"
    return path if path.exists() else None
