//! Integers of money: widths, scales and the only three divisions.

/// Cash is counted in 1e-6 USDC; venue time in 1e-6 s.
pub const MICRO: u64 = 1_000_000;
/// Parts per million.
pub const PPM: u64 = 1_000_000;
/// The funding index counts 2^-32 cash units per size unit; this is the shift.
pub const FUNDING_SHIFT: u32 = 32;
/// Funding rates are parts in 1e9 per eight hours.
pub const RATE_SCALE: i128 = 1_000_000_000;
/// Crowding is counted in 1e-4.
pub const CROWDING_SCALE: u128 = 10_000;
/// A contract expires at the mean index of this long before its expiry, in µs.
pub const SETTLEMENT_WINDOW: u64 = 30 * 60 * MICRO;
/// Eight hours of venue time.
pub const FUNDING_PERIOD: i128 = 8 * 3600 * MICRO as i128;

pub const PRICE_BITS: u32 = 40;
pub const ORDER_SIZE_BITS: u32 = 48;
pub const POSITION_BITS: u32 = 55;
pub const CASH_BITS: u32 = 95;
pub const WITHDRAWN_BITS: u32 = 96;
pub const FUNDING_BITS: u32 = 78;
pub const SIZE_FUNDING_BITS: u32 = 159;
pub const OPEN_INTEREST_BITS: u32 = 56;
pub const BUILDER_FEES_BITS: u32 = 80;

pub const SLOTS: u16 = 4096;
pub const FIRST_ORDER_SLOT: u16 = 16;
pub const MAX_NONCE_AHEAD: u64 = 60 * MICRO;
pub const MAX_REMOVED_PER_SEQUENCE: u32 = 256;
pub const MAX_OPEN_ORDERS: u32 = 1024;
pub const MAX_REDUCE_ONLY: u32 = 8;
pub const MAX_POSITIONS: usize = 32;
pub const MAX_SESSIONS: usize = 64;
pub const MAX_BUNDLE: usize = 64;
pub const MAX_ENVELOPE: usize = 65_536;
pub const MAX_ORACLES: usize = 16;
/// ppm of notional.
pub const MAX_BUILDER_FEE: u32 = 1_000;
pub const MAX_SUBACCOUNTS: usize = 1 << 24;
pub const MAX_MARKETS: u32 = 1 << 16;
pub const MAX_TIERS: usize = 8;
/// A stamp, sequence × 64 + member, fits 64 bits.
pub const MAX_SEQUENCE: u64 = (1 << 58) - 1;
/// The deadline of a message that has none.
pub const NO_DEADLINE: u64 = u64::MAX;
/// A fill guard that no fill exceeds.
pub const ANY_FILL: u64 = (1 << 48) - 1;
/// The template of a market that genesis lists.
pub const NO_TEMPLATE: u16 = 0xFFFF;
/// The slot of a taker without an order: a liquidation.
pub const NO_SLOT: u16 = 0xFFFF;
/// The session of an order the owner signed.
pub const BY_OWNER_KEY: u8 = 0xFF;
/// The subaccount that takes fees and covers shortfalls.
pub const INSURANCE_FUND: u32 = 0;

pub const BUY: u8 = 0;
pub const SELL: u8 = 1;
pub const IMMEDIATE_OR_CANCEL: u8 = 1;

/// What the guardian may ask of a market.
pub mod status {
    pub const OPEN: u8 = 0;
    pub const REDUCE_ONLY: u8 = 1;
    pub const HALTED: u8 = 2;
}

pub const SCOPE_TRADE: u32 = 1;
pub const SCOPE_CANCEL: u32 = 2;
pub const SCOPE_WITHDRAW: u32 = 4;
pub const ALL_SCOPES: u32 = SCOPE_TRADE | SCOPE_CANCEL | SCOPE_WITHDRAW;

/// An account key as Ethereum writes it.
pub type Address = [u8; 20];
/// A keccak-256 digest.
pub type Hash = [u8; 32];

/// Quotient rounded towards minus infinity; the denominator must be positive.
#[inline]
pub const fn div_floor(numerator: i128, denominator: i128) -> i128 {
    numerator.div_euclid(denominator)
}

/// Quotient rounded towards plus infinity; the denominator must be positive.
#[inline]
pub const fn div_ceil(numerator: i128, denominator: i128) -> i128 {
    -(-numerator).div_euclid(denominator)
}

/// Quotient rounded towards zero; the denominator must be positive.
#[inline]
pub const fn div_trunc(numerator: i128, denominator: i128) -> i128 {
    numerator / denominator
}

/// Whether |value| < 2^bits.
#[inline]
pub const fn fits(value: i128, bits: u32) -> bool {
    value.unsigned_abs() >> bits == 0
}

/// (sequence, member) as one number that orders like the pair; a bundle has at most 64 members.
#[inline]
pub const fn stamp(sequence: u64, member: u8) -> u64 {
    (sequence << 6) | member as u64
}

/// Size units bought, negative when sold.
#[inline]
pub const fn signed(side: u8, size: u64) -> i64 {
    if side == BUY { size as i64 } else { -(size as i64) }
}
