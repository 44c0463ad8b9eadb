"""The markets of a saved state: terms told again from genesis, prices, sums, queues."""

from typing import Final

from msgspec.structs import replace

from penstock.protocol.instruments import PUT
from penstock.protocol.quantities import (
    BUILDER_FEES_BITS,
    CASH_BITS,
    CROWDING_SCALE,
    FIRST_ORDER_SLOT,
    FUNDING_BITS,
    MAX_MARKETS,
    MAX_SUBACCOUNTS,
    MICRO,
    OPEN_INTEREST_BITS,
    PRICE_BITS,
    RATE_SCALE,
    SETTLEMENT_WINDOW,
    SIZE_FUNDING_BITS,
    SLOTS,
    WITHDRAWN_BITS,
)
from penstock.protocol.terms import NO_TEMPLATE
from penstock.spec.saved_words import Words
from penstock.spec.state import ALL_FLAGS, INSURANCE_FUND, Market, State

_PRICE: Final = (1 << PRICE_BITS) - 1
_CASH: Final = (1 << CASH_BITS) - 1
_WIDE_CASH: Final = (1 << WITHDRAWN_BITS) - 1
_FUNDING: Final = (1 << FUNDING_BITS) - 1
_TIME: Final = (1 << 64) - 1
_EXPIRY: Final = (1 << 40) - 1
_LEAST: Final = 29
"""Words of a market that has nothing."""

Queued = list[tuple[int, int, int, int, int]]
"""(market, side, price, subaccount, slot) of each place in a queue, in order of arrival."""


def read_markets(words: Words, state: State, queued: Queued) -> None:
    """All markets, ascending: those of genesis, and those listed since."""
    genesis = state.markets
    state.markets = {}
    last = -1
    for _ in range(words.count("number of markets", MAX_MARKETS, _LEAST)):
        last = words.number("market", last + 1, MAX_MARKETS - 1)
        state.markets[last] = _begin(words, state, genesis.get(last), last)
        _read_market(words, state.markets[last], queued)
    if not genesis.keys() <= state.markets.keys():
        raise words.wrong("a market of genesis is missing")


def _begin(words: Words, state: State, known: Market | None, number: int) -> Market:
    """The market with its terms, which genesis and four numbers tell."""
    template = words.number("template", 0, NO_TEMPLATE)
    expiry = words.number("expiry", 0, _EXPIRY)
    strike = words.number("strike", 0, _PRICE)
    option_type = words.number("option type", 0, PUT)
    if template == NO_TEMPLATE:
        if known is None:
            raise words.wrong(f"market {number} is neither of genesis nor of a template")
        if (strike, option_type) != (known.terms.strike, known.terms.option_type):
            raise words.wrong(f"market {number} has another strike or option type")
        if expiry != known.terms.expiry and known.terms.expiry:
            raise words.wrong(f"market {number} has another expiry")
        terms = replace(known.terms, expiry=expiry)
    else:
        found = state.genesis.template(template)
        if found is None or known is not None or not expiry:
            raise words.wrong(f"market {number} is not one that template {template} lists")
        try:
            terms = found.terms.contract(number, expiry, strike, option_type)
            terms.check()
        except (KeyError, ValueError) as error:
            raise words.wrong(f"market {number}: {error}") from error
    return Market(terms, terms.digest(), template=template)


def _most_in_window(market: Market) -> int:
    """The highest price over all of the time that the settlement window has had one."""
    expiry = market.terms.expiry * MICRO
    since = max(market.priced_since, expiry - SETTLEMENT_WINDOW)
    return _PRICE * max(0, market.priced_at - since) if expiry else 0


def _read_market(words: Words, market: Market, queued: Queued) -> None:
    market.index_price = words.number("index price", 0, _PRICE)
    market.mark_price = words.number("mark price", 0, _PRICE)
    market.premium = words.number("premium", -RATE_SCALE, RATE_SCALE)
    market.priced_at = words.number("time of the price", 0, _TIME)
    if market.terms.expiry and market.priced_at >= market.terms.expiry * MICRO:
        raise words.wrong(f"market {market.terms.market} has a price from after its expiry")
    market.priced_since = words.number("time of the first price", 0, market.priced_at)
    if (market.priced_since == 0) != (market.priced_at == 0):
        raise words.wrong(f"market {market.terms.market} has a price without a first, or the other way round")
    market.rate_time = words.number("rate × time", -_CASH, _CASH)
    market.window_sum = words.number("index × time", 0, _most_in_window(market))
    market.flags = words.number("flags", 0, ALL_FLAGS)
    if market.expired and not market.terms.expiry:
        raise words.wrong(f"market {market.terms.market} has ended without an expiry")
    market.until = words.number("until", 0, _TIME)
    market.flagged_at = words.number("time of the flags", 0, _TIME)
    market.crowding = words.number("crowding", 0, CROWDING_SCALE)
    market.funding_index = words.number("funding index", -_FUNDING, _FUNDING)
    market.funded_at = words.number("time of funding", 0, _TIME)
    market.fees = words.number("fees", -_CASH, _CASH)
    most = (1 << SIZE_FUNDING_BITS) - 1
    market.size_funding = words.number("Σ size × funding", -most, most)
    market.entry_total = words.number("Σ entry", -_CASH, _CASH)
    market.dust = words.number("dust", 0, _CASH)
    market.shortfall = words.number("shortfall", 0, _WIDE_CASH)
    market.open_interest = words.number("open interest", 0, (1 << OPEN_INTEREST_BITS) - 1)
    most = (1 << BUILDER_FEES_BITS) - 1
    market.builder_fees = words.number("builder fees", 0, most)
    for builder in words.keys("builders", MAX_SUBACCOUNTS, 2, INSURANCE_FUND + 1):
        market.builders[builder] = words.number("fees of a builder", 1, most)
    if sum(market.builders.values()) != market.builder_fees:
        raise words.wrong(f"the builders of market {market.terms.market} do not add up to their fees")
    words.expect("parameters", market.parameters)
    for side in (0, 1):
        last = 0
        for _ in range(words.count("number of prices", _PRICE, 4)):
            last = price = words.number("price", last + 1, _PRICE)
            if price % market.terms.tick:
                raise words.wrong(f"price {price} is off the tick")
            for _ in range(words.number("length of a queue", 1, words.count_limit(2))):
                subaccount = words.number("subaccount", 0, MAX_SUBACCOUNTS - 1)
                slot = words.number("slot", FIRST_ORDER_SLOT, SLOTS - 1)
                queued.append((market.terms.market, side, price, subaccount, slot))
