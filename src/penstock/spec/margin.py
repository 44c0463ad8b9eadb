"""Cross margin with size tiers: equity, requirements, and what a voluntary act may leave behind."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from penstock.protocol.quantities import PPM, div_ceil
from penstock.protocol.terms import Tier
from penstock.spec.positions import Holding, funding_owed
from penstock.spec.state import Account, Market, Position, State


class Listed(Protocol):
    """Whatever knows markets by their number: the state, or the leaves a witness opens."""

    @property
    def markets(self) -> Mapping[int, Market]: ...


class Risk(Struct, frozen=True):
    """Equity and requirements in 1e-6 USDC. `initial` and `maintenance` are of positions alone."""

    equity: int
    initial: int
    maintenance: int


def requirement(tiers: tuple[Tier, ...], notional: int, *, initial: bool) -> int:
    """Tiered requirement: each tier's fraction on the notional inside it, summed, rounded up once."""
    total, below = 0, 0
    for tier in tiers:
        inside = min(notional, tier.notional) - below
        if inside <= 0:
            break
        total += inside * (tier.initial_ppm if initial else tier.maintenance_ppm)
        below = tier.notional
    return div_ceil(total, PPM)


def unrealised(position: Position, market: Market) -> int:
    """Profit at the mark not yet in cash, before funding."""
    return position.size * market.mark_price - position.entry


def assess(listed: Listed, holding: Holding | Account) -> Risk:
    """Equity = cash + Σ(size × mark − entry) − unsettled funding, and the requirements of the positions."""
    equity, initial, maintenance = holding.cash, 0, 0
    for market_id, position in holding.positions.items():
        market = listed.markets[market_id]
        equity += unrealised(position, market) - funding_owed(position, market.funding_index)
        notional = abs(position.size) * market.mark_price
        initial += requirement(market.terms.tiers, notional, initial=True)
        maintenance += requirement(market.terms.tiers, notional, initial=False)
    return Risk(equity, initial, maintenance)


def initial_with_orders(state: State, holding: Holding | Account, lots: dict[int, list[int]]) -> int:
    """Initial requirement if, per market, the worse of all bids or all asks had filled."""
    total = 0
    for market_id in sorted(holding.positions.keys() | lots.keys()):
        market = state.markets[market_id]
        position = holding.positions.get(market_id)
        size = position.size if position else 0
        bid, ask = lots.get(market_id, (0, 0))
        worst = max(abs(size + bid), abs(size - ask))
        total += requirement(market.terms.tiers, worst * market.mark_price, initial=True)
    return total


def is_legal(before: Risk, after: Risk, *, grew: bool) -> bool:
    """StarkEx's rule: well margined, or no position grew or flipped and equity over requirement did not fall."""
    if after.equity >= after.initial:
        return True
    if grew or (before.equity < 0 and after.equity < before.equity):
        return False
    return after.equity * before.initial >= before.equity * after.initial


def grew_or_flipped(before: int, after: int) -> bool:
    """Whether a position's signed size moved away from zero, or through it."""
    return abs(after) > abs(before) or (before > 0) != (after > 0) if after else False


def withdrawable(state: State, account: Account) -> int:
    """max(0, min(cash, equity − initial margin, open orders included)): unrealised profit cannot leave."""
    equity = assess(state, account).equity
    return max(0, min(account.cash, equity - initial_with_orders(state, account, account.lots)))
