"""Printing: tables for people, JSON for programs; results to stdout, everything else to stderr."""

from collections.abc import Sequence
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

RESULTS = Console()
REMARKS = Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON document, indented, to stdout."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table to stdout."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    RESULTS.print(table)


def print_pairs(value: dict[str, Any], indent: str = "") -> None:
    """Nested names and values, a line each, to stdout."""
    for name, item in value.items():
        if isinstance(item, dict):
            RESULTS.print(f"{indent}{name}", highlight=False)
            print_pairs(item, indent + "  ")
        else:
            RESULTS.print(f"{indent}{name:<28} {item}", highlight=False, soft_wrap=True)


def refuse(message: str) -> typer.Exit:
    """Say on stderr why it was refused; raise what this returns (exit code 1)."""
    REMARKS.print(message, style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)
