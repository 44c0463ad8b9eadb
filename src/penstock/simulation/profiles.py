"""What a seeded stream is about: each profile lists markets, cash and weights that reach other corners of the rules.

normal        two markets, traders who can afford what they do
liquidations  small accounts, long steps of price, an empty insurance fund
far           price levels far from the touch, prices that double and halve
wide          prices next to 1 and to 2^40, sizes next to 2^48, cash next to 2^95, months between two commands
crowded       books and subaccounts as full as they get, sweeps of more than 256 orders, 64 session keys
markets       forty markets of every kind, and accounts that want a position in each
chain         futures and options of two underlyings, listed and expiring, halted and delisted; rebates, builders, caps
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from penstock.protocol.instruments import ALL_DATES, CALL, DAILY, FUTURE, OPTION, PERPETUAL, PUT, WEEKLY
from penstock.protocol.quantities import MICRO, PPM, RATE_SCALE
from penstock.protocol.terms import Genesis, MarketTerms, Template, Tier, default_markets
from penstock.simulation.cast import CHAIN, GOVERNOR, GUARDIAN, ORACLES, VAULT

WIDEST_PRICE: Final = (1 << 40) - 1
WIDEST_CASH: Final = (1 << 95) - 1


class Profile(Struct, frozen=True):
    """Markets, each with its first price; cash in 1e-6 USDC; price steps in ppm; changes to the usual weights.

    `leverage` is that of a small account's order, the others take a twentieth of it; `far` is how often an
    order's price has nothing to do with the mark, `leap` and `leaps` how far (µs) and how often the clock jumps,
    `wild` how often a price takes the longest step and the widest basis allowed, `ladders` how
    many bundles of resting orders it begins with, `built` how often an order names a builder.
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
    built: float = 0.03
    templates: tuple[Template, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)

    def genesis(self) -> Genesis:
        """What a stream of this profile starts from."""
        return Genesis(
            CHAIN,
            VAULT,
            self.markets,
            tuple(o.address for o in ORACLES),
            2,
            self.templates,
            GUARDIAN.address,
            GOVERNOR.address,
        )


def _usual(**changes: int) -> tuple[MarketTerms, ...]:
    """The two default markets, with a coarser tick for one and small liquidation slices."""
    btc, eth = default_markets(0)
    btc = replace(btc, tick=5, liquidation_slice=5_000 * MICRO, **changes)
    return btc, replace(eth, maker_fee_ppm=100, **changes)


def _of_every_kind(count: int) -> tuple[MarketTerms, ...]:
    """Markets with scattered numbers, several underlyings, perpetuals, futures and options."""
    btc, eth = default_markets(0)
    numbers = [*range(count - 3), 300, 4_096, 65_535]
    kinds = ((PERPETUAL, 0, 0, 0), (FUTURE, _LATE, 0, 0), (OPTION, _LATE, 1, CALL), (OPTION, _LATE + 60, 1, PUT))
    return tuple(
        replace(
            (btc, eth)[i % 2], market=number, underlying=i * 7 % 64, kind=kind, stale_after=3_600 * MICRO,
            tick=1 + i % 3, expiry=expiry, option_type=option_type, mark_band_ppm=10_000 if kind != OPTION else PPM,
            strike=strike * (606_000, 2_988_000)[i % 2],
        )
        for i, number in enumerate(numbers)
        for kind, expiry, strike, option_type in (kinds[i % 4],)
    )  # fmt: skip


_LATE: Final = 1_700_000_000 + 1_800
"""When the dated markets of a stream end: half an hour after its beginning."""


def _chain() -> tuple[MarketTerms, ...]:
    """Two perpetuals with rebates, caps and crowds, a future and two options that end soon."""
    btc, eth = default_markets(30_000)
    common = {"stale_after": 4 * 3_600 * MICRO, "price_step_ppm": 50_000, "mark_band_ppm": 50_000}
    btc = replace(
        btc, maker_fee_ppm=-100, position_cap=15_000, open_interest_cap=24_000, crowded_from=10_000,
        funding_interest=100_000, funding_clamp=500_000, funding_cap=RATE_SCALE, **common,
    )  # fmt: skip
    eth = replace(eth, maker_fee_ppm=-300, position_cap=60_000, open_interest_cap=70_000, **common)
    future = replace(btc, market=2, kind=FUTURE, expiry=_LATE, taker_fee_ppm=500)
    call = replace(_option(btc), market=3, expiry=_LATE, strike=602_000, option_type=CALL)
    put = replace(_option(eth), market=4, expiry=_LATE + 3_600, strike=30_500_00, option_type=PUT)
    return btc, eth, future, call, put


def _option(terms: MarketTerms) -> MarketTerms:
    """Terms of options on a perpetual's underlying: Deribit's fractions, and more for large positions."""
    tiers = (Tier(2_000_000 * MICRO, 150_000, 75_000), Tier(WIDEST_CASH, 300_000, 200_000))
    return replace(terms, kind=OPTION, tiers=tiers, maker_fee_ppm=-100, liquidation_band_ppm=30_000)


def _templates() -> tuple[Template, ...]:
    """Futures on one underlying, options on both."""
    btc, eth = (replace(terms, market=0, tick=5) for terms in _chain()[:2])
    return (
        Template(0, replace(btc, kind=FUTURE), ALL_DATES, 0),
        Template(1, _option(btc), DAILY | WEEKLY, 0, 10_000, 300_000),
        Template(2, _option(eth), ALL_DATES, 1, 50_00, 500_000),
    )


def _of_every_width() -> tuple[MarketTerms, ...]:
    """Markets at the highest prices and at the lowest, whose prices may be years old; and a usual one."""
    btc, eth = default_markets(0)
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
    templates=_templates(),
)
CHAIN_OF_CONTRACTS: Final = Profile(
    "chain",
    _chain(),
    (600_000, 30_000_00, 600_000, 600_000, 30_000_00),
    step_ppm=3_000,
    leap=4 * 3_600 * MICRO,
    leaps=0.002,
    built=0.2,
    weights={"life": 22, "price": 26, "place": 60, "bundle": 3, "nonsense": 4, "liquidation": 6},
    templates=_templates(),
)
PROFILES: Final = {p.name: p for p in (NORMAL, LIQUIDATIONS, FAR, WIDE, CROWDED, MARKETS, CHAIN_OF_CONTRACTS)}
_ROTATION: Final = (
    NORMAL, LIQUIDATIONS, FAR, WIDE, CROWDED, MARKETS, CHAIN_OF_CONTRACTS, LIQUIDATIONS, CHAIN_OF_CONTRACTS, WIDE,
)  # fmt: skip


def profile_of(seed: int) -> Profile:
    """The profile a seed stands for: ten seeds in a row meet all of them."""
    return _ROTATION[seed % len(_ROTATION)]
