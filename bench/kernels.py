"""Stages `keccak` and `book`: two kernels alone, measured by Rust examples."""

from typing import Final

from bench.core import run_example
from bench.report import Report

_LANES: Final = {"plain": 1, "One": 1, "Four": 4, "Eight": 8}
_NODE: Final = 129
"""Bytes hashed for a node of an account's tree: a domain byte and four words."""
_ARRAY_BOOK: Final = 32_000_000
"""A plain C array book with 45,000 resting orders on this kind of machine; measured before, not in this run."""
ROUNDS: Final = 2
OPERATIONS: Final = {False: 5_000_000, True: 1_000_000}


def measure_keccak(report: Report) -> None:
    """Hashes side by side beside as many plain ones."""
    rates: dict[str, float] = {}
    for _ in range(ROUNDS):
        for line in run_example("penstock-protocol", "keccak_rates"):
            if line["length"] == _NODE:
                rates[line["width"]] = max(rates.get(line["width"], 0.0), float(line["rate"]))
    plain = rates["plain"]
    for width, rate in rates.items():
        lanes = _LANES[width]
        if lanes > 1:
            report.row(f"keccak, {lanes} lanes", rate, plain * lanes, f"the plain hash × {lanes}", "M hashes/s")
    report.remark(
        "keccak: a processor works through fewer wide instructions a cycle than narrow ones: 1 is out of reach"
    )
    report.check("keccak: plain", f"{plain:.2f} M hashes/s of {_NODE} bytes, {1e3 / plain:.0f} ns each")


def measure_book(quick: bool, report: Report) -> None:
    """The book alone at 45,000 resting orders; its events are the naive book's."""
    [line] = run_example("penstock-book", "bench_book", str(OPERATIONS[quick]))
    report.row("book", line["operations"], _ARRAY_BOOK, "a C array book, before", "operations/s")
    report.remark("book: the limit is a plain C array book on this kind of machine, quiet, and not of this run")
    report.check("book", f"{line['resting']:,} resting, {line['said']:,} events, equal to the naive book's")
