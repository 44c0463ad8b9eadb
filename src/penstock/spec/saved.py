"""The whole state as bytes and back: the words of `engine_root` made short, and the hash that names them.

saved   0x0f · word each · keccak256 of all before it b32
word    length u8, 0 to 32 · the number in the fewest bytes of two's complement; none for 0

One state has one saved form. `load` takes nothing else: whatever it returns saves to the bytes it was given.
"""

from itertools import pairwise
from typing import Final

from penstock.protocol.events import BY_OWNER_KEY
from penstock.protocol.ledger import Domains
from penstock.protocol.quantities import (
    CASH_BITS,
    FIRST_ORDER_SLOT,
    FUNDING_BITS,
    FUNDING_SCALE,
    MAX_BUNDLE,
    MAX_OPEN_ORDERS,
    MAX_POSITIONS,
    MAX_REDUCE_ONLY,
    MAX_SEQUENCE,
    MAX_SESSIONS,
    MAX_SUBACCOUNTS,
    ORDER_SIZE_BITS,
    POSITION_BITS,
    PRICE_BITS,
    SLOTS,
    WITHDRAWN_BITS,
)
from penstock.protocol.terms import Genesis
from penstock.protocol.words import keccak
from penstock.spec.digest import state_words
from penstock.spec.saved_markets import Queued, read_markets
from penstock.spec.saved_words import Words, shortened
from penstock.spec.state import INSURANCE_FUND, Account, FilledSlot, Order, Position, Session, State

_NAME: Final = 32
_UNSIGNED: Final = {bits: (1 << bits) - 1 for bits in (8, 32, 40, 64)}
_PRICE: Final = (1 << PRICE_BITS) - 1
_SIZE: Final = (1 << ORDER_SIZE_BITS) - 1
_CASH: Final = (1 << CASH_BITS) - 1
_DEPOSITS: Final = (1 << 63) - 1
"""So many that no later deposit is one too many for its word."""
_WIDE_CASH: Final = (1 << WITHDRAWN_BITS) - 1
_FUNDING: Final = (1 << FUNDING_BITS) - 1
_POSITION: Final = (1 << POSITION_BITS) - 1


def save(state: State) -> bytes:
    """The saved form of a state."""
    body = Domains.SAVED_STATE + shortened(state_words(state))
    return body + keccak(body)


def load(genesis: Genesis, saved: bytes) -> State:
    """The state of a saved form, under the genesis it was saved under.

    Raises ValueError saying where and why when the bytes are not exactly what `save` makes of such a state.
    """
    body, name = saved[:-_NAME], saved[-_NAME:]
    if not body.startswith(Domains.SAVED_STATE):
        raise ValueError(f"saved state: {len(saved)} bytes do not begin as one")
    if keccak(body) != name:
        raise ValueError("saved state: the bytes are not those that were named")
    return read(genesis, body)


def read(genesis: Genesis, body: bytes) -> State:
    """As `load`, for the bytes before the name, whatever they hash to."""
    words = Words(body, len(Domains.SAVED_STATE))
    state = State.from_genesis(genesis)
    state.accounts.clear()
    words.expect("ruleset", state.ruleset)
    state.deposit_head = words.hash()
    state.deposits = words.number("deposits", 0, _DEPOSITS)
    state.deposited = words.number("deposited", 0, _CASH)
    state.withdrawn = words.number("withdrawn", 0, _WIDE_CASH)
    state.guardian_nonce = words.number("guardian nonce", 0, _UNSIGNED[64])
    state.governor_nonce = words.number("governor nonce", 0, _UNSIGNED[64])
    queued: Queued = []
    read_markets(words, state, queued)
    for subaccount in range(words.count("number of accounts", MAX_SUBACCOUNTS, 13)):
        words.number("subaccount", subaccount, subaccount)
        state.accounts[subaccount] = _read_account(words, state, subaccount)
    words.finish()
    _fill_books(words, state, queued)
    _check_sums(words, state)
    if state_words(state) != words.whole():
        raise words.wrong("it is not what this state saves to")
    return state


def _read_account(words: Words, state: State, subaccount: int) -> Account:
    account = Account(words.address("owner"))
    if (account.owner == bytes(20)) != (subaccount == INSURANCE_FUND):
        raise words.wrong(f"subaccount {subaccount} is owned by {account.owner.hex()}")
    account.cash = words.number("cash", 0 if subaccount == INSURANCE_FUND else -_CASH, _CASH)
    account.withdrawn = words.number("withdrawn", 0, _WIDE_CASH)
    account.cancelled_before = words.number("cancelled before", 0, _UNSIGNED[64])
    account.open_orders = words.number("open orders", 0, MAX_OPEN_ORDERS)
    _read_holdings(words, state, account)
    for slot in words.keys("guards", SLOTS, 2):
        account.guards[slot] = words.number("guard nonce", 1, _UNSIGNED[64])
    for slot in words.keys("orders", SLOTS, 15, FIRST_ORDER_SLOT):
        account.orders[slot] = _read_order(words, state, account, subaccount, slot)
    _read_sessions(words, account)
    if any(o.session not in account.sessions and o.session != BY_OWNER_KEY for o in account.orders.values()):
        raise words.wrong(f"subaccount {subaccount} has an order of no session")
    for slot in words.keys("filled slots", SLOTS, 8):
        account.filled[slot] = _read_filled(words)
    _check_reserved(words, account)
    return account


