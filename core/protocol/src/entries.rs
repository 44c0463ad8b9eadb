//! Packed ledger entries: for each event that moves money, keys or prices.

use crate::events::{
    BuilderPaid, CashWithdrawn, DepositCredited, FeesSwept, FundingAccrued, MarketDelisted, MarketExpired,
    MarketFlagged, MarketListed, PositionExpired, PricePublished, SessionGranted, SessionRevoked, ShortfallCovered,
    Traded,
};
use crate::packed;
use crate::quantities::{Address, Hash};

packed! {
    /// A deposit credited.
    DepositEntry = "deposit" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        deposit: u64, u64; subaccount: u32, u24; owner: Address, b20; amount: i128, u96; l1_block: u64, u64;
    }
}
packed! {
    /// Cash withdrawn.
    WithdrawEntry = "withdraw" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        subaccount: u32, u24; slot: u16, u16; nonce: u64, u64; amount: i128, u96; order_hash: Hash, b32;
    }
}
packed! {
    /// One match.
    TradeEntry = "trade" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; price: u64, u40; size: u64, u48;
        maker: u32, u24; maker_slot: u16, u16; maker_session: u8, u8; maker_sequence: u64, u64; maker_member: u8, u8;
        maker_priority: u64, u64; maker_priority_member: u8, u8; maker_fee: i128, i96; maker_scenario: u8, u8;
        taker: u32, u24; taker_slot: u16, u16; taker_session: u8, u8; taker_fee: i128, i96; taker_scenario: u8, u8;
        taker_equity: i128, i128; taker_initial: u128, u128; taker_held: i64, i56; builder: u32, u24;
        builder_fee: i128, u96; flags: u8, u8; maker_hash: Hash, b32; taker_hash: Hash, b32;
    }
}
packed! {
    /// A price taken.
    PriceEntry = "price" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; published_at: u64, u64; index_price: u64, u40; mark_price: u64, u40; premium: i32, i32;
        signers: u8, u8;
    }
}
packed! {
    /// Funding accrued.
    FundingEntry = "funding" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; funded_at: u64, u64; funding_index: i128, i80;
    }
}
packed! {
    /// Fees swept.
    FeeEntry = "fee" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; fees: i128, i96; dust: i128, u96; repaid: i128, u96;
    }
}
packed! {
    /// A session key granted or revoked.
    KeyEntry = "key" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        subaccount: u32, u24; session: u8, u8; key: Address, b20; revoked: bool, u8; record_hash: Hash, b32;
    }
}
packed! {
    /// A shortfall paid for.
    LiquidateEntry = "liquidate" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        subaccount: u32, u24; market: u32, u24; from_fees: i128, u96; covered: i128, u96; booked: i128, u96;
    }
}

packed! {
    /// A market's flags.
    StatusEntry = "status" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; flags: u16, u16; until: u64, u64;
    }
}
packed! {
    /// A contract listed.
    ListEntry = "list" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; template: u16, u16; expiry: u64, u40; strike: u64, u40; option_type: u8, u8;
    }
}
packed! {
    /// A perpetual given an end.
    DelistEntry = "delist" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; expiry: u64, u40;
    }
}
packed! {
    /// A market's settlement price.
    ExpireEntry = "expire" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; index_price: u64, u40; mark_price: u64, u40; funding_index: i128, i80;
    }
}
packed! {
    /// A position turned into cash.
    CloseEntry = "close" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        subaccount: u32, u24; market: u32, u24; size: i64, i56; cash: i128, i96;
    }
}
packed! {
    /// A builder paid.
    BuilderEntry = "builder" {
        kind: u8, u8; sequence: u64, u64; member: u8, u8; index: u16, u16;
        market: u32, u24; subaccount: u32, u24; amount: i128, u96;
    }
}

/// The kinds that tell new terms of a market.
pub const LIST: u8 = 10;
pub const DELIST: u8 = 11;

/// Kind, name and layout of each entry.
pub const FORMS: &[(u8, &str, &str)] = &[
    (1, DepositEntry::NAME, DepositEntry::LAYOUT),
    (2, WithdrawEntry::NAME, WithdrawEntry::LAYOUT),
    (3, TradeEntry::NAME, TradeEntry::LAYOUT),
    (4, PriceEntry::NAME, PriceEntry::LAYOUT),
    (5, FundingEntry::NAME, FundingEntry::LAYOUT),
    (6, FeeEntry::NAME, FeeEntry::LAYOUT),
    (7, KeyEntry::NAME, KeyEntry::LAYOUT),
    (8, LiquidateEntry::NAME, LiquidateEntry::LAYOUT),
    (9, StatusEntry::NAME, StatusEntry::LAYOUT),
    (LIST, ListEntry::NAME, ListEntry::LAYOUT),
    (DELIST, DelistEntry::NAME, DelistEntry::LAYOUT),
    (12, ExpireEntry::NAME, ExpireEntry::LAYOUT),
    (13, CloseEntry::NAME, CloseEntry::LAYOUT),
    (14, BuilderEntry::NAME, BuilderEntry::LAYOUT),
];

