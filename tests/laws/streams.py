"""Seeded command streams that look at the state: traders, small accounts, sessions, bundles, pokes and nonsense.

`Stream(seed).advance()` makes one message, applies it, and returns the step. `steps(seed, count)` makes many;
`envelope_of(message)` signs what a step holds, for tests that begin with bytes. The same seed gives the same stream.
"""

from collections.abc import Callable, Iterator
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from penstock.protocol.commands import (
    ALL_SCOPES,
    BUY,
    GOOD_TIL_CANCELLED,
    IMMEDIATE_OR_CANCEL,
    INDEPENDENT,
    SELL,
    AccrueFunding,
    Bundle,
    CancelAll,
    CancelOrder,
    CreditDeposit,
    GrantSession,
    Liquidate,
    PlaceOrder,
    PublishPrice,
    Record,
    RemoveDeadOrder,
    RevokeSession,
    SlotCommand,
    SweepFees,
    Withdraw,
)
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE
from penstock.protocol.signing import (
    Domain,
    Member,
    Signer,
    Verified,
    bundle_root,
    hash_record,
    seal,
)
from penstock.protocol.terms import Genesis, MarketTerms, default_markets
from penstock.protocol.words import keccak
from penstock.spec.margin import assess
from penstock.spec.state import State, is_dead
from penstock.spec.transition import Applied, apply

START = 1_700_000_000 * MICRO
VAULT = b"\x77" * 20
SUBACCOUNTS = 10
SMALL = range(7, SUBACCOUNTS + 1)
FIRST_PRICES = {0: 600_000, 1: 30_000_00}


def _signer(role: str) -> Signer:
    return Signer(keccak(role.encode()))


# Subaccounts 1 and 2 have one owner.
OWNERS = {s: _signer(f"owner {max(s, 2)}") for s in range(1, SUBACCOUNTS + 3)}
KEYS = {(s, k): _signer(f"key {k} of {s}") for s in range(1, SUBACCOUNTS + 1) for k in range(2)}
ORACLES = sorted((_signer(f"oracle {i}") for i in range(3)), key=lambda signer: signer.address)
STRANGER = _signer("stranger")
SIGNERS = {s.address: s for s in (*OWNERS.values(), *KEYS.values(), *ORACLES, STRANGER)}


class Step(Struct, frozen=True):
    """One sequenced message and what it did."""

    sequence: int
    time: int
    message: Verified
    applied: Applied


def markets() -> tuple[MarketTerms, ...]:
    """The two default markets, with a coarser tick for one and small liquidation slices."""
    btc, eth = default_markets()
    return replace(btc, tick=5, liquidation_slice=5_000 * MICRO), replace(eth, maker_fee_ppm=100)


def genesis() -> Genesis:
    """What every stream starts from."""
    return Genesis(31337, VAULT, markets(), tuple(o.address for o in ORACLES), 2)


def envelope_of(message: Verified) -> bytes:
    """The signed bytes of a message of a stream."""
    separator = Domain(31337, VAULT).separator()
    signers = [SIGNERS[address] for address in message.signers]
    return seal(separator, message.record, signers, [m.record for m in message.members])


def steps(seed: int, count: int) -> Iterator[Step]:
    """The first `count` steps of a stream."""
    stream = Stream(seed)
    for _ in range(count):
        yield stream.advance()


