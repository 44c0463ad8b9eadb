"""Scenes of contracts that end: options and futures, in and out of the money, beside what has ended; and what trading
in them costs, rebates and builders, in a crowd, at a cap, by liquidation.

Prices are the scenes' (60,012.3 USD a BTC); every scene is honest.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from referee_scenes import INDEX, MAKER_ID, TIME, Listing, Part, Scene, play

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.instruments import CALL, FUTURE, OPTION, PUT
from penstock.protocol.quantities import CROWDING_SCALE, MICRO
from penstock.protocol.terms import Tier
from penstock.spec.state import EXPIRED, STALE

LATER: Final = TIME // MICRO + 86_400
GONE: Final = TIME // MICRO - 3_600
TIERS: Final = (Tier(20_000 * MICRO, 150_000, 75_000), Tier((1 << 95) - 1, 200_000, 80_000))
HELD: Final = 70_001
PERPETUAL, FUTURE_ID, CALL_OUT, CALL_IN, PUT_OUT, PUT_IN, PUT_DEEP = 1, 2, 4, 5, 7, 8, 9
"""Out of and in the money; and a put that is worth more than the index."""
ENDED_CALL, ENDED_FUTURE, CROWDED, CROWDED_CALL, FULL_PUT, STALE_CALL = 16, 17, 64, 65, 257, 65_535


def option(strike: int, option_type: int, mark: int, **state: Any) -> Listing:
    """An option that ends in a day."""
    terms = {"kind": OPTION, "expiry": LATER, "strike": strike, "option_type": option_type, "tiers": TIERS}
    return Listing(terms, {"mark_price": mark, **state})


def future(mark: int, **state: Any) -> Listing:
    """A future that ends in a day."""
    return Listing({"kind": FUTURE, "expiry": LATER}, {"mark_price": mark, **state})


def ended(listing: Listing, pays: int) -> Listing:
    """The same contract an hour after its end, at its settlement price."""
    state = {"mark_price": pays, "flags": EXPIRED, "priced_at": TIME - 3_700 * MICRO}
    return Listing({**listing.terms, "expiry": GONE}, {**listing.state, **state})


BOOK: Final = {
    PERPETUAL: Listing(),
    FUTURE_ID: future(INDEX + 1_234),
    CALL_OUT: option(INDEX + 30_000, CALL, 9_000),
    CALL_IN: option(INDEX - 50_000, CALL, 61_000),
    PUT_OUT: option(INDEX - 45_000, PUT, 4_000),
    PUT_IN: option(INDEX + 25_000, PUT, 33_000),
    PUT_DEEP: option(3 * INDEX, PUT, 2 * INDEX - 500),
    ENDED_CALL: ended(option(INDEX - 20_000, CALL, 0), 20_123),
    ENDED_FUTURE: ended(future(0), INDEX - 999),
    CROWDED: Listing({}, {"crowding": 4_321}),
    CROWDED_CALL: option(INDEX + 99_000, CALL, 700, crowding=77),
    FULL_PUT: option(INDEX - 200_000, PUT, 5, crowding=CROWDING_SCALE),
    STALE_CALL: option(INDEX, CALL, 20_000, priced_at=TIME - 3_600 * MICRO, flags=STALE),
}
LIVE: Final = {
    PERPETUAL: "a perpetual", FUTURE_ID: "a future", CALL_OUT: "a call out of the money",
    CALL_IN: "a call in the money", PUT_OUT: "a put out of the money", PUT_IN: "a put in the money",
    PUT_DEEP: "a put worth more than the index", CROWDED: "a crowded perpetual", CROWDED_CALL: "a crowded call",
    FULL_PUT: "a put at its open-interest cap",
}  # fmt: skip
LONG: Final = dict.fromkeys(BOOK, HELD)
SHORT: Final = dict.fromkeys(BOOK, -HELD)
MIXED: Final = {market: HELD if at % 2 else -HELD for at, market in enumerate(BOOK)}


def traded(market: int, side: int, maker: Mapping[int, int], taker: Mapping[int, int], **terms: Any) -> Scene:
    """A trade in one market of the book by two who hold such positions; with changes to that market's terms."""
    listing = BOOK[market]
    listed = BOOK | {market: Listing({**listing.terms, **terms}, listing.state)}
    return play(listed, Part(holds=maker), Part(holds=taker), market, side=side)


