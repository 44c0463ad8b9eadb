//! Why something was refused or cancelled; numbers and order as in `schema/reasons.txt`.

/// Refusals, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The envelope is longer than 65,536 bytes.
    MessageTooLarge = 1,
    /// The envelope ends before its stated length, or goes on after it.
    MessageTruncated = 2,
    /// The envelope's signature scheme is not one this venue knows.
    SchemeUnknown = 3,
    /// The envelope names another EIP-712 domain: another chain, vault, name or version.
    DomainWrong = 4,
    /// The record's typehash is not in the schema.
    TypeUnknown = 5,
    /// The record's length is not that of its type.
    RecordLengthWrong = 6,
    /// A word has bits set outside its field's width.
    WordNotCanonical = 7,
    /// Only the node itself may submit this command.
    CommandNotForClients = 8,
    /// This type wants another number of signatures.
    SignatureCountWrong = 9,
    /// A signature has r, s or v out of range, or a high s.
    SignatureMalformed = 10,
    /// A signature is not that of the signer it names.
    SignatureWrong = 11,
    /// Signatures are not in strictly ascending signer order.
    SignersNotAscending = 12,
    /// A bundle holds 1 to 64 members and as many as it states.
    BundleCountWrong = 13,
    /// The bundle's mode is not one this venue runs.
    BundleModeUnknown = 14,
    /// A bundle's member is of a type, or for a subaccount, that the bundle may not hold.
    BundleMemberRefused = 15,
    /// The members do not hash to the signed root.
    BundleRootWrong = 16,
    /// No such subaccount has been credited.
    SubaccountUnknown = 17,
    /// Orders use slots 16 to 4,095, a mass cancel any slot, other commands 0 to 15.
    SlotOutOfRange = 18,
    /// The signer is neither the owner nor a session key of the subaccount.
    SignerUnknown = 19,
    /// The session key was revoked.
    SessionRevoked = 20,
    /// The session key's time is over.
    SessionExpired = 21,
    /// Only the owner may sign this command.
    OwnerOnly = 22,
    /// The session key may not sign this kind of command.
    SessionScopeMissing = 23,
    /// The slot is outside the session key's range.
    SessionSlotForbidden = 24,
    /// The session key may not trade this underlying or kind.
    SessionMarketForbidden = 25,
    /// The slot has seen this nonce or a later one.
    NonceUsed = 26,
    /// The nonce is more than 60 s ahead of venue time.
    NonceTooFarAhead = 27,
    /// The command came after its own deadline.
    DeadlinePassed = 28,
    /// No such market is listed.
    MarketUnknown = 29,
    /// Side or time in force is not one of the listed values.
    FieldUnknownValue = 30,
    /// Post-only with immediate-or-cancel.
    FlagsConflict = 31,
    /// The price is zero.
    PriceNotPositive = 32,
    /// The price is not a multiple of the tick.
    PriceOffTick = 33,
    /// The size is zero.
    SizeNotPositive = 34,
    /// The size is not a multiple of the lot.
    SizeOffLot = 35,
    /// The venue's fee is higher than the order's signed maximum.
    FeeAboveMaximum = 36,
    /// The market has no fresh price; only reduce-only orders trade.
    PriceStale = 37,
    /// The market takes reduce-only orders only.
    MarketReduceOnly = 38,
    /// The slot's order, or the last that filled there, has filled more than the fill guard.
    FilledSince = 39,
    /// No live order in the slot.
    OrderUnknown = 40,
    /// The reduce-only order has no position to reduce.
    ReduceOnlyWouldGrow = 41,
    /// 8 reduce-only orders per subaccount and market.
    ReduceOnlyLimit = 42,
    /// 1,024 open orders per subaccount.
    OpenOrderLimit = 43,
    /// The post-only order would trade at once.
    PostOnlyWouldTrade = 44,
    /// 32 positions per subaccount.
    PositionLimit = 45,
    /// Equity would be below initial margin and risk not lower than before.
    MarginTooLow = 46,
    /// A result would leave its width.
    OutOfRange = 47,
    /// The amount is zero.
    AmountNotPositive = 48,
    /// The amount is more than min(cash, equity - initial margin), or than the Vault still holds for all.
    AmountAboveWithdrawable = 49,
    /// The session key is zero or the owner itself.
    SessionKeyInvalid = 50,
    /// The session's expiry, slot range or scopes are out of range.
    SessionTermsInvalid = 51,
    /// 64 live session keys per subaccount.
    SessionLimit = 52,
    /// No live session with this key.
    SessionUnknown = 53,
    /// The deposit was credited before.
    DepositAlreadyCredited = 54,
    /// Deposits are credited in the Vault's order.
    DepositOutOfOrder = 55,
    /// The subaccount belongs to another owner, is subaccount 0, or is not the next one.
    DepositOwnerWrong = 56,
    /// Fewer than k of the signers are oracle keys, or a stranger signed.
    OracleQuorumMissing = 57,
    /// The market has a price at least as new.
    PriceNotNewer = 58,
    /// The price is stamped ahead of venue time or already stale.
    PriceTimeInvalid = 59,
    /// Index or mark moved more than one step allows.
    PriceStepTooLarge = 60,
    /// The mark is further from the index than the band allows.
    MarkOutOfBand = 61,
    /// Funding is not due yet, or no price was sampled.
    FundingNotDue = 62,
    /// There is nothing to sweep.
    FeesNotDue = 63,
    /// Equity is not below maintenance margin.
    NotLiquidatable = 64,
    /// Nothing could be closed within the band, and there were no orders to cancel.
    LiquidityMissing = 65,
    /// The slot's order is alive, or there is none.
    OrderNotDead = 66,
}

