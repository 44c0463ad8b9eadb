"""What a seeded stream is about: each profile lists markets, cash and weights that reach other corners of the rules.

normal        two markets, traders who can afford what they do
liquidations  small accounts, long steps of price, an empty insurance fund
far           price levels far from the touch, prices that double and halve
wide          prices next to 1 and to 2^40, sizes next to 2^48, cash next to 2^95, months between two commands
crowded       books and subaccounts as full as they get, sweeps of more than 256 orders, 64 session keys
markets       forty markets of every kind, and accounts that want a position in each
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from penstock.protocol.instruments import FUTURE, OPTION, PERPETUAL
from penstock.protocol.quantities import MICRO, PPM, RATE_SCALE
from penstock.protocol.terms import Genesis, MarketTerms, Tier, default_markets
from penstock.simulation.cast import CHAIN, ORACLES, VAULT

WIDEST_PRICE: Final = (1 << 40) - 1
WIDEST_CASH: Final = (1 << 95) - 1


class Profile(Struct, frozen=True):
    """Markets, each with its first price; cash in 1e-6 USDC; price steps in ppm; changes to the usual weights.

    `leverage` is that of a small account's order, the others take a twentieth of it; `far` is how often an
    order's price has nothing to do with the mark, `leap` and `leaps` how far (µs) and how often the clock jumps,
    `wild` how often a price takes the longest step and the widest basis allowed, `ladders` how
    many bundles of resting orders it begins with.
    """

    name: str
    markets: tuple[MarketTerms, ...]
    prices: tuple[int, ...]
    cash: int = 100_000 * MICRO
    small_cash: int = 200 * MICRO
    step_ppm: int = 2_000
    leverage: tuple[int, ...] = (1, 2, 5, 20, 40)
    far: float = 0.01
    wild: float = 0.0
    leap: int = 70 * MICRO
    leaps: float = 0.001
    ladders: int = 0
    weights: dict[str, int] = field(default_factory=dict)

    def genesis(self) -> Genesis:
        """What a stream of this profile starts from."""
        return Genesis(CHAIN, VAULT, self.markets, tuple(o.address for o in ORACLES), 2)


def _usual(**changes: int) -> tuple[MarketTerms, ...]:
    """The two default markets, with a coarser tick for one and small liquidation slices."""
    btc, eth = default_markets()
    btc = replace(btc, tick=5, liquidation_slice=5_000 * MICRO, **changes)
    return btc, replace(eth, maker_fee_ppm=100, **changes)


def _of_every_kind(count: int) -> tuple[MarketTerms, ...]:
    """Markets with scattered numbers, several underlyings, perpetuals, futures and options."""
    btc, eth = default_markets()
    numbers = [*range(count - 3), 300, 4_096, 65_535]
    return tuple(
        replace(
            (btc, eth)[i % 2], market=number, underlying=i * 7 % 64, kind=(PERPETUAL, FUTURE, OPTION)[i % 3],
            stale_after=3_600 * MICRO, tick=1 + i % 3,
        )
        for i, number in enumerate(numbers)
    )  # fmt: skip


def _of_every_width() -> tuple[MarketTerms, ...]:
    """Markets at the highest prices and at the lowest, whose prices may be years old; and a usual one."""
    btc, eth = default_markets()
    tiers = (Tier(1 << 60, 10, 5), Tier(WIDEST_CASH, 100, 50))
    wide = replace(
        btc, price_unit=Decimal("0.000001"), size_unit=Decimal(1), lot=1, tiers=tiers, price_step_ppm=PPM,
        mark_band_ppm=PPM, funding_cap=RATE_SCALE, stale_after=1 << 48, liquidation_slice=1 << 94,
    )  # fmt: skip
    low = replace(wide, market=1, underlying=63, liquidation_band_ppm=PPM - 1, maker_fee_ppm=1)
    strict = replace(wide, market=2, tiers=btc.tiers, liquidation_band_ppm=100_000)
    return wide, low, strict, replace(eth, market=3, funding_cap=RATE_SCALE)


NORMAL: Final = Profile("normal", _usual(), (600_000, 30_000_00))
LIQUIDATIONS: Final = Profile(
    "liquidations",
    _usual(price_step_ppm=80_000, liquidation_band_ppm=30_000, taker_fee_ppm=1_000),
    (600_000, 30_000_00),
    cash=50_000 * MICRO,
    small_cash=500 * MICRO,
    step_ppm=18_000,
    leverage=(5, 20, 40, 45),
    weights={"price": 16, "liquidation": 16, "deposit": 8, "fees": 3},
)
FAR: Final = Profile(
    "far",
    _usual(price_step_ppm=PPM, mark_band_ppm=200_000),
    (600_000, 30_000_00),
    step_ppm=10_000,
    far=0.3,
    wild=0.01,
    weights={"liquidation": 14, "deposit": 5, "fees": 3},
)
WIDE: Final = Profile(
    "wide",
    _of_every_width(),
    (WIDEST_PRICE - (1 << 34), 2, 1 << 38, 30_000_00),
    cash=1 << 91,
    small_cash=1 << 60,
    step_ppm=4_000,
    far=0.1,
    wild=0.15,
    leap=1 << 46,
    leaps=0.01,
    weights={"pump": 8},
)
CROWDED: Final = Profile(
    "crowded",
    _usual(),
    (600_000, 30_000_00),
    step_ppm=500,
    ladders=24,
    weights={"ladder": 8, "price": 18, "sweep": 1, "keyring": 1, "reducers": 2, "cancel_all": 1, "bundle": 2},
)
MARKETS: Final = Profile(
    "markets",
    _of_every_kind(40),
    tuple((600_000, 30_000_00)[i % 2] for i in range(40)),
    weights={"collect": 8, "price": 20},
)
PROFILES: Final = {p.name: p for p in (NORMAL, LIQUIDATIONS, FAR, WIDE, CROWDED, MARKETS)}
_ROTATION: Final = (NORMAL, LIQUIDATIONS, FAR, WIDE, CROWDED, MARKETS, NORMAL, LIQUIDATIONS, NORMAL, WIDE)


def profile_of(seed: int) -> Profile:
    """The profile a seed stands for: ten seeds in a row meet all of them."""
    return _ROTATION[seed % len(_ROTATION)]
