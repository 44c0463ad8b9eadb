"""One replay from connecting to the last withdrawal, reporting as it goes. The demo runs it as a child process."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from penstock.participants.client import GatewayClient
from penstock.simulation.accounts import guest, local_accounts
from penstock.simulation.recording import Recording, load_recording
from penstock.simulation.replay import Replay, ReplayOptions
from penstock.simulation.tape import reachable_share

REPORT_SECONDS: Final = 0.5
Report = Callable[[dict[str, Any]], None]


def sample_folder() -> Path:
    """The recorded sample that ships with the repository."""
    return Path(__file__).resolve().parents[3] / "data" / "binance_20240808"


async def run_replay(
    url: str, folder: Path, options: ReplayOptions, stop: asyncio.Event, report: Report, *, close: bool = True
) -> dict[str, Any]:
    """Play `folder` at the venue until it ends or `stop` is set; then, with `close`, flatten and withdraw all.

    `report` gets a phase and figures about twice a second. Returns the replay's summary with `tape.reachable_share`,
    `closed` and `withdrawn`. Raises RecordingError, GatewayError, ConnectionError.
    """
    report({"phase": "loading"})
    recording = await asyncio.to_thread(load_recording, folder)
    async with await GatewayClient.connect(url) as client:
        accounts = local_accounts(tuple(recording.events))
        replay = Replay(client, recording, accounts, options, guests=[guest()])
        report({"phase": "preparing"})
        await replay.prepare()
        watch = asyncio.create_task(_watch(replay, stop, report))
        try:
            await replay.run()
        finally:
            watch.cancel()
        found = replay.statistics.summary()
        if close:
            report({"phase": "closing", **found})
            closed = await replay.close_out()
            withdrawn = await replay.withdraw_all()
            found["closed"] = {"flat": closed.flat, "left": len(closed.left), "reasons": closed.reasons}
            found["withdrawn"] = sum(withdrawn.values())
    report({"phase": "measuring", **found})
    reachable = await asyncio.to_thread(_reachable, recording, options.levels, found["played_seconds"])
    found["tape"]["reachable_share"] = reachable
    return found


def _reachable(recording: Recording, levels: int | None, seconds: float) -> float | None:
    """The share the same mirror reaches offline over the same span, as often as it was played; None for no span."""
    length = (recording.ends_at() - recording.starts_at()) / 1e6
    loops, rest = divmod(seconds, length)
    printed = matched = 0
    if loops:
        whole = reachable_share(recording, levels)["all"]
        printed, matched = int(loops) * whole.printed, int(loops) * whole.matched
    if rest:
        part = reachable_share(recording, levels, seconds=rest)["all"]
        printed, matched = printed + part.printed, matched + part.matched
    return matched / printed if printed else None


async def _watch(replay: Replay, stop: asyncio.Event, report: Report) -> None:
    while True:
        report({"phase": "replaying", **replay.statistics.summary()})
        try:
            await asyncio.wait_for(stop.wait(), REPORT_SECONDS)
        except TimeoutError:
            continue
        replay.stop()
        return
