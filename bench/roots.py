"""Stage `post-roots`: one settlement root per ledger entry, on one core."""

from time import perf_counter
from types import ModuleType
from typing import Final

from bench.applied import Aftermath
from bench.machine import one_core
from bench.report import Report, require
from bench.world import World
from penstock.protocol.ledger import Entry
from penstock.spec.settlement_tree import SettlementTree

TARGET: Final = 40_000
BATCH: Final = 1_024
_NAME: Final = "target"
_UNIT: Final = "entries/s"


def spec_roots(tree: SettlementTree, entries: list[Entry], report: Report) -> list[bytes]:
    """The spec's roots and its rate."""
    started = perf_counter()
    roots = [tree.advance(entry) for entry in entries]
    report.row("post-roots, spec", len(entries) / (perf_counter() - started), TARGET, _NAME, _UNIT)
    return roots


def measure_roots(
    core: ModuleType, accounts: int, aftermath: Aftermath, expected: list[bytes], runs: int, report: Report
) -> None:
    """The core's rate over the entries the applied stream wrote; the first roots are the spec's."""
    tree = core.SettlementTree(aftermath.snapshot, World(accounts).genesis.encode())
    written, seconds = aftermath.written, []
    with one_core():
        for _ in range(runs):
            twin, roots = tree.copy(), []
            started = perf_counter()
            for at in range(0, len(written), BATCH):
                roots += twin.advance(written[at : at + BATCH])
            seconds.append(perf_counter() - started)
            require(roots[: len(expected)] == expected, "post-roots differ from the spec's")
    report.row("post-roots", len(written) / min(seconds), TARGET, _NAME, _UNIT)
    report.check("post-roots: equal to the spec", f"{len(expected):,} of {len(written):,} roots")
