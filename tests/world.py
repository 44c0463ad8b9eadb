"""A small venue for tests of the spec: roles with keys, a clock, and commands in one line each."""

from collections.abc import Callable, Sequence
from copy import deepcopy

from msgspec.structs import replace

from penstock.protocol.commands import (
    ALL_SCOPES,
    BUY,
    GOOD_TIL_CANCELLED,
    INDEPENDENT,
    SELL,
    AccrueFunding,
    Bundle,
    CancelAll,
    CancelOrder,
    CreditDeposit,
    ExpireMarket,
    ExpirePosition,
    GrantSession,
    Liquidate,
    PlaceOrder,
    PublishPrice,
    Record,
    RemoveDeadOrder,
    RevokeSession,
    SetMarketStatus,
    SweepFees,
    Withdraw,
)
from penstock.protocol.events import (
    AllCancelled,
    Event,
    OrderAmended,
    OrderCancelled,
    OrderRested,
    Refused,
    RemainderCancelled,
    SlotGuarded,
    Traded,
)
from penstock.protocol.instruments import PERPETUAL
from penstock.protocol.ledger import Entry
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE, RATE_SCALE, div_trunc
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import Member, Verified, bundle_root, hash_record
from penstock.protocol.terms import Genesis, MarketTerms, Template, default_markets
from penstock.spec.digest import engine_root
from penstock.spec.evolve import evolve
from penstock.spec.state import Account, State
from penstock.spec.transition import Applied, apply

START = 1_700_000_000 * MICRO
ORACLES = tuple(bytes([0xA0 + i]) * 20 for i in range(3))
VAULT = b"\x77" * 20
SESSION_KEY = b"\x5e" * 20
STRANGER = b"\x66" * 20
GUARDIAN = b"\x67" * 20
GOVERNOR = b"\x68" * 20


def owner_of(subaccount: int) -> bytes:
    """The owner address a test subaccount is opened for."""
    return bytes([0x10 + subaccount]) * 20


