"""Many seeded streams, over as many processes as wanted."""

import signal
from collections.abc import Callable, Generator, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool

from penstock.protocol.terms import Genesis
from penstock.simulation.side_by_side import Hands, Outcome, Task, run


def run_all(
    tasks: Sequence[Task],
    hands_for: Callable[[Genesis], Hands] | None,
    jobs: int,
    progress: Callable[[int], None],
) -> Generator[Outcome]:
    """Outcomes as they come. With several jobs `hands_for` must be importable; leaving early stops the rest."""
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            yield run(task, hands_for, progress=progress)
        return
    with _pool(min(jobs, len(tasks))) as pool:
        for outcome in pool.imap_unordered(partial(run, hands_for=hands_for), tasks):
            progress(outcome.tally.commands)
            yield outcome


def _pool(jobs: int) -> Pool:
    """Processes that leave interrupts to the parent from their first instruction on: they inherit that it is ignored.

    Spawned: a forked child would inherit the progress bar's thread.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return get_context("spawn").Pool(jobs)
    finally:
        signal.signal(signal.SIGINT, before)