def _read_holdings(words: Words, state: State, account: Account) -> None:
    """Positions, then what open orders reserve."""
    listed = max(state.markets) + 1
    for market in words.keys("positions", listed, 4, most=MAX_POSITIONS):
        size = words.number("position size", -_POSITION, _POSITION)
        if size == 0 or market not in state.markets:
            raise words.wrong(f"a position of {size} in market {market}")
        entry = words.number("entry cost", -_CASH, _CASH)
        account.positions[market] = Position(size, entry, words.number("funding index", -_FUNDING, _FUNDING))
    lots = MAX_OPEN_ORDERS * _SIZE
    for market in words.keys("reserved lots", listed, 3):
        account.lots[market] = [words.number("reserved lots", 0, lots), words.number("reserved lots", 0, lots)]
    for market in words.keys("reduce-only counts", listed, 2):
        account.reduce_only[market] = words.number("reduce-only orders", 1, MAX_REDUCE_ONLY)


def _read_order(words: Words, state: State, account: Account, subaccount: int, slot: int) -> Order:
    nonce = words.number("nonce", 1, account.guards.get(slot, 0))
    first_nonce = words.number("first nonce", 1, nonce)
    market = words.number("market of an order", 0, max(state.markets))
    if market not in state.markets:
        raise words.wrong(f"market {market} is not listed")
    side = words.number("side", 0, 1)
    price, size = words.number("price", 1, _PRICE), words.number("size", 1, _SIZE)
    filled, priority = words.number("filled", 0, _SIZE - size), words.number("priority", 1, MAX_SEQUENCE)
    member, accepted = words.number("member", 0, MAX_BUNDLE - 1), words.number("accepted", 0, _UNSIGNED[64])
    session = words.number("session", 0, BY_OWNER_KEY)
    post_only, reduce_only = words.flag("post-only"), words.flag("reduce-only")
    return Order(
        subaccount, slot, nonce, first_nonce, market, side, price, size, filled, priority, member, accepted, session,
        post_only, reduce_only, words.hash(),
    )  # fmt: skip


def _read_sessions(words: Words, account: Account) -> None:
    for index in range(words.count("number of sessions", MAX_SESSIONS, 10)):
        words.number("session", index, index)
        session = account.sessions[index] = Session(
            words.address("session key"),
            words.number("expiry", 0, _UNSIGNED[40]),
            words.number("first slot", 0, SLOTS - 1),
            words.number("last slot", 0, SLOTS - 1),
            words.number("scopes", 0, _UNSIGNED[32]),
            words.number("underlyings", 0, _UNSIGNED[64]),
            words.number("kinds", 0, _UNSIGNED[8]),
            words.number("from sequence", 0, MAX_SEQUENCE),
            words.number("revoked at", 0, MAX_SEQUENCE),
        )
        if session.key in account.session_of:
            raise words.wrong(f"session key {session.key.hex()} has two places")
        account.session_of[session.key] = index


def _read_filled(words: Words) -> FilledSlot:
    return FilledSlot(
        words.number("filled nonce", 0, _UNSIGNED[64]),
        words.number("filled", 0, _SIZE),
        words.number("filled price", 0, _PRICE),
        words.number("filled priority", 0, MAX_SEQUENCE),
        words.number("filled member", 0, MAX_BUNDLE - 1),
        words.number("filled flags", 0, _UNSIGNED[32]),
        words.hash(),
    )


def _check_reserved(words: Words, account: Account) -> None:
    """What open orders reserve is what they add up to; orders a mass cancel killed were forgotten with it."""
    lots: dict[int, list[int]] = {}
    reduce_only: dict[int, int] = {}
    live = [order for order in account.orders.values() if order.accepted >= account.cancelled_before]
    for order in live:
        if order.reduce_only:
            reduce_only[order.market] = reduce_only.get(order.market, 0) + 1
        else:
            lots.setdefault(order.market, [0, 0])[order.side] += order.size
    if (lots, reduce_only, len(live)) != (account.lots, account.reduce_only, account.open_orders):
        raise words.wrong("the orders of an account do not add up to what they reserve")


def _fill_books(words: Words, state: State, queued: Queued) -> None:
    """Every order joins the queue that names it; each exactly once, and in the order in which they came."""
    places: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for market, side, price, subaccount, slot in queued:
        account = state.accounts.get(subaccount)
        order = account and account.orders.get(slot)
        if not order or (order.market, order.side, order.price) != (market, side, price):
            raise words.wrong(f"no such order: market {market}, price {price}, subaccount {subaccount}, slot {slot}")
        places.setdefault((market, side, price), []).append((order.priority, order.member))
        state.markets[market].book.add(order)
    if any(earlier >= later for queue in places.values() for earlier, later in pairwise(queue)):
        raise words.wrong("a queue is not in order of arrival")
    if len(queued) != sum(len(account.orders) for account in state.accounts.values()):
        raise words.wrong("an order stands in no queue")


def _check_sums(words: Words, state: State) -> None:
    """Each market's running sums over positions, and what was withdrawn in all."""
    for number, market in state.markets.items():
        held = [account.positions[number] for account in state.accounts.values() if number in account.positions]
        size_funding, left = sum(p.size * p.funding for p in held), sum(p.size for p in held)
        if market.expired:
            size_funding -= left * (market.funding_index - market.mark_price * FUNDING_SCALE)
        elif left:
            raise words.wrong(f"the positions of market {number} are not as much long as short")
        sums = (size_funding, sum(p.entry for p in held), sum(max(0, p.size) for p in held))
        if sums != (market.size_funding, market.entry_total, market.open_interest):
            raise words.wrong(f"the positions of market {number} do not add up to its sums")
        if any(builder not in state.accounts for builder in market.builders):
            raise words.wrong(f"market {number} owes fees to a builder that is not there")
    if INSURANCE_FUND not in state.accounts:
        raise words.wrong("there is no subaccount 0")
    if state.withdrawn != sum(account.withdrawn for account in state.accounts.values()):
        raise words.wrong("the accounts' withdrawals do not add up")
