//! What happened. Every change of state is one of these; the engine's `evolve` needs nothing else.

use crate::packed;
use crate::quantities::{Address, Hash};
use crate::reasons::{Cause, Reason};

packed! {
    /// An authenticated message for the slot was seen: its nonce and all lower ones are used up.
    SlotGuarded = "SlotGuarded" { subaccount: u32, u24; slot: u16, u16; nonce: u64, u64; }
}
packed! {
    /// Member `member` of the command (0 for a single record) was refused; nothing else of it happened.
    Refused = "Refused" { member: u8, u8; reason: Reason, u8; }
}
packed! {
    /// The Vault's deposit became cash; `head` is the deposit chain's head after it.
    DepositCredited = "DepositCredited" {
        sequence: u64, u64; deposit: u64, u64; subaccount: u32, u24; owner: Address, b20; amount: i128, u96;
        l1_block: u64, u64; head: Hash, b32;
    }
}
packed! {
    /// Cash moved to the leaf's cumulative `withdrawn`.
    CashWithdrawn = "CashWithdrawn" {
        sequence: u64, u64; member: u8, u8; subaccount: u32, u24; slot: u16, u16; nonce: u64, u64;
        amount: i128, u96; record_hash: Hash, b32;
    }
}
packed! {
    /// A session key took place `session` of the subaccount's 64.
    SessionGranted = "SessionGranted" {
        sequence: u64, u64; member: u8, u8; subaccount: u32, u24; session: u8, u8; key: Address, b20;
        expiry: u64, u40; slot_first: u16, u16; slot_last: u16, u16; scopes: u32, u32; underlyings: u64, u64;
        kinds: u8, u8; from_sequence: u64, u64; record_hash: Hash, b32;
    }
}
packed! {
    /// The session key is dead from this sequence on, and its resting orders with it.
    SessionRevoked = "SessionRevoked" {
        sequence: u64, u64; member: u8, u8; subaccount: u32, u24; session: u8, u8; key: Address, b20;
        record_hash: Hash, b32;
    }
}
packed! {
    /// What was left of the order joined the book behind its price.
    OrderRested = "OrderRested" {
        subaccount: u32, u24; slot: u16, u16; nonce: u64, u64; first_nonce: u64, u64; market: u32, u24;
        side: u8, u8; price: u64, u40; size: u64, u48; filled: u64, u48; sequence: u64, u64; member: u8, u8;
        session: u8, u8; post_only: bool, u8; reduce_only: bool, u8; record_hash: Hash, b32;
    }
}
packed! {
    /// A replace at the same price and side, not larger, kept its place in the queue. `size` is what remains.
    OrderAmended = "OrderAmended" {
        subaccount: u32, u24; slot: u16, u16; nonce: u64, u64; market: u32, u24; side: u8, u8; price: u64, u40;
        size: u64, u48; accepted: u64, u64; session: u8, u8; post_only: bool, u8; record_hash: Hash, b32;
    }
}
packed! {
    /// A resting order left the book with `size` unfilled.
    OrderCancelled = "OrderCancelled" {
        subaccount: u32, u24; slot: u16, u16; nonce: u64, u64; market: u32, u24; side: u8, u8; price: u64, u40;
        size: u64, u48; cause: Cause, u8;
    }
}
packed! {
    /// What a taker did not fill, `size`, never joined the book.
    RemainderCancelled = "RemainderCancelled" {
        subaccount: u32, u24; slot: u16, u16; nonce: u64, u64; market: u32, u24; side: u8, u8; price: u64, u40;
        size: u64, u48; cause: Cause, u8;
    }
}
packed! {
    /// Every order the subaccount placed before `stamp` (sequence × 64 + member) is dead.
    AllCancelled = "AllCancelled" { subaccount: u32, u24; stamp: u64, u64; }
}
packed! {
    /// One match at the maker's price. Fees in 1e-6 USDC; `taker_side` is the aggressor's.
    ///
    /// `taker_equity`, `taker_initial` (1e-6 USDC) and `taker_held` (size units) are the taker's before its first
    /// fill of this command; `last` marks its last. In a liquidation `taker_slot` is 65,535 and `taker_hash` zero.
    /// `taker_fee` is the venue's; `builder_fee` goes on top, to subaccount `builder`.
    Traded = "Traded" {
        sequence: u64, u64; member: u8, u8; market: u32, u24; price: u64, u40; size: u64, u48; taker_side: u8, u8;
        maker: u32, u24; maker_slot: u16, u16; maker_nonce: u64, u64; maker_session: u8, u8;
        maker_accepted: u64, u64; maker_priority: u64, u64; maker_priority_member: u8, u8; maker_fee: i128, i96;
        taker: u32, u24; taker_slot: u16, u16; taker_nonce: u64, u64; taker_session: u8, u8; taker_price: u64, u40;
        taker_flags: u32, u32; taker_fee: i128, i96; taker_equity: i128, i128; taker_initial: u128, u128;
        taker_held: i64, i56; builder: u32, u24; builder_fee: i128, u96; liquidation: bool, u8; last: bool, u8;
        maker_hash: Hash, b32; taker_hash: Hash, b32;
    }
}
packed! {
    /// Index and mark moved; `rate_time` is the funding rate × time gathered so far, `window_sum` the index × time of the
    /// last 30 minutes before expiry, `crowding` (1e-4) how far initial margin is on its way to 100 %.
    PricePublished = "PricePublished" {
        sequence: u64, u64; market: u32, u24; published_at: u64, u64; index_price: u64, u40; mark_price: u64, u40;
        premium: i32, i32; rate_time: i128, i96; window_sum: u128, u72; priced_since: u64, u64; crowding: u16, u16;
        signers: u8, u8;
    }
}
packed! {
    /// The market's funding index moved to `funding_index`.
    FundingAccrued = "FundingAccrued" {
        sequence: u64, u64; market: u32, u24; funded_at: u64, u64; funding_index: i128, i80;
    }
}
packed! {
    /// The market's fees and whole dust went to subaccount 0, which `repaid` what it could of the booked shortfall.
    FeesSwept = "FeesSwept" { sequence: u64, u64; market: u32, u24; fees: i128, i96; dust: i128, u96; repaid: i128, u96; }
}
packed! {
    /// A closed account's negative cash: paid `from_fees` the market has gathered, `covered` by subaccount 0, and the
    /// rest `booked` on the market, which is then reduce-only.
    ShortfallCovered = "ShortfallCovered" {
        sequence: u64, u64; subaccount: u32, u24; market: u32, u24; from_fees: i128, u96; covered: i128, u96;
        booked: i128, u96;
    }
}

