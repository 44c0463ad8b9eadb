# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title The trade itself, on the leaves before it: who may, what it costs, what it leaves, and the root after it
@license Apache-2.0
@dev The Python twin is src/penstock/spec/referee/trade.py.
"""

import accounts
import entries
import fills
import findings
import leaves
import openings
import reading

uses: openings

ACCOUNTS_DEPTH: constant(uint256) = 12
MARKETS_DEPTH: constant(uint256) = 8
NO_MARKET: constant(uint256) = 2 ** 24
SELL: constant(uint256) = 1
PPM: constant(int256) = 1_000_000
SLICE_PPM: constant(int256) = 200_000
OPTION_BAND_PPM: constant(int256) = 250_000
PRICE_LIMIT: constant(int256) = 2 ** 40
CASH_LIMIT: constant(int256) = 2 ** 95
POSITION_LIMIT: constant(int256) = 2 ** 55
SIZE_FUNDING_LIMIT: constant(int256) = 2 ** 159
OPEN_INTEREST_LIMIT: constant(int256) = 2 ** 56
DUST_LIMIT: constant(int256) = 2 ** 96
BUILDER_FEES_LIMIT: constant(int256) = 2 ** 80

# One side, on its way through the markets in ascending order.
struct Holding:
    next_at: uint256
    left: uint256
    # The next position's word, and its market.
    packed: int256
    market: uint256
    place: uint256
    held: bool
    # In a liquidation: whether no market it holds has reached its expiry, and how much better it stands for those
    # without a fresh price: their maintenance, and half their size at the last index.
    goes_on: bool
    shield: int256
    before: fills.Position
    after: fills.Position
    cash: int256
    equity: int256
    initial: int256
    maintenance: int256
    equity_after: int256
    initial_after: int256

struct Trade:
    market: leaves.Market
    maker: Holding
    taker: Holding


@internal
@view
def _judge(opened: accounts.Opened) -> (uint256, uint8, bytes32):
    """
    @notice markets · globals hash, deposit head and forced head · opening of markets · opening of accounts.
    @return Where they end, the finding, and the root the step leads to.
    """
    trade: Trade = empty(Trade)
    finding: uint8 = findings.HONEST
    at: uint256 = 0
    rest_at: uint256 = 0
    old_markets: bytes32 = empty(bytes32)
    new_markets: bytes32 = empty(bytes32)
    at, rest_at, finding, trade, old_markets, new_markets = self._open_markets(opened)
    old_accounts: bytes32 = empty(bytes32)
    new_accounts: bytes32 = empty(bytes32)
    at, old_accounts, new_accounts = self._climb_accounts(at, opened, trade, finding == findings.HONEST)
    rest: Bytes[96] = slice(msg.data, rest_at, 96)
    before: bytes32 = keccak256(concat(0x08, old_accounts, old_markets, rest))
    assert before == opened.pre_root, "referee: the leaves are not those before the entry"
    if finding != findings.HONEST:
        return at, finding, empty(bytes32)
    root: bytes32 = keccak256(concat(0x08, new_accounts, new_markets, rest))
    return at, (findings.HONEST if root == opened.post_root else findings.POST_ROOT_WRONG), root


@internal
@view
def _open_markets(  # long: one frame for all markets, which are the most of the witness
    opened: accounts.Opened,
) -> (uint256, uint256, uint8, Trade, bytes32, bytes32):
    """
    @notice count u8 · per market, ascending: number u24 · present u8 · leaf · terms and tiers · three hashes, looked at
            later · opening. With the markets both sides' positions, which ascend too, are passed, weighed, and filled
            where the market is the traded one.
    @return Where the opening ends, where the three hashes are, the finding, the trade, and the markets' roots.
    """
    trade: Trade = empty(Trade)
    trade.maker = self._begin(opened.maker)
    trade.taker = self._begin(opened.taker)
    start: uint256 = opened.at
    known: openings.Leaves = empty(openings.Leaves)
    known.count = reading._byte(start)
    assert known.count <= openings.MAX_LEAVES, "referee: too many markets"
    at: uint256 = start + 1
    traded: uint256 = NO_MARKET
    least: uint256 = 0
    for place: uint256 in range(known.count, bound=openings.MAX_LEAVES):
        number: uint256 = reading._word(at) >> 224
        present: bool = number & 255 != 0
        number >>= 8
        assert number >= least, "referee: the markets do not ascend"
        least = number + 1
        at += 4
        known.indices[place] = number
        is_traded: bool = number == opened.entry.market
        if is_traded:
            traded = place
        if present:
            market: leaves.Market = empty(leaves.Market)
            at, market, known.hashes[place] = leaves._open_market(at)
            if is_traded or opened.entry.liquidation:
                market = leaves._at(market, opened.time)
            if number == trade.maker.market:
                trade.maker = self._pass(trade.maker, market.weighing, is_traded)
            if number == trade.taker.market:
                if opened.entry.liquidation:
                    trade.taker.goes_on = trade.taker.goes_on and not market.over
                    if not market.fresh:
                        trade.taker.shield += self._shield(trade.taker.packed, market.weighing)
                trade.taker = self._pass(trade.taker, market.weighing, is_traded)
            if is_traded:
                trade.market = leaves._read_sums(market)
                trade = self._exchange(opened.entry, trade)
        if number < opened.entry.market:
            trade.maker.place = opened.maker.positions - trade.maker.left
            trade.taker.place = opened.taker.positions - trade.taker.left
    assert traded != NO_MARKET, "referee: the traded market is missing"
    passed: bool = trade.maker.left == 0 and trade.taker.left == 0
    assert passed, "referee: a market that is held is missing, or the positions do not ascend"

    finding: uint8 = findings.ACCOUNT_UNKNOWN
    if opened.maker.present and opened.taker.present:
        finding = findings.MARKET_UNKNOWN
        if trade.market.found:
            finding = self._find(opened, trade)
    new: bytes32 = known.hashes[traded]
    if finding == findings.HONEST:
        new = leaves._market_leaf_after(trade.market)
    old: bytes32 = empty(bytes32)
    rest_at: uint256 = at
    at, old, new = openings._climb_many(at + 96, MARKETS_DEPTH, known, traded, new)
    return at, rest_at, finding, trade, old, new


@internal
@view
def _begin(side: accounts.Side) -> Holding:
    """
    @notice Before the first market.
    """
    holding: Holding = empty(Holding)
    holding.goes_on = True
    holding.cash = side.cash
    holding.equity = side.cash
    holding.equity_after = side.cash
    holding.left = side.positions
    holding.market = NO_MARKET
    holding.next_at = side.leaf_at + accounts.HEAD_BYTES
    if holding.left > 0:
        packed: uint256 = reading._word(holding.next_at)
        holding.packed = convert(convert(packed, bytes32), int256)
        holding.market = packed >> 232
    return holding


@internal
@pure
def _unpack(packed: int256) -> fills.Position:
    """
    @notice A position's word; an arithmetic shift carries each field's sign.
    """
    return fills.Position(
        size=(packed << 24) >> 200, entry=(packed << 80) >> 160, funding=(packed << 176) >> 176
    )


@internal
@view
def _shield(packed: int256, weighing: fills.Weighing) -> int256:
    """
    @notice By how much a position without a fresh price counts better in a liquidation: it needs no maintenance, and
            stands half its size at the last index higher.
    """
    position: fills.Position = self._unpack(packed)
    equity: int256 = 0
    initial: int256 = 0
    maintenance: int256 = 0
    equity, initial, maintenance = fills._weigh(position, weighing)
    return maintenance + abs(position.size) * weighing.index // 2


@internal
@view
def _pass(before: Holding, weighing: fills.Weighing, traded: bool) -> Holding:
    """
    @notice Weigh the next position, which is in this market, and look for the one behind it.
    """
    holding: Holding = before
    position: fills.Position = self._unpack(holding.packed)
    assert position.size != 0, "referee: a position is empty"
    equity: int256 = 0
    initial: int256 = 0
    maintenance: int256 = 0
    equity, initial, maintenance = fills._weigh(position, weighing)
    holding.equity += equity
    holding.initial += initial
    holding.maintenance += maintenance
    if traded:
        holding.held = True
        holding.before = position
    else:
        holding.equity_after += equity
        holding.initial_after += initial
    holding.left -= 1
    holding.next_at += 32
    holding.market = NO_MARKET
    if holding.left > 0:
        packed: uint256 = reading._word(holding.next_at)
        holding.packed = convert(convert(packed, bytes32), int256)
        holding.market = packed >> 232
    return holding


@internal
@view
def _exchange(entry: entries.Entry, opened: Trade) -> Trade:
    """
    @notice Fill both sides and move the market's sums.
    """
    trade: Trade = opened
    change: int256 = convert(entry.size, int256)
    if entry.side == SELL:
        change = -change
    paid: int256 = entry.taker_fee + entry.builder_fee
    trade.maker, trade.market = self._fill(trade.maker, trade.market, -change, entry.price, entry.maker_fee)
    trade.taker, trade.market = self._fill(trade.taker, trade.market, change, entry.price, paid)
    trade.market.fees += entry.maker_fee + entry.taker_fee
    trade.market.builder_fees += entry.builder_fee
    return trade


@internal
@view
def _fill(
    filled: Holding, traded: leaves.Market, change: int256, price: uint256, fee: int256
) -> (Holding, leaves.Market):
    holding: Holding = filled
    market: leaves.Market = traded
    before: fills.Position = holding.before
    gained: int256 = 0
    dust: int256 = 0
    holding.after, gained, dust = fills._fill(before, change, convert(price, int256), market.weighing.funding_index)
    holding.cash += gained - fee
    holding.equity_after += gained - fee
    after: fills.Position = holding.after
    if after.size != 0:
        equity: int256 = 0
        initial: int256 = 0
        maintenance: int256 = 0
        equity, initial, maintenance = fills._weigh(after, market.weighing)
        holding.equity_after += equity
        holding.initial_after += initial
    market.dust += dust
    market.size_funding += after.size * after.funding - before.size * before.funding
    market.entry_total += after.entry - before.entry
    market.open_interest += max(0, after.size) - max(0, before.size)
    return holding, market


@internal
@view
def _find(opened: accounts.Opened, trade: Trade) -> uint8:
    """
    @notice The checks in the order of schema/verdicts.txt.
    """
    entry: entries.Entry = opened.entry
    # A liquidation may trade with another subaccount of the same owner.
    if opened.maker.owner == opened.taker.owner and not entry.liquidation:
        return findings.SELF_TRADE
    if not self._taker_authorised(opened.taker, trade.market):
        return findings.TAKER_UNAUTHORISED
    if not opened.maker.authorised:
        return findings.MAKER_UNAUTHORISED
    reduces: bool = opened.taker.reduce_only
    if not self._is_open(trade.market, reduces):
        return findings.MARKET_CLOSED
    if not opened.taker.slot_fits:
        return findings.TAKER_SLOT_SPENT
    if not opened.maker.slot_fits:
        return findings.MAKER_SLOT_SPENT
    if not opened.builder_fits or not self._fees_fit(opened, trade):
        return findings.FEE_WRONG
    if entry.liquidation and not self._liquidation_fits(opened, trade):
        return findings.LIQUIDATION_WRONG
    size: int256 = convert(entry.size, int256)
    if reduces and size > self._reducible(trade.taker.before.size, entry.side):
        return findings.REDUCE_ONLY_BROKEN
    if opened.maker.reduce_only and size > self._reducible(trade.maker.before.size, 1 - entry.side):
        return findings.REDUCE_ONLY_BROKEN
    if opened.first and not self._risk_fits(entry, trade.taker):
        return findings.TAKER_RISK_WRONG
    if not self._results_fit(trade):
        return findings.RESULT_OUT_OF_RANGE
    making: uint256 = self._positions_after(opened.maker, trade.maker)
    if max(making, self._positions_after(opened.taker, trade.taker)) > accounts.MAX_POSITIONS:
        return findings.POSITIONS_TOO_MANY
    return self._find_in_margin(entry, trade)


@internal
@view
def _find_in_margin(entry: entries.Entry, trade: Trade) -> uint8:
    maker: Holding = trade.maker
    cap: int256 = leaves._position_cap(trade.market)
    grew: bool = fills._grew_or_flipped(maker.before.size, maker.after.size)
    if grew and abs(maker.after.size) > cap:
        return findings.POSITION_ABOVE_CAP
    if not fills._is_legal(maker.equity, maker.initial, maker.equity_after, maker.initial_after, grew):
        return findings.MAKER_MARGIN_BROKEN
    if entry.last and not entry.liquidation:
        taker: Holding = trade.taker
        grew = fills._grew_or_flipped(entry.taker_held, taker.after.size)
        if grew and abs(taker.after.size) > cap:
            return findings.POSITION_ABOVE_CAP
        if not fills._is_legal(
            entry.taker_equity, entry.taker_initial, taker.equity_after, taker.initial_after, grew
        ):
            return findings.TAKER_MARGIN_BROKEN
    return findings.HONEST


@internal
@pure
def _taker_authorised(taker: accounts.Side, market: leaves.Market) -> bool:
    if not taker.authorised or taker.by_owner:
        return taker.authorised
    underlying: uint256 = (market.terms >> 224) & leaves.LOW_8
    return (taker.underlyings >> underlying) & 1 == 1 and taker.kinds & market.weighing.kind != 0


@internal
@pure
def _is_open(market: leaves.Market, reduces: bool) -> bool:
    if market.flags & leaves.HALTED != 0 or market.over:
        return False
    return reduces or (market.fresh and market.flags & (leaves.SHORTFALL_BOOKED | leaves.RESTRICTED) == 0)


@internal
@pure
def _fees_fit(opened: accounts.Opened, trade: Trade) -> bool:
    entry: entries.Entry = opened.entry
    price: int256 = convert(entry.price, int256)
    size: int256 = convert(entry.size, int256)
    weighing: fills.Weighing = trade.market.weighing
    maker_ppm: int256 = reading._signed((trade.market.terms >> 104) & leaves.LOW_24, 2 ** 23)
    # A rebate comes out of the taker's fee of the same trade.
    if entry.maker_fee != max(-entry.taker_fee, fills._fee(weighing, size, price, maker_ppm)):
        return False
    if maker_ppm > convert(opened.maker.max_fee_ppm, int256):
        return False
    if not entry.liquidation:
        taker_ppm: int256 = leaves._term(trade.market, 80, leaves.LOW_24)
        allowed: bool = taker_ppm <= convert(opened.taker.max_fee_ppm, int256)
        return allowed and entry.taker_fee == fills._fee(weighing, size, price, taker_ppm)
    # A liquidation's fee takes at most the equity that is left after the fill.
    bearable: int256 = max(0, trade.taker.equity_after + entry.taker_fee)
    fee: int256 = fills._fee(weighing, size, price, leaves._term(trade.market, 56, leaves.LOW_24))
    return entry.taker_fee == min(fee, bearable)


@internal
@view
def _liquidation_fits(opened: accounts.Opened, trade: Trade) -> bool:
    entry: entries.Entry = opened.entry
    tick: int256 = leaves._term(trade.market, 176, leaves.LOW_40)
    lot: int256 = leaves._term(trade.market, 128, leaves.LOW_48)
    if not trade.taker.goes_on or not trade.market.fresh or tick == 0 or lot == 0:
        return False
    if opened.first and trade.taker.equity + trade.taker.shield >= trade.taker.maintenance:
        return False
    held: int256 = trade.taker.before.size
    if (entry.side == SELL) != (entry.taker_held > 0) or (held > 0) != (entry.taker_held > 0):
        return False
    # What bands and slices are measured in: an option's index, else the mark.
    weighing: fills.Weighing = trade.market.weighing
    reference: int256 = weighing.index if weighing.kind == fills.OPTION else weighing.mark
    band: int256 = reference * leaves._term(trade.market, 32, leaves.LOW_24)
    if weighing.kind == fills.OPTION:
        band = min(band, max(weighing.mark * OPTION_BAND_PPM, tick * PPM))
    price: int256 = convert(entry.price, int256)
    mark: int256 = weighing.mark * PPM
    if entry.side == SELL:
        # The band's lower end, rounded to the tick towards the mark, and at least a tick.
        if price < max(tick, fills._ceil(mark - band, PPM * tick) * tick):
            return False
    elif price > min(PRICE_LIMIT - 1, (mark + band) // (PPM * tick) * tick):
        return False
    whole: int256 = abs(entry.taker_held)
    closed: int256 = whole - abs(held)
    closable: int256 = whole
    if whole * reference > leaves._slice_worth(trade.market):
        fifth: int256 = fills._ceil(whole * SLICE_PPM, PPM)
        closable = min(whole, fills._ceil(fifth, lot) * lot)
    return closed >= 0 and closed + convert(entry.size, int256) <= closable


@internal
@pure
def _reducible(size: int256, side: uint256) -> int256:
    """
    @notice How many size units an order of `side` can close.
    """
    return max(0, size) if side == SELL else max(0, -size)


@internal
@pure
def _risk_fits(entry: entries.Entry, taker: Holding) -> bool:
    if entry.taker_equity != taker.equity or entry.taker_initial != taker.initial:
        return False
    return entry.taker_held == taker.before.size


@internal
@pure
def _results_fit(trade: Trade) -> bool:
    market: leaves.Market = trade.market
    if not self._holding_fits(trade.maker) or not self._holding_fits(trade.taker):
        return False
    if not fills._fits(market.fees, CASH_LIMIT) or not fills._fits(market.entry_total, CASH_LIMIT):
        return False
    if not fills._fits(market.size_funding, SIZE_FUNDING_LIMIT) or market.dust >= DUST_LIMIT:
        return False
    if market.open_interest < 0 or market.open_interest >= OPEN_INTEREST_LIMIT:
        return False
    return market.builder_fees < BUILDER_FEES_LIMIT


@internal
@pure
def _holding_fits(holding: Holding) -> bool:
    if not fills._fits(holding.cash, CASH_LIMIT):
        return False
    return fills._fits(holding.after.size, POSITION_LIMIT) and fills._fits(holding.after.entry, CASH_LIMIT)


@internal
@pure
def _positions_after(side: accounts.Side, holding: Holding) -> uint256:
    kept: uint256 = side.positions - convert(holding.held, uint256)
    return kept + convert(holding.after.size != 0, uint256)


@internal
@view
def _climb_accounts(
    start: uint256, opened: accounts.Opened, trade: Trade, honest: bool
) -> (uint256, bytes32, bytes32):
    """
    @notice Where the opening of both accounts ends, and their root before the fill and, where it is right, after it.
    """
    entry: entries.Entry = opened.entry
    making: uint256 = convert(entry.maker > entry.taker, uint256)
    old: bytes32[2] = empty(bytes32[2])
    old[making] = leaves._account_leaf(opened.maker)
    old[1 - making] = leaves._account_leaf(opened.taker)
    new: bytes32[2] = old
    if honest:
        new[making] = leaves._account_leaf_after(
            opened.maker, trade.maker.cash, entry.market, trade.maker.place, trade.maker.held, trade.maker.after
        )
        new[1 - making] = leaves._account_leaf_after(
            opened.taker, trade.taker.cash, entry.market, trade.taker.place, trade.taker.held, trade.taker.after
        )
    low: uint256 = min(entry.maker, entry.taker)
    high: uint256 = max(entry.maker, entry.taker)
    return openings._climb_two(start, ACCOUNTS_DEPTH, low, high, old, new)
