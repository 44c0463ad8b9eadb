"""`penstock sim`: seeded streams through the spec and the native core, compared."""

import os
import signal
import time
from collections import Counter
from contextlib import closing
from enum import StrEnum
from typing import Annotated, Any

import typer
from msgspec import to_builtins
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from penstock.cli.output import REMARKS, print_json, print_table, refuse
from penstock.cli.queries import AsJson
from penstock.engine.native import available
from penstock.protocol.commands import RECORD_TYPES
from penstock.protocol.events import Event
from penstock.protocol.reasons import Cause, Reason
from penstock.simulation.many_seeds import run_all
from penstock.simulation.side_by_side import SAVES, Difference, NativeHands, Tally, Task

SEEDS = 40
COMMANDS = 5_000
INTERRUPTED = 130
NAMES = {
    "records": [record.__name__ for record in RECORD_TYPES],
    "events": [event.__name__ for event in Event.__args__],
    "reasons": [reason.name for reason in Reason],
    "causes": [cause.name for cause in Cause],
}


class Engine(StrEnum):
    """Who runs: the spec beside the core where that is built, the spec alone, or no run without the core."""

    BOTH = "both"
    SPEC = "spec"
    NATIVE = "native"


def run_simulation(
    seed: Annotated[int | None, typer.Option(help="First seed; alone, it runs just that one.", min=0)] = None,
    seeds: Annotated[int | None, typer.Option(help=f"How many seeds; default: {SEEDS}.", min=1)] = None,
    commands: Annotated[int, typer.Option(help="Commands of each seed.", min=1)] = COMMANDS,
    envelopes: Annotated[
        int, typer.Option(help="One message in so many begins as signed bytes; 1: each, 0: none.", min=0)
    ] = 8,
    saves: Annotated[
        int, typer.Option(help="Save, compare and load both again after so many commands; 0: never.", min=0)
    ] = SAVES,
    engine: Annotated[Engine, typer.Option(help="both; spec alone; native: both, and refuse without it.")] = (
        Engine.BOTH
    ),
    jobs: Annotated[int | None, typer.Option(help="Processes; default: one a core.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Seeded streams of all commands, malformed ones included, through the spec and the native core side by side."""
    native = engine != Engine.SPEC and available()
    if engine == Engine.NATIVE and not native:
        raise refuse("sim: the native core is not built")
    if engine == Engine.BOTH and not native:
        REMARKS.print("sim: the native core is not built: the spec runs alone and nothing is compared", soft_wrap=True)
    first = 1 if seed is None else seed
    count = seeds or (SEEDS if seed is None else 1)
    tasks = [Task(number, commands, envelopes, saves) for number in range(first, first + count)]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    tally, difference, finished = _run(tasks, native, jobs or os.cpu_count() or 1)
    found = {
        "engine": "both" if native else "spec",
        "seeds": {"first": first, "count": count},
        "seconds": round(time.monotonic() - started, 1),
        **_complete(to_builtins(tally)),
        "difference": to_builtins(difference),
    }
    if as_json:
        print_json(found)
    else:
        _print_counts(found)
    if difference:
        raise refuse(str(difference))
    if not finished:
        REMARKS.print("sim: interrupted; the counts are of the seeds that were done", soft_wrap=True)
        raise typer.Exit(INTERRUPTED)


def _run(tasks: list[Task], native: bool, jobs: int) -> tuple[Tally, Difference | None, bool]:
    """Counts, the first difference, and whether it came to its end."""
    tally = Tally()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=REMARKS, transient=True, disable=not REMARKS.is_terminal) as progress:
        bar = progress.add_task("commands", total=sum(task.commands for task in tasks))
        hands_for = NativeHands if native else None
        try:
            with closing(run_all(tasks, hands_for, jobs, lambda done: progress.advance(bar, done))) as outcomes:
                for outcome in outcomes:
                    tally.add(outcome.tally)
                    if outcome.difference:
                        return tally, outcome.difference, True
        except KeyboardInterrupt:
            return tally, None, False
    return tally, None, True


def _complete(counts: dict[str, Any]) -> dict[str, Any]:
    """Every name there is, those that never came with 0."""
    return counts | {group: dict.fromkeys(names, 0) | counts[group] for group, names in NAMES.items()}


def _print_counts(found: dict[str, Any]) -> None:
    for group, names in NAMES.items():
        counts = Counter(found[group])
        print_table(group, ["name", "count"], [(name, f"{counts[name]:,}" if counts[name] else "–") for name in names])
    per_command = found["seconds"] / max(1, found["commands"]) * 1e6
    compared = "spec and core the same" if found["engine"] == "both" else "on the spec alone"
    if found["difference"]:
        compared = "and a difference"
    typer.echo(
        f"{found['commands']:,} commands of {found['seeds']['count']} seeds, {found['envelopes']:,} envelopes, "
        f"{found['entries']:,} entries, {found['saves']:,} saves: {compared}; "
        f"{found['seconds']} s, {per_command:.0f} µs a command"
    )
