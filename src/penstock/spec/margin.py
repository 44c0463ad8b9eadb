"""Cross margin: equity, requirements tiered by size and open interest, and what a voluntary act may leave behind."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from penstock.protocol.instruments import CALL, OPTION
from penstock.protocol.quantities import CROWDING_SCALE, PPM, div_ceil
from penstock.protocol.terms import Tier
from penstock.spec.positions import Holding, funding_owed
from penstock.spec.state import Account, Position, State


class WeighedTerms(Protocol):
    """The terms a position is weighed by; MarketTerms has them, and so have terms opened by a witness."""

    @property
    def kind(self) -> int: ...
    @property
    def strike(self) -> int: ...
    @property
    def option_type(self) -> int: ...
    @property
    def tiers(self) -> tuple[Tier, ...]: ...


class Weighed(Protocol):
    """A market as far as margin looks at it."""

    @property
    def index_price(self) -> int: ...
    @property
    def mark_price(self) -> int: ...
    @property
    def funding_index(self) -> int: ...
    @property
    def crowding(self) -> int: ...
    @property
    def expired(self) -> bool: ...
    @property
    def terms(self) -> WeighedTerms: ...


class Listed(Protocol):
    """Whatever knows markets by their number: the state, or the leaves a witness opens."""

    @property
    def markets(self) -> Mapping[int, Weighed]: ...


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


def requirements(market: Weighed, size: int) -> tuple[int, int]:
    """Initial and maintenance requirement of a position of signed `size`, in 1e-6 USDC.

    A perpetual or a future: the tiers on its notional at the mark. A long option: what it is worth, which is all it
    can lose. A short one: the standard formulas of Deribit for linear options, on top of the mark that equity counts
    already. In the crowd, initial margin grows in a straight line to the whole notional. What has expired needs none.
    """
    if size == 0 or market.expired:
        return 0, 0
    if market.terms.kind == OPTION and size > 0:
        return size * market.mark_price, size * market.mark_price
    if market.terms.kind == OPTION:
        notional = -size * market.index_price
        initial, maintenance = _short_option(market, -size)
    else:
        notional = abs(size) * market.mark_price
        initial = requirement(market.terms.tiers, notional, initial=True)
        maintenance = requirement(market.terms.tiers, notional, initial=False)
    return initial + div_ceil(max(0, notional - initial) * market.crowding, CROWDING_SCALE), maintenance


def _short_option(market: Weighed, size: int) -> tuple[int, int]:
    """Per unit: initial max(i × index − out of the money, ⅔ i × index), maintenance m × index; a put's m × max(index,
    mark); initial at least maintenance. With i = 15 %, m = 7.5 % those are Deribit's; ⅔ of 15 % is its floor of 10 %.
    """
    terms, index = market.terms, market.index_price
    tiered = requirement(terms.tiers, size * index, initial=True)
    if terms.option_type == CALL:
        out, base = max(0, terms.strike - index), index
    else:
        out, base = max(0, index - terms.strike), max(index, market.mark_price)
    maintenance = requirement(terms.tiers, size * base, initial=False)
    return max(tiered - size * out, div_ceil(2 * tiered, 3), maintenance), maintenance


def unrealised(position: Position, market: Weighed) -> int:
    """Profit at the mark not yet in cash, before funding."""
    return position.size * market.mark_price - position.entry


def assess(listed: Listed, holding: Holding | Account) -> Risk:
    """Equity = cash + Σ(size × mark − entry) − unsettled funding, and the requirements of the positions."""
    equity, initial, maintenance = holding.cash, 0, 0
    for market_id, position in holding.positions.items():
        market = listed.markets[market_id]
        equity += unrealised(position, market) - funding_owed(position, market.funding_index)
        more_initial, more_maintenance = requirements(market, position.size)
        initial += more_initial
        maintenance += more_maintenance
    return Risk(equity, initial, maintenance)


def initial_with_orders(state: State, holding: Holding | Account, lots: dict[int, list[int]]) -> int:
    """Initial requirement if, per market, the worse of all bids or all asks had filled."""
    total = 0
    for market_id in sorted(holding.positions.keys() | lots.keys()):
        market = state.markets[market_id]
        position = holding.positions.get(market_id)
        size = position.size if position else 0
        bid, ask = lots.get(market_id, (0, 0))
        total += max(requirements(market, size + bid)[0], requirements(market, size - ask)[0])
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
    """max(0, min(cash, equity − initial margin, open orders included)).

    Profit leaves once a trade has realised it, and whoever takes the other side of that trade is margined for it.
    """
    equity = assess(state, account).equity
    return max(0, min(account.cash, equity - initial_with_orders(state, account, account.lots)))
