"""The ledger: for each event that moves money, keys or prices, one packed entry and the leaf versions it leaves."""

from collections.abc import Callable
from typing import Any

from penstock.protocol import events as say
from penstock.protocol.ledger import (
    ACCOUNT_LEAF,
    BUILDER,
    CLOSE,
    DELIST,
    DEPOSIT,
    ENTRY_FORMS,
    EXPIRE,
    FEE,
    FUNDING,
    GLOBALS,
    KEY,
    LIQUIDATE,
    LIST,
    MARKET_LEAF,
    POSITION,
    PRICE,
    SESSION_LEAF,
    SLOT_LEAF,
    STATUS,
    TRADE,
    WITHDRAW,
    AccountWrite,
    Entry,
)
from penstock.spec.state import INSURANCE_FUND, Account, FilledSlot, Market, Session, State

_HEAD = 64
_NO_ROOT = bytes(32)


def record_entry(state: State, event: say.Event, member: int, index: int) -> Entry:
    """The entry of a ledger event that has just been written into `state`; `index` counts the command's entries."""
    return _RECORDERS[type(event)](state, event, member, index)


def account_write(
    state: State, subaccount: int, slots: tuple[int, ...] = (), sessions: tuple[int, ...] = ()
) -> AccountWrite:
    """The present version of an account leaf with the named slot and session leaves."""
    account = state.accounts[subaccount]
    return AccountWrite(
        subaccount,
        account_head(account),
        positions_of(account),
        tuple((slot, slot_leaf(account.filled[slot])) for slot in slots),
        tuple((session, session_leaf(account.sessions[session])) for session in sessions),
    )


def account_head(account: Account) -> bytes:
    """The account leaf's 64 bytes before the two roots."""
    return ACCOUNT_LEAF.pack(
        account.owner, 0, len(account.positions), account.cash, account.withdrawn, 0, _NO_ROOT, _NO_ROOT
    )[:_HEAD]


def positions_of(account: Account) -> bytes:
    """One word per position, ascending market."""
    return b"".join(
        POSITION.pack(market, position.size, position.entry, position.funding)
        for market, position in sorted(account.positions.items())
    )


def slot_leaf(slot: FilledSlot) -> bytes:
    """A filled slot's 64 bytes."""
    return SLOT_LEAF.pack(slot.nonce, slot.filled, slot.price, slot.priority, slot.member, slot.flags, slot.record_hash)


def session_leaf(session: Session) -> bytes:
    """A session key's 64 bytes."""
    return SESSION_LEAF.pack(
        session.key, session.expiry, session.slot_first, session.slot_last, session.scopes, session.underlyings,
        session.kinds, session.from_sequence, session.revoked_at, 0,
    )  # fmt: skip


def market_leaf(market: Market) -> bytes:
    """A market's 192 bytes; the flags are those of `spec.state`."""
    return MARKET_LEAF.pack(
        market.index_price, market.mark_price, market.priced_at, market.rate_time, market.flags,
        market.funding_index, market.funded_at, market.fees, market.crowding, market.size_funding, market.entry_total,
        market.dust, market.shortfall, market.open_interest, 0, market.window_sum, market.priced_since,
        market.builder_fees, market.premium, 0, market.parameters,
    )  # fmt: skip


def global_leaf(state: State) -> bytes:
    """Deposited and withdrawn in all, and the ruleset; 64 bytes."""
    return GLOBALS.pack(state.deposited, state.withdrawn, 0, state.ruleset)


def _market_write(state: State, market: int) -> tuple[tuple[int, bytes], ...]:
    return ((market, market_leaf(state.markets[market])),)


