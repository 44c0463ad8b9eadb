"""Replaying recorded markets at a running venue, and what a replay could reach at best."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.output import REMARKS, UNITS, print_json, print_pairs, print_table, refuse, reporter
from penstock.cli.queries import DEFAULT_URL, AsJson, Url
from penstock.participants.client import GatewayError
from penstock.simulation.recording import RecordingError, load_recording
from penstock.simulation.replay import ReplayOptions
from penstock.simulation.replay_run import run_replay, sample_folder
from penstock.simulation.sample import make_sample
from penstock.simulation.tape import reachable_share

replays = typer.Typer(help="Recorded markets.", no_args_is_help=True)
Recording = Annotated[Path | None, typer.Option(help="Folder of recordings; default: the sample that ships.")]
Levels = Annotated[str, typer.Option(help="Book levels a side to mirror, or 'all'.")]
Seconds = Annotated[float | None, typer.Option(help="Recorded seconds to play; default: once through.", min=1)]
Pace = Annotated[str, typer.Option(help="Times real time, or 'max'.")]


@replays.command("run")
def run(
    url: Url = DEFAULT_URL,
    recording: Recording = None,
    seconds: Seconds = None,
    pace: Pace = "1",
    levels: Levels = "20",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave orders, positions and money where they are at the end.")
    ] = False,
    lines: Annotated[bool, typer.Option("--lines", help="Print progress as one JSON object a line.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mirror a recording at a venue that has the development accounts funded, then flatten and withdraw everybody."""
    options = ReplayOptions(pace=read_pace(pace), levels=read_levels(levels), seconds=seconds)

    report = reporter("replay", "tape", lines)
    try:
        found = asyncio.run(_run(url, recording or sample_folder(), options, report, close=not keep))
    except (RecordingError, GatewayError, ConnectionError, OSError, ValueError) as error:
        raise refuse(f"replay: {error}") from error
    if lines:
        report({"phase": "done", **found})
    elif as_json:
        print_json(found)
    else:
        REMARKS.print(UNITS, highlight=False, soft_wrap=True)
        print_pairs(found)


async def _run(url: str, folder: Path, options: ReplayOptions, report: Any, *, close: bool) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await run_replay(url, folder, options, stop, report, close=close)


@replays.command("share")
def share(recording: Recording = None, seconds: Seconds = None, levels: Levels = "20", as_json: AsJson = False) -> None:
    """How much of the tape a mirror of the book can match at best, computed offline."""
    try:
        shares = reachable_share(load_recording(recording or sample_folder()), read_levels(levels), seconds=seconds)
    except RecordingError as error:
        raise refuse(str(error)) from error
    rows = {
        name: {"trades": s.trades, "printed": s.printed / 1e6, "matched": s.matched / 1e6, "share": s.share}
        for name, s in shares.items()
    }
    if as_json:
        print_json(rows)
    else:
        print_table(
            "reachable share",
            ["market", "trades", "printed USD", "matched USD", "share"],
            [
                (n, r["trades"], f"{r['printed']:,.0f}", f"{r['matched']:,.0f}", f"{r['share']:.2%}")
                for n, r in rows.items()
            ],
        )


@replays.command("sample")
def sample(source: Path, target: Path) -> None:
    """Make the shipped sample from the full recordings."""
    try:
        make_sample(source, target)
    except (RecordingError, OSError) as error:
        raise refuse(str(error)) from error


def read_pace(text: str) -> Any:
    """'max' or a positive number. Raises typer.BadParameter."""
    if text == "max":
        return "max"
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    if not 0.01 <= pace <= 1000:
        raise typer.BadParameter(f"pace {text!r}: a number from 0.01 to 1000, or 'max'")
    return pace


def read_levels(text: str) -> int | None:
    """'all' or 1 to 1000. Raises typer.BadParameter."""
    if text == "all":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise typer.BadParameter(f"levels {text!r}: a whole number from 1 to 1000, or 'all'")
    return int(text)
