"""The rows of docs/concepts/prices.md on prices that somebody pushes, as the engine meets them, with its answers."""

import pytest

from penstock.pricing.index import Constituent, Flaw, NoIndex, take_index
from penstock.protocol.commands import CODECS, MarkStale, PublishPrice, decode_record, encode_record
from penstock.protocol.instruments import CALL, NO_OPTION, PUT
from penstock.protocol.quantities import FUNDING_SCALE, MICRO, PPM, SETTLEMENT_WINDOW
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.terms import default_markets, default_templates
from penstock.spec import state as flags
from penstock.spec.margin import assess
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.steps import Bounds, Price, next_step
from spec.contracts import CALL_MARKET, FUTURE_MARKET, INDEX, PUT_MARKET, SOON, WHOLE, chain, trade
from world import START, World, reasons, terms

DAY, HOUR = 86_400, 3_600


def long_and_weak():
    """Subaccount 2 is long a BTC with 1,100 USDC at a mark of 100,000 USD, 3 bids for it."""
    world = World([terms(price_step_ppm=50_000)], cash=2_100 * MICRO)
    world.deposit(3, 100_000 * MICRO)
    world.price(INDEX)
    trade(world, 0, 2, 1, INDEX)
    return world


def test_stale_no_risk_is_opened_and_nobody_liquidated_until_the_next_price():
    world = long_and_weak()
    world.price(INDEX - 15_000)
    world.buy(3, INDEX - 16_000, WHOLE)
    risk = assess(world.state, world.account(2))
    assert risk.equity < risk.maintenance, "due, were the price fresh"
    world.wait(61)
    assert reasons(world.liquidate(2)) == [Reason.PRICE_STALE]
    assert reasons(world.buy(3, INDEX, WHOLE, slot=17)) == [Reason.PRICE_STALE]
    assert reasons(world.withdraw(2, 1)) == [Reason.PRICE_STALE]
    assert world.send(MarkStale(0))[0].flags == flags.STALE, "and it is on the record"
    assert reasons(world.sell(2, INDEX - 16_000, 1_000, reduce_only=True)) == [], "reducing is always allowed"
    world.price(INDEX - 15_000)
    assert world.state.markets[0].flags == 0
    assert reasons(world.liquidate(2)) == []


def test_zero_cannot_be_published():
    world = long_and_weak()
    for index, mark in ((0, INDEX), (INDEX, 0), (0, 0)):
        world.assert_refused(Reason.PRICE_NOT_POSITIVE, lambda i=index, m=mark: world.price(i, m), guarded=False)
    sound = [Constituent(name, 99_990.0, 100_010.0, 0.0) for name in "abc"]
    dead = Constituent("dead", 0.0, 0.0, 0.0)
    index = take_index([*sound, dead])
    assert index.value == pytest.approx(100_000)
    assert [(dropped.name, dropped.flaw) for dropped in index.dropped] == [("dead", Flaw.NOT_POSITIVE)]
    assert isinstance(take_index([*sound[:2], dead]), NoIndex), "two are not enough, and a dead one is none"


def test_negative_cannot_be_said():
    with pytest.raises(ValueError, match=r"index_price: -1 is not in 0"):
        encode_record(PublishPrice(0, 1, -1, 1))
    encoded = encode_record(PublishPrice(0, 1, 1, 1))
    at = 32 * (1 + [name for name, _ in CODECS[PublishPrice].fields].index("mark_price"))
    with pytest.raises(Refusal) as refused:
        decode_record(encoded[:at] + (-1 & (1 << 256) - 1).to_bytes(32, "big") + encoded[at + 32 :])
    assert refused.value.reason is Reason.WORD_NOT_CANONICAL


@pytest.mark.parametrize("wild", [1e-6, 50_000.0, 99_000.0, 120_000.0, 1e7])
def test_an_outlier_of_seven_moves_the_index_less_than_half_a_percent_and_a_step_bounds_the_rest(wild):
    sources = [Constituent(str(n), 99_990.0, 100_010.0, 1.0) for n in range(6)]
    index = take_index([*sources, Constituent("wild", wild * 0.9999, wild * 1.0001, 1.0)])
    assert abs(index.value / 100_000 - 1) < 0.005
    world = long_and_weak()
    pushed = INDEX * 105 // 100 + 1
    world.assert_refused(Reason.PRICE_STEP_TOO_LARGE, lambda: world.price(pushed), guarded=False)


