"""A quorum of oracles around one node, on real sockets, with sources whose words a test writes."""

import asyncio
from contextlib import asynccontextmanager
from inspect import isawaitable

import aiohttp

from penstock.pricing.index import IndexRules
from penstock.protocol.events import PricePublished
from penstock.protocol.signing import Domain, Signer
from penstock.protocol.terms import Genesis, default_markets
from penstock.simulation.oracle_run import GatewayVenue
from penstock.venue.oracle.endpoint import Endpoint, HttpPeer
from penstock.venue.oracle.oracle import Oracle
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import Quote, wall_clock

from .harness import running

KEYS = sorted((Signer(bytes([0x71 + i]) * 32) for i in range(3)), key=lambda signer: signer.address)
TERMS = default_markets()[0]
GENESIS = Genesis(31337, b"\x77" * 20, (TERMS,), tuple(key.address for key in KEYS), 2)
SEPARATOR = Domain(GENESIS.chain_id, GENESIS.vault).separator()
USD = 60_000.0
UNITS = 600_000
RULES = OracleRules(
    index=IndexRules(agreeing=2), every=0.4, view_every=0.05, view_for=1.0, source_timeout=0.5, venue_timeout=1.0
)


class Told:
    """A source that says what it is told: a price, a Quote, None, or an exception; `say` may also be a function."""

    weight = 1.0

    def __init__(self, name, say=USD):
        self.name = name
        self.say = say

    async def quote(self, base):
        said = self.say(base) if callable(self.say) else self.say
        if isawaitable(said):
            said = await said
        if isinstance(said, Exception):
            raise said
        return Quote(said, said, wall_clock()) if isinstance(said, float) else said


def told():
    """Three sources that agree."""
    return [Told("north"), Told("south"), Told("west")]


class Seat:
    """One oracle, where it listens, and what it reads."""

    def __init__(self, key, venue, rules, genesis=GENESIS, volatilities=None):
        self.key = key
        self.venue = venue
        self.sources = told()
        self.peers = []
        self.oracle = Oracle(key, genesis, self.sources, venue, self.peers, rules, volatilities=volatilities)
        self.endpoint = Endpoint(self.oracle)
        self.task = None

    def start(self):
        self.task = asyncio.create_task(self.oracle.run())

    def say(self, said, which=slice(None)):
        """What its sources say from now on."""
        for source in self.sources[which]:
            source.say = said

    def count(self, outcome, reason=None):
        return self.oracle.decisions.count(outcome, reason)

    async def die(self):
        """Stop proposing, signing and listening."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None
        await self.endpoint.stop()
        await self.venue.close()


class Quorum:
    """The seats, the node, and every price the node took."""

    def __init__(self, node, seats, published):
        self.node = node
        self.seats = seats
        self.published = published

    @property
    def indices(self):
        """The index of every price taken, price units."""
        return [event.index_price for _, event in self.published]

    def start(self):
        for seat in self.seats:
            seat.start()

    async def until(self, condition, seconds=15.0):
        """Wait for a condition. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                for seat in self.seats:
                    if seat.task is not None and seat.task.done():
                        seat.task.result()
                await asyncio.sleep(0.01)

    async def look(self):
        """Every oracle takes a new view, and hears what is listed."""
        await asyncio.gather(*(seat.oracle.look() for seat in self.seats))
        await asyncio.gather(*(seat.oracle.take_up() for seat in self.seats))

    async def more(self, count=3):
        """Wait until so many more prices are taken; returns them."""
        before = len(self.published)
        await self.until(lambda: len(self.published) >= before + count)
        return self.published[before:]

    def of(self, market):
        """Every price of a market taken so far."""
        return [event for _, event in self.published if event.market == market]

    async def more_of(self, markets, count=3):
        """Wait until so many more prices of each market are taken; returns the new ones, by market."""
        before = {market: len(self.of(market)) for market in markets}
        await self.until(lambda: all(len(self.of(market)) >= before[market] + count for market in markets))
        return {market: self.of(market)[before[market] :] for market in markets}

    async def slots(self, count):
        """Let so many slots pass."""
        await asyncio.sleep(count * RULES.every)


@asynccontextmanager
async def quorum(home, *, rules=RULES, start=True, genesis=GENESIS, clock=None, volatilities=None):
    """A node and three oracles of which two must sign; everything is stopped at the end.

    `volatilities` has the surfaces that each of the three states.
    """
    published = []

    def observe(group):
        published.extend(
            (executed, event) for executed in group for event in executed.events if isinstance(event, PricePublished)
        )

    async with (
        running(home, funded=False, genesis=genesis, clock=clock, observers=[observe]) as node,
        aiohttp.ClientSession() as http,
    ):
        stated = volatilities or [None] * len(KEYS)
        seats = [
            Seat(key, GatewayVenue(node.url), rules, genesis, each) for key, each in zip(KEYS, stated, strict=True)
        ]
        for seat in seats:
            await seat.endpoint.start("127.0.0.1", 0)
        for seat in seats:
            seat.peers += [HttpPeer(http, other.endpoint.url, 5.0) for other in seats if other is not seat]
        found = Quorum(node, seats, published)
        try:
            await found.look()
            if start:
                found.start()
            yield found
        finally:
            for seat in seats:
                await seat.die()


def dropped(seat):
    """Source -> flaw, of the newest view."""
    return {one.name: one.flaw for one in seat.oracle.views[TERMS.market].dropped}
