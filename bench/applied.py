"""Stage `apply`: matching, margin, ledger entries and events on one core; no signatures, journal or roots."""

from collections import Counter
from itertools import islice
from statistics import median
from time import perf_counter, perf_counter_ns, thread_time
from types import ModuleType
from typing import Any, Final

import sha3
from msgspec import Struct

from bench.frames import batches, split
from bench.machine import one_core
from bench.report import Report, require
from bench.spec import SpecRun
from bench.stream import KINDS, Stream
from bench.survey import Survey, entries_of
from bench.world import CASH
from penstock.protocol.reasons import Reason
from penstock.protocol.views import decode_account_view, decode_market_view

TARGET: Final = 1_000_000
BATCH: Final = 4_096
MOST_REFUSED: Final = 0.05
_ONE_BY_ONE: Final = 100_000


class Aftermath(Struct):
    """What later stages need: leaves before the timed commands, and the first entries written by them."""

    snapshot: bytes
    written: list[bytes]


def measure_apply(core: ModuleType, stream: Stream, runs: int, entries: int, report: Report) -> Aftermath:
    """The rate, then one more run that looks at every byte of what was said."""
    genesis, stage = stream.parameters.world().genesis.encode(), stream.parameters.stage("apply")
    timed, commands = batches(stream.timed, BATCH), stream.parameters.commands
    seconds, worked = [], []
    with one_core():
        for _ in range(runs):
            engine = _engine(core, genesis, stream)
            started, working = perf_counter(), thread_time()
            for batch in timed:
                engine.apply(batch)
            seconds.append(perf_counter() - started)
            worked.append(thread_time() - working)
    report.row(stage, commands / min(seconds), TARGET, "target", "commands/s")
    report.check(f"{stage}: ns a command", f"{min(seconds) / commands * 1e9:.0f} best of {runs}, {_spread(seconds)}")
    report.check(f"{stage}: by processor time", f"{commands / min(worked):,.0f} commands/s, were nobody else here")
    report.check(f"{stage}: ns by kind, one at a time", _by_kind(core, genesis, stream))
    return _look(core, genesis, stream, timed, entries, report)


def compare_with_spec(core: ModuleType | None, stream: Stream, spec: SpecRun, commands: int, report: Report) -> None:
    """The spec's rate on the first commands, and that both say the same bytes."""
    prefix = batches(stream.timed, commands)[0]
    theirs = b"".join(spec.apply(prefix))
    stage = stream.parameters.stage("apply")
    report.row(stream.parameters.stage("apply, spec"), commands / spec.seconds, TARGET, "target", "commands/s")
    if core is None:
        survey = Survey()
        survey.read(theirs)
        _check_refusals(survey, commands, stage, report)
        return
    engine = _engine(core, stream.parameters.world().genesis.encode(), stream)
    require(engine.apply(prefix) == theirs, f"core and spec differ within the first {commands} commands")
    require(engine.engine_root() == spec.engine_root(), f"engine roots differ after {commands} commands")
    report.check(f"{stage}: equal to the spec", f"{commands:,} commands, byte by byte, and the engine root")


def _engine(core: ModuleType, genesis: bytes, stream: Stream) -> Any:
    """A fresh engine after the set-up."""
    engine = core.Engine(genesis)
    for batch in batches(stream.setup, BATCH):
        engine.apply(batch)
    return engine


def _look(
    core: ModuleType, genesis: bytes, stream: Stream, timed: list[bytes], entries: int, report: Report
) -> Aftermath:
    """Once more, untimed: refusals, trades, hashes, sums, and the entries for the stage of roots."""
    engine, stage = _engine(core, genesis, stream), stream.parameters.stage("apply")
    snapshot, survey, digest = engine.snapshot(), Survey(), sha3.keccak_256()
    written: list[bytes] = []
    for batch in timed:
        applied = engine.apply(batch)
        survey.read(applied)
        digest.update(applied)
        if len(written) < entries:
            written += islice(entries_of(applied), entries - len(written))
    _check_refusals(survey, stream.parameters.commands, stage, report)
    require(survey.trades == stream.trades, f"{survey.trades} trades, the twin says {stream.trades}")
    report.check(f"{stage}: trades, ledger entries", f"{survey.trades:,}, {survey.entries:,}; trades as the twin says")
    report.check(f"{stage}: events hash", digest.hexdigest())
    report.check(f"{stage}: engine root", engine.engine_root().hex())
    report.check(f"{stage}: settlement root", core.SettlementTree(engine.snapshot(), genesis).root().hex())
    _check_sums(engine, stream, report)
    return Aftermath(snapshot, written)


def _check_refusals(survey: Survey, commands: int, stage: str, report: Report) -> None:
    refused = len(survey.refused_commands)
    named = ", ".join(f"{Reason(number).name} {count}" for number, count in survey.reasons.most_common(5))
    report.check(f"{stage}: refused", f"{refused:,} of {commands:,}" + (f" ({named})" if named else ""))
    require(refused <= commands * MOST_REFUSED, f"{refused} of {commands} commands were refused: {named}")


def _check_sums(engine: Any, stream: Stream, report: Report) -> None:
    """Cash, fees and entry costs add up to what was deposited; positions to nothing; books to the twin's."""
    stage, markets = stream.parameters.stage("apply"), range(len(stream.resting))
    accounts = [decode_account_view(engine.account(s)) for s in range(stream.parameters.accounts + 1)]
    listed = [decode_market_view(engine.market(market)) for market in markets]
    held = [position for account in accounts for position in account.positions]
    left = sum(account.cash + account.withdrawn for account in accounts) - sum(position.entry for position in held)
    left += sum(market.fees - market.shortfall for market in listed) - CASH * stream.parameters.accounts
    sizes = dict.fromkeys(markets, 0)
    for position in held:
        sizes[position.market] += position.size
    orders = Counter(order.market for account in accounts for order in account.orders)
    resting = tuple(orders[market] for market in markets)
    require(left == 0, f"the ledger sums to {left}")
    require(not any(sizes.values()), f"positions sum to {sizes}")
    require(resting == stream.resting, f"{resting} orders rest, the twin says {stream.resting}")
    report.check(f"{stage}: sums", "ledger 0, positions 0")
    report.check(
        f"{stage}: resting", f"{sum(resting):,} in books of {min(resting):,} to {max(resting):,}, as the twin says"
    )
    counts = sorted(len(account.positions) for account in accounts[1:])
    report.check(f"{stage}: positions", f"{counts[0]} to {counts[-1]} an account, median {median(counts):g}")


def _by_kind(core: ModuleType, genesis: bytes, stream: Stream) -> str:
    """Median ns of a command alone in its batch, less an empty call: dearer than in a batch, for comparing kinds."""
    engine = _engine(core, genesis, stream)
    spent: list[list[int]] = [[] for _ in KINDS]
    with one_core():
        empty = []
        for _ in range(1_000):
            started = perf_counter_ns()
            engine.apply(b"")
            empty.append(perf_counter_ns() - started)
        at = 0
        for kind, (_, _, message) in zip(stream.kinds[:_ONE_BY_ONE], split(stream.timed), strict=False):
            frame = stream.timed[at : at + 20 + len(message)]
            at += len(frame)
            started = perf_counter_ns()
            engine.apply(frame)
            spent[kind].append(perf_counter_ns() - started)
    call = median(empty)
    return ", ".join(f"{name} {median(times) - call:.0f}" for name, times in zip(KINDS, spent, strict=True) if times)


def _spread(seconds: list[float]) -> str:
    return f"{(max(seconds) / min(seconds) - 1) * 100:.0f} % between best and worst"
