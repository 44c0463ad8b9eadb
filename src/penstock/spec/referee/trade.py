"""The trade itself, on the leaves before it: who may, what it costs, what it leaves, and the root after it."""

from msgspec import Struct

from penstock.protocol.commands import BUY, SCOPE_TRADE, SELL, PlaceOrder
from penstock.protocol.events import BY_OWNER_KEY
from penstock.protocol.ledger import ACCOUNTS_DEPTH, MARKETS_DEPTH, Domains
from penstock.protocol.quantities import (
    BUILDER_FEES_BITS,
    CASH_BITS,
    MAX_BUILDER_FEE,
    MAX_POSITIONS,
    OPEN_INTEREST_BITS,
    SIZE_FUNDING_BITS,
    WITHDRAWN_BITS,
    fits,
)
from penstock.protocol.verdicts import Finding, Verdict
from penstock.protocol.words import keccak
from penstock.spec.liquidation import band_price, favoured, slice_of
from penstock.spec.margin import Risk, assess, grew_or_flipped, is_legal
from penstock.spec.orders import flags_of
from penstock.spec.positions import Holding, fee_of, fill, in_range, signed, trading_fee
from penstock.spec.referee.entry import TradeEntry
from penstock.spec.referee.leaves import Fill, JudgedMarket, JudgedMarkets, Side, open_markets, open_side
from penstock.spec.referee.witness import Witness, leaf_hash
from penstock.spec.state import FilledSlot, Session


class Sides(Struct, frozen=True):
    """The entry with what its commands have shown: venue time, orders, signers. `taking` is None in a liquidation."""

    entry: TradeEntry
    time: int
    first: bool
    taking: PlaceOrder | None
    taker_signer: bytes
    making: PlaceOrder
    maker_signer: bytes


class _Trade(Struct):
    """Everything opened; `maker_after` and `taker_after` once the fills are computed."""

    sides: Sides
    maker: Side
    taker: Side
    listed: JudgedMarkets
    market: JudgedMarket
    maker_before: Risk
    taker_before: Risk
    maker_after: Holding
    taker_after: Holding


def judge_trade(  # long: the witness from its first leaf to its last opening
    witness: Witness, sides: Sides, pre_root: bytes, post_root: bytes
) -> Verdict:
    """account leaves of maker and taker (length 0: absent) · slot and session of each · markets · globals hash ·
    deposit head · forced head · opening of markets · opening of accounts."""
    entry = sides.entry
    maker_leaf, taker_leaf = witness.piece(), witness.piece()
    maker = open_side(witness, maker_leaf, _maker_fill(sides), entry.maker_session) if maker_leaf else None
    taker = open_side(witness, taker_leaf, _taker_fill(sides), entry.taker_session) if taker_leaf else None
    listed = open_markets(witness)
    witness.require(entry.market in listed.markets, "the traded market is missing")
    for side in (maker, taker):
        for market in side.holding.positions if side else ():
            witness.require(listed.markets.get(market) is not None, "a market that is held is missing")
    market, finding, trade = listed.markets[entry.market], Finding.HONEST, None
    old_market = leaf_hash(Domains.MARKET_LEAF, market.leaf if market else b"")
    if maker is None or taker is None:
        finding = Finding.ACCOUNT_UNKNOWN
    elif market is None:
        finding = Finding.MARKET_UNKNOWN
    else:
        trade = _trade(sides, maker, taker, listed)
        finding = _find(trade)
    rest = witness.take(96)
    hashes = {
        number: (hashed, hashed)
        for number, found in listed.markets.items()
        for hashed in (leaf_hash(Domains.MARKET_LEAF, found.leaf if found else b""),)
    }
    leaves = {
        entry.maker: (leaf_hash(Domains.ACCOUNT_LEAF, maker_leaf),) * 2,
        entry.taker: (leaf_hash(Domains.ACCOUNT_LEAF, taker_leaf),) * 2,
    }
    if trade is not None and not finding:
        hashes[entry.market] = old_market, leaf_hash(Domains.MARKET_LEAF, trade.market.leaf_after())
        for subaccount, side, after in (
            (entry.maker, trade.maker, trade.maker_after),
            (entry.taker, trade.taker, trade.taker_after),
        ):
            leaves[subaccount] = leaves[subaccount][0], leaf_hash(Domains.ACCOUNT_LEAF, side.leaf_after(after))
    old_markets, new_markets = witness.climb(MARKETS_DEPTH, hashes)
    old_accounts, new_accounts = witness.climb(ACCOUNTS_DEPTH, leaves)
    before = keccak(Domains.SETTLEMENT_ROOT + old_accounts + old_markets + rest)
    witness.require(before == pre_root, "the leaves are not those before the entry")
    if finding:
        return Verdict(finding)
    root = keccak(Domains.SETTLEMENT_ROOT + new_accounts + new_markets + rest)
    return Verdict(Finding.HONEST if root == post_root else Finding.POST_ROOT_WRONG, root)


