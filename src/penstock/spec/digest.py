"""`engine_root`: a digest of everything `apply` can read, as 32-byte two's-complement words in a fixed order."""

from penstock.protocol.ledger import Domains
from penstock.protocol.words import keccak
from penstock.spec.state import Account, Book, Market, Order, State

_MASK = (1 << 256) - 1


def engine_root(state: State) -> bytes:
    """keccak(0x0c ‖ the words of the state)."""
    return keccak(Domains.ENGINE_ROOT + state_words(state))


def state_words(state: State) -> bytes:
    """ruleset ‖ deposits ‖ markets ‖ accounts, both ascending; a list comes after its length. 32 bytes a word."""
    parts = [state.ruleset, state.deposit_head]
    parts.append(_words(state.deposits, state.deposited, state.withdrawn))
    parts.append(_words(state.guardian_nonce, state.governor_nonce, len(state.markets)))
    parts += [_market(market) for _, market in sorted(state.markets.items())]
    parts.append(_words(len(state.accounts)))
    parts += [_account(subaccount, account) for subaccount, account in sorted(state.accounts.items())]
    return b"".join(parts)


def _words(*values: int) -> bytes:
    return b"".join((value & _MASK).to_bytes(32, "big") for value in values)


def _market(market: Market) -> bytes:
    return (
        _words(
            market.terms.market, market.template, market.terms.expiry, market.terms.strike, market.terms.option_type,
            market.index_price, market.mark_price, market.premium, market.priced_at, market.priced_since,
            market.rate_time, market.window_sum, market.flags, market.until, market.flagged_at, market.crowding,
            market.funding_index, market.funded_at, market.fees, market.size_funding,
            market.entry_total, market.dust, market.shortfall, market.open_interest, market.builder_fees,
            len(market.builders), *(n for pair in sorted(market.builders.items()) for n in pair),
        )
        + market.parameters
        + _queues(market.book)
    )  # fmt: skip


def _queues(book: Book) -> bytes:
    """Both sides, prices ascending, each queue in order of arrival as (subaccount, slot)."""
    parts = []
    for prices, queues in ((book.bids, book.bid_queues), (book.asks, book.ask_queues)):
        parts.append(_words(len(prices)))
        for price in prices:
            queue = queues[price]
            parts.append(_words(price, len(queue), *(part for key in queue for part in key)))
    return b"".join(parts)


def _account(subaccount: int, account: Account) -> bytes:
    parts = [
        _words(subaccount, int.from_bytes(account.owner, "big"), account.cash, account.withdrawn),
        _words(account.cancelled_before, account.open_orders),
        _words(len(account.positions)),
    ]
    parts += [_words(m, p.size, p.entry, p.funding) for m, p in sorted(account.positions.items())]
    parts.append(_words(len(account.lots)))
    parts += [_words(market, *sides) for market, sides in sorted(account.lots.items())]
    parts.append(_words(len(account.reduce_only), *(n for pair in sorted(account.reduce_only.items()) for n in pair)))
    parts.append(_words(len(account.guards), *(n for pair in sorted(account.guards.items()) for n in pair)))
    parts.append(_words(len(account.orders)))
    parts += [_order(order) for _, order in sorted(account.orders.items())]
    parts.append(_words(len(account.sessions)))
    for index, session in sorted(account.sessions.items()):
        parts.append(
            _words(
                index, int.from_bytes(session.key, "big"), session.expiry, session.slot_first, session.slot_last,
                session.scopes, session.underlyings, session.kinds, session.from_sequence, session.revoked_at,
            )
        )  # fmt: skip
    parts.append(_words(len(account.filled)))
    for slot, filled in sorted(account.filled.items()):
        parts.append(_words(slot, filled.nonce, filled.filled, filled.price, filled.priority, filled.member))
        parts.append(_words(filled.flags) + filled.record_hash)
    return b"".join(parts)


def _order(order: Order) -> bytes:
    return (
        _words(
            order.slot, order.nonce, order.first_nonce, order.market, order.side, order.price, order.size,
            order.filled, order.priority, order.member, order.accepted, order.session, order.post_only,
            order.reduce_only,
        )
        + order.record_hash
    )  # fmt: skip
