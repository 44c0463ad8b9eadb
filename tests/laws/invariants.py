"""What must hold after every command, and the recount from nothing. Numbers are those of the invariant list."""

from collections import Counter

from penstock.protocol.commands import BUY, SELL, PlaceOrder, SlotCommand
from penstock.protocol.events import (
    NO_SLOT,
    CashWithdrawn,
    Event,
    OrderAmended,
    OrderRested,
    Refused,
    SlotGuarded,
    Traded,
)
from penstock.protocol.ledger import decode_entry
from penstock.protocol.quantities import FUNDING_SCALE
from penstock.protocol.reasons import Reason
from penstock.simulation.streams import Step
from penstock.spec.digest import engine_root
from penstock.spec.evolve import evolve
from penstock.spec.margin import assess, grew_or_flipped, initial_with_orders, is_legal
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import INSURANCE_FUND, State, is_dead

UNAUTHENTICATED = range(Reason.SUBACCOUNT_UNKNOWN, Reason.DEADLINE_PASSED)


class Watch:
    """Follows a state from its first command by events alone, and holds it to its laws."""

    def __init__(self, state: State) -> None:
        self.shadow = State.from_genesis(state.genesis)
        self.tree = SettlementTree(self.shadow)
        self.counts: Counter[str] = Counter()
        self._last_key = (0, 0, 0)
        self._wanted: dict[tuple[int, int, int], int] = {}
        self._filled: Counter[tuple[int, int, int]] = Counter()
        self._reduce_only: set[tuple[int, int, int]] = set()

    def follow(self, state: State, step: Step) -> None:
        """Check one step: what it said, what it did, and what is left behind."""
        events = step.applied.events
        self.counts.update(type(e).__name__ for e in events)
        self.counts.update(e.reason.name for e in events if isinstance(e, Refused))
        self.counts.update(e.cause.name for e in events if hasattr(e, "cause"))
        self._remember(step)
        self._check_refusals(step)
        before = self._subject(step)
        for event in events:
            self._evolve(event, step.time)
        self._check_subject(step, before)
        self._check_entries(step)
        check_sums(state)
        check_books(state, step.time)

    def compare(self, state: State) -> None:
        """The events alone have rebuilt the state, and the entries alone its settlement root."""
        assert engine_root(self.shadow) == engine_root(state)
        assert self.tree.root() == SettlementTree(state).root()

    def _remember(self, step: Step) -> None:
        for record in _records(step):
            if isinstance(record, PlaceOrder):
                key = (record.subaccount, record.slot, record.nonce)
                self._wanted.setdefault(key, record.size)
                if record.reduce_only:
                    self._reduce_only.add(key)

    def _check_refusals(self, step: Step) -> None:
        """I17: a refused member says nothing else; I14: its nonce rises exactly when it was authenticated."""
        records, events = _records(step), step.applied.events
        refused = {e.member: e.reason for e in events if isinstance(e, Refused)}
        if refused and len(records) == 1:
            assert [type(e) for e in events] in ([Refused], [SlotGuarded, Refused])
        wanted = [
            (r.subaccount, r.slot, r.nonce)
            for i, r in enumerate(records)
            if isinstance(r, SlotCommand) and refused.get(i) not in UNAUTHENTICATED
        ]
        assert [(e.subaccount, e.slot, e.nonce) for e in events if isinstance(e, SlotGuarded)] == wanted
        if len(refused) == len(records):
            assert step.applied.entries == []

    def _evolve(self, event: Event, time: int) -> None:
        match event:
            case SlotGuarded():
                assert event.nonce > self.shadow.accounts[event.subaccount].guards.get(event.slot, 0)
            case Traded():
                self._check_trade(event, time)
            case OrderRested() | OrderAmended():
                order = (event.subaccount, event.slot, event.nonce)
                assert 0 < event.size <= self._wanted[order] - self._filled[order]
        evolve(self.shadow, event)
        if isinstance(event, CashWithdrawn):
            account = self.shadow.accounts[event.subaccount]
            kept = initial_with_orders(self.shadow, account, account.lots)
            assert account.cash >= 0
            assert assess(self.shadow, account).equity >= kept, "I10"

    def _check_trade(self, event: Traded, time: int) -> None:
        """I12: inside both limits. I27: no dead order fills.

        I13: no order fills beyond its size, no reduce-only order grows or flips a position.
        """
        maker = self.shadow.accounts[event.maker].orders[event.maker_slot]
        assert (maker.price, maker.nonce, maker.side) == (event.price, event.maker_nonce, 1 - event.taker_side)
        assert not is_dead(self.shadow, self.shadow.accounts[event.maker], maker, time), "I27"
        assert event.price <= event.taker_price if event.taker_side == BUY else event.price >= event.taker_price
        assert event.maker != event.taker
        assert event.liquidation or self.shadow.accounts[event.maker].owner != self.shadow.accounts[event.taker].owner
        assert 0 < event.size <= maker.size
        assert event.taker_fee >= 0 and event.builder_fee >= 0
        assert event.maker_fee + event.taker_fee >= 0, "a rebate never exceeds the fee of its trade"
        market = self.shadow.markets[event.market]
        assert not market.over(time) and not market.halted
        sides = [(event.maker, event.maker_slot, event.maker_nonce, maker.side)]
        sides.append((event.taker, event.taker_slot, event.taker_nonce, event.taker_side))
        for subaccount, slot, nonce, side in sides:
            key = (subaccount, slot, nonce)
            if slot != NO_SLOT:
                self._filled[key] += event.size
                assert self._filled[key] <= self._wanted[key], "I13"
            if key in self._reduce_only or slot == NO_SLOT:
                held = self.shadow.accounts[subaccount].positions[event.market].size
                assert event.size <= (held if side == SELL else -held), "I13"

    def _subject(self, step: Step):
        record = step.message.record
        if not isinstance(record, PlaceOrder) or record.subaccount not in self.shadow.accounts:
            return None
        account = self.shadow.accounts[record.subaccount]
        position = account.positions.get(record.market)
        return assess(self.shadow, account), position.size if position else 0

    def _check_subject(self, step: Step, before) -> None:
        """I9: after a fill the subject is well margined, or has taken no more risk."""
        record = step.message.record
        traded = any(isinstance(e, Traded) for e in step.applied.events)
        if before is None or not traded:
            return
        account = self.shadow.accounts[record.subaccount]
        position = account.positions.get(record.market)
        grew = grew_or_flipped(before[1], position.size if position else 0)
        assert is_legal(before[0], assess(self.shadow, account), grew=grew), "I9"

    def _check_entries(self, step: Step) -> None:
        """Entries rise strictly by (sequence, member, index); each moves the tree the events describe."""
        for entry in step.applied.entries:
            fields = decode_entry(entry.packed)
            key = (fields["sequence"], fields["member"], fields["index"])
            assert self._last_key < key
            assert fields["sequence"] == step.sequence
            self._last_key = key
            self.tree.advance(entry)