def _maker_fill(sides: Sides) -> Fill:
    entry, order = sides.entry, sides.making
    after = FilledSlot(
        order.nonce,
        0,
        order.price,
        entry.maker_priority,
        entry.maker_priority_member,
        flags_of(order),
        entry.maker_hash,
    )
    return Fill(entry.maker_slot, entry.size, order.size, after)


def _taker_fill(sides: Sides) -> Fill | None:
    entry, order = sides.entry, sides.taking
    if order is None:
        return None
    after = FilledSlot(order.nonce, 0, order.price, entry.sequence, entry.member, flags_of(order), entry.taker_hash)
    return Fill(entry.taker_slot, entry.size, order.size, after)


def _trade(sides: Sides, maker: Side, taker: Side, listed: JudgedMarkets) -> _Trade:
    """Fill both sides and move the market's sums."""
    entry, market = sides.entry, listed.markets[sides.entry.market]
    change = signed(entry.side, entry.size)
    trade = _Trade(
        sides, maker, taker, listed, market, assess(listed, maker.holding), assess(listed, taker.holding),
        _copy(maker.holding), _copy(taker.holding),
    )  # fmt: skip
    for holding, size, fee in (
        (trade.maker_after, -change, entry.maker_fee),
        (trade.taker_after, change, entry.taker_fee + entry.builder_fee),
    ):
        _count(market, holding, entry.market, -1)
        market.dust += fill(holding, entry.market, size, entry.price, fee, market.funding_index).dust
        _count(market, holding, entry.market, 1)
    market.fees += entry.maker_fee + entry.taker_fee
    market.builder_fees += entry.builder_fee
    return trade


def _copy(holding: Holding) -> Holding:
    return Holding(holding.cash, {m: type(p)(p.size, p.entry, p.funding) for m, p in holding.positions.items()})


def _count(market: JudgedMarket, holding: Holding, number: int, sign: int) -> None:
    position = holding.positions.get(number)
    if position is not None:
        market.size_funding += sign * position.size * position.funding
        market.entry_total += sign * position.entry
        market.open_interest += sign * max(0, position.size)


def _find(trade: _Trade) -> Finding:  # long: the checks in the order of schema/verdicts.txt
    sides = trade.sides
    entry, taking, market = sides.entry, sides.taking, trade.market
    # A liquidation may trade with another subaccount of the same owner.
    if trade.maker.owner == trade.taker.owner and taking is not None:
        return Finding.SELF_TRADE
    if taking is not None and not _taker_authorised(trade, taking):
        return Finding.TAKER_UNAUTHORISED
    if not _maker_authorised(trade):
        return Finding.MAKER_UNAUTHORISED
    if market.halted or market.over(sides.time):
        return Finding.MARKET_CLOSED
    if taking is not None and not taking.reduce_only and (market.reduce_only or not market.fresh(sides.time)):
        return Finding.MARKET_CLOSED
    if not trade.taker.slot_fits:
        return Finding.TAKER_SLOT_SPENT
    if not trade.maker.slot_fits:
        return Finding.MAKER_SLOT_SPENT
    if not _fees_fit(trade):
        return Finding.FEE_WRONG
    if taking is None and not _liquidation_fits(trade):
        return Finding.LIQUIDATION_WRONG
    if (taking is None or taking.reduce_only) and entry.size > _reducible(trade.taker, entry.market, entry.side):
        return Finding.REDUCE_ONLY_BROKEN
    if sides.making.reduce_only and entry.size > _reducible(trade.maker, entry.market, 1 - entry.side):
        return Finding.REDUCE_ONLY_BROKEN
    before = trade.taker_before
    held = _size(trade.taker.holding, entry.market)
    said = entry.taker_equity, entry.taker_initial, entry.taker_held
    if sides.first and said != (before.equity, before.initial, held):
        return Finding.TAKER_RISK_WRONG
    if not _results_fit(trade):
        return Finding.RESULT_OUT_OF_RANGE
    if max(len(trade.maker_after.positions), len(trade.taker_after.positions)) > MAX_POSITIONS:
        return Finding.POSITIONS_TOO_MANY
    return _find_in_margin(trade)


def _find_in_margin(trade: _Trade) -> Finding:
    entry, listed, cap = trade.sides.entry, trade.listed, trade.market.terms.position_cap
    maker_held = _size(trade.maker.holding, entry.market)
    maker_holds = _size(trade.maker_after, entry.market)
    grew = grew_or_flipped(maker_held, maker_holds)
    if grew and abs(maker_holds) > cap:
        return Finding.POSITION_ABOVE_CAP
    if not is_legal(trade.maker_before, assess(listed, trade.maker_after), grew=grew):
        return Finding.MAKER_MARGIN_BROKEN
    if entry.last and not entry.liquidation:
        taker_holds = _size(trade.taker_after, entry.market)
        grew = grew_or_flipped(entry.taker_held, taker_holds)
        if grew and abs(taker_holds) > cap:
            return Finding.POSITION_ABOVE_CAP
        before = Risk(entry.taker_equity, entry.taker_initial, 0)
        if not is_legal(before, assess(listed, trade.taker_after), grew=grew):
            return Finding.TAKER_MARGIN_BROKEN
    return Finding.HONEST


