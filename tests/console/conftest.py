"""What the console's tests share: the charting library, and a pretend venue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .venue import FakeVenue

LIBRARY = (
    Path(__file__)
    .parents[2]
    .joinpath("node_modules", "lightweight-charts", "dist", "lightweight-charts.standalone.production.mjs")
)


@pytest.fixture
def chart_library() -> Path:
    if not LIBRARY.exists():
        pytest.skip("The price chart is not tested: its library is missing (make setup).")
    return LIBRARY


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    """A venue that stands still, without the charting library."""
    still = FakeVenue()
    await still.start(moving=False)
    yield still
    await still.stop()


@pytest.fixture
async def moving_venue(chart_library: Path) -> AsyncIterator[FakeVenue]:
    """A venue that moves by itself, with the charting library."""
    moving = FakeVenue(chart_library)
    await moving.start()
    yield moving
    await moving.stop()
