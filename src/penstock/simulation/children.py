"""Processes that play a part in a demo and tell how far they are, one JSON object a line."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

SILENCE: Final = 180.0
"""Seconds without a line after which a child counts as hung; measuring the whole tape is silent longest."""


class ChildEnded(RuntimeError):
    """A child ended before its last line."""


class Child:
    """One process. `progress` is its newest line and may be read at any time."""

    def __init__(self, name: str, command: list[str], check: Callable[[], None]) -> None:
        """`check` raises what has gone wrong elsewhere; it is called about once a second."""
        self.progress: dict[str, Any] = {"phase": "starting"}
        self._name = name
        self._command = command
        self._check = check
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> dict[str, Any]:
        """Its last line. Raises ChildEnded when it ends without one, RuntimeError when it falls silent."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.PIPE, start_new_session=True, limit=1 << 20
        )
        return await self._read(self._process)

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        """Kill it if it still runs, and wait until it has gone."""
        self.kill()
        if self._process is not None:
            await self._process.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None
        heard = time.monotonic()
        while True:
            self._check()
            try:
                line = await asyncio.wait_for(process.stdout.readline(), 1.0)
            except TimeoutError:
                if time.monotonic() - heard > SILENCE:
                    raise RuntimeError(
                        f"the {self._name} was silent for {SILENCE:.0f} s while {self.progress['phase']}"
                    ) from None
                continue
            if not line:
                raise ChildEnded(f"the {self._name} ended early with exit code {await process.wait()}")
            heard = time.monotonic()
            self.progress = msgspec.json.decode(line)
            if self.progress["phase"] == "done":
                return self.progress
