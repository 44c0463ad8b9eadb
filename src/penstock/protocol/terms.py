"""What is listed: markets and their fixed terms, oracle keys, and the genesis that binds them to a vault."""

from decimal import Decimal
from itertools import pairwise
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from penstock.protocol.instruments import (
    ALL_DATES,
    CALL,
    FUTURE,
    KIND_NAMES,
    NO_OPTION,
    OPTION,
    PERPETUAL,
    PUT,
    name_of,
)
from penstock.protocol.ledger import TEMPLATE, TERMS, TIER, Domains
from penstock.protocol.quantities import (
    MAX_MARKETS,
    MAX_ORACLES,
    MAX_TEMPLATES,
    MAX_TIERS,
    MICRO,
    OPEN_INTEREST_BITS,
    POSITION_BITS,
    PPM,
    PRICE_BITS,
    RATE_SCALE,
)
from penstock.protocol.words import keccak

NOBODY: Final = bytes(20)
"""The address of a role that nobody holds."""
NO_TEMPLATE: Final = 0xFFFF
"""The template of a market that genesis lists."""


class Tier(Struct, frozen=True):
    """Margin fractions for the part of a position's notional up to `notional` (1e-6 USDC)."""

    notional: int
    initial_ppm: int
    maintenance_ppm: int