packed! {
    /// A template's contract is listed as market `market`; expiry in seconds, strike in price units.
    MarketListed = "MarketListed" {
        sequence: u64, u64; market: u32, u24; template: u16, u16; expiry: u64, u40; strike: u64, u40;
        option_type: u8, u8;
    }
}
packed! {
    /// The market's flags are now these. `until`: when what the guardian asked for may end (µs); `flagged_at`: when it
    /// last asked; `nonce`: the guardian's of this command, 0 of a poke.
    MarketFlagged = "MarketFlagged" {
        sequence: u64, u64; market: u32, u24; flags: u16, u16; until: u64, u64; flagged_at: u64, u64; nonce: u64, u64;
    }
}
packed! {
    /// The perpetual ends at `expiry` (s).
    MarketDelisted = "MarketDelisted" { sequence: u64, u64; market: u32, u24; expiry: u64, u40; nonce: u64, u64; }
}
packed! {
    /// The market is over: `index_price` is the mean of its last 30 minutes, `mark_price` what one unit pays.
    MarketExpired = "MarketExpired" {
        sequence: u64, u64; market: u32, u24; index_price: u64, u40; mark_price: u64, u40; funding_index: i128, i80;
    }
}
packed! {
    /// A position of `size` in an expired market became `cash` (1e-6 USDC, funding included).
    PositionExpired = "PositionExpired" {
        sequence: u64, u64; subaccount: u32, u24; market: u32, u24; size: i64, i56; cash: i128, i96;
    }
}
packed! {
    /// What the market had gathered for a builder, `amount` (1e-6 USDC), became its cash.
    BuilderPaid = "BuilderPaid" { sequence: u64, u64; market: u32, u24; subaccount: u32, u24; amount: i128, u96; }
}

macro_rules! events {
    ($($kind:literal $name:ident,)*) => {
        /// One event; the number beside each is its kind byte.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Event {
            $($name($name) = $kind,)*
        }

        impl Event {
            /// kind u8 · fields, appended to `out`.
            #[inline]
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Event::$name(event) => {
                        out.push($kind);
                        out.extend_from_slice(&event.pack());
                    })*
                }
            }

            /// Kind, name and layout of each event.
            pub const FORMS: &'static [(u8, &'static str, &'static str)] =
                &[$(($kind, $name::NAME, $name::LAYOUT),)*];
        }

        $(impl From<$name> for Event {
            #[inline(always)]
            fn from(event: $name) -> Event {
                Event::$name(event)
            }
        })*
    };
}

events! {
    1 SlotGuarded,
    2 Refused,
    3 DepositCredited,
    4 CashWithdrawn,
    5 SessionGranted,
    6 SessionRevoked,
    7 OrderRested,
    8 OrderAmended,
    9 OrderCancelled,
    10 RemainderCancelled,
    11 AllCancelled,
    12 Traded,
    13 PricePublished,
    14 FundingAccrued,
    15 FeesSwept,
    16 ShortfallCovered,
    17 MarketListed,
    18 MarketFlagged,
    19 MarketDelisted,
    20 MarketExpired,
    21 PositionExpired,
    22 BuilderPaid,
}
