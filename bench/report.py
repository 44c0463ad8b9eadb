"""Rows of six keys, what was checked, and the remarks a reader needs; as a table or as JSON."""

from typing import Any, Final

import msgspec
from msgspec import Struct, field
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.machine import QUIET, Machine

KEYS: Final = ("stage", "ours", "limit", "limit_name", "unit", "ratio")


class Row(Struct, frozen=True):
    """One measurement beside its limit. `ratio` is how much of the limit is reached: ours / limit."""

    stage: str
    ours: float
    limit: float
    limit_name: str
    unit: str
    ratio: float


class Report(Struct):
    """A run."""

    machine: Machine
    load_before: float
    load_after: float = 0.0
    rows: list[Row] = field(default_factory=list)
    checks: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def row(self, stage: str, ours: float, limit: float, limit_name: str, unit: str) -> None:
        """Add a measurement."""
        self.rows.append(Row(stage, _rounded(ours), _rounded(limit), limit_name, unit, round(ours / limit, 4)))

    def check(self, name: str, value: Any) -> None:
        """Add a result that makes a rate worth reading: a hash, a count, an equality."""
        self.checks[name] = value

    def remark(self, text: str) -> None:
        """Add a sentence."""
        self.remarks.append(text)


class BenchFailed(Exception):
    """What ran was not what should have run: its rate is worth nothing."""


def require(holds: bool, what: str) -> None:
    """Raises BenchFailed unless it holds."""
    if not holds:
        raise BenchFailed(what)


def rows_json(report: Report) -> bytes:
    """The rows alone, as `REPORT=` writes them."""
    return msgspec.json.format(msgspec.json.encode(report.rows), indent=2) + b"\n"


def print_report(report: Report, console: Console) -> None:
    """A table of rows, then the checks and the remarks."""
    machine = report.machine
    table = Table("stage", "ours", "limit", "unit", "ratio", "the limit is", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:3]:
        column.justify = "right"
    for column in table.columns[1:5]:
        column.no_wrap = True
    for row in report.rows:
        table.add_row(row.stage, _shown(row.ours), _shown(row.limit), row.unit, f"{row.ratio:.3f}", row.limit_name)
    console.print(table)
    for name, value in report.checks.items():
        console.print(f"{name:<32} {value}", highlight=False, markup=False, soft_wrap=True)
    for remark in report.remarks:
        console.print(f"- {remark}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}; "
        f"load {report.load_before} before, {report.load_after} after",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if report.load_before > QUIET:
        console.print(f"load was above {QUIET} before the run: every rate is a lower bound", style="yellow")


def _rounded(value: float) -> float:
    return round(value, 3) if abs(value) < 1_000 else float(round(value))


def _shown(value: float) -> str:
    return f"{value:,.3f}" if value < 1_000 else f"{value:,.0f}"
