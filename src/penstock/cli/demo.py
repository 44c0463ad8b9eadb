"""`penstock demo` and `penstock up`."""

import asyncio
import errno
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.live import Live
from rich.table import Table

from penstock.cli.output import REMARKS, UNITS, print_json, print_pairs, refuse
from penstock.cli.queries import AsJson
from penstock.cli.replays import Pace, Recording, read_levels, read_pace
from penstock.engine.native import available
from penstock.settlement.chain import ChainError
from penstock.simulation.demo import Demo, DemoOptions, Interrupted, problems
from penstock.simulation.recording import RecordingError
from penstock.simulation.up import MOST_BEFORE, Up
from penstock.venue.engine_port import ENGINES
from penstock.venue.journal import JournalError
from penstock.venue.sequencer import NodeStopped

Port = Annotated[int, typer.Option(help="Port of the gateway and the page; 0 takes a free one.", min=0, max=65535)]
Home = Annotated[
    Path | None,
    typer.Option(help="Empty folder for the journal and batches, kept; default: a temporary one.", file_okay=False),
]
Engine = Annotated[str, typer.Option(help="native (Rust), spec (Python), or auto: native where it is installed.")]
INTERRUPTED = 130
STOPPING = (
    "stopping: everybody is closed, withdrawn, paid on chain and checked, which takes up to a minute; "
    "Ctrl-C again ends it without that"
)
WARNING = "[bold yellow]Not audited; not for real money.[/] Development keys, development chain, short windows."


def run_demo(
    seconds: Annotated[
        float | None, typer.Option(help="Recorded seconds to play; default: until Ctrl-C.", min=1)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report to this JSON file.")] = None,
    pace: Pace = "1",
    levels: Annotated[
        str | None, typer.Option(help="Book levels a side to mirror, or 'all'; default: all on native, 20 on spec.")
    ] = None,
    engine: Engine = "auto",
    port: Port = 8420,
    home: Home = None,
    recording: Recording = None,
    as_json: AsJson = False,
) -> None:
    """A whole venue on a recorded market: chain, node, makers and takers, page; everybody out at the end."""
    hand = read_engine(engine)
    options = DemoOptions(
        seconds=seconds, pace=read_pace(pace), levels=read_levels(levels or ("all" if hand == "native" else "20")),
        engine=hand, port=port, home=home, recording=recording,
    )  # fmt: skip
    if report and (report.is_dir() or not report.parent.is_dir()):
        raise typer.BadParameter(f"report {str(report)!r}: a file in a folder that exists")
    REMARKS.print(WARNING, soft_wrap=True)
    logging.basicConfig(level=logging.WARNING)
    try:
        found = asyncio.run(_demo(options))
    except Interrupted as interrupted:
        REMARKS.print(f"demo: interrupted {interrupted}; nothing is reported", highlight=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from interrupted
    except (ChainError, JournalError, NodeStopped, OSError, RecordingError, RuntimeError, TimeoutError) as error:
        raise refuse(f"demo: {_plain(error, port)}") from error
    if report:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    if as_json:
        print_json(found)
    else:
        REMARKS.print(UNITS, highlight=False, soft_wrap=True)
        print_pairs(found)
    wrong = problems(found)
    if wrong:
        raise refuse("demo: " + "; ".join(wrong))


def run_up(
    port: Port = 8420,
    home: Home = None,
    engine: Engine = "auto",
    before_expiry: Annotated[
        int | None,
        typer.Option(
            metavar="MINUTES", min=1, max=MOST_BEFORE,
            help="Begin venue time so many minutes before an 08:00 UTC, when contracts end; default: now.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """The same venue without the replay: development accounts funded, waiting for orders, until Ctrl-C."""
    REMARKS.print(WARNING, soft_wrap=True)
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(_up(port, home, read_engine(engine), before_expiry))
    except (ChainError, JournalError, NodeStopped, OSError, TimeoutError) as error:
        raise refuse(f"up: {_plain(error, port)}") from error


def read_engine(text: str) -> str:
    """'native' or 'spec', whichever `text` comes to here. Raises typer.BadParameter."""
    if text not in ENGINES:
        raise typer.BadParameter(f"engine {text!r}: one of {', '.join(ENGINES)}")
    if text == "native" and not available():
        raise typer.BadParameter("engine 'native': not installed here (make setup builds it where cargo works)")
    if text == "auto" and not available():
        REMARKS.print("engine: the native core is not installed, the spec runs", soft_wrap=True)
    return "native" if text == "native" or (text == "auto" and available()) else "spec"


def _plain(error: Exception, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: choose another with --port (PORT= for make), or 0 for any"
    return str(error)


async def _demo(options: DemoOptions) -> dict[str, Any]:
    def say(line: str) -> None:
        REMARKS.print(line, markup=False, highlight=False, soft_wrap=True)

    demo = Demo(options, say)
    running = asyncio.create_task(demo.run(_show_table))

    def stop() -> None:
        if demo.stop.is_set():
            if not running.cancelling():
                running.cancel()
        else:
            say(STOPPING if demo.begun else "stopping before the replay began")
            demo.stop.set()

    on_signals(stop)
    try:
        return await running
    except asyncio.CancelledError as cancelled:
        raise Interrupted("a second time, before everybody was out") from cancelled


async def _up(port: int, home: Path | None, engine: str, before_expiry: int | None) -> None:
    def say(line: str) -> None:
        REMARKS.print(line, markup=False, highlight=False, soft_wrap=True)

    up = Up(port, home, engine, say, before_expiry)
    on_signals(up.stop.set)
    await up.run()


def on_signals(stop: Callable[[], object]) -> None:
    """Call `stop` on Ctrl-C and on SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


async def _show_table(demo: Demo) -> None:
    """A live table on a terminal, a line every ten seconds elsewhere."""
    if not REMARKS.is_terminal:
        while True:
            await asyncio.sleep(10)
            REMARKS.print(
                " · ".join(f"{name} {value}" for name, value in _figures(demo)), highlight=False, soft_wrap=True
            )
    with Live(console=REMARKS, refresh_per_second=4, transient=True) as live:
        while True:
            table = Table("", "", show_header=False)
            for name, value in _figures(demo):
                table.add_row(name, value)
            live.update(table)
            await asyncio.sleep(0.25)


def _figures(demo: Demo) -> list[tuple[str, str]]:
    assert demo.venue is not None
    statistics = demo.venue.node.statistics.shown()
    tape = demo.progress.get("tape") or {}
    share = tape.get("matched_share")
    ack = (demo.progress.get("ack_ms") or {}).get("p50")
    return [
        ("phase", str(demo.progress["phase"])),
        ("commands", f"{statistics['commands']:,}"),
        ("trades", f"{statistics['trades']:,}"),
        ("volume", f"{float(statistics['volume']):,.0f} USDC"),
        ("tape matched", "–" if share is None else f"{share:.2%}"),
        ("ack p50", "–" if ack is None else f"{ack:.1f} ms"),
        ("batches", f"{statistics['batches']:,}"),
        ("page", demo.venue.node.url),
    ]