def _deposit(state: State, event: say.DepositCredited, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[DEPOSIT].pack(
        DEPOSIT, event.sequence, member, index, event.deposit, event.subaccount, event.owner, event.amount,
        event.l1_block,
    )  # fmt: skip
    return Entry(packed, (account_write(state, event.subaccount),), (), global_leaf(state), event.head)


def _withdraw(state: State, event: say.CashWithdrawn, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[WITHDRAW].pack(
        WITHDRAW, event.sequence, member, index, event.subaccount, event.slot, event.nonce, event.amount,
        event.record_hash,
    )  # fmt: skip
    return Entry(packed, (account_write(state, event.subaccount),), (), global_leaf(state))


def _trade(state: State, event: say.Traded, member: int, index: int) -> Entry:
    flags = event.taker_side | event.liquidation << 1 | event.last << 2
    packed = ENTRY_FORMS[TRADE].pack(
        TRADE, event.sequence, member, index, event.market, event.price, event.size,
        event.maker, event.maker_slot, event.maker_session, event.maker_accepted >> 6, event.maker_accepted & 63,
        event.maker_priority, event.maker_priority_member, event.maker_fee, 0,
        event.taker, event.taker_slot, event.taker_session, event.taker_fee, 0,
        event.taker_equity, event.taker_initial, event.taker_held, event.builder, event.builder_fee, flags,
        event.maker_hash, event.taker_hash,
    )  # fmt: skip
    taker_slots = () if event.taker_slot == say.NO_SLOT else (event.taker_slot,)
    writes = (
        account_write(state, event.maker, (event.maker_slot,)),
        account_write(state, event.taker, taker_slots),
    )
    return Entry(packed, writes, _market_write(state, event.market))


def _price(state: State, event: say.PricePublished, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[PRICE].pack(
        PRICE, event.sequence, member, index, event.market, event.published_at, event.index_price, event.mark_price,
        event.premium, event.signers,
    )  # fmt: skip
    return Entry(packed, (), _market_write(state, event.market))


def _funding(state: State, event: say.FundingAccrued, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[FUNDING].pack(
        FUNDING, event.sequence, member, index, event.market, event.funded_at, event.funding_index
    )
    return Entry(packed, (), _market_write(state, event.market))


def _fee(state: State, event: say.FeesSwept, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[FEE].pack(
        FEE, event.sequence, member, index, event.market, event.fees, event.dust, event.repaid
    )
    return Entry(packed, (account_write(state, INSURANCE_FUND),), _market_write(state, event.market))


def _key(state: State, event: say.SessionGranted | say.SessionRevoked, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[KEY].pack(
        KEY, event.sequence, member, index, event.subaccount, event.session, event.key,
        int(isinstance(event, say.SessionRevoked)), event.record_hash,
    )  # fmt: skip
    return Entry(packed, (account_write(state, event.subaccount, (), (event.session,)),))


def _liquidate(state: State, event: say.ShortfallCovered, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[LIQUIDATE].pack(
        LIQUIDATE,
        event.sequence,
        member,
        index,
        event.subaccount,
        event.market,
        event.from_fees,
        event.covered,
        event.booked,
    )
    writes = (account_write(state, event.subaccount), account_write(state, INSURANCE_FUND))
    return Entry(packed, writes, _market_write(state, event.market))


def _status(state: State, event: say.MarketFlagged, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[STATUS].pack(STATUS, event.sequence, member, index, event.market, event.flags, event.until)
    return Entry(packed, (), _market_write(state, event.market))


def _list(state: State, event: say.MarketListed, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[LIST].pack(
        LIST, event.sequence, member, index, event.market, event.template, event.expiry, event.strike, event.option_type
    )
    return Entry(packed, (), _market_write(state, event.market))


def _delist(state: State, event: say.MarketDelisted, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[DELIST].pack(DELIST, event.sequence, member, index, event.market, event.expiry)
    return Entry(packed, (), _market_write(state, event.market))


def _expire(state: State, event: say.MarketExpired, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[EXPIRE].pack(
        EXPIRE, event.sequence, member, index, event.market, event.index_price, event.mark_price, event.funding_index
    )
    return Entry(packed, (), _market_write(state, event.market))


def _close(state: State, event: say.PositionExpired, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[CLOSE].pack(
        CLOSE, event.sequence, member, index, event.subaccount, event.market, event.size, event.cash
    )
    return Entry(packed, (account_write(state, event.subaccount),), _market_write(state, event.market))


def _builder(state: State, event: say.BuilderPaid, member: int, index: int) -> Entry:
    packed = ENTRY_FORMS[BUILDER].pack(
        BUILDER, event.sequence, member, index, event.market, event.subaccount, event.amount
    )
    return Entry(packed, (account_write(state, event.subaccount),), _market_write(state, event.market))


_RECORDERS: dict[type, Callable[[State, Any, int, int], Entry]] = {
    say.DepositCredited: _deposit,
    say.CashWithdrawn: _withdraw,
    say.Traded: _trade,
    say.PricePublished: _price,
    say.FundingAccrued: _funding,
    say.FeesSwept: _fee,
    say.SessionGranted: _key,
    say.SessionRevoked: _key,
    say.ShortfallCovered: _liquidate,
    say.MarketListed: _list,
    say.MarketFlagged: _status,
    say.MarketDelisted: _delist,
    say.MarketExpired: _expire,
    say.PositionExpired: _close,
    say.BuilderPaid: _builder,
}
