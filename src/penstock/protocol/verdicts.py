"""What the referee can say of a trade entry. The sentences are in schema/verdicts.txt, in the same order."""

from enum import IntEnum

from msgspec import Struct


class Finding(IntEnum):
    """HONEST, or the first thing found wrong."""

    HONEST = 0
    ENTRY_MALFORMED = 1
    ENTRY_OUT_OF_ORDER = 2
    FILLS_DISAGREE = 3
    FIELDS_IMPOSSIBLE = 4
    TAKER_COMMAND_WRONG = 5
    TAKER_SIGNATURE_WRONG = 6
    TAKER_ORDER_WRONG = 7
    MAKER_COMMAND_WRONG = 8
    MAKER_SIGNATURE_WRONG = 9
    MAKER_ORDER_WRONG = 10
    ACCOUNT_UNKNOWN = 11
    MARKET_UNKNOWN = 12
    SELF_TRADE = 13
    TAKER_UNAUTHORISED = 14
    MAKER_UNAUTHORISED = 15
    MARKET_CLOSED = 16
    TAKER_SLOT_SPENT = 17
    MAKER_SLOT_SPENT = 18
    FEE_WRONG = 19
    LIQUIDATION_WRONG = 20
    REDUCE_ONLY_BROKEN = 21
    TAKER_RISK_WRONG = 22
    RESULT_OUT_OF_RANGE = 23
    POSITIONS_TOO_MANY = 24
    POSITION_ABOVE_CAP = 25
    MAKER_MARGIN_BROKEN = 26
    TAKER_MARGIN_BROKEN = 27
    POST_ROOT_WRONG = 28
    COMMAND_MALFORMED = 29


class Verdict(Struct, frozen=True):
    """The finding, and the settlement root the step leads to (zero when it was not reached)."""

    finding: Finding
    post_root: bytes = bytes(32)
