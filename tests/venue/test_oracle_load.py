"""How many markets three oracles and a node can keep priced on one core: `pytest -s` prints the numbers."""

import asyncio
import time
from statistics import median

import pytest
from msgspec.structs import replace

from penstock.pricing.index import IndexRules
from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import default_markets, default_templates
from penstock.simulation.dated.plan import listings
from penstock.venue.clock import DevClock
from penstock.venue.oracle.decisions import Outcome
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.volatility import flat_in_time, surfaces

from .harness import START
from .oracles import GENESIS, Told, quorum

LOADED = replace(GENESIS, markets=default_markets(), templates=default_templates())
STATED = surfaces({"BTC": flat_in_time(0.55), "ETH": flat_in_time(0.7)})
SECONDS = 8
PRICES = {"BTC": 60_000.0, "ETH": 3_000.0}


@pytest.mark.parametrize("every", [OracleRules().contracts_every, 1.0])
async def test_three_oracles_keep_forty_eight_markets_priced(tmp_path, every):
    rules = OracleRules(index=IndexRules(agreeing=2), clocks_apart=1e9, list_every=1.0, contracts_every=every)
    clock = DevClock(START, 1.0)
    async with quorum(tmp_path, rules=rules, genesis=LOADED, clock=clock, volatilities=[STATED] * 3, start=False) as q:
        for seat in q.seats:
            seat.sources[:] = [Told(name, PRICES.__getitem__) for name in ("north", "south", "west")]
        await q.look()
        q.start()
        await q.more_of((0, 1), 1)
        for record in listings(LOADED.templates, clock.now() // MICRO, {0: 600_000, 1: 300_000}):
            assert (await q.node.sequencer.submit_local(record)).outcomes[0].reason is None
        markets = list(q.node.market_data.markets)
        await q.more_of(markets, 1)
        before, spent, began = len(q.published), time.process_time(), time.monotonic()
        await asyncio.sleep(SECONDS)
        taken, seconds = q.published[before:], time.monotonic() - began
        share = (time.process_time() - spent) / seconds
        wanted = seconds * (2 / rules.every + (len(markets) - 2) / rules.contracts_every)
        delays = [executed.time - event.published_at for executed, event in taken]
        print(
            f"\n{len(markets)} markets, contracts every {every:g} s, {seconds:.1f} s: "
            f"{len(taken)} of {wanted:.0f} slots published; from stamp to sequence "
            f"{median(delays) / 1_000:.0f} ms (median), {max(delays) / 1_000:.0f} ms (most); "
            f"{share:.0%} of a core for node and oracles"
        )
        assert len(markets) == 48
        assert {event.market for _, event in taken} == set(markets)
        # Half of them, so that a busy machine does not fail it.
        assert len(taken) > wanted / 2
        assert max(delays) < LOADED.templates[0].terms.stale_after
        assert all(seat.count(Outcome.WITHHELD, "LATE") == 0 for seat in q.seats)
