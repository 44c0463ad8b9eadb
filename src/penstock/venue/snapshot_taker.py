"""Having snapshots taken beside the node: by another process, from the journal, so that the engine never waits."""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock.venue.sequencer import Executed

log = logging.getLogger(__name__)

NICENESS: Final = 10


class SnapshotTaker:
    """Starts `penstock snapshot take` whenever enough commands have become durable since the last one."""

    def __init__(self, home: Path, engine: str, every: int, last: int) -> None:
        """`every`: commands from one to the next; `last`: the sequence of the newest there is, 0 for none."""
        self._command = [sys.executable, "-m", "penstock", "snapshot", "take", "--home", str(home), "--engine", engine]
        self._every = every
        self._last = last
        self._taking: asyncio.Task[None] | None = None

    def follow(self, group: Sequence[Executed]) -> None:
        """Take note of a durable group."""
        sequence = group[-1].sequence
        if sequence - self._last >= self._every and self._taking is None:
            self._last = sequence
            self._taking = asyncio.create_task(self._take(), name="snapshot")

    async def stop(self) -> None:
        """End a snapshot under way; what it wrote so far is left aside and never read."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)

    async def _take(self) -> None:
        process = await asyncio.create_subprocess_exec(*self._command, stdout=PIPE, stderr=PIPE)
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        try:
            said, complained = await process.communicate()
            if process.returncode == 0:
                log.info("snapshot taken: %s", said.decode(errors="replace").strip())
            else:
                # The journal has everything; a restart only takes longer.
                log.error("no snapshot was taken: %s", complained.decode(errors="replace").strip())
        finally:
            await _end(process)
            self._taking = None


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