@pytest.mark.parametrize("seconds", [1, 6, 60, 600])
def test_a_push_in_the_settlement_window_counts_for_its_share_of_the_half_hour(seconds):
    world = chain()
    world.time = SOON * MICRO - seconds * MICRO - 1_000
    world.price(INDEX + 10_000, market=FUTURE_MARKET, published_at=SOON * MICRO - seconds * MICRO)
    world.time = SOON * MICRO
    settled = world.expire(FUTURE_MARKET)[0].index_price
    assert settled == INDEX + 10_000 * seconds * MICRO // SETTLEMENT_WINDOW


def test_without_a_price_in_the_whole_window_the_last_one_before_it_settles():
    """Who withholds prices chooses which: the last that a quorum signed. Docs: prices.md, "Who else can do what"."""
    world = chain()
    said = world.state.markets[FUTURE_MARKET].index_price
    world.time = SOON * MICRO
    assert world.expire(FUTURE_MARKET)[0].index_price == said


def test_call_and_put_of_a_strike_settle_each_at_what_was_published_to_it():
    """An index 2 % off for ten minutes, told to the call alone: a third of it is in the call's settlement index."""
    world = chain()
    world.time = (SOON - 600) * MICRO - 1_000
    assert reasons(world.price(INDEX * 102 // 100, 20_000, market=CALL_MARKET)) == []
    world.time = SOON * MICRO
    settled = [world.expire(market)[0].index_price for market in (CALL_MARKET, PUT_MARKET)]
    assert settled == [INDEX + INDEX * 2 // 100 // 3, INDEX]


def test_a_push_of_the_funding_sample_is_paid_for_its_share_of_the_hour_only():
    """The premium at its band's edge for one second of an hour: a 3,600th of the capped rate, not all of it."""
    world = World([terms(funding_cap=320_000_000, mark_band_ppm=10_000)], cash=1_000_000 * MICRO)
    world.price(INDEX, premium=0)
    trade(world, 0, 2, 1, INDEX)
    for second in range(0, HOUR, 30):
        world.time += 29 * MICRO
        if second == 1_800:
            world.price(INDEX, premium=10_000_000)
            world.time += MICRO - 1_000
        world.price(INDEX, premium=0)
    world.accrue()
    held = world.state.markets[0].funding_index * WHOLE / FUNDING_SCALE / (INDEX * WHOLE)
    full_hour = (10_000_000 - 250_000) / 1e9 / 8
    assert held == pytest.approx(full_hour / HOUR, rel=0.01)


def test_no_premium_is_beyond_the_cap_whatever_was_signed():
    world = World([terms(funding_cap=5_000_000, price_step_ppm=1_000_000, mark_band_ppm=1_000_000)])
    world.price(INDEX, premium=900_000_000)
    world.wait(10)
    world.price(INDEX, premium=900_000_000)
    assert world.state.markets[0].rate_time == 5_000_000 * (10 * MICRO + 1_000), "0.5 % in eight hours"


USD_INDEX = 600_000
"""60,000 USD, of a BTC contract."""
STEP_US = 200_000
SELLER, BUYER, MAKER = 1, 2, 3


class Quorum:
    """Keys that sign whatever they like: the contracts of the default templates, a price every 200 ms."""

    def __init__(self, template, strike=0, option_type=NO_OPTION):
        expiry = (START // MICRO // DAY + 30) * DAY + 8 * HOUR
        self.terms = default_templates()[template].terms.contract(2, expiry, strike, option_type)
        self.world = World([*default_markets(), self.terms], traders=0)
        self.began = self.at = self.world.time + MICRO
        self.taken = -1

    def reasons(self, mark, index=USD_INDEX, early=0):
        """What the engine says of a price 200 ms after the last it took, or so much earlier (µs)."""
        at = self.at - early
        self.world.time = max(self.world.time, at - 1_000)
        said = reasons(self.world.price(index, mark, market=2, published_at=at))
        if not said:
            self.taken, self.at = self.taken + 1, at + STEP_US
        return said

    @property
    def seconds(self):
        """From the first price taken to the last."""
        return (self.at - STEP_US - self.began) / MICRO

    def short(self, price, equity):
        """SELLER is short one BTC of it, with so much equity (USD) left."""
        for subaccount, cash in ((SELLER, equity), (BUYER, 100_000), (MAKER, 1_000_000)):
            self.world.deposit(subaccount, cash * MICRO)
        trade(self.world, 2, BUYER, SELLER, price)
        assert self.risk().equity == equity * MICRO

    def risk(self):
        return assess(self.world.state, self.world.account(SELLER))


def test_a_quorum_moves_an_option_worth_400_by_1200_a_publication_and_sixteenfold_in_a_second():
    quorum = Quorum(1, strike=USD_INDEX, option_type=CALL)
    mark = 4_000
    assert quorum.reasons(mark) == []
    for _ in range(5):
        assert quorum.reasons(mark + 12_001) == [Reason.PRICE_STEP_TOO_LARGE]
        assert quorum.reasons(mark + 12_000, early=1) == [Reason.PRICE_NOT_NEWER]
        mark += 12_000
        assert quorum.reasons(mark) == []
    assert (mark, quorum.seconds) == (64_000, 1.0)
    most = USD_INDEX * 105 // 100
    while mark < most:
        mark = min(mark + 12_000, most)
        assert quorum.reasons(mark) == []
    assert (quorum.taken, round(quorum.seconds, 1)) == (53, 10.6), "to 5 % over all a call can pay"
    assert quorum.reasons(most + 1) == [Reason.MARK_OUT_OF_BAND]


def test_a_quorum_makes_an_option_worth_400_worthless_at_once():
    quorum = Quorum(1, strike=USD_INDEX, option_type=PUT)
    assert quorum.reasons(4_000) == quorum.reasons(1) == []


@pytest.mark.parametrize(
    ("option_type", "strike", "worth", "equity", "publications"),
    [
        (CALL, USD_INDEX, 4_000, 9_000, 4),
        (PUT, USD_INDEX, 4_000, 9_000, 4),
        (CALL, USD_INDEX * 11 // 10, 1_000, 6_000, 2),
        (CALL, USD_INDEX, 4_000, 18_000, 12),
    ],
)
def test_a_short_option_is_liquidated_after_so_many_publications(option_type, strike, worth, equity, publications):
    """At the money margin is 15 % of the index, far out of it 10; maintenance is 7.5 %, a publication moves 2 %."""
    quorum = Quorum(1, strike=strike, option_type=option_type)
    assert quorum.reasons(worth) == []
    quorum.short(worth, equity)
    if equity < 18_000:
        assert quorum.risk().initial == equity * MICRO, "all that margin asks for, and no more"
    for step in range(1, publications + 1):
        assert reasons(quorum.world.liquidate(SELLER)) == [Reason.NOT_LIQUIDATABLE]
        assert quorum.reasons(worth + step * 12_000) == []
    mark = worth + publications * 12_000
    quorum.world.sell(MAKER, mark + min(18_000, mark // 4) // 50 * 50, WHOLE, market=2)
    assert reasons(quorum.world.liquidate(SELLER)) == []
    assert quorum.world.size(SELLER, 2) == 0, "bought back at 3 % of the index over the mark, or a quarter of the mark"


def test_at_the_oracles_own_pace_that_short_option_has_eighteen_seconds():
    rules, worth = OracleRules(), 4_000
    steps = -(-(9_000 - 4_500) * 10 * PPM // (USD_INDEX * rules.step_ppm))
    assert (steps, steps * rules.contracts_every) == (9, 18.0)
    bounds = Bounds.of(default_templates()[1].terms.contract(2, 1, USD_INDEX, CALL), rules.step_ppm)
    step = next_step(Price(USD_INDEX, worth), Price(USD_INDEX, USD_INDEX), bounds)
    assert step.mark - worth == USD_INDEX * 9 // 1_000


def test_a_quorum_holds_a_future_ten_percent_off_its_index_in_two_seconds():
    quorum = Quorum(0)
    mark = USD_INDEX
    assert quorum.reasons(mark) == []
    while mark < USD_INDEX * 11 // 10:
        assert quorum.reasons(mark * 101 // 100 + 1) == [Reason.PRICE_STEP_TOO_LARGE]
        mark = min(mark * 101 // 100, USD_INDEX * 11 // 10)
        assert quorum.reasons(mark) == []
    assert (quorum.taken, quorum.seconds) == (10, 2.0)
    assert quorum.reasons(mark + 1) == [Reason.MARK_OUT_OF_BAND]


def test_a_future_at_its_smallest_margin_is_liquidated_after_one_publication():
    """2 % of the mark, maintenance 1 %."""
    quorum = Quorum(0)
    assert quorum.reasons(USD_INDEX) == []
    quorum.short(USD_INDEX, 1_200)
    assert quorum.reasons(USD_INDEX * 101 // 100) == []
    assert quorum.risk().equity == 600 * MICRO < quorum.risk().maintenance == 606 * MICRO
