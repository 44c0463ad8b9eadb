"""What is listed: markets and their fixed terms, oracle keys, and the genesis that binds them to a vault."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from penstock.protocol.ledger import TERMS, TIER, Domains
from penstock.protocol.quantities import MAX_MARKETS, MAX_ORACLES, MAX_TIERS, MICRO, PPM, RATE_SCALE
from penstock.protocol.words import keccak

PERPETUAL: Final = 1
FUTURE: Final = 2
OPTION: Final = 4
KIND_NAMES: Final = {PERPETUAL: "perpetual", FUTURE: "future", OPTION: "option"}


class Tier(Struct, frozen=True):
    """Margin fractions for the part of a position's notional up to `notional` (1e-6 USDC)."""

    notional: int
    initial_ppm: int
    maintenance_ppm: int


class MarketTerms(Struct, frozen=True):
    """A market's terms. price unit × size unit = 1e-6 USDC; tick and lot are filters in those units."""

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

    def check(self) -> None:
        """Raises ValueError naming the first term that is out of range."""
        limits = {
            "market": (0, MAX_MARKETS - 1), "underlying": (0, 63), "tick": (1, 1 << 39), "lot": (1, 1 << 47),
            "maker_fee_ppm": (0, PPM), "taker_fee_ppm": (0, PPM), "liquidation_fee_ppm": (0, PPM),
            "liquidation_band_ppm": (1, PPM - 1), "liquidation_slice": (1, 1 << 95), "price_step_ppm": (1, PPM),
            "mark_band_ppm": (1, PPM), "stale_after": (1, 1 << 48), "funding_interval": (1, 1 << 48),
            "funding_cap": (0, RATE_SCALE),
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

    def digest(self) -> bytes:
        """keccak of every term the chain will need to judge an entry; 32 bytes in the market leaf."""
        return keccak(Domains.PARAMETERS + self.encode())

    def encode(self) -> bytes:
        """The packed terms and tiers, as the chain and the core read them."""
        terms = TERMS.pack(
            self.market, self.underlying, self.kind, self.tick, self.lot, self.maker_fee_ppm, self.taker_fee_ppm,
            self.liquidation_fee_ppm, self.liquidation_band_ppm, self.liquidation_slice, self.price_step_ppm,
            self.mark_band_ppm, self.stale_after, self.funding_interval, self.funding_cap, len(self.tiers),
        )  # fmt: skip
        return terms + b"".join(TIER.pack(t.notional, t.initial_ppm, t.maintenance_ppm) for t in self.tiers)


class Genesis(Struct, frozen=True):
    """Everything fixed before the first command: the EIP-712 domain, the markets, the oracle quorum."""

    chain_id: int
    vault: bytes
    markets: tuple[MarketTerms, ...]
    oracles: tuple[bytes, ...]
    oracle_threshold: int

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

    def ruleset(self) -> bytes:
        """keccak over the markets' digests and the oracle quorum; named by every batch's globals."""
        parts = [Domains.PARAMETERS, self.oracle_threshold.to_bytes(32, "big")]
        parts += [oracle.rjust(32, b"\0") for oracle in sorted(self.oracles)]
        parts += [terms.digest() for terms in self.markets]
        return keccak(b"".join(parts))

    def encode(self) -> bytes:
        """threshold u8 · oracle count u8 · oracles b20 · market count u32 · each market's packed terms."""
        parts = [bytes([self.oracle_threshold, len(self.oracles)]), *self.oracles]
        parts += [len(self.markets).to_bytes(4, "big"), *(terms.encode() for terms in self.markets)]
        return b"".join(parts)


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


def default_markets() -> tuple[MarketTerms, ...]:
    """The two perpetuals this release lists: BTC (0.1 USD × 0.00001) and ETH (0.01 USD × 0.0001)."""
    return (
        _perpetual(0, "BTC", 0, "0.1", "0.00001", 100),
        _perpetual(1, "ETH", 1, "0.01", "0.0001", 10),
    )
