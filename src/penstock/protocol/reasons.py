"""Why something was refused or cancelled. The sentences, and the order of checks, are in schema/reasons.txt."""

from enum import IntEnum, auto


class Reason(IntEnum):
    """Refusals, in the order in which they are checked."""

    MESSAGE_TOO_LARGE = auto()
    MESSAGE_TRUNCATED = auto()
    SCHEME_UNKNOWN = auto()
    DOMAIN_WRONG = auto()
    TYPE_UNKNOWN = auto()
    RECORD_LENGTH_WRONG = auto()
    WORD_NOT_CANONICAL = auto()
    COMMAND_NOT_FOR_CLIENTS = auto()
    SIGNATURE_COUNT_WRONG = auto()
    SIGNATURE_MALFORMED = auto()
    SIGNATURE_WRONG = auto()
    SIGNERS_NOT_ASCENDING = auto()
    BUNDLE_COUNT_WRONG = auto()
    BUNDLE_MODE_UNKNOWN = auto()
    BUNDLE_MEMBER_REFUSED = auto()
    BUNDLE_ROOT_WRONG = auto()

    SUBACCOUNT_UNKNOWN = auto()
    SLOT_OUT_OF_RANGE = auto()
    SIGNER_UNKNOWN = auto()
    SESSION_REVOKED = auto()
    SESSION_EXPIRED = auto()
    OWNER_ONLY = auto()
    SESSION_SCOPE_MISSING = auto()
    SESSION_SLOT_FORBIDDEN = auto()
    SESSION_MARKET_FORBIDDEN = auto()
    NONCE_USED = auto()
    NONCE_TOO_FAR_AHEAD = auto()

    DEADLINE_PASSED = auto()
    MARKET_UNKNOWN = auto()
    FIELD_UNKNOWN_VALUE = auto()
    FLAGS_CONFLICT = auto()
    PRICE_NOT_POSITIVE = auto()
    PRICE_OFF_TICK = auto()
    SIZE_NOT_POSITIVE = auto()
    SIZE_OFF_LOT = auto()
    FEE_ABOVE_MAXIMUM = auto()
    PRICE_STALE = auto()
    MARKET_REDUCE_ONLY = auto()
    FILLED_SINCE = auto()
    ORDER_UNKNOWN = auto()
    REDUCE_ONLY_WOULD_GROW = auto()
    REDUCE_ONLY_LIMIT = auto()
    OPEN_ORDER_LIMIT = auto()
    POST_ONLY_WOULD_TRADE = auto()
    POSITION_LIMIT = auto()
    MARGIN_TOO_LOW = auto()
    OUT_OF_RANGE = auto()
    AMOUNT_NOT_POSITIVE = auto()
    AMOUNT_ABOVE_WITHDRAWABLE = auto()
    SESSION_KEY_INVALID = auto()
    SESSION_TERMS_INVALID = auto()
    SESSION_LIMIT = auto()
    SESSION_UNKNOWN = auto()

    DEPOSIT_ALREADY_CREDITED = auto()
    DEPOSIT_OUT_OF_ORDER = auto()
    DEPOSIT_OWNER_WRONG = auto()
    ORACLE_QUORUM_MISSING = auto()
    PRICE_NOT_NEWER = auto()
    PRICE_TIME_INVALID = auto()
    PRICE_STEP_TOO_LARGE = auto()
    MARK_OUT_OF_BAND = auto()
    FUNDING_NOT_DUE = auto()
    FEES_NOT_DUE = auto()
    NOT_LIQUIDATABLE = auto()
    LIQUIDITY_MISSING = auto()
    ORDER_NOT_DEAD = auto()


class Cause(IntEnum):
    """Why an order left the book, or never joined it, without being refused."""

    BY_OWNER = auto()
    REPLACED = auto()
    IMMEDIATE_REMAINDER = auto()
    FILL_LIMIT = auto()
    SELF_TRADE = auto()
    MAKER_MARGIN = auto()
    REDUCE_ONLY_SPENT = auto()
    DEAD = auto()


class Refusal(Exception):
    """Carries a reason out of a pure check; it never leaves `verify` or `apply` as an exception of the node."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason
