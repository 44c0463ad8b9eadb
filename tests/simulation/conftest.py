"""What the simulation's tests share: the bundled sample, and a served naive venue."""

from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from naive_venue import NaiveVenue

from penstock.participants.client import GatewayClient
from penstock.simulation.accounts import development_accounts
from penstock.simulation.recording import load_recording

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "binance_20240808"


@pytest.fixture(scope="session")
def sample_folder():
    return SAMPLE


@pytest.fixture(scope="session")
def recording():
    return load_recording(SAMPLE)


@pytest.fixture
async def open_venue():
    """Call with a clock rate (None: driven) to get (venue, client, accounts)."""
    opened = []

    async def open_at(rate=1.0):
        accounts = development_accounts()
        venue = NaiveVenue({t.subaccount: t.owner().address for t in accounts.traders}, rate)
        server = TestServer(venue.app())
        await server.start_server()
        client = await GatewayClient.connect(str(server.make_url("")))
        opened.append((client, server))
        return venue, client, accounts

    yield open_at
    for client, server in opened:
        await client.close()
        await server.close()
