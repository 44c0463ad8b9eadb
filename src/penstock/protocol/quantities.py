"""Integers of money: widths, scales and the only three divisions."""

from typing import Final

MICRO: Final = 1_000_000
"""Cash is counted in 1e-6 USDC; venue time in 1e-6 s."""
PPM: Final = 1_000_000
FUNDING_SCALE: Final = 1 << 32
"""The funding index counts 2^-32 cash units per size unit."""
RATE_SCALE: Final = 1_000_000_000
"""Funding rates are parts in 1e9 per eight hours."""
FUNDING_PERIOD: Final = 8 * 3600 * MICRO
CROWDING_SCALE: Final = 10_000
SETTLEMENT_WINDOW: Final = 30 * 60 * MICRO
"""A contract expires at the mean index of this long before its expiry."""

PRICE_BITS: Final = 40
ORDER_SIZE_BITS: Final = 48
POSITION_BITS: Final = 55
CASH_BITS: Final = 95
WITHDRAWN_BITS: Final = 96
FUNDING_BITS: Final = 78
SIZE_FUNDING_BITS: Final = 159
OPEN_INTEREST_BITS: Final = 56
BUILDER_FEES_BITS: Final = 80

SLOTS: Final = 4096
FIRST_ORDER_SLOT: Final = 16
MAX_NONCE_AHEAD: Final = 60 * MICRO
MAX_REMOVED_PER_SEQUENCE: Final = 256
MAX_OPEN_ORDERS: Final = 1024
MAX_REDUCE_ONLY: Final = 8
MAX_POSITIONS: Final = 32
MAX_SESSIONS: Final = 64
MAX_BUNDLE: Final = 64
MAX_ENVELOPE: Final = 65_536
MAX_ORACLES: Final = 16
MAX_BUILDER_FEE: Final = 1_000
"""ppm of notional."""
MAX_SUBACCOUNTS: Final = 1 << 24
MAX_MARKETS: Final = 1 << 16
MAX_TEMPLATES: Final = 0xFFFF
MAX_TIERS: Final = 8
MAX_SEQUENCE: Final = (1 << 58) - 1
"""A stamp, sequence × 64 + member, fits 64 bits."""
NO_DEADLINE: Final = (1 << 64) - 1
ANY_FILL: Final = (1 << 48) - 1
"""A fill guard that no fill exceeds."""


def div_floor(numerator: int, denominator: int) -> int:
    """Quotient rounded towards minus infinity; the denominator must be positive."""
    return numerator // denominator


def div_ceil(numerator: int, denominator: int) -> int:
    """Quotient rounded towards plus infinity; the denominator must be positive."""
    return -(-numerator // denominator)


def div_trunc(numerator: int, denominator: int) -> int:
    """Quotient rounded towards zero; the denominator must be positive."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


def fits(value: int, bits: int) -> bool:
    """Whether |value| < 2^bits."""
    return -(1 << bits) < value < (1 << bits)
