"""Printing: tables for people, JSON for programs; results to stdout, everything else to stderr."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any, Final

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock.settlement.contracts import repository

RESULTS = Console()
PIPED: Final = Console(width=1 << 16)
"""For tables that no terminal shows: whoever reads them cuts them."""
REMARKS = Console(stderr=True)
ABSENT: Final = "–"
UNITS: Final = "volumes are in USD, other money in 1e-6 USDC, shares parts of 1: docs/reference/report.md"
"""Of the figures that a demo or a replay reports."""


def print_json(value: Any) -> None:
    """One JSON document, indented, to stdout."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table to stdout: as wide as the terminal, its first column whole; elsewhere as wide as it is."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(plain, row))
    first = table.columns[0]
    first.no_wrap, first.min_width = True, max(map(cell_len, [columns[0], *(plain(row[0]) for row in rows)]))
    shown = RESULTS if RESULTS.is_terminal else PIPED
    shown.print(Text(title), table, markup=False, sep="\n")


def print_pairs(value: dict[str, Any], indent: str = "") -> None:
    """Nested names and values, a line each, to stdout; of a list of records a line each, its first value in front."""
    for name, item in value.items():
        if isinstance(item, dict) and item:
            _print_line(f"{indent}{name}")
            print_pairs(item, indent + "  ")
        elif isinstance(item, list) and item and all(isinstance(each, dict) and each for each in item):
            _print_line(f"{indent}{name}")
            for each in item:
                first, *rest = each.items()
                _print_line(f"{indent}  {first[1]:<28} {', '.join(f'{key} {plain(said)}' for key, said in rest)}")
        else:
            _print_line(f"{indent}{name:<28} {plain(item)}")


def plain(value: object) -> str:
    """As a person reads it: – for None, none for an empty list, a number that is no integer with four decimals, or
    below 1 with four digits."""
    if value is None:
        return ABSENT
    if isinstance(value, list | dict) and not value:
        return "none"
    if not isinstance(value, float) or not isfinite(value):
        return str(value)
    rounded = round(value, 4) if abs(value) >= 1 else float(f"{value:.4g}")
    return f"{Decimal(str(rounded)):f}"


def utc(milliseconds: float, *, fraction: bool = False) -> str:
    """A time of the venue, UTC: to the minute, or with `fraction` to the millisecond."""
    moment = datetime.fromtimestamp(milliseconds / 1_000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1_000:03}" if fraction else f"{moment:%Y-%m-%d %H:%M}"


def _print_line(line: str) -> None:
    RESULTS.print(line, markup=False, highlight=False, soft_wrap=True)


def reporter(about: str, figures: str, lines: bool) -> Callable[[dict[str, Any]], None]:
    """Hears a phase and its figures: `lines` wants each as a line of JSON on stdout. Else a terminal shows the phase
    with what the figures have under the name `figures`, and a file gets a line when a phase begins, on stderr."""
    phases: set[str] = set()

    def report(told: dict[str, Any]) -> None:
        if lines:
            sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
            sys.stdout.buffer.flush()
        elif sys.stderr.isatty():
            REMARKS.print(f"{told['phase']}: {told.get(figures, '')}", end="\r")
        elif told["phase"] not in phases:
            phases.add(told["phase"])
            REMARKS.print(f"{about}: {told['phase']}", highlight=False, soft_wrap=True)

    return report


def refuse(message: str) -> typer.Exit:
    """Say on stderr why it was refused; raise what this returns (exit code 1)."""
    REMARKS.print(message, style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)


def sentence_of(reason: str) -> str:
    """A reason's sentence from `schema/reasons.txt`; away from the repository, its name as words."""
    return _sentences().get(reason) or reason.replace("_", " ").capitalize() + "."


@cache
def _sentences() -> dict[str, str]:
    path = repository() / "schema" / "reasons.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = [line.split(maxsplit=1) for line in lines if line[:1].isalpha()]
    return {row[0]: row[1] for row in rows if len(row) == 2}