impl DepositCredited {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> DepositEntry {
        let &DepositCredited { sequence, deposit, subaccount, owner, amount, l1_block, .. } = self;
        DepositEntry { kind: 1, sequence, member, index, deposit, subaccount, owner, amount, l1_block }
    }
}

impl CashWithdrawn {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> WithdrawEntry {
        let &CashWithdrawn { sequence, subaccount, slot, nonce, amount, record_hash, .. } = self;
        WithdrawEntry { kind: 2, sequence, member, index, subaccount, slot, nonce, amount, order_hash: record_hash }
    }
}

impl Traded {
    /// `index` counts the command's entries.
    #[inline]
    pub fn entry(&self, member: u8, index: u16) -> TradeEntry {
        TradeEntry {
            kind: 3,
            sequence: self.sequence,
            member,
            index,
            market: self.market,
            price: self.price,
            size: self.size,
            maker: self.maker,
            maker_slot: self.maker_slot,
            maker_session: self.maker_session,
            maker_sequence: self.maker_accepted >> 6,
            maker_member: (self.maker_accepted & 63) as u8,
            maker_priority: self.maker_priority,
            maker_priority_member: self.maker_priority_member,
            maker_fee: self.maker_fee,
            maker_scenario: 0,
            taker: self.taker,
            taker_slot: self.taker_slot,
            taker_session: self.taker_session,
            taker_fee: self.taker_fee,
            taker_scenario: 0,
            taker_equity: self.taker_equity,
            taker_initial: self.taker_initial,
            taker_held: self.taker_held,
            builder: self.builder,
            builder_fee: self.builder_fee,
            flags: self.taker_side | u8::from(self.liquidation) << 1 | u8::from(self.last) << 2,
            maker_hash: self.maker_hash,
            taker_hash: self.taker_hash,
        }
    }
}

impl PricePublished {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> PriceEntry {
        let &PricePublished { sequence, market, published_at, index_price, mark_price, premium, signers, .. } = self;
        PriceEntry { kind: 4, sequence, member, index, market, published_at, index_price, mark_price, premium, signers }
    }
}

impl FundingAccrued {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> FundingEntry {
        let &FundingAccrued { sequence, market, funded_at, funding_index } = self;
        FundingEntry { kind: 5, sequence, member, index, market, funded_at, funding_index }
    }
}

impl FeesSwept {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> FeeEntry {
        let &FeesSwept { sequence, market, fees, dust, repaid } = self;
        FeeEntry { kind: 6, sequence, member, index, market, fees, dust, repaid }
    }
}

impl SessionGranted {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> KeyEntry {
        let &SessionGranted { sequence, subaccount, session, key, record_hash, .. } = self;
        KeyEntry { kind: 7, sequence, member, index, subaccount, session, key, revoked: false, record_hash }
    }
}

impl SessionRevoked {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> KeyEntry {
        let &SessionRevoked { sequence, subaccount, session, key, record_hash, .. } = self;
        KeyEntry { kind: 7, sequence, member, index, subaccount, session, key, revoked: true, record_hash }
    }
}

impl ShortfallCovered {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> LiquidateEntry {
        let &ShortfallCovered { sequence, subaccount, market, from_fees, covered, booked } = self;
        LiquidateEntry { kind: 8, sequence, member, index, subaccount, market, from_fees, covered, booked }
    }
}

impl MarketFlagged {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> StatusEntry {
        let &MarketFlagged { sequence, market, flags, until, .. } = self;
        StatusEntry { kind: 9, sequence, member, index, market, flags, until }
    }
}

impl MarketListed {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> ListEntry {
        let &MarketListed { sequence, market, template, expiry, strike, option_type } = self;
        ListEntry { kind: LIST, sequence, member, index, market, template, expiry, strike, option_type }
    }
}

impl MarketDelisted {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> DelistEntry {
        let &MarketDelisted { sequence, market, expiry, .. } = self;
        DelistEntry { kind: DELIST, sequence, member, index, market, expiry }
    }
}

impl MarketExpired {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> ExpireEntry {
        let &MarketExpired { sequence, market, index_price, mark_price, funding_index } = self;
        ExpireEntry { kind: 12, sequence, member, index, market, index_price, mark_price, funding_index }
    }
}

impl PositionExpired {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> CloseEntry {
        let &PositionExpired { sequence, subaccount, market, size, cash } = self;
        CloseEntry { kind: 13, sequence, member, index, subaccount, market, size, cash }
    }
}

impl BuilderPaid {
    /// `index` counts the command's entries.
    pub fn entry(&self, member: u8, index: u16) -> BuilderEntry {
        let &BuilderPaid { sequence, market, subaccount, amount } = self;
        BuilderEntry { kind: 14, sequence, member, index, market, subaccount, amount }
    }
}