class Stream:
    """A state, a clock, and dice."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.state = State.from_genesis(genesis())
        self.sequence = 0
        self.time = START
        self.drift = 0
        self._nonce = START
        self._opening = self._open()
        self._kinds: list[tuple[int, Callable[[], Verified]]] = [
            (46, self._one_place),
            (8, self._one_cancel),
            (2, self._one_cancel_all),
            (3, self._one_withdrawal),
            (3, self._one_grant),
            (1, self._one_revocation),
            (5, self._bundle),
            (13, self._price),
            (2, self._deposit),
            (8, self._liquidation),
            (2, lambda: _unsigned(AccrueFunding(self._market()))),
            (1, lambda: _unsigned(SweepFees(self._market()))),
            (2, self._removal),
            (4, self._nonsense),
        ]

    def advance(self) -> Step:
        """Make the next message and apply it."""
        message = next(self._opening, None) or self._next()
        self.sequence += 1
        return Step(self.sequence, self.time, message, apply(self.state, self.sequence, self.time, message))

    def _open(self) -> Iterator[Verified]:
        for subaccount in range(1, SUBACCOUNTS + 1):
            cash = (200 if subaccount in SMALL else 100_000) * MICRO
            yield self._credit(subaccount, cash + self.dice.randrange(MICRO))
        for market, price in FIRST_PRICES.items():
            self.time += 1_000
            yield self._sign(PublishPrice(market, self.time, price, price), ORACLES[:2])

    def _next(self) -> Verified:
        dice = self.dice
        self.time += dice.choice((0, 1_000, 20_000, 50_000)) if dice.random() < 0.97 else dice.randrange(5 * MICRO)
        if dice.random() < 0.001:
            self.time += 70 * MICRO
        if dice.random() < 0.01:
            self.drift = dice.choice((-1, 0, 1))
        weights = [weight for weight, _ in self._kinds]
        return dice.choices(self._kinds, weights)[0][1]()

    # --- what people send ---

    def _one_place(self) -> Verified:
        return self._slotted(self._place(*self._who()))

    def _one_cancel(self) -> Verified:
        return self._slotted(self._cancel(*self._who()))

    def _one_cancel_all(self) -> Verified:
        subaccount, session = self._who()
        return self._slotted((CancelAll(subaccount, self._slot(session), self._stamp(), NO_DEADLINE), session))

    def _one_withdrawal(self) -> Verified:
        subaccount = self._subaccount()
        cash = max(1, self.state.accounts[subaccount].cash)
        amount = self.dice.choice((0, 1, cash // 50, cash // 50, cash // 2, cash, cash + 1))
        record = Withdraw(subaccount, self.dice.randrange(16), self._stamp(), NO_DEADLINE, amount)
        return self._slotted((record, None))

    def _one_grant(self) -> Verified:
        dice, subaccount, number = self.dice, self._subaccount(), self.dice.randrange(2)
        first = 200 + 100 * number
        record = GrantSession(
            subaccount, 1, self._stamp(), NO_DEADLINE, KEYS[subaccount, number].address,
            self.time // MICRO + dice.choice((0, 3, 30, 100, 300)), first, first + dice.choice((20, 99, 99, 150)),
            dice.choice((ALL_SCOPES, ALL_SCOPES, 3, 1, 8)), dice.choice((3, 3, 3, 1)), 1,
        )  # fmt: skip
        return self._slotted((record, None))

    def _one_revocation(self) -> Verified:
        subaccount = self._subaccount()
        key = KEYS[subaccount, self.dice.randrange(2)].address
        return self._slotted((RevokeSession(subaccount, 1, self._stamp(), NO_DEADLINE, key), None))

    def _bundle(self) -> Verified:
        subaccount, session = self._who()
        records: list[SlotCommand] = []
        for _ in range(self.dice.choice((1, 2, 2, 3, 6, 20))):
            if self.dice.random() < 0.1:
                records.append(CancelAll(subaccount, self._slot(session), self._stamp(), NO_DEADLINE))
            else:
                make = self._place if self.dice.random() < 0.8 else self._cancel
                records.append(make(subaccount, session)[0])
        members = tuple(Member(r, hash_record(r)) for r in records)
        deadline = NO_DEADLINE if self.dice.random() < 0.95 else self.time - 1
        bundle = Bundle(bundle_root([m.record_hash for m in members]), len(members), INDEPENDENT, subaccount, deadline)
        return Verified(bundle, hash_record(bundle), (self._signer_of(subaccount, session).address,), members)

    def _place(self, subaccount: int, session: int | None) -> tuple[SlotCommand, int | None]:
        dice, market = self.dice, self._market()
        terms, mark = self.state.markets[market].terms, self.state.markets[market].mark_price
        account = self.state.accounts[subaccount]
        side = dice.choice((BUY, SELL))
        away = dice.choice((0, 1, 2, 3, 5, 8, 30)) * mark // 10_000 * dice.choice((-1, 1, 1))
        price = max(terms.tick, (mark + (-away if side == BUY else away)) // terms.tick * terms.tick)
        budget = max(0, account.cash) * dice.choice((1, 2, 5, 20, 40)) // (20 if subaccount not in SMALL else 1)
        size = max(1, budget // (price * terms.lot)) * terms.lot
        held = account.positions.get(market)
        reduce_only = dice.random() < 0.1
        if held and dice.random() < 0.3:
            side, size = (SELL if held.size > 0 else BUY), abs(held.size)
            reduce_only = dice.random() < 0.5
        immediate = dice.random() < 0.2
        post_only = not immediate and dice.random() < 0.2
        guard = dice.choice((0, size // 2)) if dice.random() < 0.1 else ANY_FILL
        slot = self._slot(session)
        old = account.orders.get(slot)
        if old and dice.random() < 0.3:
            market, side, price, reduce_only = old.market, old.side, old.price, old.reduce_only
            size = dice.choice((old.size, old.size, terms.lot))
        record = PlaceOrder(
            subaccount, slot, self._stamp(), NO_DEADLINE, market, side, price,
            min(size, (1 << 48) - terms.lot), guard, IMMEDIATE_OR_CANCEL if immediate else GOOD_TIL_CANCELLED,
            post_only, reduce_only, 1_000,
        )  # fmt: skip
        return record, session

    def _cancel(self, subaccount: int, session: int | None) -> tuple[SlotCommand, int | None]:
        slots = sorted(self.state.accounts[subaccount].orders)
        slot = self.dice.choice(slots) if slots and self.dice.random() < 0.8 else self._slot(session)
        return CancelOrder(subaccount, slot, self._stamp(), NO_DEADLINE), session

    # --- what the venue and strangers send ---

    def _price(self) -> Verified:
        dice, market = self.dice, self._market()
        now = self.state.markets[market]
        step = dice.randrange(-2_000, 2_001) + self.drift * dice.randrange(8_000)
        index = max(1, now.index_price + now.index_price * step // 1_000_000)
        mark = max(1, index + index * dice.randrange(-2_000, 2_001) // 1_000_000)
        if dice.random() < 0.05:
            apart = now.index_price * 995 // 1_000, now.mark_price * 1_006 // 1_000
            index, mark = dice.choice(((index * 2, mark * 2), apart, (0, mark)))
        published_at, signers = self.time, dice.choice((ORACLES[:2], ORACLES[1:], ORACLES))
        if dice.random() < 0.05:
            published_at -= dice.choice((1_000_000, 61 * MICRO, -1))
            signers = dice.choice((ORACLES, ORACLES[:1], [*ORACLES[:1], STRANGER]))
        return self._sign(PublishPrice(market, published_at, index, mark), signers)

    def _credit(self, subaccount: int, amount: int) -> Verified:
        return _unsigned(CreditDeposit(self.state.deposits, subaccount, OWNERS[subaccount].address, amount, 1))

    def _deposit(self) -> Verified:
        dice, accounts = self.dice, len(self.state.accounts)
        opens = accounts in OWNERS and dice.random() < 0.05
        message = self._credit(accounts if opens else self._subaccount(), dice.randrange(1, 100 * MICRO))
        if dice.random() < 0.3:
            changes = dice.choice(
                ({"deposit": max(0, self.state.deposits - 1)}, {"deposit": self.state.deposits + 1}, {"amount": 0},
                 {"owner": STRANGER.address}, {"subaccount": 0}, {"subaccount": 500})
            )  # fmt: skip
            message = _unsigned(replace(message.record, **changes))
        return message

    def _liquidation(self) -> Verified:
        weak = [
            subaccount
            for subaccount, account in self.state.accounts.items()
            if (risk := assess(self.state, account)).equity < risk.maintenance
        ]
        anyone = self.dice.randrange(SUBACCOUNTS + 4)
        return _unsigned(Liquidate(self.dice.choice(weak) if weak and self.dice.random() < 0.8 else anyone))

    def _removal(self) -> Verified:
        dead = [
            (subaccount, slot)
            for subaccount, account in self.state.accounts.items()
            for slot, order in account.orders.items()
            if is_dead(account, order, self.time)
        ]
        if dead and self.dice.random() < 0.9:
            return _unsigned(RemoveDeadOrder(*self.dice.choice(dead)))
        return _unsigned(RemoveDeadOrder(self._subaccount(), 16))

    def _nonsense(self) -> Verified:
        """A good order with one thing wrong, or signed by the wrong one."""
        dice, (subaccount, session) = self.dice, self._who()
        record, session = self._place(subaccount, session)
        wrong = dice.choice(
            [
                *[{"price": price} for price in (0, record.price + 1, (1 << 40) - 1)],
                *[{"size": size} for size in (0, record.size + 1, (1 << 48) - 100)],
                *[{"slot": slot} for slot in (3, 4096, 65_535)],
                *[{"nonce": nonce} for nonce in (0, (1 << 64) - 1, self.time - 5 * MICRO)],
                *[{"side": 2}, {"side": 255}, {"time_in_force": 9}, {"post_only": True, "time_in_force": 1}],
                *[{"market": 2}, {"market": (1 << 24) - 1}, {"subaccount": 0}, {"subaccount": 999}],
                *[{"max_fee_ppm": 0}, {"deadline": self.time - 1}, {}],
            ]
        )
        record = replace(record, **wrong)
        signer = STRANGER if not wrong else self._signer_of(subaccount, session)
        return self._sign(record, [signer])

    # --- small change ---

    def _subaccount(self) -> int:
        return self.dice.randrange(1, SUBACCOUNTS + 1)

    def _who(self) -> tuple[int, int | None]:
        """A subaccount, and now and then one of its session keys in place of its owner."""
        subaccount, session = self._subaccount(), self.dice.choice((None, None, 0, 1))
        if session is not None and self.dice.random() < 0.95:
            account = self.state.accounts[subaccount]
            index = account.session_of.get(KEYS[subaccount, session].address)
            if index is None or not account.sessions[index].lives(self.time):
                session = None
        return subaccount, session

    def _slot(self, session: int | None) -> int:
        first = 16 if session is None else 200 + 100 * session
        return first + self.dice.randrange(25)

    def _market(self) -> int:
        return self.dice.randrange(2)

    def _stamp(self) -> int:
        self._nonce = max(self._nonce + 1, self.time)
        return self._nonce

    def _signer_of(self, subaccount: int, session: int | None) -> Signer:
        return OWNERS[subaccount] if session is None else KEYS[subaccount, session]

    def _slotted(self, made: tuple[SlotCommand, int | None]) -> Verified:
        record, session = made
        return self._sign(record, [self._signer_of(record.subaccount, session)])

    def _sign(self, record: Record, signers: list[Signer]) -> Verified:
        return Verified(record, hash_record(record), tuple(sorted(s.address for s in signers)))


def _unsigned(record: Record) -> Verified:
    return Verified(record, hash_record(record), ())