impl From<Reason> for u8 {
    fn from(it: Reason) -> u8 {
        it as u8
    }
}

impl Reason {
    /// Every one, in order.
    pub const ALL: [Reason; 66] = [
        Reason::MessageTooLarge,
        Reason::MessageTruncated,
        Reason::SchemeUnknown,
        Reason::DomainWrong,
        Reason::TypeUnknown,
        Reason::RecordLengthWrong,
        Reason::WordNotCanonical,
        Reason::CommandNotForClients,
        Reason::SignatureCountWrong,
        Reason::SignatureMalformed,
        Reason::SignatureWrong,
        Reason::SignersNotAscending,
        Reason::BundleCountWrong,
        Reason::BundleModeUnknown,
        Reason::BundleMemberRefused,
        Reason::BundleRootWrong,
        Reason::SubaccountUnknown,
        Reason::SlotOutOfRange,
        Reason::SignerUnknown,
        Reason::SessionRevoked,
        Reason::SessionExpired,
        Reason::OwnerOnly,
        Reason::SessionScopeMissing,
        Reason::SessionSlotForbidden,
        Reason::SessionMarketForbidden,
        Reason::NonceUsed,
        Reason::NonceTooFarAhead,
        Reason::DeadlinePassed,
        Reason::MarketUnknown,
        Reason::FieldUnknownValue,
        Reason::FlagsConflict,
        Reason::PriceNotPositive,
        Reason::PriceOffTick,
        Reason::SizeNotPositive,
        Reason::SizeOffLot,
        Reason::FeeAboveMaximum,
        Reason::PriceStale,
        Reason::MarketReduceOnly,
        Reason::FilledSince,
        Reason::OrderUnknown,
        Reason::ReduceOnlyWouldGrow,
        Reason::ReduceOnlyLimit,
        Reason::OpenOrderLimit,
        Reason::PostOnlyWouldTrade,
        Reason::PositionLimit,
        Reason::MarginTooLow,
        Reason::OutOfRange,
        Reason::AmountNotPositive,
        Reason::AmountAboveWithdrawable,
        Reason::SessionKeyInvalid,
        Reason::SessionTermsInvalid,
        Reason::SessionLimit,
        Reason::SessionUnknown,
        Reason::DepositAlreadyCredited,
        Reason::DepositOutOfOrder,
        Reason::DepositOwnerWrong,
        Reason::OracleQuorumMissing,
        Reason::PriceNotNewer,
        Reason::PriceTimeInvalid,
        Reason::PriceStepTooLarge,
        Reason::MarkOutOfBand,
        Reason::FundingNotDue,
        Reason::FeesNotDue,
        Reason::NotLiquidatable,
        Reason::LiquidityMissing,
        Reason::OrderNotDead,
    ];

