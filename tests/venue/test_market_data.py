"""The public books are what the engine's live orders add up to, after any commands, and the changes say how."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Verified
from penstock.spec.state import is_dead
from penstock.venue.gateway.figures import Figures
from penstock.venue.market_data import Changes, MarketData
from penstock.venue.sequencer import Executed
from world import SESSION_KEY, World, owner_of

PRICE = 600_000


class Observed(World):
    """A world whose every command also reaches a projection, and a watcher that keeps the books by changes alone."""

    def __init__(self):
        self.market_data = None
        super().__init__(cash=100_000 * MICRO)
        self.market_data = MarketData(self.genesis)
        self.price(PRICE)
        self.price(300_000, market=1)
        self.watch()

    def watch(self):
        self.changes, self.told, self.last_ids = {}, {}, {}
        for number, market in self.market_data.markets.items():
            self.changes[number] = Changes()
            self.told[number] = Counter()
            self.last_ids[number] = market.change_id
            market.watchers.append(self.changes[number])

    def apply(self, message: Verified):
        applied = super().apply(message)
        if self.market_data:
            self.market_data.follow(
                [Executed(self.sequence, self.time, b"", message, applied.events, applied.entries, ())]
            )
        return applied

    def by_session(self, subaccount, side, price, size, slot):
        return self.send(self.order(subaccount, side, price, size, slot), signers=(SESSION_KEY,))

    def live_levels(self):
        """Total live size by (market, side, price), from the engine's orders one by one."""
        totals = Counter()
        for account in self.state.accounts.values():
            for order in account.orders.values():
                if not is_dead(self.state, account, order, self.time):
                    totals[order.market, order.side, order.price] += order.size
        return +totals

    def public_levels(self):
        return Counter(
            {
                (number, side, price): size
                for number, market in self.market_data.markets.items()
                for side in (BUY, SELL)
                for price, size in market.sides[side].top()
            }
        )

    def hear(self):
        """Apply what the changes say to the books kept from them."""
        for number, changes in self.changes.items():
            market = self.market_data.markets[number]
            figures = Figures(market)
            change = figures.change(changes, self.last_ids[number])
            if change:
                assert change["prev_change_id"] == self.last_ids[number] < change["change_id"]
                self.last_ids[number] = change["change_id"]
                for side, levels in ((BUY, change["bids"]), (SELL, change["asks"])):
                    for action, price, amount in levels:
                        known = (side, price) in self.told[number]
                        assert known == (action != "new"), (action, price)
                        if action == "delete":
                            del self.told[number][side, price]
                        else:
                            self.told[number][side, price] = amount
            changes.levels.clear()
            shown = {
                (side, figures.units.price(price)): figures.units.amount(size)
                for side in (BUY, SELL)
                for price, size in market.sides[side].top()
            }
            assert dict(self.told[number]) == shown


