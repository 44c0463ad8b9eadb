"""Price, then time: one taker against a book, decided on drafts, nothing written."""

from msgspec import Struct, field
from msgspec.structs import replace

from penstock.protocol.commands import BUY
from penstock.protocol.events import Event, OrderCancelled, Traded
from penstock.protocol.quantities import (
    BUILDER_FEES_BITS,
    CASH_BITS,
    MAX_POSITIONS,
    MAX_REMOVED_PER_SEQUENCE,
    OPEN_INTEREST_BITS,
    SIZE_FUNDING_BITS,
    fits,
)
from penstock.protocol.reasons import Cause, Reason, Refusal
from penstock.spec.margin import Risk, assess, grew_or_flipped, is_legal
from penstock.spec.positions import Holding, draft_of, fee_of, fill, in_range, signed, trading_fee
from penstock.spec.state import Account, Market, Order, State, is_dead


class Moment(Struct):
    """When and where a command executes; `removed` is shared by all members of one sequence."""

    state: State
    sequence: int
    time: int
    member: int = 0
    removed: int = 0

    def exhausted(self) -> bool:
        """Whether this sequence has taken as many orders out of books as it may."""
        return self.removed >= MAX_REMOVED_PER_SEQUENCE


class Taker(Struct, frozen=True):
    """What arrives at a book."""

    subaccount: int
    market: int
    side: int
    price: int
    slot: int
    nonce: int
    flags: int
    reduce_only: bool
    fee_ppm: int
    session: int
    record_hash: bytes
    builder: int = 0
    builder_fee_ppm: int = 0
    liquidation: bool = False


class Sums(Struct, frozen=True):
    """A market's running sums, or what positions in it add to them."""

    fees: int = 0
    entry_total: int = 0
    size_funding: int = 0
    open_interest: int = 0
    builder_fees: int = 0

    def add(self, other: "Sums", sign: int = 1) -> "Sums":
        """Field by field, `other` times `sign` added."""
        return Sums(
            self.fees + sign * other.fees,
            self.entry_total + sign * other.entry_total,
            self.size_funding + sign * other.size_funding,
            self.open_interest + sign * other.open_interest,
            self.builder_fees + sign * other.builder_fees,
        )

    def in_range(self) -> bool:
        """Whether every sum is inside its width."""
        return (
            fits(self.fees, CASH_BITS)
            and fits(self.entry_total, CASH_BITS)
            and fits(self.size_funding, SIZE_FUNDING_BITS)
            and fits(self.open_interest, OPEN_INTEREST_BITS)
            and fits(self.builder_fees, BUILDER_FEES_BITS)
        )


class Match(Struct):
    """What a walk through the book would do: events, the taker's remainder, the drafts of all it touched.

    `sums` are the market's, kept through the walk; `risk` and `held` are the taker's before it.
    """

    remaining: int
    risk: Risk = Risk(0, 0, 0)
    held: int = 0
    events: list[Event] = field(default_factory=list)
    drafts: dict[int, Holding] = field(default_factory=dict)
    sums: Sums = Sums()
    spent: bool = False


def crosses(side: int, limit: int, price: int) -> bool:
    """Whether a taker of `side` with `limit` may trade at a resting `price`."""
    return price <= limit if side == BUY else price >= limit


def match(moment: Moment, taker: Taker, size: int, leaving: Order | None = None) -> Match:
    """Walk the opposite side while it crosses. Dead, own and unaffordable orders met are cancelled and skipped.

    A liquidation trades with another subaccount of the same owner: else one could shield the other from it.

    `leaving` is the order this very command replaces: it is as good as gone.
    """
    state, market = moment.state, moment.state.markets[taker.market]
    account = state.accounts[taker.subaccount]
    held = account.positions.get(taker.market)
    result = Match(size, assess(state, account), held.size if held else 0)
    result.drafts[taker.subaccount] = draft_of(account)
    result.sums = Sums(market.fees, market.entry_total, market.size_funding, market.open_interest, market.builder_fees)
    owner = account.owner
    for order in market.book.best_first(1 - taker.side):
        if result.remaining == 0 or moment.exhausted() or not crosses(taker.side, taker.price, order.price):
            break
        if order is leaving:
            continue
        if _is_spent(taker, result):
            break
        maker = state.accounts[order.subaccount]
        moment.removed += 1
        if is_dead(state, maker, order, moment.time):
            result.events.append(cancelled(order, order.size, Cause.DEAD))
        elif taker.liquidation and order.subaccount == taker.subaccount:
            # A liquidation has just killed the account's own orders: they are met dead.
            result.events.append(cancelled(order, order.size, Cause.DEAD))
        elif maker.owner == owner and not taker.liquidation:
            result.events.append(cancelled(order, order.size, Cause.SELF_TRADE))
        else:
            _meet(moment, market, taker, order, maker, result)
    result.spent = result.remaining > 0 and _is_spent(taker, result)
    _mark_the_last(result.events)
    return result