def liquidated(  # long: what is due differs by contract
    market: int, held: int, cash: int, size: int = 7_000, away: int = 0, beside: int = 100, **terms: Any
) -> Scene:
    """A forced trade in one market, `away` price units worse than the mark, of whoever holds that and a future.

    `beside` is how much of the future.
    """
    listing = BOOK[market]
    listed = {
        FUTURE_ID: BOOK[FUTURE_ID],
        market: Listing({**listing.terms, **terms}, {"mark_price": INDEX, **listing.state}),
    }
    side = SELL if held > 0 else BUY
    price = listed[market].state["mark_price"] + (away if side == BUY else -away)
    maker = Part(order={"price": price, "size": size}, holds={market: held})
    return play(listed, maker, Part(cash=cash, holds={FUTURE_ID: beside, market: held}, dies=True), market, side=side)


def _built(market: int, side: int, ppm: int) -> Scene:
    order = {"builder": MAKER_ID, "builder_fee_ppm": ppm}
    return play(BOOK, Part(holds=LONG), Part(holds=SHORT, order=order), market, side=side)


def _each(what: str, make: Callable[[int], Scene]) -> dict[str, Callable[[], Scene]]:
    return {f"{name}: {what}": partial(make, market) for market, name in LIVE.items()}


SCENES: Final[dict[str, Callable[[], Scene]]] = {
    **_each("a long grows, a short grows", lambda market: traded(market, BUY, SHORT, LONG)),
    **_each("a long shrinks, a short shrinks", lambda market: traded(market, SELL, SHORT, LONG)),
    **_each("both open", lambda market: traded(market, SELL, {m: s for m, s in MIXED.items() if m != market}, {})),
    **_each(
        "both flip", lambda market: traded(market, BUY, MIXED | {market: 3_500}, MIXED | {market: -3_500})
    ),
    "a rebate": lambda: traded(PERPETUAL, BUY, SHORT, LONG, maker_fee_ppm=-123),
    "a rebate on an option": lambda: traded(CALL_OUT, SELL, LONG, SHORT, maker_fee_ppm=-150),
    "a rebate as large as the fee": lambda: traded(FUTURE_ID, SELL, LONG, SHORT, maker_fee_ppm=-300),
    "fee and rebate at an eighth of the premium": lambda: traded(FULL_PUT, BUY, MIXED, MIXED, maker_fee_ppm=-300),
    "an option's fee at an eighth of the premium": lambda: traded(CROWDED_CALL, SELL, {}, {}, taker_fee_ppm=3_000),
    "a builder": lambda: _built(PERPETUAL, BUY, 1_000),
    "a builder of an option": lambda: _built(PUT_IN, SELL, 999),
    "a builder without a fee": lambda: _built(CALL_IN, BUY, 0),
    "at the cap": lambda: traded(CALL_OUT, BUY, SHORT, LONG, position_cap=HELD + 7_000),
    "above the cap and shrinking": lambda: traded(PUT_OUT, SELL, SHORT, LONG, position_cap=1),
    "a liquidated perpetual": lambda: liquidated(PERPETUAL, HELD, 100_000_000, away=500),
    "a liquidated future": lambda: liquidated(FUTURE_ID, -HELD, 100_000_000, away=6_000),
    "a liquidated short call": lambda: liquidated(CALL_OUT, -HELD, 900_000_000, away=2_250),
    "a liquidated long call": lambda: liquidated(CALL_IN, HELD, 1_000, away=6_001),
    "a liquidated short put, a slice": lambda: liquidated(
        PUT_DEEP, -HELD, 900_000_000, size=14_100, liquidation_slice=1_000_000_000
    ),
    "a liquidated option at a tick": lambda: liquidated(FULL_PUT, HELD, -100_000, away=1),
    "a fee of what is left, a rebate of that": lambda: liquidated(
        PERPETUAL, HELD, 51_234, away=1, maker_fee_ppm=-200
    ),
    "nothing is left, so no rebate": lambda: liquidated(CALL_OUT, -HELD, -5_000, away=100, maker_fee_ppm=-200),
}  # fmt: skip
"""By what happens in them."""
