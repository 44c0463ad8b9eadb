"""Many seeded streams, over as many processes as wanted."""

import signal
from collections.abc import Callable, Generator, Sequence
from functools import partial
from multiprocessing import get_context

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
    # Spawned: a forked child would inherit the progress bar's thread and the parent's signals.
    with get_context("spawn").Pool(min(jobs, len(tasks)), _leave_interrupts_to_the_parent) as pool:
        for outcome in pool.imap_unordered(partial(run, hands_for=hands_for), tasks):
            progress(outcome.tally.commands)
            yield outcome


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