def _mark_the_last(events: list[Event]) -> None:
    """The taker is judged at its last fill, which says so."""
    for at in reversed(range(len(events))):
        event = events[at]
        if isinstance(event, Traded):
            events[at] = replace(event, last=True)
            return


def _is_spent(taker: Taker, result: Match) -> bool:
    """Whether a reduce-only taker has nothing left to reduce."""
    return taker.reduce_only and _reducible(result.drafts[taker.subaccount], taker.market, taker.side) == 0


def cancelled(order: Order, size: int, cause: Cause) -> OrderCancelled:
    """The event that takes a resting order out of its book."""
    return OrderCancelled(order.subaccount, order.slot, order.nonce, order.market, order.side, order.price, size, cause)


def _reducible(holding: Holding, market: int, side: int) -> int:
    """How many size units an order of `side` could still close."""
    position = holding.positions.get(market)
    return max(0, -position.size if side == BUY else position.size) if position else 0


def _meet(moment: Moment, market: Market, taker: Taker, order: Order, maker: Account, result: Match) -> None:
    """Fill against one live order of somebody else, or cancel it if its owner cannot afford the fill."""
    drafts = result.drafts
    taking = drafts[taker.subaccount]
    making = drafts.get(order.subaccount) or draft_of(maker)
    size = min(result.remaining, order.size)
    if taker.reduce_only:
        size = min(size, _reducible(taking, taker.market, taker.side))
    clamped = size
    if order.reduce_only:
        clamped = min(size, _reducible(making, taker.market, order.side))
        if clamped == 0:
            result.events.append(cancelled(order, order.size, Cause.REDUCE_ONLY_SPENT))
            return
    change = signed(taker.side, clamped)
    taker_fee = trading_fee(market, clamped, order.price, taker.fee_ppm)
    if taker.liquidation:
        taker_fee = _bearable_fee(moment.state, taking, taker, change, order.price, taker_fee)
    # A rebate comes out of the taker's fee of the same trade.
    maker_fee = max(-taker_fee, trading_fee(market, clamped, order.price, market.terms.maker_fee_ppm))
    builder_fee = fee_of(clamped * order.price, taker.builder_fee_ppm)
    after = _affordable(moment.state, market, order, making, clamped, maker_fee)
    if after is None:
        result.events.append(cancelled(order, order.size, Cause.MAKER_MARGIN))
        return
    drafts[order.subaccount] = after
    before = _share(taking, taker.market).add(_share(making, taker.market))
    fill(taking, taker.market, change, order.price, taker_fee + builder_fee, market.funding_index)
    result.sums = result.sums.add(before, -1).add(_share(taking, taker.market)).add(_share(after, taker.market))
    result.sums = result.sums.add(Sums(fees=maker_fee + taker_fee, builder_fees=builder_fee))
    if not in_range(taking, taker.market) or not result.sums.in_range():
        raise Refusal(Reason.OUT_OF_RANGE)
    result.remaining -= clamped
    result.events.append(
        Traded(
            moment.sequence, moment.member, taker.market, order.price, clamped, taker.side,
            order.subaccount, order.slot, order.nonce, order.session, order.accepted, order.priority, order.member,
            maker_fee, taker.subaccount, taker.slot, taker.nonce, taker.session, taker.price, taker.flags, taker_fee,
            result.risk.equity, result.risk.initial, result.held, taker.builder, builder_fee, taker.liquidation, False,
            order.record_hash, taker.record_hash,
        )
    )  # fmt: skip
    if clamped < size:
        # The rest of a clamped reduce-only maker order can never fill: it leaves the book at once.
        result.events.append(cancelled(order, order.size - clamped, Cause.REDUCE_ONLY_SPENT))


def _affordable(state: State, market: Market, order: Order, making: Holding, size: int, fee: int) -> Holding | None:
    """The maker's holding after the fill, or None if that would be illegal, too wide or large, or a 33rd position."""
    market_id = market.terms.market
    before = assess(state, making)
    position = making.positions.get(market_id)
    size_before = position.size if position else 0
    if position is None and len(making.positions) >= MAX_POSITIONS:
        return None
    after = draft_of(making)
    change = signed(order.side, size)
    fill(after, market_id, change, order.price, fee, market.funding_index)
    grew = grew_or_flipped(size_before, size_before + change)
    if grew and abs(size_before + change) > market.terms.position_cap:
        return None
    if not in_range(after, market_id) or not is_legal(before, assess(state, after), grew=grew):
        return None
    return after


def _bearable_fee(state: State, taking: Holding, taker: Taker, change: int, price: int, fee: int) -> int:
    """A liquidation fee takes at most the equity that is left after the fill."""
    trial = draft_of(taking)
    fill(trial, taker.market, change, price, 0, state.markets[taker.market].funding_index)
    return min(fee, max(0, assess(state, trial).equity))


def _share(holding: Holding, market: int) -> Sums:
    """What a holding's position adds to its market's sums."""
    position = holding.positions.get(market)
    if position is None:
        return Sums()
    return Sums(0, position.entry, position.size * position.funding, max(0, position.size))
