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

/// Flags of a market: reduce-only by a booked shortfall or by the guardian; halted; said to be stale; over.
pub mod flag {
    pub const SHORTFALL_BOOKED: u16 = 1;
    pub const RESTRICTED: u16 = 2;
    pub const HALTED: u16 = 4;
    pub const STALE: u16 = 8;
    pub const EXPIRED: u16 = 16;
    pub const ALL: u16 = SHORTFALL_BOOKED | RESTRICTED | HALTED | STALE | EXPIRED;
}

/// Bytes of a market leaf.
pub const MARKET_LEAF: usize = 192;

/// A market's prices and running sums.
///
/// `size_funding` is Σ size × funding index over positions, `entry_total` Σ entry cost, `open_interest` Σ longs;
/// `dust` counts 2^-32 cash units, `rate_time` funding rate × µs since the last accrual, `premium` parts in 1e9.
/// `window_sum` is index × µs inside the settlement window, `priced_since` the first price's time, `crowding` (1e-4) the
/// open interest's weight on initial margin, `builder_fees` what builders are owed. Once the market has expired, a
/// position that has become cash stays in `size_funding` with what it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketLeaf {
    pub index_price: u64,
    pub mark_price: u64,
    pub priced_at: u64,
    pub rate_time: i128,
    pub flags: u16,
    pub premium: i32,
    pub crowding: u16,
    pub funding_index: i128,
    pub funded_at: u64,
    pub fees: i128,
    pub size_funding: Wide,
    pub entry_total: i128,
    pub dust: i128,
    pub shortfall: i128,
    pub open_interest: i128,
    pub window_sum: u128,
    pub priced_since: u64,
    pub builder_fees: i128,
    pub parameters: Hash,
}

impl MarketLeaf {
    /// The leaf as `schema/packed.txt` lays it out.
    pub fn pack(&self) -> [u8; MARKET_LEAF] {
        let mut packer = Packer::new();
        packer.u40(self.index_price).u40(self.mark_price).u64(self.priced_at).i96(self.rate_time);
        packer.u16(self.flags).i80(self.funding_index).u64(self.funded_at).i96(self.fees).u16(self.crowding);
        packer.put(&self.size_funding.to_be_bytes()[12..]).i96(self.entry_total).u96(self.dust).u96(self.shortfall);
        packer.u56(self.open_interest as u64).u8(0).u72(self.window_sum).u64(self.priced_since).u80(self.builder_fees);
        packer.i32(self.premium).u8(0).b32(self.parameters);
        packer.finish()
    }
}
