"""`make bench`: `QUICK=1` for a minute instead of six, `REPORT=f.json` for the rows; `python -m bench --json`."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import applied, cache, journaled, kernels, pricing, recovered, roots, saved, signed
from bench.core import build_examples, native_core
from bench.machine import Machine, cores, load
from bench.plan import QUICK, WHOLE, Plan
from bench.report import BenchFailed, Report, print_report, rows_json
from bench.sealed import Sealed
from bench.spec import SpecRun
from bench.world import World
from penstock.spec.settlement_tree import SettlementTree

EXAMPLES: Final = {
    "signing_rates": "penstock-protocol",
    "keccak_rates": "penstock-protocol",
    "bench_book": "penstock-book",
}
REMARKS: Final = Console(stderr=True)
app = typer.Typer(add_completion=False)
Say = Callable[[str], None]


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A minute instead of six: fewer commands and runs.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the rows here, as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """How fast every stage is, beside its limit, in one run. Not audited; not for real money."""
    found = Report(Machine.here(), load())
    core = native_core()
    if core is None:
        REMARKS.print("bench: the native core is not built: only the spec is measured", soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=REMARKS, transient=True, disable=not REMARKS.is_terminal) as progress:
        task = progress.add_task("bench", total=5 if core is None else 9)

        def say(stage: str) -> None:
            progress.update(task, description=f"{stage:<24}", advance=1)

        try:
            _measure(core, QUICK if quick else WHOLE, quick, found, say)
        except BenchFailed as failed:
            REMARKS.print(f"bench: {failed}", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from failed
    found.load_after = load()
    if report is not None:
        report.write_bytes(rows_json(found))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print_report(found, Console())


def _measure(core: ModuleType | None, plan: Plan, quick: bool, report: Report, say: Say) -> None:
    say("making the streams")
    rust = core is not None and build_examples(EXAMPLES)
    stream = cache.stream_of(plan.applied)
    sealed = cache.sealed_of(plan.signed, {10: plan.bundles_of_10, 64: plan.bundles_of_64})
    aftermath = None
    if core is not None:
        say("apply")
        aftermath = applied.measure_apply(core, stream, plan.runs, plan.entries, report)
        say("save, load, replay")
        saved.measure_saved(core, stream, plan.runs, report)
    say("apply, spec")
    spec = SpecRun(World(stream.parameters.accounts).genesis, stream.setup)
    tree = SettlementTree(spec.state)
    applied.compare_with_spec(core, stream, spec, plan.spec_commands, report)
    say("post-roots")
    expected = roots.spec_roots(tree, spec.entries[: plan.spec_entries], report)
    if core is not None and aftermath is not None:
        roots.measure_roots(core, stream.parameters.accounts, aftermath, expected, plan.runs, report)
    say("signed")
    unjournaled = _measure_signed(core, sealed, plan, rust, report)
    say("pricing")
    pricing.measure_pricing(plan, report)
    if core is None:
        return
    say("journaled")
    journaled.measure_journaled(sealed, plan.rounds, report)
    journaled.measure_batches(core, sealed, unjournaled, plan.rounds, report)
    say("recovery")
    recovered.measure_recovery(core, stream, plan.applied.commands, report)
    say("keccak, book")
    if not rust:
        report.remark("keccak and book are not measured: cargo is missing, or could not build their examples")
        return
    kernels.measure_keccak(report)
    kernels.measure_book(quick, report)


def _measure_signed(core: ModuleType | None, sealed: Sealed, plan: Plan, rust: bool, report: Report) -> float:
    """What is verified and applied a second; 0 where only the spec is measured."""
    raw = signed.Raw(rust)
    try:
        unjournaled = 0.0 if core is None else signed.measure_signed(core, sealed, raw, plan.runs, report)
        signed.measure_spec_signed(sealed, raw, plan.spec_commands, report)
    finally:
        raw.close()
    report.check("signed: libsecp256k1 alone", _alone(raw))
    return unjournaled


def _alone(raw: signed.Raw) -> str:
    everywhere = f", {raw.all:,.0f}/s on {cores()}" if raw.all else ""
    return f"{raw.one:,.0f}/s on one core{everywhere}"


if __name__ == "__main__":
    app()
