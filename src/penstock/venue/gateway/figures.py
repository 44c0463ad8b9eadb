"""The public market data in Deribit's field names."""

from typing import Any, Final

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.instruments import CALL, KIND_NAMES, MONTHLY, OPTION, PERPETUAL, WEEKLY, dates_of
from penstock.protocol.quantities import RATE_SCALE
from penstock.protocol.terms import MarketTerms
from penstock.spec.state import EXPIRED, HALTED, RESTRICTED, SHORTFALL_BOOKED, STALE
from penstock.venue.gateway.units import Units, dollars, exact_dollars, milliseconds
from penstock.venue.market_data import Changes, PublicMarket, Settlement, Trade

NEVER: Final = 32_503_708_800_000
"""The expiration_timestamp Deribit gives perpetuals, ms."""
DIRECTIONS: Final = ("buy", "sell")


class Figures:
    """One market's figures."""

    def __init__(self, market: PublicMarket) -> None:
        self.market = market
        self.units = Units(market.terms)
        self.name = market.terms.name

    def instrument(self) -> dict[str, Any]:
        """As `public/get_instrument` tells it."""
        terms, units = self.market.terms, self.units
        contract: dict[str, Any] = {}
        if terms.kind == OPTION:
            contract = {
                "strike": units.price(terms.strike),
                "option_type": "call" if terms.option_type == CALL else "put",
            }
        return contract | {
            "instrument_name": terms.name,
            "instrument_id": terms.market,
            "kind": kind_of(terms),
            "base_currency": terms.base,
            "quote_currency": "USDC",
            "counter_currency": "USDC",
            "settlement_currency": "USDC",
            "tick_size": units.price(terms.tick),
            "contract_size": units.amount(terms.lot),
            "min_trade_amount": units.amount(terms.lot),
            "maker_commission": terms.maker_fee_ppm / 1e6,
            "taker_commission": terms.taker_fee_ppm / 1e6,
            "price_unit": str(terms.price_unit),
            "size_unit": str(terms.size_unit),
            "is_active": not (self.market.ended or self.market.flags & EXPIRED),
            "state": self.state(),
            "settlement_period": period_of(terms),
            "creation_timestamp": 0,
            "expiration_timestamp": terms.expiry * 1_000 if terms.expiry else NEVER,
        }

    def state(self) -> str:
        """`open`; `closed` while only reduce-only orders are taken; `halted`; `stale` before its first price and once
        its price was said to be old; `settlement` from its expiry on until the settlement price is booked, then
        `expired`."""
        market = self.market
        if market.flags & EXPIRED:
            return "expired"
        if market.ended:
            return "settlement"
        for flag, state in ((HALTED, "halted"), (SHORTFALL_BOOKED | RESTRICTED, "closed"), (STALE, "stale")):
            if market.flags & flag:
                return state
        return "open" if market.mark_price else "stale"

    def unpriced(self) -> bool:
        """Whether it waits for its first price."""
        return not self.market.mark_price and not self.market.flags & EXPIRED

    def ticker(self, time: int) -> dict[str, Any]:
        """As `public/ticker` tells it; `time` (venue µs) is where the 24 hours end."""
        market, units = self.market, self.units
        bid, ask = market.sides[BUY].best(), market.sides[SELL].best()
        own: dict[str, Any] = {}
        if market.terms.kind == PERPETUAL:
            funding = market.funding_rate / RATE_SCALE
            own = {"funding_8h": funding, "current_funding": funding}
        elif market.terms.kind == OPTION:
            # Imported where options are: numpy and scipy take half a second.
            from penstock.venue.gateway.options import option_figures

            own = option_figures(market, units, time)
        if market.flags & EXPIRED:
            own = own | {"delivery_price": units.price(market.index_price)}
        return own | {
            "instrument_name": self.name,
            "timestamp": milliseconds(market.time),
            "state": self.state(),
            "change_id": market.change_id,
            "best_bid_price": None if bid is None else units.price(bid),
            "best_bid_amount": 0 if bid is None else units.amount(market.sides[BUY].sizes[bid]),
            "best_ask_price": None if ask is None else units.price(ask),
            "best_ask_amount": 0 if ask is None else units.amount(market.sides[SELL].sizes[ask]),
            "mark_price": self._said(market.mark_price),
            "index_price": self._said(market.index_price),
            "last_price": None if market.last_price is None else units.price(market.last_price),
            "open_interest": units.amount(market.open_interest),
            "stats": self._day(time),
        }

    def order_book(self, depth: int, time: int) -> dict[str, Any]:
        """As `public/get_order_book` tells it."""
        bids, asks = ([list(level) for level in self._levels(side, depth)] for side in (BUY, SELL))
        return self.ticker(time) | {"bids": bids, "asks": asks}

    def snapshot(self, change_id: int) -> dict[str, Any]:
        """The first message of a book channel: every level."""
        bids, asks = ([["new", *level] for level in self._levels(side, None)] for side in (BUY, SELL))
        return self._book("snapshot", change_id) | {"bids": bids, "asks": asks}

    def change(self, changes: Changes, previous_id: int) -> dict[str, Any] | None:
        """What moved since `previous_id`; None when every level is back where it was."""
        sides: tuple[list[Any], list[Any]] = ([], [])
        for (side, price), before in changes.levels.items():
            after = self.market.sides[side].sizes.get(price, 0)
            if after != before:
                action = "new" if not before else "change" if after else "delete"
                sides[side].append([action, self.units.price(price), self.units.amount(after)])
        if not sides[BUY] and not sides[SELL]:
            return None
        head = self._book("change", self.market.change_id)
        return head | {"prev_change_id": previous_id, "bids": sides[BUY], "asks": sides[SELL]}

    def trade(self, trade: Trade) -> dict[str, Any]:
        """One trade of the tape."""
        shown = {
            "trade_id": str(trade.number),
            "trade_seq": trade.number,
            "instrument_name": self.name,
            "timestamp": milliseconds(trade.time),
            "price": self.units.price(trade.price),
            "amount": self.units.amount(trade.size),
            "direction": DIRECTIONS[trade.side],
            "index_price": self.units.price(trade.index_price),
            "mark_price": self.units.price(trade.mark_price),
            "tick_direction": trade.tick_direction,
        }
        return shown | {"liquidation": "T"} if trade.liquidation else shown

    def settlement(self, settlement: Settlement) -> dict[str, Any]:
        """What became of one position when the market ended."""
        return {
            "type": "delivery",
            "instrument_name": self.name,
            "timestamp": milliseconds(settlement.time),
            "subaccount": settlement.subaccount,
            "position": self.units.amount(settlement.size),
            "index_price": self.units.price(self.market.index_price),
            "mark_price": self.units.price(self.market.mark_price),
            "profit_loss": exact_dollars(settlement.cash),
        }

    def _said(self, price: int) -> float | None:
        """A price in USD; None before the first one. What an expired option pays may be 0."""
        return self.units.price(price) if price or self.market.flags & EXPIRED else None

    def _levels(self, side: int, depth: int | None) -> list[tuple[float, float]]:
        return [
            (self.units.price(price), self.units.amount(size)) for price, size in self.market.sides[side].top(depth)
        ]

    def _book(self, kind: str, change_id: int) -> dict[str, Any]:
        time = milliseconds(self.market.time)
        return {"type": kind, "timestamp": time, "instrument_name": self.name, "change_id": change_id}

    def _day(self, time: int) -> dict[str, Any]:
        day, units = self.market.day, self.units
        day.forget(time)
        first, last = day.first(), self.market.last_price
        change = None if first is None or last is None else round(100 * (last - first) / first, 4)
        return {
            "high": None if day.high is None else units.price(day.high),
            "low": None if day.low is None else units.price(day.low),
            "price_change": change,
            "volume": units.amount(day.volume),
            "volume_usd": dollars(day.notional),
            "volume_notional": dollars(day.notional),
        }


def period_of(terms: MarketTerms) -> str:
    """Deribit's word for how long such contracts run."""
    if terms.kind == PERPETUAL:
        return "perpetual"
    dates = dates_of(terms.expiry)
    return "month" if dates & MONTHLY else "week" if dates & WEEKLY else "day"


def kind_of(terms: MarketTerms) -> str:
    """Deribit's word: its perpetuals are futures whose settlement period is `perpetual`."""
    return "future" if terms.kind == PERPETUAL else KIND_NAMES[terms.kind]
