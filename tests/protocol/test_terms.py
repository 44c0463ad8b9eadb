"""Terms no venue can run on are refused by name before the first command."""

import pytest
from msgspec.structs import replace

from penstock.protocol.terms import Genesis, Tier, default_markets
from penstock.spec.state import State

BTC, ETH = default_markets()
TOP = (1 << 95) - 1


def genesis(*markets, oracles=(b"\xa0" * 20, b"\xa1" * 20), threshold=2) -> Genesis:
    """A genesis of these markets."""
    return Genesis(1, bytes(20), markets, oracles, threshold)


def test_the_default_markets_pass():
    assert sorted(State.from_genesis(genesis(BTC, ETH)).markets) == [0, 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("market", 1 << 16),
        ("market", -1),
        ("underlying", 64),
        ("tick", 0),
        ("lot", 0),
        ("maker_fee_ppm", -301),
        ("taker_fee_ppm", 1_000_001),
        ("liquidation_band_ppm", 1_000_000),
        ("price_step_ppm", 0),
        ("stale_after", 0),
        ("kind", 3),
        ("size_unit", BTC.price_unit),
        ("tiers", ()),
        ("tiers", (Tier(1000, 20_000, 10_000),)),
        ("tiers", (Tier(1000, 10_000, 20_000), Tier(TOP, 20_000, 10_000))),
        ("tiers", (Tier(TOP, 20_000, 10_000), Tier(TOP, 20_000, 10_000))),
    ],
)
def test_a_term_out_of_range_is_refused_by_name(field, value):
    named = {"size_unit": "price unit"}.get(field, field)
    with pytest.raises(ValueError, match=named):
        State.from_genesis(genesis(replace(BTC, **{field: value})))


def test_markets_need_numbers_of_their_own_and_oracles_a_quorum():
    for wrong in (genesis(), genesis(BTC, replace(ETH, market=0))):
        with pytest.raises(ValueError, match="markets"):
            State.from_genesis(wrong)
    for threshold in (0, 3):
        with pytest.raises(ValueError, match="oracle_threshold"):
            State.from_genesis(genesis(BTC, threshold=threshold))