    /// The name in `schema/reasons.txt`.
    pub fn name(self) -> &'static str {
        match self {
            Reason::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Reason::MessageTruncated => "MESSAGE_TRUNCATED",
            Reason::SchemeUnknown => "SCHEME_UNKNOWN",
            Reason::DomainWrong => "DOMAIN_WRONG",
            Reason::TypeUnknown => "TYPE_UNKNOWN",
            Reason::RecordLengthWrong => "RECORD_LENGTH_WRONG",
            Reason::WordNotCanonical => "WORD_NOT_CANONICAL",
            Reason::CommandNotForClients => "COMMAND_NOT_FOR_CLIENTS",
            Reason::SignatureCountWrong => "SIGNATURE_COUNT_WRONG",
            Reason::SignatureMalformed => "SIGNATURE_MALFORMED",
            Reason::SignatureWrong => "SIGNATURE_WRONG",
            Reason::SignersNotAscending => "SIGNERS_NOT_ASCENDING",
            Reason::BundleCountWrong => "BUNDLE_COUNT_WRONG",
            Reason::BundleModeUnknown => "BUNDLE_MODE_UNKNOWN",
            Reason::BundleMemberRefused => "BUNDLE_MEMBER_REFUSED",
            Reason::BundleRootWrong => "BUNDLE_ROOT_WRONG",
            Reason::SubaccountUnknown => "SUBACCOUNT_UNKNOWN",
            Reason::SlotOutOfRange => "SLOT_OUT_OF_RANGE",
            Reason::SignerUnknown => "SIGNER_UNKNOWN",
            Reason::SessionRevoked => "SESSION_REVOKED",
            Reason::SessionExpired => "SESSION_EXPIRED",
            Reason::OwnerOnly => "OWNER_ONLY",
            Reason::SessionScopeMissing => "SESSION_SCOPE_MISSING",
            Reason::SessionSlotForbidden => "SESSION_SLOT_FORBIDDEN",
            Reason::SessionMarketForbidden => "SESSION_MARKET_FORBIDDEN",
            Reason::NonceUsed => "NONCE_USED",
            Reason::NonceTooFarAhead => "NONCE_TOO_FAR_AHEAD",
            Reason::DeadlinePassed => "DEADLINE_PASSED",
            Reason::MarketUnknown => "MARKET_UNKNOWN",
            Reason::FieldUnknownValue => "FIELD_UNKNOWN_VALUE",
            Reason::FlagsConflict => "FLAGS_CONFLICT",
            Reason::PriceNotPositive => "PRICE_NOT_POSITIVE",
            Reason::PriceOffTick => "PRICE_OFF_TICK",
            Reason::SizeNotPositive => "SIZE_NOT_POSITIVE",
            Reason::SizeOffLot => "SIZE_OFF_LOT",
            Reason::FeeAboveMaximum => "FEE_ABOVE_MAXIMUM",
            Reason::PriceStale => "PRICE_STALE",
            Reason::MarketReduceOnly => "MARKET_REDUCE_ONLY",
            Reason::FilledSince => "FILLED_SINCE",
            Reason::OrderUnknown => "ORDER_UNKNOWN",
            Reason::ReduceOnlyWouldGrow => "REDUCE_ONLY_WOULD_GROW",
            Reason::ReduceOnlyLimit => "REDUCE_ONLY_LIMIT",
            Reason::OpenOrderLimit => "OPEN_ORDER_LIMIT",
            Reason::PostOnlyWouldTrade => "POST_ONLY_WOULD_TRADE",
            Reason::PositionLimit => "POSITION_LIMIT",
            Reason::MarginTooLow => "MARGIN_TOO_LOW",
            Reason::OutOfRange => "OUT_OF_RANGE",
            Reason::AmountNotPositive => "AMOUNT_NOT_POSITIVE",
            Reason::AmountAboveWithdrawable => "AMOUNT_ABOVE_WITHDRAWABLE",
            Reason::SessionKeyInvalid => "SESSION_KEY_INVALID",
            Reason::SessionTermsInvalid => "SESSION_TERMS_INVALID",
            Reason::SessionLimit => "SESSION_LIMIT",
            Reason::SessionUnknown => "SESSION_UNKNOWN",
            Reason::DepositAlreadyCredited => "DEPOSIT_ALREADY_CREDITED",
            Reason::DepositOutOfOrder => "DEPOSIT_OUT_OF_ORDER",
            Reason::DepositOwnerWrong => "DEPOSIT_OWNER_WRONG",
            Reason::OracleQuorumMissing => "ORACLE_QUORUM_MISSING",
            Reason::PriceNotNewer => "PRICE_NOT_NEWER",
            Reason::PriceTimeInvalid => "PRICE_TIME_INVALID",
            Reason::PriceStepTooLarge => "PRICE_STEP_TOO_LARGE",
            Reason::MarkOutOfBand => "MARK_OUT_OF_BAND",
            Reason::FundingNotDue => "FUNDING_NOT_DUE",
            Reason::FeesNotDue => "FEES_NOT_DUE",
            Reason::NotLiquidatable => "NOT_LIQUIDATABLE",
            Reason::LiquidityMissing => "LIQUIDITY_MISSING",
            Reason::OrderNotDead => "ORDER_NOT_DEAD",
        }
    }
}

