"""The machine a run is made on, and holding a measurement to one core."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

QUIET: Final = 1.1
"""Load average above which a run is only a lower bound."""


class Machine(Struct, frozen=True):
    """What the numbers belong to."""

    processor: str
    cores: int
    system: str
    python: str

    @staticmethod
    def here() -> "Machine":
        """This one."""
        return Machine(_cpu_model(), cores(), platform.platform(), platform.python_version())


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def load() -> float:
    """Load average of the last minute."""
    return round(os.getloadavg()[0], 2)


@contextmanager
def one_core() -> Iterator[None]:
    """Hold the calling thread, and the threads it starts meanwhile, to one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
