"""Writing what events say of markets: prices, funding, status, listing, expiry, builders."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from penstock.protocol import events as say
from penstock.spec.expiry import claim_left, listed
from penstock.spec.positions import fill
from penstock.spec.state import EXPIRED, SHORTFALL_BOOKED, STALE, State


def _price(state: State, event: say.PricePublished) -> None:
    market = state.markets[event.market]
    market.index_price, market.mark_price, market.premium = event.index_price, event.mark_price, event.premium
    market.priced_at, market.rate_time = event.published_at, event.rate_time
    market.window_sum, market.priced_since = event.window_sum, event.priced_since
    market.crowding = event.crowding
    market.flags &= ~STALE


def _funding(state: State, event: say.FundingAccrued) -> None:
    market = state.markets[event.market]
    market.funding_index, market.funded_at, market.rate_time = event.funding_index, event.funded_at, 0


def _list(state: State, event: say.MarketListed) -> None:
    state.markets[event.market] = listed(state, event.market, event)


def _flag(state: State, event: say.MarketFlagged) -> None:
    market = state.markets[event.market]
    market.flags, market.until, market.flagged_at = event.flags, event.until, event.flagged_at
    state.guardian_nonce = max(state.guardian_nonce, event.nonce)


def _delist(state: State, event: say.MarketDelisted) -> None:
    market = state.markets[event.market]
    market.terms = replace(market.terms, expiry=event.expiry)
    market.parameters = market.terms.digest()
    state.governor_nonce = event.nonce


def _expire(state: State, event: say.MarketExpired) -> None:
    market = state.markets[event.market]
    market.index_price, market.mark_price = event.index_price, event.mark_price
    market.funding_index, market.rate_time, market.window_sum = event.funding_index, 0, 0
    market.premium, market.crowding, market.until = 0, 0, 0
    market.flags = market.flags & SHORTFALL_BOOKED | EXPIRED


def _expire_position(state: State, event: say.PositionExpired) -> None:
    market, account = state.markets[event.market], state.accounts[event.subaccount]
    position = account.positions[event.market]
    market.size_funding += claim_left(market, position)
    market.entry_total -= position.entry
    market.open_interest -= max(0, position.size)
    outcome = fill(account, event.market, -position.size, market.mark_price, 0, market.funding_index)
    market.dust += outcome.dust


def _pay_builder(state: State, event: say.BuilderPaid) -> None:
    market = state.markets[event.market]
    del market.builders[event.subaccount]
    market.builder_fees -= event.amount
    state.accounts[event.subaccount].cash += event.amount


MARKET_WRITERS: Final[dict[type, Callable[[State, Any], None]]] = {
    say.PricePublished: _price,
    say.FundingAccrued: _funding,
    say.MarketListed: _list,
    say.MarketFlagged: _flag,
    say.MarketDelisted: _delist,
    say.MarketExpired: _expire,
    say.PositionExpired: _expire_position,
    say.BuilderPaid: _pay_builder,
}
