"""What an act would leave of an account, and the price at which it would be liquidated: answered by the rules alone."""

from msgspec import Struct

from penstock.protocol.instruments import OPTION
from penstock.protocol.quantities import CASH_BITS, POSITION_BITS, PRICE_BITS, div_floor, fits
from penstock.protocol.terms import MarketTerms
from penstock.protocol.views import WhatIf
from penstock.spec.margin import Risk, assess, grew_or_flipped, initial_with_orders, is_legal, requirements, unrealised
from penstock.spec.positions import Holding, draft_of, fill, funding_owed
from penstock.spec.state import Market, State


class _At(Struct, frozen=True):
    """A market as it would be at another mark."""

    terms: MarketTerms
    index_price: int
    mark_price: int
    funding_index: int
    crowding: int
    expired: bool


def what_if(state: State, subaccount: int, market: int, change: int, price: int) -> WhatIf | None:
    """The account had it just bought `change` size units (sold, if negative) at `price`, no fee taken.

    None for an unknown subaccount or market. Raises ValueError for a fill that no width holds.
    """
    account, traded = state.accounts.get(subaccount), state.markets.get(market)
    if account is None or traded is None:
        return None
    if not 0 <= price < 1 << PRICE_BITS or not fits(change, POSITION_BITS):
        raise ValueError(f"change {change} wants less than 2^55, price {price} from 0 to 2^40 - 1")
    after = draft_of(account)
    held = account.positions[market].size if market in account.positions else 0
    if change:
        fill(after, market, change, price, 0, traded.funding_index)
    holds = after.positions[market].size if market in after.positions else 0
    if not fits(holds, POSITION_BITS) or not fits(after.cash, CASH_BITS):
        raise ValueError(f"a change of {change} at {price} leaves the widths of a position or of cash")
    risk = assess(state, after)
    initial = initial_with_orders(state, after, account.lots)
    grew = grew_or_flipped(held, holds)
    legal = risk.equity >= initial or is_legal(assess(state, account), risk, grew=grew)
    return WhatIf(risk.equity, initial, risk.maintenance, liquidation_price(after, traded, risk), legal)


def liquidation_price(holding: Holding, market: Market, risk: Risk) -> int:
    """The first mark of `market` at which equity is below maintenance margin, all else unchanged.

    The first, coming from where it is not: an account that is due already has it behind it. 0 where there is none: no
    position, an option (whose margin follows index and mark), an expired market.
    Equity less maintenance only rises with a long position's mark and only falls with a short one's, so a bisection
    finds it.
    """
    position = holding.positions.get(market.terms.market)
    if position is None or market.terms.kind == OPTION or market.expired:
        return 0
    funding = funding_owed(position, market.funding_index)
    others = risk.equity - unrealised(position, market) + funding
    maintenance = risk.maintenance - requirements(market, position.size)[1]

    def below(mark: int) -> bool:
        at = _At(market.terms, market.index_price, mark, market.funding_index, market.crowding, expired=False)
        equity = others + unrealised(position, at) - funding
        return equity < maintenance + requirements(at, position.size)[1]

    low, high = 1, (1 << PRICE_BITS) - 1
    long = position.size > 0
    if not below(low if long else high):
        return 0
    if below(high if long else low):
        return high if long else low
    # `low` and `high` stay on either side of the edge.
    while high - low > 1:
        middle = div_floor(low + high, 2)
        if below(middle) == long:
            low = middle
        else:
            high = middle
    return low if long else high
