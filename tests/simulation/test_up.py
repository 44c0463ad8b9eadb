"""The venue without a replay: where its clock begins."""

import asyncio

import pytest

from penstock.participants.client import GatewayClient
from penstock.protocol.instruments import DAY, EXPIRY_HOUR
from penstock.protocol.quantities import MICRO
from penstock.simulation.up import MOST_BEFORE, Up, first_second

MORNING = 1_700_035_200
"""08:00 UTC on 15 November 2023."""


@pytest.mark.parametrize(
    ("now", "minutes", "begins"),
    [
        (MORNING - 7_200, 5, MORNING - 300),
        (MORNING - 300, 5, MORNING - 300),
        (MORNING - 299, 5, MORNING + DAY - 300),
        (MORNING, 1, MORNING + DAY - 60),
        (MORNING, MOST_BEFORE, MORNING),
        (MORNING + 1, MOST_BEFORE, MORNING + DAY),
        (MORNING + 17, None, MORNING + 17),
    ],
)
def test_it_begins_before_the_first_expiry_that_is_far_enough_ahead(now, minutes, begins):
    assert first_second(now, minutes) == begins


@pytest.mark.parametrize("minutes", [0, -5, MOST_BEFORE + 1])
def test_other_minutes_are_refused_with_their_range(minutes):
    with pytest.raises(ValueError, match=rf"before_expiry is {minutes}, wants 1 to 1440 minutes"):
        first_second(MORNING, minutes)


async def test_venue_time_and_chain_time_begin_there_and_run(tmp_path):
    said = []
    up = Up(0, tmp_path / "home", "spec", said.append, before_expiry=5)
    running = asyncio.create_task(up.run())
    try:
        while not any(line.startswith("open ") for line in said):
            assert not running.done(), running.exception()
            await asyncio.sleep(0.05)
        assert any("Dev clock began 5 min before an 08:00 UTC" in line for line in said)
        async with await GatewayClient.connect(said[-1].removeprefix("open ")) as client:
            first = await client.read_time()
            await asyncio.sleep(1.2)
            second = await client.read_time()
            async with asyncio.timeout(20):
                while not await client.call("penstock/get_batches", {"count": 1}):
                    await asyncio.sleep(0.2)
            status = await client.call("public/status")
        left = (EXPIRY_HOUR - first // MICRO) % DAY
        assert 280 <= left <= 300
        assert 1.1 <= (second - first) / MICRO < 3
        assert any("Dev clock" in one for one in status["unsafe"])
    finally:
        up.stop.set()
        await running
