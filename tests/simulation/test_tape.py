"""The offline share of the tape that a mirrored book can match."""

import pytest

from penstock.simulation.mirror import Batch, Pull, Put
from penstock.simulation.tape import NaiveBook, reachable_share


def test_twenty_levels_reach_over_ninety_five_percent_of_the_first_minute(recording):
    shares = reachable_share(recording, 20, seconds=60)
    assert shares["all"].trades == 4694
    assert shares["all"].share > 0.97
    assert shares["BTC_USDC-PERPETUAL"].share > 0.98


def test_the_whole_tape_has_sweeps_that_only_hundreds_of_levels_can_meet(recording):
    assert reachable_share(recording, 20)["all"].share < 0.7
    assert reachable_share(recording, 400)["all"].share > 0.96


def test_leaving_out_states_that_no_trade_sees_changes_nothing_but_the_messages(recording):
    fewer = reachable_share(recording, 20, seconds=10, conflate=True)["all"]
    all_states = reachable_share(recording, 20, seconds=10, conflate=False)["all"]
    assert (fewer.trades, fewer.printed, fewer.matched) == (all_states.trades, all_states.printed, all_states.matched)
    assert fewer.batches < all_states.batches / 2


def test_one_market_alone_has_the_share_it_has_beside_the_other(recording):
    alone = reachable_share(recording, 20, ("ETH_USDC-PERPETUAL",), seconds=10)
    both = reachable_share(recording, 20, seconds=10)
    assert alone["ETH_USDC-PERPETUAL"] == both["ETH_USDC-PERPETUAL"]
    assert set(alone) == {"ETH_USDC-PERPETUAL", "all"}


def test_the_naive_book_refuses_what_a_venue_would():
    book = NaiveBook()
    book.apply(Batch(0, [Put(16, 0, 99, 5), Put(17, 1, 101, 5)]))
    with pytest.raises(ValueError, match="would trade with 101"):
        book.apply(Batch(0, [Put(18, 0, 101, 1)]))
    with pytest.raises(ValueError, match="two orders at 99"):
        book.apply(Batch(1, [Put(16, 0, 99, 1)]))
    with pytest.raises(ValueError, match="slot 40, which is empty"):
        book.apply(Batch(0, [Pull(40)]))