class World:
    """A spec state with a sequence, a clock and a nonce source. Every call returns the command's events."""

    def __init__(
        self,
        markets: Sequence[MarketTerms] | None = None,
        traders: int = 3,
        cash: int = 10_000 * MICRO,
        templates: Sequence[Template] = (),
    ):
        self.genesis = Genesis(
            31337, VAULT, tuple(markets or default_markets(0)), ORACLES, 2, tuple(templates), GUARDIAN, GOVERNOR
        )
        self.state = State.from_genesis(self.genesis)
        self.sequence = 0
        self.time = START
        self.nonce = START
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        for subaccount in range(1, traders + 1):
            self.deposit(subaccount, cash)

    def send(
        self, *records: Record, signers: tuple[bytes, ...] = (), bundle_deadline: int = NO_DEADLINE
    ) -> list[Event]:
        """Sequence one record, or several as a bundle, as already verified."""
        members = [Member(r, hash_record(r)) for r in records]
        message = Verified(members[0].record, members[0].record_hash, signers)
        if len(members) > 1:
            root = bundle_root([m.record_hash for m in members])
            bundle = Bundle(root, len(members), INDEPENDENT, records[0].subaccount, bundle_deadline)
            message = Verified(bundle, hash_record(bundle), signers, tuple(members))
        return self.apply(message).events

    def apply(self, message: Verified) -> Applied:
        """Apply a verified message at the next sequence, one millisecond later."""
        self.sequence += 1
        self.time += 1_000
        applied = apply(self.state, self.sequence, self.time, message)
        self.entries += applied.entries
        self.events += applied.events
        return applied

    def next_nonce(self) -> int:
        """A nonce no slot has seen."""
        self.nonce += 1
        return self.nonce

    def deposit(self, subaccount: int, amount: int, **changes: object) -> list[Event]:
        """Credit the Vault's next deposit."""
        record = CreditDeposit(self.state.deposits, subaccount, owner_of(subaccount), amount, 1)
        return self.send(changed(record, changes))

    def order(
        self, subaccount: int, side: int, price: int, size: int, /, slot: int = 16, **changes: object
    ) -> PlaceOrder:
        """A good-til-cancelled order of the subaccount, not sent."""
        record = PlaceOrder(
            subaccount, slot, self.next_nonce(), NO_DEADLINE, 0, side, price, size, ANY_FILL, GOOD_TIL_CANCELLED,
            False, False, 1_000,
        )  # fmt: skip
        return changed(record, changes)

    def buy(self, subaccount: int, price: int, size: int, /, slot: int = 16, **changes: object) -> list[Event]:
        """Send a buy signed by the owner."""
        return self.send(self.order(subaccount, BUY, price, size, slot, **changes), signers=(owner_of(subaccount),))

    def sell(self, subaccount: int, price: int, size: int, /, slot: int = 16, **changes: object) -> list[Event]:
        """Send a sell signed by the owner."""
        return self.send(self.order(subaccount, SELL, price, size, slot, **changes), signers=(owner_of(subaccount),))

    def cancel(self, subaccount: int, slot: int = 16, **changes: object) -> list[Event]:
        """Cancel one order."""
        record = CancelOrder(subaccount, slot, self.next_nonce(), NO_DEADLINE)
        return self.send(changed(record, changes), signers=(owner_of(subaccount),))

    def cancel_all(self, subaccount: int, slot: int = 0) -> list[Event]:
        """Cancel all orders."""
        record = CancelAll(subaccount, slot, self.next_nonce(), NO_DEADLINE)
        return self.send(record, signers=(owner_of(subaccount),))

    def withdraw(self, subaccount: int, amount: int, **changes: object) -> list[Event]:
        """Withdraw cash."""
        record = Withdraw(subaccount, 1, self.next_nonce(), NO_DEADLINE, amount)
        return self.send(changed(record, changes), signers=(owner_of(subaccount),))

    def grant(self, subaccount: int, key: bytes = SESSION_KEY, **changes: object) -> list[Event]:
        """Grant a session with everything allowed but slots 0–15."""
        expiry = self.time // MICRO + 3600
        record = GrantSession(subaccount, 2, self.next_nonce(), NO_DEADLINE, key, expiry, 16, 4095, ALL_SCOPES, 3, 1)
        return self.send(changed(record, changes), signers=(owner_of(subaccount),))

    def revoke(self, subaccount: int, key: bytes = SESSION_KEY, **changes: object) -> list[Event]:
        """Revoke a session."""
        record = RevokeSession(subaccount, 2, self.next_nonce(), NO_DEADLINE, key)
        return self.send(changed(record, changes), signers=(owner_of(subaccount),))

    def price(self, index: int, mark: int | None = None, market: int = 0, **changes: object) -> list[Event]:
        """Publish a price signed by two oracles."""
        mark = index if mark is None else mark
        premium = self._premium(index, mark, market)
        record = PublishPrice(market, self.time + 1, index, mark, premium)
        signers = changes.pop("signers", ORACLES[:2])
        return self.send(changed(record, changes), signers=signers)

    def _premium(self, index: int, mark: int, market: int) -> int:
        """The mark's distance from the index, as the oracles of these tests see it."""
        known = self.state.markets.get(market)
        if known is None or known.terms.kind != PERPETUAL or index == 0:
            return 0
        return max(-(1 << 31), min(div_trunc((mark - index) * RATE_SCALE, index), (1 << 31) - 1))

    def walk_price(self, price: int, market: int = 0) -> None:
        """Move the price in capped steps."""
        while (now := self.state.markets[market].mark_price) != price:
            step = max(1, now // 100)
            self.price(min(price, now + step) if price > now else max(price, now - step), market=market)

    def liquidate(self, subaccount: int) -> list[Event]:
        """Poke a liquidation."""
        return self.send(Liquidate(subaccount))

    def accrue(self, market: int = 0) -> list[Event]:
        """Poke funding."""
        return self.send(AccrueFunding(market))

    def sweep(self, market: int = 0) -> list[Event]:
        """Poke fees."""
        return self.send(SweepFees(market))

    def remove(self, subaccount: int, slot: int) -> list[Event]:
        """Poke a dead order."""
        return self.send(RemoveDeadOrder(subaccount, slot))

    def guard(self, market: int, status: int, signer: bytes = GUARDIAN, **changes: object) -> list[Event]:
        """The guardian gives a market a status."""
        record = SetMarketStatus(market, self.time + 1, status)
        return self.send(changed(record, changes), signers=(signer,))

    def expire(self, market: int) -> list[Event]:
        """Poke an expiry."""
        return self.send(ExpireMarket(market))

    def close(self, subaccount: int, market: int) -> list[Event]:
        """Poke a position in an expired market."""
        return self.send(ExpirePosition(subaccount, market))

    def account(self, subaccount: int) -> Account:
        """The account as it is now."""
        return self.state.accounts[subaccount]

    def size(self, subaccount: int, market: int = 0) -> int:
        """Signed position, size units."""
        position = self.account(subaccount).positions.get(market)
        return position.size if position else 0

    def wait(self, seconds: int) -> None:
        """Let venue time pass."""
        self.time += seconds * MICRO

    def assert_refused(self, reason: Reason, attempt: Callable[[], list[Event]], *, guarded: bool) -> None:
        """Assert that the attempt is refused for `reason`, says nothing else, and changes nothing else.

        `guarded`: whether it got as far as raising its slot's guard nonce.
        """
        expected, entries = deepcopy(self.state), len(self.entries)
        events = attempt()
        guards = [e for e in events if isinstance(e, SlotGuarded)]
        assert events == [*guards, Refused(0, reason)]
        assert len(guards) == guarded
        for guard in guards:
            evolve(expected, guard)
        assert engine_root(self.state) == engine_root(expected)
        assert len(self.entries) == entries


def terms(**changes: object) -> MarketTerms:
    """The BTC market's default terms with some replaced."""
    return replace(default_markets(0)[0], **changes)


def changed(record: Record, changes: dict[str, object]) -> Record:
    """The record with some fields replaced."""
    return replace(record, **changes)


def reasons(events: Sequence[Event]) -> list[Reason]:
    """The reasons of the refusals among events."""
    return [e.reason for e in events if isinstance(e, Refused)]


def without_guards(events: Sequence[Event]) -> list[Event]:
    """Events less the slot guards, which every authenticated command begins with."""
    return [e for e in events if not isinstance(e, SlotGuarded)]


def story(events: Sequence[Event]) -> list[tuple[object, ...]]:
    """Events as short tuples, slot guards left out: what a reader wants to compare."""
    return [_sentence(event) for event in without_guards(events)]


def _sentence(event: Event) -> tuple[object, ...]:
    match event:
        case OrderRested():
            return "rested", event.subaccount, event.side, event.price, event.size
        case OrderAmended():
            return "amended", event.subaccount, event.side, event.price, event.size
        case Traded():
            return "traded", event.maker, event.taker, event.price, event.size
        case OrderCancelled():
            return "cancelled", event.subaccount, event.slot, event.size, event.cause
        case RemainderCancelled():
            return "dropped", event.subaccount, event.slot, event.size, event.cause
        case AllCancelled():
            return "all cancelled", event.subaccount
        case Refused():
            return "refused", event.member, event.reason
        case _:
            return type(event).__name__, event