/// Why an order left the book, or never joined it, without being refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cause {
    /// Cancelled by its owner or session key.
    ByOwner = 1,
    /// Its slot was given to a new order.
    Replaced = 2,
    /// What an immediate-or-cancel order could not fill at once.
    ImmediateRemainder = 3,
    /// The sequence had removed 256 orders from the book; the rest was cancelled.
    FillLimit = 4,
    /// It would have traded with its own owner.
    SelfTrade = 5,
    /// Its owner could no longer afford the fill.
    MakerMargin = 6,
    /// There was nothing left to reduce.
    ReduceOnlySpent = 7,
    /// A mass cancel, a revocation or an expiry had killed it.
    Dead = 8,
}

impl From<Cause> for u8 {
    fn from(it: Cause) -> u8 {
        it as u8
    }
}

impl Cause {
    /// Every one, in order.
    pub const ALL: [Cause; 8] = [
        Cause::ByOwner,
        Cause::Replaced,
        Cause::ImmediateRemainder,
        Cause::FillLimit,
        Cause::SelfTrade,
        Cause::MakerMargin,
        Cause::ReduceOnlySpent,
        Cause::Dead,
    ];

    /// The name in `schema/reasons.txt`.
    pub fn name(self) -> &'static str {
        match self {
            Cause::ByOwner => "BY_OWNER",
            Cause::Replaced => "REPLACED",
            Cause::ImmediateRemainder => "IMMEDIATE_REMAINDER",
            Cause::FillLimit => "FILL_LIMIT",
            Cause::SelfTrade => "SELF_TRADE",
            Cause::MakerMargin => "MAKER_MARGIN",
            Cause::ReduceOnlySpent => "REDUCE_ONLY_SPENT",
            Cause::Dead => "DEAD",
        }
    }
}
