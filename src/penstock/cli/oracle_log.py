"""How an oracle speaks to its operator: a log with times on stderr, decisions as lines of JSON on stdout."""

import logging
import os
import sys
import time
from typing import Any

import msgspec

from penstock.venue.oracle.decisions import Decision


def log_to_stderr() -> None:
    """Each line of the log with its time, UTC; of oracles also what is no alarm."""
    shown = logging.StreamHandler(sys.stderr)
    form = logging.Formatter("%(asctime)sZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    shown.setFormatter(form)
    logging.basicConfig(level=logging.WARNING, handlers=[shown])
    logging.getLogger("penstock.venue.oracle").setLevel(logging.INFO)


class DecisionLines:
    """Prints each decision as a line of JSON to stdout, for as long as somebody reads them.

    An oracle must outlive the reader of its log: when the pipe is closed, that is said once on stderr, and nothing is
    printed any more.
    """

    def __init__(self) -> None:
        self._has_reader = True

    def print(self, decision: Decision) -> None:
        """Print one decision."""
        if not self._has_reader:
            return
        shown: dict[str, Any] = msgspec.to_builtins(decision)
        try:
            sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")
            sys.stdout.buffer.flush()
        except OSError as error:
            self._has_reader = False
            # What is left in the buffer goes nowhere, so that the end of the process does not fail for it.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
            logging.getLogger("penstock.venue.oracle").warning(
                "decisions are printed no more: %s; the oracle goes on", error.strerror or error
            )