def _taker_authorised(trade: _Trade, order: PlaceOrder) -> bool:
    sides, terms = trade.sides, trade.market.terms
    if sides.entry.taker_session == BY_OWNER_KEY:
        return sides.taker_signer == trade.taker.owner
    session = trade.taker.session
    return (
        session is not None
        and _signs(session, sides.taker_signer, sides.time, sides.entry.sequence)
        and session.scopes & SCOPE_TRADE != 0
        and session.slot_first <= order.slot <= session.slot_last
        and session.underlyings >> terms.underlying & 1 == 1
        and session.kinds & terms.kind != 0
    )


def _maker_authorised(trade: _Trade) -> bool:
    sides = trade.sides
    if sides.entry.maker_session == BY_OWNER_KEY:
        return sides.maker_signer == trade.maker.owner
    session = trade.maker.session
    return session is not None and _signs(session, sides.maker_signer, sides.time, sides.entry.maker_sequence)


def _signs(session: Session, signer: bytes, time: int, sequence: int) -> bool:
    return session.key == signer and session.lives(time) and session.from_sequence <= sequence


def _fees_fit(trade: _Trade) -> bool:
    sides, terms = trade.sides, trade.market.terms
    entry, order = sides.entry, sides.taking
    maker_fee = max(-entry.taker_fee, trading_fee(trade.market, entry.size, entry.price, terms.maker_fee_ppm))
    if entry.maker_fee != maker_fee or terms.maker_fee_ppm > sides.making.max_fee_ppm:
        return False
    if order is not None:
        if terms.taker_fee_ppm > order.max_fee_ppm or not _builder_fits(entry, order):
            return False
        return entry.taker_fee == trading_fee(trade.market, entry.size, entry.price, terms.taker_fee_ppm)
    fee = trading_fee(trade.market, entry.size, entry.price, terms.liquidation_fee_ppm)
    bearable = assess(trade.listed, trade.taker_after).equity + entry.taker_fee
    return entry.builder == entry.builder_fee == 0 and entry.taker_fee == min(fee, max(0, bearable))


def _builder_fits(entry: TradeEntry, order: PlaceOrder) -> bool:
    """The builder is the one the order names, and gets what it says; that it exists is by replay only."""
    if order.builder_fee_ppm > MAX_BUILDER_FEE or (order.builder == 0 and order.builder_fee_ppm > 0):
        return False
    return (entry.builder, entry.builder_fee) == (
        order.builder,
        fee_of(entry.size * entry.price, order.builder_fee_ppm),
    )


def _liquidation_fits(trade: _Trade) -> bool:
    sides, market = trade.sides, trade.market
    entry, held = sides.entry, _size(trade.taker.holding, sides.entry.market)
    if market.terms.tick == 0 or market.terms.lot == 0:
        return False
    if not market.fresh(sides.time):
        return False
    if any(trade.listed.markets[m].over(sides.time) for m in trade.taker.holding.positions):
        return False
    before = favoured(trade.listed, trade.taker.holding, sides.time)
    if sides.first and before.equity >= before.maintenance:
        return False
    if (entry.side == SELL) != (entry.taker_held > 0) or (held > 0) != (entry.taker_held > 0):
        return False
    closed = abs(entry.taker_held) - abs(held)
    bound = band_price(market, entry.side)
    inside = entry.price <= bound if entry.side == BUY else entry.price >= bound
    return inside and closed >= 0 and closed + entry.size <= slice_of(market, abs(entry.taker_held))


def _results_fit(trade: _Trade) -> bool:
    number, market = trade.sides.entry.market, trade.market
    return (
        in_range(trade.maker_after, number)
        and in_range(trade.taker_after, number)
        and fits(market.fees, CASH_BITS)
        and fits(market.entry_total, CASH_BITS)
        and fits(market.size_funding, SIZE_FUNDING_BITS)
        and 0 <= market.open_interest < 1 << OPEN_INTEREST_BITS
        and market.dust < 1 << WITHDRAWN_BITS
        and fits(market.builder_fees, BUILDER_FEES_BITS)
    )


def _size(holding: Holding, market: int) -> int:
    position = holding.positions.get(market)
    return position.size if position else 0


def _reducible(side: Side, market: int, direction: int) -> int:
    size = _size(side.holding, market)
    return max(0, -size if direction == BUY else size)
