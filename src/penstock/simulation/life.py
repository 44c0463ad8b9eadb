"""How contracts begin, pause and end in a seeded stream: listings, statuses, stale prices, expiries, builders."""

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec.structs import replace

from penstock.protocol.commands import (
    DelistMarket,
    ExpireMarket,
    ExpirePosition,
    ListMarket,
    MarkStale,
    PayBuilder,
    PublishPrice,
    Record,
    ReopenMarket,
    SetMarketStatus,
)
from penstock.protocol.instruments import DAY, EXPIRY_HOUR, OPTION, PERPETUAL
from penstock.protocol.quantities import MICRO, PPM, PRICE_BITS
from penstock.simulation.cast import GOVERNOR, GUARDIAN, STRANGER, SUBACCOUNTS
from penstock.spec.prices import payoff
from penstock.spec.state import Market, State

_MOST_LIVE: Final = 20
"""A stream stops listing while so many markets live."""
_MOST_STRIKE: Final = ((1 << PRICE_BITS) - 1) // 5
"""Five times a strike is a price still."""


def live(state: State, time: int) -> list[int]:
    """The markets that have not reached their expiry."""
    return [number for number, market in state.markets.items() if not market.over(time)]


def lifecycle(state: State, time: int, dice: Random) -> tuple[Record, list[bytes]]:
    """Something of a contract's life that is due, or nearly so, and who signs it."""
    made = dice.choice(_KINDS)(state, time, dice)
    if isinstance(made, SetMarketStatus):
        return made, [(GUARDIAN if dice.random() < 0.95 else STRANGER).address]
    if isinstance(made, DelistMarket):
        return made, [(GOVERNOR if dice.random() < 0.9 else GUARDIAN).address]
    return made, []


def _listing(state: State, time: int, dice: Random) -> Record:
    templates = state.genesis.templates
    if not templates or (len(live(state, time)) >= _MOST_LIVE and dice.random() < 0.9):
        return ListMarket(dice.choice((0, 9, 65_535)), time // MICRO, 0, 0)
    template = dice.choice(templates)
    today = time // MICRO // DAY
    days = dice.choice((0, 1, 1, 2, 3, dice.randrange(8, 30), dice.randrange(30, 420)))
    expiry = (today + days) * DAY + EXPIRY_HOUR
    index = state.markets[template.index_market].index_price
    strike = option_type = 0
    if template.terms.kind == OPTION:
        rung = index // template.strike_step + dice.randrange(-4, 5)
        strike = min(max(0, rung), _MOST_STRIKE // template.strike_step) * template.strike_step
        option_type = dice.choice((1, 2))
    record = ListMarket(template.template, expiry, strike, option_type)
    if dice.random() < 0.15:
        wrong = dice.choice(
            ({"expiry": expiry + 1}, {"strike": strike + 1}, {"option_type": 3}, {"option_type": 0}, {"template": 77},
             {"strike": strike * 5})
        )  # fmt: skip
        record = replace(record, **wrong)
    return record


def _expiry(state: State, time: int, dice: Random) -> Record:
    due = [number for number, market in state.markets.items() if market.over(time) and not market.expired]
    return ExpireMarket(dice.choice(due) if due and dice.random() < 0.9 else _any(state, dice))


def _position_expiry(state: State, time: int, dice: Random) -> Record:
    ended = [
        (subaccount, market)
        for subaccount, account in state.accounts.items()
        for market in account.positions
        if state.markets[market].over(time)
    ]
    if ended and dice.random() < 0.9:
        return ExpirePosition(*dice.choice(ended))
    return ExpirePosition(dice.randrange(SUBACCOUNTS + 3), _any(state, dice))


def _status(state: State, time: int, dice: Random) -> Record:
    nonce = time + dice.choice((0, 0, 0, 0, 0, 0, -61 * MICRO, 61 * MICRO))
    if dice.random() < 0.1:
        nonce = state.guardian_nonce
    again = [n for n in live(state, time) if state.markets[n].flagged_at and not state.markets[n].flags & 6]
    if again and dice.random() < 0.5:
        return SetMarketStatus(dice.choice(again), nonce, 1)
    numbers = live(state, time)
    market = dice.choice(numbers) if numbers and dice.random() < 0.9 else _any(state, dice)
    # An open market is closed seldom, so that most of them trade.
    flags = state.markets[market].flags if market in state.markets else 0
    status = dice.choice((0, 0, 0, 2)) if flags & 6 else dice.choice((0, 0, 0, 0, 1, 2, 3))
    return SetMarketStatus(market, nonce, status)


def _reopening(state: State, time: int, dice: Random) -> Record:
    closed = [number for number, market in state.markets.items() if market.flags & 6]
    return ReopenMarket(dice.choice(closed) if closed else _any(state, dice))


def _delisting(state: State, time: int, dice: Random) -> Record:
    nonce = max(time, state.governor_nonce + 1)
    expiry = time // MICRO + 7 * DAY + dice.choice((-1, 0, 1, 1, 3_600))
    market = _any(state, dice)
    known = state.markets.get(market)
    # Delisting is for good: most streams keep their perpetuals.
    if known and known.terms.kind == PERPETUAL and dice.random() < 0.8:
        expiry = time // MICRO
    return DelistMarket(market, nonce, expiry)


def _stale(state: State, time: int, dice: Random) -> Record:
    old = [number for number, market in state.markets.items() if market.mark_price and not market.fresh(time)]
    return MarkStale(dice.choice(old) if old and dice.random() < 0.8 else _any(state, dice))


def _builder(state: State, time: int, dice: Random) -> Record:
    owed = [(number, builder) for number, market in state.markets.items() for builder in market.builders]
    if owed and dice.random() < 0.9:
        return PayBuilder(*dice.choice(owed))
    return PayBuilder(_any(state, dice), dice.randrange(SUBACCOUNTS + 3))


def _any(state: State, dice: Random) -> int:
    return dice.choice((*state.markets, 77_777))


_KINDS: Final[tuple[Callable[[State, int, Random], Record], ...]] = (
    _listing, _listing, _listing, _expiry, _expiry, _position_expiry, _position_expiry, _position_expiry, _status,
    _reopening, _delisting, _stale, _builder, _builder,
)  # fmt: skip


def dated_price(state: State, market: Market, time: int, dice: Random) -> PublishPrice:
    """The next price of a future or an option: the index follows its perpetual's, the mark wanders within bounds."""
    terms = market.terms
    twins = (m for m in state.markets.values() if m.terms.underlying == terms.underlying and m.mark_price)
    index = next(twins, market).index_price or terms.strike
    if market.mark_price:
        reach = market.index_price * terms.price_step_ppm // PPM
        index = min(max(index, market.index_price - reach), market.index_price + reach)
    step = index * dice.randrange(-4_000, 4_001) // PPM
    if terms.kind == OPTION:
        intrinsic = payoff(terms, index)
        mark = (market.mark_price or intrinsic + index // 50) + step
        mark = min(max(mark, intrinsic - index // 500, 1), index + terms.strike)
    else:
        mark = index + step
    if dice.random() < 0.03:
        mark = dice.choice((1, mark * 2, index * 3, mark + index * terms.price_step_ppm // PPM))
    premium = dice.choice((0,) * 19 + (1,))
    return PublishPrice(terms.market, time, max(1, index), min(max(1, mark), (1 << 40) - 1), premium)
