//! What people may read of the state, packed as `schema/packed.txt` lists it.

use crate::packed;
use crate::quantities::Address;

packed! {
    /// The head of an account view; positions, orders and sessions follow, each list after its count.
    AccountView = "account_view" {
        subaccount: u32, u24; owner: Address, b20; cash: i128, i96; withdrawn: i128, u96; equity: i128, i128;
        initial_margin: u128, u128; maintenance_margin: u128, u128;
    }
}
packed! {
    /// Size units, and 1e-6 USDC: entry cost, profit at the mark, funding the holder owes.
    PositionView = "position_view" {
        market: u32, u24; size: i64, i56; entry: i128, i96; unrealised: i128, i128; unsettled_funding: i128, i128;
    }
}
packed! {
    /// An order still in the book.
    OrderView = "order_view" {
        slot: u16, u16; nonce: u64, u64; first_nonce: u64, u64; market: u32, u24; side: u8, u8; price: u64, u40;
        size: u64, u48; filled: u64, u48; post_only: bool, u8; reduce_only: bool, u8;
    }
}
packed! {
    /// A session key as granted.
    SessionView = "session_view" {
        session: u8, u8; key: Address, b20; expiry: u64, u40; slot_first: u16, u16; slot_last: u16, u16;
        scopes: u32, u32; underlyings: u64, u64; kinds: u8, u8; revoked_at: u64, u64;
    }
}
packed! {
    /// One market.
    MarketView = "market_view" {
        market: u32, u24; index_price: u64, u40; mark_price: u64, u40; priced_at: u64, u64; funding_index: i128, i80;
        funding_rate: i64, i64; open_interest: u64, u56; fees: i128, i96; dust: i128, u96; shortfall: i128, u96;
        rate_time: i128, i96; premium: i32, i32; builder_fees: i128, u80; flags: u16, u16; until: u64, u64;
        template: u16, u16; expiry: u64, u40; strike: u64, u40; option_type: u8, u8;
    }
}
packed! {
    /// An account as an act would leave it, open orders included in `initial_margin`; the mark at which it would fall
    /// below maintenance margin (0: none); whether the act may leave it so.
    WhatIf = "what_if" {
        equity: i128, i128; initial_margin: u128, u128; maintenance_margin: u128, u128; liquidation_price: u64, u40;
        legal: bool, u8;
    }
}
packed! {
    /// An order in the book as far as the public sees it; `killed` by a mass cancel, or with the key that placed it.
    RestingOrder = "resting_order" {
        slot: u16, u16; nonce: u64, u64; market: u32, u24; side: u8, u8; price: u64, u40; size: u64, u48;
        session: u8, u8; killed: bool, u8;
    }
}
