"""A bounded number inside, the rest by rank, and nobody's leaving loses a place."""

import asyncio

from penstock.protocol.commands import BUY, SELL
from penstock.simulation.oracle_run import GatewayVenue
from penstock.venue.oracle.room import Room

from .harness import GENESIS, Pen, running, submit


async def test_who_waits_enters_by_rank_and_then_as_it_came():
    room, entered, leave = Room(2), [], asyncio.Event()

    async def visit(name, rank):
        async with room.place(rank):
            entered.append(name)
            await leave.wait()

    tasks = [asyncio.create_task(visit(name, (0, 0))) for name in "ab"]
    await asyncio.sleep(0)
    ranked = (("idle", (1, 5)), ("held", (0, 9)), ("idler", (1, 4)), ("held too", (0, 9)))
    tasks += [asyncio.create_task(visit(*each)) for each in ranked]
    await asyncio.sleep(0)
    assert entered == ["a", "b"], "there is no more room"
    leave.set()
    await asyncio.gather(*tasks)
    assert entered[2:] == ["held", "held too", "idler", "idle"]


async def test_a_place_of_one_who_left_while_waiting_or_while_let_in_goes_to_the_next():
    room, leave = Room(1), asyncio.Event()

    async def visit(until=None):
        async with room.place((0, 0)):
            if until:
                await until.wait()

    first = asyncio.create_task(visit(leave))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(visit()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # while it waits
    leave.set()
    await first  # lets the second in, which is cancelled before it runs
    waiting[1].cancel()
    assert await asyncio.gather(*waiting, return_exceptions=True) != [None] * 3
    async with asyncio.timeout(1):
        await visit()


async def test_the_venue_tells_what_somebody_holds(tmp_path):
    async with running(tmp_path) as node:
        venue, pen, terms = GatewayVenue(node.url), Pen(), GENESIS.markets[0]
        await submit(node, pen.seal(pen.order(1, SELL, 600_000, 1_000)))
        assert not (await venue.look(terms)).is_held, "an order is no position"
        answer = await submit(node, pen.seal(pen.order(2, BUY, 600_000, 1_000)))
        assert answer.outcomes[0].filled == 1_000
        assert (await venue.look(terms)).is_held
        await venue.close()
