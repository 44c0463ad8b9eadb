"""A node with the demo's accounts, oracles and templates, without a chain; its perpetuals are priced by the test."""

import asyncio
from contextlib import asynccontextmanager, suppress

from msgspec.structs import replace

from penstock.participants.session import Session
from penstock.protocol.commands import BUY, IMMEDIATE_OR_CANCEL, CreditDeposit, PublishPrice
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer, seal
from penstock.protocol.terms import default_markets, default_templates
from penstock.simulation.accounts import everybody, local_accounts
from penstock.simulation.dated.run import run_dated
from penstock.venue.clock import DevClock
from penstock.venue.keepers import KeeperPace
from venue.harness import GENESIS, SEPARATOR, running, submit

ORACLES = [Signer(key) for key in local_accounts().oracles]
VENUE = replace(
    GENESIS,
    markets=default_markets(),
    templates=default_templates(),
    oracles=tuple(sorted(oracle.address for oracle in ORACLES)),
)
EXPIRY = 1_700_035_200
"""08:00 UTC on 15 November 2023."""
INDICES = {0: 600_000, 1: 300_000}
"""60,000 USD and 3,000 USD in price units."""
MONEY = 100_000_000 * MICRO


@asynccontextmanager
async def open_venue(home, before=3_600, money=MONEY):
    """A node whose clock begins `before` seconds before an expiry and runs with the wall; no market has a price."""
    keepers = KeeperPace(contracts=0.1)
    clock = DevClock((EXPIRY - before) * MICRO)
    async with running(home, funded=False, genesis=VENUE, clock=clock, keepers=keepers) as node:
        for number, trader in enumerate(everybody()):
            deposit = CreditDeposit(number, trader.subaccount, trader.owner().address, money, 1)
            assert (await node.sequencer.submit_local(deposit)).outcomes[0].reason is None
        yield node


async def price(node, indices=INDICES):
    """One price of each perpetual, now."""
    for market, index in indices.items():
        record = PublishPrice(market, node.clock.now(), index, index)
        answer = await submit(node, seal(SEPARATOR, record, ORACLES[:2]))
        assert answer.outcomes[0].reason is None


@asynccontextmanager
async def playing(node, **options):
    """A dated run beside the test: (its newest figures, and what ends it and returns its summary)."""
    stop, figures = asyncio.Event(), {}
    run = asyncio.create_task(run_dated(node.url, stop, figures.update, **options))

    async def end():
        stop.set()
        return await run

    try:
        yield figures, end
    finally:
        stop.set()
        run.cancel()
        with suppress(asyncio.CancelledError, ValueError):
            await run


async def until(condition, seconds=20):
    """Wait for a condition, which may be a coroutine function."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.05)


def owner_session(client, trader, separator=SEPARATOR):
    """A trader's owner, who may sign everything."""
    return Session(client, separator, trader.subaccount, trader.owner())


async def take(client, session, name, coin=0.1):
    """Buy up to so much of what the maker asks; how many coins filled."""
    listed = await client.call("public/get_instrument", {"instrument_name": name})
    ticker = await client.call("public/ticker", {"instrument_name": name})
    limit = round(ticker["best_ask_price"] / float(listed["price_unit"]))
    size = round(coin / float(listed["size_unit"]))
    order = session.place(16, listed["instrument_id"], BUY, limit, size, time_in_force=IMMEDIATE_OR_CANCEL)
    answer = await session.submit(order)
    assert answer.reasons == []
    return answer.outcomes[0].filled * float(listed["size_unit"])