STEPS = st.one_of(
    st.tuples(
        st.just("order"),
        st.integers(1, 3),
        st.sampled_from([BUY, SELL]),
        st.integers(-4, 4),
        st.integers(1, 5),
        st.integers(16, 19),
        st.booleans(),
        st.integers(0, 1),
    ),
    st.tuples(st.just("cancel"), st.integers(1, 3), st.integers(16, 19)),
    st.tuples(st.just("cancel all"), st.integers(1, 3)),
    st.tuples(st.just("grant"), st.integers(1, 3), st.integers(1, 4)),
    st.tuples(st.just("revoke"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("remove"), st.integers(1, 3), st.integers(16, 19)),
    st.tuples(st.just("hear")),
)


def take_step(world, step):
    match step:
        case ("order", subaccount, side, offset, lots, slot, delegated, market):
            price = (PRICE, 300_000)[market] + offset
            record = world.order(subaccount, side, price, lots * (100, 10)[market], slot, market=market)
            world.send(record, signers=(SESSION_KEY if delegated else owner_of(subaccount),))
        case ("cancel", subaccount, slot):
            world.cancel(subaccount, slot)
        case ("cancel all", subaccount):
            world.cancel_all(subaccount)
        case ("grant", subaccount, seconds):
            world.grant(subaccount, expiry=world.time // MICRO + seconds)
        case ("revoke", subaccount):
            world.revoke(subaccount)
        case ("wait", seconds):
            world.time += seconds * MICRO
            world.market_data.advance(world.time)
        case ("remove", subaccount, slot):
            world.remove(subaccount, slot)
        case ("hear",):
            world.hear()


@given(st.lists(STEPS, min_size=15, max_size=60))
def test_the_public_books_are_the_sum_of_the_live_orders(steps):
    world = Observed()
    for subaccount in (1, 2, 3):
        world.grant(subaccount, expiry=world.time // MICRO + 5)
    for step in steps:
        take_step(world, step)
        assert world.public_levels() == world.live_levels(), step
    world.hear()
    dead = {
        (number, slot)
        for number, account in world.state.accounts.items()
        for slot, order in account.orders.items()
        if is_dead(world.state, account, order, world.time)
    }
    assert set(world.market_data.dead) == dead
    assert world.market_data.markets[0].open_interest == world.state.markets[0].open_interest


def test_a_partly_filled_order_shows_its_remainder_and_then_nothing():
    world = Observed()
    side = world.market_data.markets[0].sides[SELL]
    world.sell(1, PRICE, 500)
    world.buy(2, PRICE, 200)
    assert side.top() == [(PRICE, 300)]
    world.buy(2, PRICE, 100)
    world.sell(1, PRICE, 100)
    assert side.top() == [(PRICE, 100)], "replaced by a smaller order in its place"
    world.buy(2, PRICE, 100)
    assert side.top() == [] and world.market_data.orders[1] == {}
    world.sell(1, PRICE, 500)
    world.buy(2, PRICE, 200)
    world.cancel(1)
    assert side.top() == []


def test_a_key_granted_again_after_it_died_does_not_bring_its_orders_back():
    world = Observed()
    world.grant(1)
    world.by_session(1, BUY, PRICE - 1, 100, 16)
    world.revoke(1)
    world.grant(1)
    world.by_session(1, BUY, PRICE - 2, 100, 17)
    assert world.public_levels() == world.live_levels() == {(0, BUY, PRICE - 2): 100}


def test_a_mass_cancel_empties_the_public_book_at_once_with_one_change():
    world = Observed()
    for slot in range(16, 20):
        world.buy(1, PRICE - slot, 100, slot)
    market = world.market_data.markets[0]
    before = market.change_id
    world.cancel_all(1)
    assert market.sides[BUY].best() is None
    assert market.change_id == before + 1
    assert sorted(world.market_data.dead) == [(1, slot) for slot in range(16, 20)]


def test_orders_of_a_session_leave_when_it_expires_although_nobody_says_anything():
    world = Observed()
    world.grant(1, expiry=world.time // MICRO + 2)
    world.by_session(1, BUY, PRICE - 1, 100, 16)
    world.buy(2, PRICE - 2, 100)
    world.market_data.advance(world.time + 3 * MICRO)
    assert world.market_data.markets[0].sides[BUY].top() == [(PRICE - 2, 100)]


def test_a_command_that_touches_no_book_gets_no_change_id():
    world = Observed()
    world.buy(1, PRICE - 1, 100)
    before = world.market_data.markets[0].change_id
    world.cancel(2)
    world.withdraw(1, 5)
    world.price(PRICE + 1)
    assert world.market_data.markets[0].change_id == before


def test_the_tape_numbers_trades_and_marks_the_ticks():
    world = Observed()
    for slot, price in ((16, PRICE), (17, PRICE + 1), (18, PRICE + 1)):
        world.sell(1, price, 100, slot)
        world.buy(2, price, 100)
    world.buy(1, PRICE - 1, 100, 16)
    world.sell(2, PRICE - 1, 100)
    trades, last = list(world.market_data.markets[0].trades), world.sequence
    assert [(t.number >> 8, t.side, t.tick_direction) for t in trades] == [
        (last - 6, BUY, 1), (last - 4, BUY, 0), (last - 2, BUY, 1), (last, SELL, 2),
    ]  # fmt: skip


def test_the_day_forgets_what_is_older_than_24_hours():
    world = Observed()
    world.sell(1, PRICE + 50, 100)
    world.buy(2, PRICE + 50, 100)
    world.time += 12 * 3600 * MICRO
    world.price(PRICE)
    world.sell(1, PRICE, 300)
    world.buy(2, PRICE, 300)
    day = world.market_data.markets[0].day
    assert (day.high, day.low, day.volume, day.first()) == (PRICE + 50, PRICE, 400, PRICE + 50)
    day.forget(world.time + 13 * 3600 * MICRO)
    assert (day.high, day.low, day.volume, day.notional) == (PRICE, PRICE, 300, 300 * PRICE)
