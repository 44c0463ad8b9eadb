# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title What the referee can find
@license Apache-2.0
@notice The numbers of schema/verdicts.txt, in its order.
"""

HONEST: constant(uint8) = 0
ENTRY_MALFORMED: constant(uint8) = 1
ENTRY_OUT_OF_ORDER: constant(uint8) = 2
FILLS_DISAGREE: constant(uint8) = 3
FIELDS_IMPOSSIBLE: constant(uint8) = 4
TAKER_COMMAND_WRONG: constant(uint8) = 5
TAKER_SIGNATURE_WRONG: constant(uint8) = 6
TAKER_ORDER_WRONG: constant(uint8) = 7
MAKER_COMMAND_WRONG: constant(uint8) = 8
MAKER_SIGNATURE_WRONG: constant(uint8) = 9
MAKER_ORDER_WRONG: constant(uint8) = 10
ACCOUNT_UNKNOWN: constant(uint8) = 11
MARKET_UNKNOWN: constant(uint8) = 12
SELF_TRADE: constant(uint8) = 13
TAKER_UNAUTHORISED: constant(uint8) = 14
MAKER_UNAUTHORISED: constant(uint8) = 15
MARKET_CLOSED: constant(uint8) = 16
TAKER_SLOT_SPENT: constant(uint8) = 17
MAKER_SLOT_SPENT: constant(uint8) = 18
FEE_WRONG: constant(uint8) = 19
LIQUIDATION_WRONG: constant(uint8) = 20
REDUCE_ONLY_BROKEN: constant(uint8) = 21
TAKER_RISK_WRONG: constant(uint8) = 22
RESULT_OUT_OF_RANGE: constant(uint8) = 23
POSITIONS_TOO_MANY: constant(uint8) = 24
POSITION_ABOVE_CAP: constant(uint8) = 25
MAKER_MARGIN_BROKEN: constant(uint8) = 26
TAKER_MARGIN_BROKEN: constant(uint8) = 27
POST_ROOT_WRONG: constant(uint8) = 28
COMMAND_MALFORMED: constant(uint8) = 29
