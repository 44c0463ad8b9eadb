"""A watcher says what is not so in what was published: here, of the times; the demo has it follow everything."""

import pytest

from penstock.protocol.batch import Batch
from penstock.settlement.published import PublishedCommand
from penstock.simulation.watching import _Watcher
from venue.harness import GENESIS

ZERO = bytes(32)


def batch(number, time):
    return Batch(number, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, 1, 3, 0, time, 0, ZERO, 0)


def commands(*times):
    return [PublishedCommand(sequence, time, b"", ()) for sequence, time in enumerate(times, 1)]


@pytest.mark.parametrize(
    ("times", "stamp", "said"),
    [
        ((7, 7, 9), 9, []),
        ((7, 6, 9), 9, ["batch 2: its times go back"]),
        ((4, 7, 9), 9, ["batch 2: its times go back"]),
        ((7, 8, 9), 8, ["batch 2: it bears time 8, its last command 9"]),
    ],
)
def test_times_that_go_back_and_a_batch_of_another_time_are_differences(tmp_path, times, stamp, said):
    watcher = _Watcher(tmp_path, GENESIS, "spec")
    watcher._check_times(batch(1, 5), commands(3, 5, 5))
    watcher._check_times(batch(2, stamp), commands(*times))
    assert watcher._differences == said
