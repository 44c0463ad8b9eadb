"""`penstock dated run`: futures and options at a venue whose perpetuals have prices."""

import asyncio
import signal
from typing import Annotated, Any

import typer

from penstock.cli.output import REMARKS, UNITS, print_json, print_pairs, refuse, reporter
from penstock.cli.queries import DEFAULT_URL, AsJson, Url
from penstock.participants.client import GatewayError
from penstock.simulation.dated.run import run_dated

dated = typer.Typer(help="Futures and options.", no_args_is_help=True)


@dated.command("run")
def run(
    url: Url = DEFAULT_URL,
    seconds: Annotated[float | None, typer.Option(help="How long to trade; default: until Ctrl-C.", min=1)] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave orders, positions and money where they are at the end.")
    ] = False,
    lines: Annotated[bool, typer.Option("--lines", help="Print progress as one JSON object a line.")] = False,
    as_json: AsJson = False,
) -> None:
    """List futures and an option chain, price them off a stated surface, quote and take them; then close and withdraw.

    Wants the development accounts funded and somebody who prices the perpetuals, such as `penstock replay run --keep`.
    What anybody lists meanwhile is played too. The guest is closed and withdrawn with everybody, unless --keep.
    """

    report = reporter("dated", "taker_fills", lines)
    try:
        found = asyncio.run(_run(url, seconds, report, close=not keep))
    except (GatewayError, ConnectionError, OSError, ValueError) as error:
        raise refuse(f"dated: {error}") from error
    if lines:
        report({"phase": "done", **found})
    elif as_json:
        print_json(found)
    else:
        REMARKS.print(UNITS, highlight=False, soft_wrap=True)
        print_pairs(found)


async def _run(url: str, seconds: float | None, report: Any, *, close: bool) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    return await run_dated(
        url, stop, report, lambda line: REMARKS.print(line, markup=False, highlight=False, soft_wrap=True), close=close
    )
