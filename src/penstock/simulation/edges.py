"""Where a rule changes its mind: the last moment, price or amount it takes, and the first it does not."""

from random import Random

from penstock.protocol.quantities import MICRO, PPM
from penstock.spec.margin import withdrawable
from penstock.spec.state import Account, Market, State


def next_moment(state: State, time: int, dice: Random, reach: int) -> int:
    """A time within `reach` µs at which a price goes stale, funding is due, or a key or market expires; or near it."""
    moments = [m.priced_at + m.terms.stale_after for m in state.markets.values() if m.mark_price]
    moments += [m.funded_at + m.terms.funding_interval for m in state.markets.values()]
    moments += [m.terms.expiry * MICRO for m in state.markets.values() if m.terms.expiry]
    moments += [m.until for m in state.markets.values()]
    moments += [s.expiry * MICRO for a in state.accounts.values() for s in a.sessions.values() if s.lives(time)]
    soon = sorted(m for m in moments if time <= m < time + reach)[:5]
    return max(time, dice.choice(soon) + dice.choice((-1, 0, 0, 1))) if soon else time


def longest_step(reference: int, ppm: int, dice: Random) -> int:
    """A price as far from `reference` as a step of `ppm` may go, or one unit further."""
    step = max(1, reference * ppm // PPM) + dice.choice((0, 0, 1))
    return reference + dice.choice((-step, step))


def price_at_the_edge(market: Market, dice: Random) -> tuple[int, int]:
    """Index and mark, one of them at the end of its step or the mark at the end of its band."""
    index, mark = market.index_price, market.mark_price
    kind = dice.randrange(3)
    if kind == 0:
        index = longest_step(index, market.terms.price_step_ppm, dice)
    elif kind == 1:
        mark = longest_step(mark, market.terms.price_step_ppm, dice)
    else:
        mark = longest_step(index, market.terms.mark_band_ppm, dice)
    return index, mark


def payout_at_the_edge(state: State, account: Account, dice: Random) -> int:
    """The most that may be withdrawn, or one more."""
    return max(0, withdrawable(state, account)) + dice.choice((0, 1))
