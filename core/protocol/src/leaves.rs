//! Packed leaves of the settlement tree, and the first byte of everything that is hashed.

use crate::packed;
use crate::packed::Packer;
use crate::quantities::{Address, Hash};
use crate::wide::Wide;

/// The first byte of everything that is hashed.
pub mod domain {
    pub const BUNDLE_LEAF: u8 = 0x00;
    pub const BUNDLE_NODE: u8 = 0x01;
    pub const TREE_NODE: u8 = 0x02;
    pub const ACCOUNT_LEAF: u8 = 0x03;
    pub const SLOT_LEAF: u8 = 0x04;
    pub const SESSION_LEAF: u8 = 0x05;
    pub const MARKET_LEAF: u8 = 0x06;
    pub const GLOBALS: u8 = 0x07;
    pub const SETTLEMENT_ROOT: u8 = 0x08;
    pub const LEDGER_ENTRY: u8 = 0x09;
    pub const STEP: u8 = 0x0a;
    pub const SEQUENCED: u8 = 0x0b;
    pub const ENGINE_ROOT: u8 = 0x0c;
    pub const DEPOSIT: u8 = 0x0d;
    pub const PARAMETERS: u8 = 0x0e;
    pub const SAVED_STATE: u8 = 0x0f;
}

packed! {
    /// An account leaf's bytes before its two roots.
    AccountHead = "account_leaf" {
        owner: Address, b20; flags: u128, u88; positions: u8, u8; cash: i128, i96; withdrawn: i128, u96; spare: u64, u64;
    }
}
packed! {
    /// Signed size (size units), entry cost (1e-6 USDC), funding index when last touched.
    PositionWord = "position" { market: u32, u24; size: i64, i56; entry: i128, i96; funding: i128, i80; }
}
packed! {
    /// What a slot leaf says of the last order that filled in it.
    SlotLeaf = "slot_leaf" {
        nonce: u64, u64; filled: u64, u48; price: u64, u40; priority_sequence: u64, u64; member: u8, u8; flags: u32, u32;
        order_hash: Hash, b32;
    }
}
packed! {
    /// Deposited and withdrawn in all, and the ruleset.
    Globals = "globals" { deposited: i128, u96; withdrawn: i128, u96; spare: u64, u64; ruleset: Hash, b32; }
}

/// A session key. Expiry in seconds; `revoked_at` (a sequence) is 0 while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLeaf {
    pub key: Address,
    pub expiry: u64,
    pub slot_first: u16,
    pub slot_last: u16,
    pub scopes: u32,
    pub underlyings: u64,
    pub kinds: u8,
    pub from_sequence: u64,
    pub revoked_at: u64,
}

impl SessionLeaf {
    /// The two slots take 12 bits each.
    pub fn pack(&self) -> [u8; 64] {
        let mut packer = Packer::new();
        packer.b20(self.key).u40(self.expiry);
        packer.u24(u32::from(self.slot_first) << 12 | u32::from(self.slot_last) & 0xFFF);
        packer.u32(self.scopes).u64(self.underlyings).u8(self.kinds);
        packer.u64(self.from_sequence).u64(self.revoked_at).u56(0u64);
        packer.finish()
    }
}

/// A market's prices and running sums.
///
/// `size_funding` is Σ size × funding index over positions, `entry_total` Σ entry cost, `open_interest` Σ longs;
/// `dust` counts 2^-32 cash units, `rate_time` funding rate × µs since the last accrual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketLeaf {
    pub index_price: u64,
    pub mark_price: u64,
    pub priced_at: u64,
    pub rate_time: i128,
    pub reduce_only: bool,
    pub funding_index: i128,
    pub funded_at: u64,
    pub fees: i128,
    pub size_funding: Wide,
    pub entry_total: i128,
    pub dust: i128,
    pub shortfall: i128,
    pub open_interest: i128,
    pub parameters: Hash,
}

impl MarketLeaf {
    /// 160 bytes; flag bit 0 is reduce-only.
    pub fn pack(&self) -> [u8; 160] {
        let mut packer = Packer::new();
        packer.u40(self.index_price).u40(self.mark_price).u64(self.priced_at).i96(self.rate_time);
        packer.u16(u16::from(self.reduce_only)).i80(self.funding_index).u64(self.funded_at).i96(self.fees).u16(0u16);
        packer.put(&self.size_funding.to_be_bytes()[12..]).i96(self.entry_total).u96(self.dust).u96(self.shortfall);
        packer.u56(self.open_interest as u64).u8(0).b32(self.parameters);
        packer.finish()
    }
}