def _records(step: Step) -> list:
    return [m.record for m in step.message.members] or [step.message.record]


def check_sums(state: State) -> None:
    """I1, I2, I3, I7 from the accounts and the markets' running sums, exact in 2^-32 cash units."""
    left = sum(a.cash for a in state.accounts.values())
    fine = 0
    for market in state.markets.values():
        left += market.fees + market.builder_fees - market.entry_total - market.shortfall
        assert market.builder_fees == sum(market.builders.values())
        fine += market.size_funding + market.dust
        assert market.dust >= 0
        assert market.shortfall >= 0
    assert left * FUNDING_SCALE + fine == (state.deposited - state.withdrawn) * FUNDING_SCALE, "I1"
    for market_id, market in state.markets.items():
        sizes = [a.positions[market_id].size for a in state.accounts.values() if market_id in a.positions]
        assert market.expired or sum(sizes) == 0, "I2"
        if market.expired and not sizes:
            assert market.size_funding == market.entry_total == 0, "all that was won was lost by somebody"
        assert sum(s for s in sizes if s > 0) == market.open_interest, "I3"
    assert state.accounts[INSURANCE_FUND].cash >= 0, "I7"


def check_books(state: State, time: int) -> None:
    """I11: no two live orders cross, and no price level is empty."""
    for market in state.markets.values():
        best = [None, None]
        for side in (BUY, SELL):
            for order in market.book.best_first(side):
                if not is_dead(state, state.accounts[order.subaccount], order, time):
                    best[side] = order.price
                    break
        if None not in best:
            assert best[BUY] < best[SELL], "I11"


def recount(state: State) -> None:
    """Every running number counted again from what it sums."""
    for market_id, market in state.markets.items():
        positions = [a.positions[market_id] for a in state.accounts.values() if market_id in a.positions]
        assert market.entry_total == sum(p.entry for p in positions)
        gone = -sum(p.size for p in positions)
        taken = gone * (market.funding_index - market.mark_price * FUNDING_SCALE) if market.expired else 0
        assert market.size_funding == sum(p.size * p.funding for p in positions) + taken
        assert market.open_interest == sum(max(0, p.size) for p in positions)
        assert all(p.size for p in positions)
        assert all((p.size > 0) == (p.entry > 0) or p.entry == 0 for p in positions)
        _recount_book(state, market_id)
    for subaccount, account in state.accounts.items():
        counted = [o for o in account.orders.values() if o.accepted >= account.cancelled_before]
        lots: dict[int, list[int]] = {}
        for order in counted:
            if not order.reduce_only:
                lots.setdefault(order.market, [0, 0])[order.side] += order.size
        assert account.lots == lots
        assert account.open_orders == len(counted)
        assert account.reduce_only == Counter(o.market for o in counted if o.reduce_only)
        assert all(o.subaccount == subaccount and o.slot == slot for slot, o in account.orders.items())
        assert account.session_of == {s.key: i for i, s in account.sessions.items()}
        assert all(o.size > 0 for o in account.orders.values())
        assert account.withdrawn >= 0
    assert state.withdrawn == sum(a.withdrawn for a in state.accounts.values())


def _recount_book(state: State, market_id: int) -> None:
    book = state.markets[market_id].book
    resting = {
        (o.subaccount, o.slot): o
        for account in state.accounts.values()
        for o in account.orders.values()
        if o.market == market_id
    }
    queued = {}
    for prices, queues, side in ((book.bids, book.bid_queues, BUY), (book.asks, book.ask_queues, SELL)):
        assert prices == sorted(queues)
        for price, queue in queues.items():
            assert queue
            assert all(o.price == price and o.side == side for o in queue.values())
            times = [(o.priority, o.member) for o in queue.values()]
            assert times == sorted(times), "a queue is in order of arrival"
            queued |= queue
    assert queued.keys() == resting.keys()
    assert all(queued[key] is resting[key] for key in queued)
