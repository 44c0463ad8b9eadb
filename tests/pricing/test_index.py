"""The index: Deribit's vector, what is dropped and why, and how far one bad source can move it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pricing.index import Constituent, Dropped, Flaw, Index, IndexRules, NoIndex, take_index

PRICES = st.floats(1e-3, 1e6)
ANYTHING = st.floats(allow_nan=True, allow_infinity=True)


def at(name, price, weight=1.0, age=0.0):
    return Constituent(name, price, price, age, weight)


def three(**changes):
    """Three books around 100, some of them changed."""
    books = {"a": at("a", 99.9), "b": at("b", 100.0), "c": at("c", 100.1)}
    return list((books | changes).values())


def test_the_check_vector_of_deribits_index_article():
    found = take_index([at("a", 100, 0.25), at("b", 101, 0.50), at("c", 120, 0.25)])
    assert found.median == 101
    assert [share.clamped for share in found.shares] == pytest.approx([100.495, 101, 101.505], abs=1e-12)
    assert found.value == pytest.approx(101.000, abs=1e-12)
    assert found.dropped == ()


def test_without_weights_it_is_the_plain_mean_of_the_clamped_mids():
    found = take_index([Constituent("a", 99, 101, 0.0), at("b", 100.2), at("c", 100.4)])
    assert found.value == pytest.approx((100 + 100.2 + 100.4) / 3)


def test_a_weight_does_not_move_the_median():
    found = take_index([at("a", 100), at("b", 101), at("heavy", 120, 1_000)])
    assert found.median == 101
    assert found.value == pytest.approx(101.505, rel=1e-4)


@pytest.mark.parametrize(
    ("bad", "flaw"),
    [
        (Constituent("c", 0.0, 100.0, 0.0), Flaw.NOT_POSITIVE),
        (Constituent("c", 100.0, 0.0, 0.0), Flaw.NOT_POSITIVE),
        (at("c", -100.0), Flaw.NOT_POSITIVE),
        (at("c", math.nan), Flaw.NOT_A_NUMBER),
        (at("c", math.inf), Flaw.NOT_A_NUMBER),
        (at("c", 100.0, age=math.nan), Flaw.NOT_A_NUMBER),
        (Constituent("c", 100.2, 100.0, 0.0), Flaw.CROSSED),
        (at("c", 100.0, age=180.1), Flaw.STALE),
        (at("c", 100.0, age=-5.1), Flaw.FROM_THE_FUTURE),
        (at("c", 100.0 * 10**10), Flaw.FAR_OFF),  # eighteen decimals read as eight
        (at("c", 100.0 / 10**10), Flaw.FAR_OFF),
        (at("c", 100.0, weight=0), Flaw.EXCLUDED),
    ],
)
def test_a_source_that_is_wrong_is_dropped_by_name_and_the_others_make_the_index(bad, flaw):
    found = take_index([*three(c=bad), at("d", 100.0)])
    assert isinstance(found, Index)
    assert found.dropped == (Dropped("c", flaw),)
    assert found.value == pytest.approx(99.9 / 3 + 200 / 3)


def test_a_source_as_old_as_allowed_still_counts():
    assert take_index(three(c=at("c", 100.1, age=180.0))).dropped == ()


def test_too_few_live_sources_are_a_refusal_that_names_every_dropped_one():
    found = take_index(three(a=at("a", 100, age=1_000), c=at("c", math.nan)))
    assert found == NoIndex(
        "1 of 3 sources live, 3 wanted", (Dropped("a", Flaw.STALE), Dropped("c", Flaw.NOT_A_NUMBER))
    )


def test_a_source_that_gave_no_answer_is_named_and_counted():
    assert take_index(three(), silent=["d"]).dropped == (Dropped("d", Flaw.SILENT),)
    found = take_index(three()[:2], silent=["d"])
    assert found == NoIndex("2 of 3 sources live, 3 wanted", (Dropped("d", Flaw.SILENT),))


def test_no_source_at_all_is_a_refusal():
    assert take_index([]) == NoIndex("0 of 0 sources live, 3 wanted", ())


def test_two_sources_that_contradict_each_other_make_no_index_of_their_middle():
    found = take_index([at("a", 100), at("b", 120)], IndexRules(least=2))
    assert isinstance(found, NoIndex)
    assert found.reason == "0 of 2 live sources within 0.50% of the median 110, 1 wanted"


def test_of_two_sources_with_a_factor_of_ten_between_them_neither_is_believed():
    found = take_index([at("a", 100), at("b", 1_000)], IndexRules(least=2))
    assert found == NoIndex("0 of 2 sources live, 2 wanted", (Dropped("a", Flaw.FAR_OFF), Dropped("b", Flaw.FAR_OFF)))


def test_the_outage_of_october_2019_moves_an_index_of_seven_less_than_half_a_percent():
    sources = [at(str(i), 9_150 + i) for i in range(6)]
    before = take_index([*sources, at("outage", 9_153)]).value
    after = take_index([*sources, at("outage", 7_000)]).value
    assert abs(after - before) / before < 0.002


@given(st.lists(st.floats(-0.002, 0.002), min_size=7, max_size=7), st.integers(0, 6), ANYTHING, PRICES)
def test_one_bad_source_of_seven_moves_the_index_less_than_half_a_percent(offs, which, wrong, price):
    good = [at(str(i), price * (1 + off)) for i, off in enumerate(offs)]
    before = take_index(good).value
    after = take_index([at(s.name, wrong) if i == which else s for i, s in enumerate(good)]).value
    assert abs(after - before) / before < 0.005


@given(st.lists(st.tuples(ANYTHING, ANYTHING, ANYTHING, st.floats(0, 1e9)), max_size=8))
def test_whatever_sources_say_there_is_a_price_near_the_median_or_a_reason(said):
    sources = [Constituent(str(i), *values) for i, values in enumerate(said)]
    found = take_index(sources)
    if isinstance(found, NoIndex):
        assert found.reason
        return
    live = [share.mid for share in found.shares]
    assert len(live) + len(found.dropped) == len(sources)
    assert abs(found.value - found.median) <= found.median * 0.005 * (1 + 1e-9)
    assert 0 < found.value < math.inf
    assert min(live) * (1 - 1e-9) <= found.value <= max(live) * (1 + 1e-9)


@given(st.lists(st.tuples(PRICES, st.floats(0.01, 100)), min_size=3, max_size=8), st.randoms())
def test_order_and_scale_of_weights_do_not_matter(said, dice):
    sources = [at(str(i), price, weight) for i, (price, weight) in enumerate(said)]
    rules = IndexRules(least=1)
    found = take_index(sources, rules)
    scaled = [at(s.name, s.bid, 3 * s.weight) for s in sources]
    dice.shuffle(scaled)
    again = take_index(scaled, rules)
    assert type(found) is type(again)
    if isinstance(found, Index):
        assert again.value == pytest.approx(found.value, rel=1e-9)


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (IndexRules(clamp=0), "clamp"), (IndexRules(far=0.001), "far"), (IndexRules(stale_after=0), "stale_after"),
        (IndexRules(ahead=-1), "ahead"), (IndexRules(least=0), "least"), (IndexRules(agreeing=4), "agreeing"),
        (IndexRules(clamp=math.nan), "clamp"),
    ],
)  # fmt: skip
def test_rules_out_of_range_are_refused_by_name(rules, named):
    with pytest.raises(ValueError, match=named):
        take_index(three(), rules)


def test_a_negative_weight_and_a_name_given_twice_are_refused():
    with pytest.raises(ValueError, match="weight of a"):
        take_index(three(a=at("a", 100, -1)))
    with pytest.raises(ValueError, match="b is given twice"):
        take_index([*three(), at("b", 100)])
