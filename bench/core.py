"""The native core where it is built, and the Rust examples that measure what Python cannot."""

import shutil
import subprocess
from types import ModuleType
from typing import Any, Final

import msgspec

from bench.cache import ROOT
from penstock.engine.native import available

SECONDS: Final = 600
_RUN: Final = ("cargo", "run", "--release", "--locked", "--quiet")


def native_core() -> ModuleType | None:
    """`penstock_core`, or None where it is not installed."""
    if not available():
        return None
    import penstock_core

    return penstock_core


def build_examples(examples: dict[str, str]) -> bool:
    """Build examples (name: package), so that running them measures and does not compile. Whether they can be run."""
    if shutil.which("cargo") is None:
        return False
    for name, package in examples.items():
        command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", package, "--example", name]
        if subprocess.run(command, cwd=ROOT, check=False, timeout=SECONDS).returncode:
            return False
    return True


class Companion:
    """An example that answers every line with a line of JSON, for measuring in turns with us; it sleeps meanwhile."""

    def __init__(self, package: str, name: str) -> None:
        command = [*_RUN, "-p", package, "--example", name, "--", "--json"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line: str) -> dict[str, Any]:
        """Its answer to one line."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
        answer: dict[str, Any] = msgspec.json.decode(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End its input, and with it the process."""
        self._process.communicate(timeout=SECONDS)


def run_example(package: str, name: str, *arguments: str) -> list[dict[str, Any]]:
    """The JSON lines an example prints."""
    command = [*_RUN, "-p", package, "--example", name, "--", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, timeout=SECONDS, stdout=subprocess.PIPE)
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]
