"""Keepers poke what is due, and only that."""

import asyncio
from collections import Counter
from types import SimpleNamespace

from penstock.protocol.commands import BUY, SELL, PublishPrice
from penstock.protocol.quantities import MICRO, RATE_SCALE
from penstock.protocol.signing import seal
from penstock.spec.state import EXPIRED
from penstock.venue.clock import DevClock
from penstock.venue.keepers import KeeperPace, Keepers

from .harness import ORACLES, SEPARATOR, START, Pen, running, submit

PRICE = 600_000


def by_hand(node):
    """Keepers whose rounds the test calls itself."""
    return Keepers(node.sequencer, node.engine, node.market_data, node.clock, KeeperPace())


async def settle(node):
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await node.sequencer.durable()
    await asyncio.sleep(0)


async def publish(node, index, mark=None):
    node.clock.advance_to(node.clock.now() + MICRO)
    mark = mark or index
    record = PublishPrice(0, node.clock.now(), index, mark, (mark - index) * RATE_SCALE // index)
    answer = await submit(node, seal(SEPARATOR, record, ORACLES))
    assert answer.outcomes[0].reason is None


async def test_funding_is_poked_only_once_something_has_gathered(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0)) as node:
        keepers = by_hand(node)
        keepers.accrue_funding()
        assert keepers.sent.total() == 0, "no premium, nothing gathered"
        await publish(node, PRICE, PRICE + 3_000)
        await publish(node, PRICE, PRICE + 3_000)
        keepers.accrue_funding()
        await settle(node)
        assert keepers.sent == {"AccrueFunding": 1} and not keepers.refused
        keepers.accrue_funding()
        assert keepers.sent.total() == 1, "not due again"


async def test_fees_are_swept_once_there_are_any(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0)) as node:
        keepers, pen = by_hand(node), Pen()
        keepers.sweep_fees()
        assert keepers.sent.total() == 0
        await submit(node, pen.seal(pen.order(1, SELL, PRICE, 1_000)))
        await submit(node, pen.seal(pen.order(2, BUY, PRICE, 1_000)))
        keepers.sweep_fees()
        await settle(node)
        assert keepers.sent == {"SweepFees": 1} and not keepers.refused
        assert node.engine.account(0).cash > 0
        keepers.sweep_fees()
        assert keepers.sent.total() == 1


async def test_an_account_below_maintenance_is_found_and_closed(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0)) as node:
        keepers, pen = by_hand(node), Pen()
        size = 20_000_000  # 200 BTC, 12 million USD: maintenance is far below the million each account has
        await submit(node, pen.seal(pen.order(1, SELL, PRICE, size)))
        answer = await submit(node, pen.seal(pen.order(2, BUY, PRICE, size)))
        assert answer.outcomes[0].filled == size
        keepers.liquidate()
        await settle(node)
        assert keepers.sent.total() == 0, "both stand above maintenance"
        price = PRICE
        for _ in range(20):
            price -= price // 200
            await publish(node, price)
        assert node.engine.account(2).equity < node.engine.account(2).maintenance_margin
        await submit(node, pen.seal(pen.order(1, BUY, price, size, 17)))
        keepers.liquidate()
        await settle(node)
        assert keepers.sent == {"Liquidate": 1} and not keepers.refused
        assert node.market_data.markets[0].trades[-1].liquidation


class Accounts:
    """An engine's accounts, of equity and maintenance alone, and who was looked at."""

    def __init__(self, accounts):
        self.accounts = accounts
        self.looked = []

    def account(self, subaccount):
        self.looked.append(subaccount)
        equity, maintenance = self.accounts[subaccount]
        return SimpleNamespace(equity=equity, maintenance_margin=maintenance)


async def test_every_holder_has_its_turn_and_whoever_is_near_liquidation_has_many(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0)) as node:
        accounts = Accounts(dict.fromkeys(range(1, 1001), (1000, 100)) | {700: (149, 100), 701: (150, 100)})
        keepers = Keepers(node.sequencer, accounts, node.market_data, node.clock, KeeperPace(accounts_a_round=100))
        node.market_data.positions.update({who: {0: 1} for who in accounts.accounts})
        for _ in range(10):
            keepers.liquidate()
        assert Counter(accounts.looked) == Counter(list(accounts.accounts)) + Counter({700: 3})
        accounts.accounts[700] = (99, 100)
        accounts.looked.clear()
        keepers.liquidate()
        await settle(node)
        assert accounts.looked.count(700) == 1 and keepers.sent == {"Liquidate": 1}
        node.market_data.positions.clear()


async def test_ended_positions_have_their_turn_even_behind_some_that_stay(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0)) as node:
        keepers = Keepers(node.sequencer, node.engine, node.market_data, node.clock, KeeperPace(positions_a_round=10))
        node.market_data.positions.update({who: {0: 1} for who in range(1, 31)})  # which the engine knows nothing of
        for sent in (10, 20, 30, 40):
            node.market_data.markets[0].flags |= EXPIRED  # nor of this
            keepers.end_contracts()
            await settle(node)
            assert keepers.sent["ExpirePosition"] == sent == sum(keepers.refused.values())
        node.market_data.markets[0].flags = 0
        node.market_data.positions.clear()


async def test_dead_orders_are_removed_and_then_forgotten(tmp_path):
    async with running(tmp_path, clock=DevClock(START, 0)) as node:
        keepers, pen = by_hand(node), Pen()
        for slot in range(16, 26):
            await submit(node, pen.seal(pen.order(1, BUY, PRICE - slot, 100, slot)))
        await submit(node, pen.seal(pen.cancel_all(1)))
        assert len(node.market_data.dead) == 10
        keepers.remove_dead_orders()
        await settle(node)
        assert keepers.sent == {"RemoveDeadOrder": 10} and not keepers.refused
        assert not node.market_data.dead


async def test_refusals_are_counted_and_the_rounds_go_on(tmp_path):
    async with running(tmp_path, keepers=KeeperPace(0, 0, 0, 0.01)) as node:
        node.market_data.dead[1, 16] = 0
        for _ in range(200):
            await asyncio.sleep(0.01)
            if node.keepers.refused.total() >= 2:
                break
        assert node.keepers.refused["RemoveDeadOrder", "ORDER_NOT_DEAD"] >= 2
