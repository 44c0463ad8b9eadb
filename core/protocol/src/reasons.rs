//! Why something was refused or cancelled; numbers and order as in `schema/reasons.txt`.

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$sentence:meta])* $number:literal $variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$sentence])* $variant = $number,)*
        }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The name in `schema/reasons.txt`.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl From<$name> for u8 {
            fn from(it: $name) -> u8 {
                it as u8
            }
        }
    };
}

numbered! {
    /// Refusals, in the order in which they are checked.
    Reason {
        /// The envelope is longer than 65,536 bytes.
        1 MessageTooLarge "MESSAGE_TOO_LARGE",
        /// The envelope ends before its stated length, or goes on after it.
        2 MessageTruncated "MESSAGE_TRUNCATED",
        /// The envelope's signature scheme is not one this venue knows.
        3 SchemeUnknown "SCHEME_UNKNOWN",
        /// The envelope names another EIP-712 domain: another chain, vault, name or version.
        4 DomainWrong "DOMAIN_WRONG",
        /// The record's typehash is not in the schema.
        5 TypeUnknown "TYPE_UNKNOWN",
        /// The record's length is not that of its type.
        6 RecordLengthWrong "RECORD_LENGTH_WRONG",
        /// A word has bits set outside its field's width.
        7 WordNotCanonical "WORD_NOT_CANONICAL",
        /// Only the node itself may submit this command.
        8 CommandNotForClients "COMMAND_NOT_FOR_CLIENTS",
        /// This type wants another number of signatures.
        9 SignatureCountWrong "SIGNATURE_COUNT_WRONG",
        /// A signature has r, s or v out of range, or a high s.
        10 SignatureMalformed "SIGNATURE_MALFORMED",
        /// A signature is not that of the signer it names.
        11 SignatureWrong "SIGNATURE_WRONG",
        /// Signatures are not in strictly ascending signer order.
        12 SignersNotAscending "SIGNERS_NOT_ASCENDING",
        /// A bundle holds 1 to 64 members and as many as it states.
        13 BundleCountWrong "BUNDLE_COUNT_WRONG",
        /// The bundle's mode is not one this venue runs.
        14 BundleModeUnknown "BUNDLE_MODE_UNKNOWN",
        /// A bundle's member is of a type, or for a subaccount, that the bundle may not hold.
        15 BundleMemberRefused "BUNDLE_MEMBER_REFUSED",
        /// The members do not hash to the signed root.
        16 BundleRootWrong "BUNDLE_ROOT_WRONG",
        /// No such subaccount has been credited.
        17 SubaccountUnknown "SUBACCOUNT_UNKNOWN",
        /// Orders use slots 16 to 4,095, a mass cancel any slot, other commands 0 to 15.
        18 SlotOutOfRange "SLOT_OUT_OF_RANGE",
        /// The signer is neither the owner nor a session key of the subaccount.
        19 SignerUnknown "SIGNER_UNKNOWN",
        /// The session key was revoked.
        20 SessionRevoked "SESSION_REVOKED",
        /// The session key's time is over.
        21 SessionExpired "SESSION_EXPIRED",
        /// Only the owner may sign this command.
        22 OwnerOnly "OWNER_ONLY",
        /// The session key may not sign this kind of command.
        23 SessionScopeMissing "SESSION_SCOPE_MISSING",
        /// The slot is outside the session key's range.
        24 SessionSlotForbidden "SESSION_SLOT_FORBIDDEN",
        /// The session key may not trade this underlying or kind.
        25 SessionMarketForbidden "SESSION_MARKET_FORBIDDEN",
        /// The slot has seen this nonce or a later one.
        26 NonceUsed "NONCE_USED",
        /// The nonce is more than 60 s ahead of venue time.
        27 NonceTooFarAhead "NONCE_TOO_FAR_AHEAD",
        /// The command came after its own deadline.
        28 DeadlinePassed "DEADLINE_PASSED",
        /// No such market is listed.
        29 MarketUnknown "MARKET_UNKNOWN",
        /// The market has reached its expiry.
        30 MarketExpired "MARKET_EXPIRED",
        /// The market is halted: cancels only.
        31 MarketHalted "MARKET_HALTED",
        /// Side or time in force is not one of the listed values.
        32 FieldUnknownValue "FIELD_UNKNOWN_VALUE",
        /// Post-only with immediate-or-cancel.
        33 FlagsConflict "FLAGS_CONFLICT",
        /// The price is zero.
        34 PriceNotPositive "PRICE_NOT_POSITIVE",
        /// The price is not a multiple of the tick.
        35 PriceOffTick "PRICE_OFF_TICK",
        /// The size is zero.
        36 SizeNotPositive "SIZE_NOT_POSITIVE",
        /// The size is not a multiple of the lot.
        37 SizeOffLot "SIZE_OFF_LOT",
        /// The venue's fee is higher than the order's signed maximum.
        38 FeeAboveMaximum "FEE_ABOVE_MAXIMUM",
        /// The builder is no credited subaccount, or a builder fee names none.
        39 BuilderUnknown "BUILDER_UNKNOWN",
        /// A builder fee is at most 1,000 ppm.
        40 BuilderFeeTooHigh "BUILDER_FEE_TOO_HIGH",
        /// The market has no fresh price; only reduce-only orders trade.
        41 PriceStale "PRICE_STALE",
        /// The market takes reduce-only orders only.
        42 MarketReduceOnly "MARKET_REDUCE_ONLY",
        /// The slot's order, or the last that filled there, has filled more than the fill guard.
        43 FilledSince "FILLED_SINCE",
        /// No live order in the slot.
        44 OrderUnknown "ORDER_UNKNOWN",
        /// The reduce-only order has no position to reduce.
        45 ReduceOnlyWouldGrow "REDUCE_ONLY_WOULD_GROW",
        /// 8 reduce-only orders per subaccount and market.
        46 ReduceOnlyLimit "REDUCE_ONLY_LIMIT",
        /// 1,024 open orders per subaccount.
        47 OpenOrderLimit "OPEN_ORDER_LIMIT",
        /// The post-only order would trade at once.
        48 PostOnlyWouldTrade "POST_ONLY_WOULD_TRADE",
        /// 32 positions per subaccount.
        49 PositionLimit "POSITION_LIMIT",
        /// The position would grow beyond the market's cap for one subaccount.
        50 PositionCap "POSITION_CAP",
        /// The market's open interest would grow beyond its cap.
        51 OpenInterestCap "OPEN_INTEREST_CAP",
        /// Equity would be below initial margin and risk not lower than before.
        52 MarginTooLow "MARGIN_TOO_LOW",
        /// A result would leave its width.
        53 OutOfRange "OUT_OF_RANGE",
        /// The amount is zero.
        54 AmountNotPositive "AMOUNT_NOT_POSITIVE",
        /// The amount is more than min(cash, equity - initial margin), or than the Vault still holds for all.
        55 AmountAboveWithdrawable "AMOUNT_ABOVE_WITHDRAWABLE",
        /// The session key is zero or the owner itself.
        56 SessionKeyInvalid "SESSION_KEY_INVALID",
        /// The session's expiry, slot range or scopes are out of range.
        57 SessionTermsInvalid "SESSION_TERMS_INVALID",
        /// 64 live session keys per subaccount.
        58 SessionLimit "SESSION_LIMIT",
        /// No live session with this key.
        59 SessionUnknown "SESSION_UNKNOWN",
        /// The deposit was credited before.
        60 DepositAlreadyCredited "DEPOSIT_ALREADY_CREDITED",
        /// Deposits are credited in the Vault's order.
        61 DepositOutOfOrder "DEPOSIT_OUT_OF_ORDER",
        /// The subaccount belongs to another owner, is subaccount 0, or is not the next one.
        62 DepositOwnerWrong "DEPOSIT_OWNER_WRONG",
        /// Fewer than k of the signers are oracle keys, or a stranger signed.
        63 OracleQuorumMissing "ORACLE_QUORUM_MISSING",
        /// The market has a price at least as new.
        64 PriceNotNewer "PRICE_NOT_NEWER",
        /// The price is stamped ahead of venue time or already stale.
        65 PriceTimeInvalid "PRICE_TIME_INVALID",
        /// Index or mark moved more than one step allows.
        66 PriceStepTooLarge "PRICE_STEP_TOO_LARGE",
        /// The mark is further from the index, or an option's from its bounds, than the band allows.
        67 MarkOutOfBand "MARK_OUT_OF_BAND",
        /// The premium is beyond the mark's band, or the market has no funding.
        68 PremiumOutOfBand "PREMIUM_OUT_OF_BAND",
        /// Only the guardian may sign this command.
        69 GuardianOnly "GUARDIAN_ONLY",
        /// Only the governor may sign this command.
        70 GovernorOnly "GOVERNOR_ONLY",
        /// The guardian acted on this market less than 30 days ago.
        71 StatusTooSoon "STATUS_TOO_SOON",
        /// The market has that status, or a stricter one, already.
        72 StatusUnchanged "STATUS_UNCHANGED",
        /// The guardian's order is not over yet, or there is none.
        73 StatusNotOver "STATUS_NOT_OVER",
        /// The price is not stale, or that was said already.
        74 PriceFresh "PRICE_FRESH",
        /// The market has an expiry already.
        75 MarketAlreadyDated "MARKET_ALREADY_DATED",
        /// A delisting wants seven days' notice.
        76 NoticeTooShort "NOTICE_TOO_SHORT",
        /// No such template.
        77 TemplateUnknown "TEMPLATE_UNKNOWN",
        /// The template does not foresee this expiry now.
        78 ExpiryNotListable "EXPIRY_NOT_LISTABLE",
        /// The template does not foresee this strike or option type, at this index.
        79 StrikeNotListable "STRIKE_NOT_LISTABLE",
        /// The same contract is listed already.
        80 MarketListed "MARKET_LISTED",
        /// 65,536 markets.
        81 MarketLimit "MARKET_LIMIT",
        /// The market has no expiry, has not reached it, or has expired already.
        82 ExpiryNotDue "EXPIRY_NOT_DUE",
        /// No position in that market.
        83 PositionUnknown "POSITION_UNKNOWN",
        /// A market or position that has reached its expiry must expire first.
        84 ExpiryPending "EXPIRY_PENDING",
        /// The market has gathered nothing for that builder.
        85 BuilderNotDue "BUILDER_NOT_DUE",
        /// Funding is not due yet, or no price was sampled.
        86 FundingNotDue "FUNDING_NOT_DUE",
        /// There is nothing to sweep.
        87 FeesNotDue "FEES_NOT_DUE",
        /// Equity is not below maintenance margin.
        88 NotLiquidatable "NOT_LIQUIDATABLE",
        /// Nothing could be closed within the band, and there were no orders to cancel.
        89 LiquidityMissing "LIQUIDITY_MISSING",
        /// The slot's order is alive, or there is none.
        90 OrderNotDead "ORDER_NOT_DEAD",
    }
}

numbered! {
    /// Why an order left the book, or never joined it, without being refused.
    Cause {
        /// Cancelled by its owner or session key.
        1 ByOwner "BY_OWNER",
        /// Its slot was given to a new order.
        2 Replaced "REPLACED",
        /// What an immediate-or-cancel order could not fill at once.
        3 ImmediateRemainder "IMMEDIATE_REMAINDER",
        /// The sequence had removed 256 orders from the book; the rest was cancelled.
        4 FillLimit "FILL_LIMIT",
        /// It would have traded with its own owner.
        5 SelfTrade "SELF_TRADE",
        /// Its owner could no longer afford the fill.
        6 MakerMargin "MAKER_MARGIN",
        /// There was nothing left to reduce.
        7 ReduceOnlySpent "REDUCE_ONLY_SPENT",
        /// A mass cancel, a revocation or an expiry had killed it.
        8 Dead "DEAD",
    }
}
