"""The rows of docs/concepts/prices.md on prices that somebody pushes, as the engine meets them, with its answers."""

import pytest

from penstock.pricing.index import Constituent, NoIndex, take_index
from penstock.protocol.commands import CODECS, MarkStale, PublishPrice, decode_record, encode_record
from penstock.protocol.quantities import FUNDING_SCALE, MICRO, SETTLEMENT_WINDOW
from penstock.protocol.reasons import Reason, Refusal
from penstock.spec import state as flags
from penstock.spec.margin import assess
from spec.contracts import FUTURE_MARKET, INDEX, SOON, WHOLE, chain, trade
from world import World, reasons, terms

HOUR = 3_600


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
    assert isinstance(take_index([Constituent("dead", 0.0, 0.0, 0.0)] * 1), NoIndex)


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