class MarketTerms(Struct, frozen=True):
    """A market's terms. price unit × size unit = 1e-6 USDC; tick and lot are filters in those units.

    Times in µs but `expiry` (s, 0: none); `strike` in price units. A negative maker fee is a rebate. Funding terms are
    parts in 1e9 per eight hours: rate = premium + clamp(interest − premium, ± clamp), within ± cap. `position_cap`
    binds one subaccount, `open_interest_cap` all of them, in size units; from `crowded_from` on the initial margin of
    each position grows, to all of its notional at the cap. Two prices are at least `price_interval` (µs) apart.
    """

    market: int
    name: str
    base: str
    underlying: int
    kind: int
    price_unit: Decimal
    size_unit: Decimal
    tick: int
    lot: int
    tiers: tuple[Tier, ...]
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 300
    liquidation_fee_ppm: int = 5_000
    liquidation_band_ppm: int = 10_000
    liquidation_slice: int = 100_000 * MICRO
    price_step_ppm: int = 10_000
    mark_band_ppm: int = 10_000
    stale_after: int = 60 * MICRO
    funding_interval: int = MICRO
    funding_cap: int = 5_000_000
    funding_interest: int = 0
    funding_clamp: int = 250_000
    expiry: int = 0
    strike: int = 0
    option_type: int = NO_OPTION
    position_cap: int = (1 << POSITION_BITS) - 1
    open_interest_cap: int = (1 << OPEN_INTEREST_BITS) - 1
    crowded_from: int = (1 << OPEN_INTEREST_BITS) - 1
    price_interval: int = 0

    def check(self) -> None:
        """Raises ValueError naming the first term that is out of range."""
        self.check_numbers()
        if self.kind != PERPETUAL and self.expiry == 0:
            raise ValueError(f"{self.name}: expiry is 0, wants a time: it is a dated market")
        if (self.kind == OPTION) != (self.option_type in (CALL, PUT)) or (self.kind == OPTION) != (self.strike > 0):
            raise ValueError(f"{self.name}: strike and option_type belong to options, and to all of them")
        if self.strike % self.tick:
            raise ValueError(f"{self.name}: strike is {self.strike}, wants a multiple of the tick {self.tick}")

    def check_numbers(self) -> None:
        """Raises ValueError naming the first term that is out of range, whatever the contract's own three."""
        most = (1 << OPEN_INTEREST_BITS) - 1
        limits = {
            "market": (0, MAX_MARKETS - 1), "underlying": (0, 63), "tick": (1, 1 << 39), "lot": (1, 1 << 47),
            "maker_fee_ppm": (-self.taker_fee_ppm, PPM), "taker_fee_ppm": (0, PPM), "liquidation_fee_ppm": (0, PPM),
            "liquidation_band_ppm": (1, PPM - 1), "liquidation_slice": (1, 1 << 95), "price_step_ppm": (1, PPM),
            "mark_band_ppm": (1, PPM), "stale_after": (1, 1 << 48), "funding_interval": (1, 1 << 48),
            "funding_cap": (0, RATE_SCALE), "funding_interest": (-RATE_SCALE, RATE_SCALE),
            "funding_clamp": (0, RATE_SCALE), "expiry": (0, (1 << 40) - 1), "strike": (0, (1 << PRICE_BITS) - 1),
            "option_type": (NO_OPTION, PUT), "position_cap": (1, (1 << POSITION_BITS) - 1),
            "open_interest_cap": (1, most), "crowded_from": (0, most),
            "price_interval": (0, (1 << 32) - 1),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{self.name}: {name} is {value}, wants {low} to {high}")
        if self.kind not in KIND_NAMES:
            raise ValueError(f"{self.name}: kind is {self.kind}, wants one of {sorted(KIND_NAMES)}")
        if self.price_unit * self.size_unit != Decimal(1) / MICRO:
            raise ValueError(f"{self.name}: price unit times size unit is not 0.000001")
        bounds = [tier.notional for tier in self.tiers]
        if not bounds or bounds != sorted(set(bounds)) or bounds[-1] < (1 << 95) - 1:
            raise ValueError(f"{self.name}: tiers must rise and the last must reach 2^95 - 1")
        if len(bounds) > MAX_TIERS or bounds[-1] >= 1 << 96:
            raise ValueError(f"{self.name}: {len(bounds)} tiers up to {bounds[-1]}, wants at most {MAX_TIERS}, < 2^96")
        if any(not 0 < t.maintenance_ppm <= t.initial_ppm <= PPM for t in self.tiers):
            raise ValueError(f"{self.name}: tiers want 0 < maintenance <= initial <= 1,000,000 ppm")
        fractions = [(t.initial_ppm, t.maintenance_ppm) for t in self.tiers]
        if any(a > b for one, other in pairwise(fractions) for a, b in zip(one, other, strict=True)):
            raise ValueError(f"{self.name}: tiers want fractions that do not fall, so that nobody gains by merging")

    def contract(self, market: int, expiry: int, strike: int, option_type: int) -> "MarketTerms":
        """These terms for one contract, with its own number and name."""
        name = name_of(self.base, self.kind, expiry, strike * self.price_unit, option_type)
        return replace(self, market=market, name=name, expiry=expiry, strike=strike, option_type=option_type)

    def identity(self) -> tuple[int, int, int, int, int]:
        """What two listed markets may not share: underlying, kind, expiry, strike, option type."""
        return self.underlying, self.kind, self.expiry, self.strike, self.option_type

    def digest(self) -> bytes:
        """keccak of every term the chain will need to judge an entry; 32 bytes in the market leaf."""
        return keccak(Domains.PARAMETERS + self.encode())

    def encode(self) -> bytes:
        """The packed terms and tiers, as the chain and the core read them."""
        terms = TERMS.pack(
            self.market, self.underlying, self.kind, self.tick, self.lot, self.maker_fee_ppm, self.taker_fee_ppm,
            self.liquidation_fee_ppm, self.liquidation_band_ppm, self.liquidation_slice, self.price_step_ppm,
            self.mark_band_ppm, self.stale_after, self.funding_interval, self.funding_cap, self.funding_interest,
            self.funding_clamp, self.expiry, self.strike, self.option_type, self.position_cap, self.open_interest_cap,
            self.crowded_from, self.price_interval, len(self.tiers),
        )  # fmt: skip
        return terms + b"".join(TIER.pack(t.notional, t.initial_ppm, t.maintenance_ppm) for t in self.tiers)


class Template(Struct, frozen=True):
    """Contracts that anybody may list: the terms they share, the dates they may end on, the strikes they may have.

    `strike_step` and the largest distance of a strike from `index_market`'s index, `strike_band_ppm`, are for options.
    """

    template: int
    terms: MarketTerms
    dates: int
    index_market: int
    strike_step: int = 0
    strike_band_ppm: int = 0

    def check(self) -> None:
        """Raises ValueError naming the first term that is out of range."""
        terms, name = self.terms, f"template {self.template}"
        terms.check_numbers()
        if not 0 <= self.template < MAX_TEMPLATES:
            raise ValueError(f"{name}: wants a number from 0 to {MAX_TEMPLATES - 1}")
        if terms.kind not in (FUTURE, OPTION) or terms.market or terms.identity()[2:] != (0, 0, 0):
            raise ValueError(f"{name}: wants terms of a future or an option, without market, expiry, strike and type")
        if not 1 <= self.dates <= ALL_DATES:
            raise ValueError(f"{name}: dates is {self.dates}, wants 1 to {ALL_DATES}")
        steps = self.strike_step > 0 and self.strike_step % terms.tick == 0 and self.strike_step < 1 << PRICE_BITS
        if (terms.kind == OPTION) != steps or (terms.kind == FUTURE) != (self.strike_step == 0):
            raise ValueError(f"{name}: strike_step is {self.strike_step}, wants a multiple of an option's tick, else 0")
        if not 0 <= self.strike_band_ppm < 1 << 24:
            raise ValueError(f"{name}: strike_band_ppm is {self.strike_band_ppm}, wants 0 to {(1 << 24) - 1}")

    def encode(self) -> bytes:
        """The packed template, its terms and tiers, as the core reads them."""
        head = TEMPLATE.pack(self.template, self.dates, self.strike_step, self.strike_band_ppm, self.index_market)
        return head + self.terms.encode()

    def digest(self) -> bytes:
        """keccak of everything a listing is judged by."""
        return keccak(Domains.PARAMETERS + self.encode())


class Genesis(Struct, frozen=True):
    """Everything fixed before the first command: the EIP-712 domain, markets, oracle quorum, templates, roles."""

    chain_id: int
    vault: bytes
    markets: tuple[MarketTerms, ...]
    oracles: tuple[bytes, ...]
    oracle_threshold: int
    templates: tuple[Template, ...] = ()
    guardian: bytes = NOBODY
    governor: bytes = NOBODY

    def check(self) -> None:
        """Raises ValueError naming the first term that no venue can run on."""
        numbers = [terms.market for terms in self.markets]
        if not numbers or len(set(numbers)) != len(numbers):
            raise ValueError("markets: at least one, each with a number of its own")
        if len(self.oracles) > MAX_ORACLES:
            raise ValueError(f"oracles: {len(self.oracles)}, wants at most {MAX_ORACLES}")
        if not 1 <= self.oracle_threshold <= len(set(self.oracles)):
            raise ValueError(f"oracle_threshold: {self.oracle_threshold}, wants 1 to {len(set(self.oracles))}")
        for terms in self.markets:
            terms.check()
        if len({template.template for template in self.templates}) != len(self.templates):
            raise ValueError("templates: each wants a number of its own")
        for template in self.templates:
            template.check()
            if template.index_market not in numbers:
                raise ValueError(f"template {template.template}: index_market {template.index_market} is not listed")

    def template(self, number: int) -> Template | None:
        """The template of this number."""
        return next((template for template in self.templates if template.template == number), None)

    def terms_of(self, market: int, template: int, expiry: int, strike: int, option_type: int) -> MarketTerms:
        """The terms of a market as an event or a view tells of it: of genesis (NO_TEMPLATE), or listed since.

        Raises KeyError for a market or template that there is not.
        """
        if template != NO_TEMPLATE:
            found = self.template(template)
            if found is None:
                raise KeyError(f"template {template}")
            return found.terms.contract(market, expiry, strike, option_type)
        known = next((terms for terms in self.markets if terms.market == market), None)
        if known is None:
            raise KeyError(f"market {market}")
        return replace(known, expiry=expiry)

    def ruleset(self) -> bytes:
        """keccak over the oracle quorum, the roles, and the digests of markets and templates; in batches' globals."""
        parts = [Domains.PARAMETERS, self.oracle_threshold.to_bytes(32, "big")]
        parts += [oracle.rjust(32, b"\0") for oracle in sorted(self.oracles)]
        parts += [self.guardian.rjust(32, b"\0"), self.governor.rjust(32, b"\0")]
        parts += [terms.digest() for terms in self.markets]
        parts += [template.digest() for template in self.templates]
        return keccak(b"".join(parts))

    def encode(self) -> bytes:
        """threshold u8 · oracle count u8 · oracles b20 · guardian b20 · governor b20 · market count u32 · each market's
        packed terms · template count u16 · each packed template."""
        parts = [bytes([self.oracle_threshold, len(self.oracles)]), *self.oracles, self.guardian, self.governor]
        parts += [len(self.markets).to_bytes(4, "big"), *(terms.encode() for terms in self.markets)]
        parts += [len(self.templates).to_bytes(2, "big"), *(template.encode() for template in self.templates)]
        return b"".join(parts)


PRICE_INTERVAL: Final = 200_000
"""µs between two prices of a listed market: with steps of 1 %, a quorum doubles a price in 14 s at the fastest."""


def _perpetual(market: int, base: str, underlying: int, price_unit: str, size_unit: str, lot: int) -> MarketTerms:
    return MarketTerms(
        market=market,
        name=f"{base}_USDC-PERPETUAL",
        base=base,
        underlying=underlying,
        kind=PERPETUAL,
        price_unit=Decimal(price_unit),
        size_unit=Decimal(size_unit),
        tick=1,
        lot=lot,
        tiers=(
            Tier(1_000_000 * MICRO, 20_000, 10_000),
            Tier(10_000_000 * MICRO, 40_000, 20_000),
            Tier(100_000_000 * MICRO, 100_000, 50_000),
            Tier((1 << 95) - 1, 250_000, 125_000),
        ),
    )


def default_markets(price_interval: int = PRICE_INTERVAL) -> tuple[MarketTerms, ...]:
    """The two perpetuals this release lists: BTC (0.1 USD × 0.00001) and ETH (0.01 USD × 0.0001)."""
    listed = (
        _perpetual(0, "BTC", 0, "0.1", "0.00001", 100),
        _perpetual(1, "ETH", 1, "0.01", "0.0001", 10),
    )
    return tuple(replace(terms, price_interval=price_interval) for terms in listed)


def default_templates() -> tuple[Template, ...]:
    """What anybody may list beside the perpetuals: futures and options on BTC (0, 1) and ETH (2, 3), every date.

    Strikes of 1,000 and 50 USD, up to 30 % of the index away. Short options need Deribit's 15 and 7.5 %, large ones more.
    """
    btc, eth = (replace(terms, market=0, stale_after=60 * MICRO) for terms in default_markets())
    tiers = (
        Tier(10_000_000 * MICRO, 150_000, 75_000),
        Tier(100_000_000 * MICRO, 250_000, 125_000),
        Tier((1 << 95) - 1, 500_000, 250_000),
    )
    found = []
    for number, terms, tick, lot, step in ((0, btc, 50, 1_000, 10_000), (2, eth, 20, 1_000, 5_000)):
        future = replace(terms, name=f"{terms.base}_USDC", kind=FUTURE, mark_band_ppm=100_000, funding_cap=0)
        option = replace(
            future, kind=OPTION, tick=tick, lot=lot, tiers=tiers, price_step_ppm=20_000, mark_band_ppm=50_000,
            liquidation_band_ppm=30_000,
        )  # fmt: skip
        perpetual = number // 2
        found += [
            Template(number, future, ALL_DATES, perpetual),
            Template(number + 1, option, ALL_DATES, perpetual, step, 300_000),
        ]
    return tuple(found)
