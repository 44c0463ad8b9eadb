"""Seeded command streams that look at the state: traders, small accounts, sessions, bundles, pokes and nonsense.

`Stream(seed).advance()` makes one message, applies it to a state of its own, and returns the step. A seed gives the
same stream on every machine. With `envelopes=n`, one message in n begins as signed bytes, spoilt ones among them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
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
from penstock.protocol.instruments import OPTION, PERPETUAL
from penstock.protocol.quantities import ANY_FILL, MAX_BUNDLE, MAX_NONCE_AHEAD, MICRO, NO_DEADLINE
from penstock.protocol.signing import Domain, Member, Signer, Verified, bundle_root, hash_record
from penstock.protocol.words import keccak
from penstock.simulation.cast import KEYS, ORACLES, OWNERS, SMALL, STRANGER, SUBACCOUNTS, TAKERS, WHALES
from penstock.simulation.edges import next_moment, payout_at_the_edge, price_at_the_edge
from penstock.simulation.envelopes import Attempt, Post
from penstock.simulation.life import dated_price, lifecycle, live
from penstock.simulation.profiles import WIDEST_PRICE, Profile, profile_of
from penstock.spec.margin import assess
from penstock.spec.state import Market, Session, State, is_dead
from penstock.spec.transition import Applied, apply

START = 1_700_000_000 * MICRO
WIDEST_SIZE = (1 << 48) - 1
_LADDER_SLOT = 1_000
_WEIGHTS = {
    "place": 46, "cancel": 8, "cancel_all": 2, "withdrawal": 3, "grant": 3, "revocation": 1, "bundle": 5,
    "price": 13, "deposit": 2, "liquidation": 8, "funding": 2, "fees": 1, "removal": 2, "nonsense": 6,
    "overreach": 3, "again": 1, "reducers": 1, "life": 2,
}  # fmt: skip
"""How often each kind of message comes in a normal stream; a profile may change it, and name further kinds."""


class Step(Struct, frozen=True):
    """One sequenced message, what it did, and the envelopes that were opened before it."""

    sequence: int
    time: int
    message: Verified
    applied: Applied
    attempts: tuple[Attempt, ...] = ()


def steps(seed: int, count: int) -> Iterator[Step]:
    """The first `count` steps of a stream."""
    stream = Stream(seed)
    for _ in range(count):
        yield stream.advance()


class Stream:
    """A state, a clock, and dice."""

    def __init__(self, seed: int, profile: Profile | None = None, envelopes: int = 0) -> None:
        self.profile = profile or profile_of(seed)
        self.genesis = self.profile.genesis()
        self.dice = Random(seed)
        self.state = State.from_genesis(self.genesis)
        self.sequence = 0
        self.time = START
        self.drift = 0
        self._nonce = START
        self._markets = [terms.market for terms in self.genesis.markets]
        self._first_price = dict(zip(self._markets, self.profile.prices, strict=True))
        self._post = Post(seed, Domain(self.genesis.chain_id, self.genesis.vault).separator(), envelopes)
        self._sent: deque[Verified] = deque(maxlen=40)
        self._rungs: dict[int, int] = {}
        self._opening = self._open()
        weights = _WEIGHTS | self.profile.weights
        self._kinds: list[Callable[[], Verified]] = [getattr(self, f"_{kind}") for kind in weights]
        self._weights = list(weights.values())

    def advance(self) -> Step:
        """Make the next message and apply it."""
        message = next(self._opening, None) or self._next()
        self._sent.append(message)
        self.sequence += 1
        attempts = self._post.attempts(message)
        return Step(self.sequence, self.time, message, apply(self.state, self.sequence, self.time, message), attempts)

    def _open(self) -> Iterator[Verified]:
        for subaccount in range(1, SUBACCOUNTS + 1):
            cash = self.profile.small_cash if subaccount in SMALL else self.profile.cash
            yield self._credit(subaccount, cash + self.dice.randrange(MICRO))
        for market, price in self._first_price.items():
            self.time += 1_000
            now = self.state.markets[market]
            first = PublishPrice(market, self.time, price, price)
            if now.terms.kind == OPTION:
                first = dated_price(self.state, now, self.time, self.dice)
            yield self._sign(first, ORACLES[:2])
        for _ in range(self.profile.ladders):
            yield self._ladder()

    def _next(self) -> Verified:
        dice = self.dice
        self.time += dice.choice((0, 1_000, 20_000, 50_000)) if dice.random() < 0.97 else dice.randrange(5 * MICRO)
        if dice.random() < self.profile.leaps:
            self.time += max(70 * MICRO, dice.randrange(self.profile.leap))
        if dice.random() < 0.003:
            self.time = next_moment(self.state, self.time, dice, max(400 * MICRO, self.profile.leap))
        if dice.random() < 0.01:
            self.drift = dice.choice((-1, 0, 1))
        return dice.choices(self._kinds, self._weights)[0]()

    # --- what people send ---

    def _place(self) -> Verified:
        return self._slotted(self._order(*self._who()))

    def _cancel(self) -> Verified:
        return self._slotted(self._cancellation(*self._who()))

    def _cancel_all(self) -> Verified:
        subaccount, session = self._who()
        slot = self._slot(session) if self.dice.random() < 0.8 else self.dice.randrange(4096)
        return self._slotted((CancelAll(subaccount, slot, self._stamp(), NO_DEADLINE), session))

    def _withdrawal(self) -> Verified:
        subaccount, session = self._who() if self.dice.random() < 0.2 else (self._subaccount(), None)
        return self._slotted((self._payout(subaccount), session))

    def _payout(self, subaccount: int) -> Withdraw:
        cash = max(1, self.state.accounts[subaccount].cash)
        amount = self.dice.choice((0, 1, *[cash // 50] * 5, cash // 9, cash // 2, cash, cash + 1))
        if self.dice.random() < 0.2:
            amount = payout_at_the_edge(self.state, self.state.accounts[subaccount], self.dice)
        if self.dice.random() < 0.05:
            amount = (1 << 96) - 1
        return Withdraw(subaccount, self.dice.randrange(16), self._stamp(), NO_DEADLINE, amount)

    def _grant(self) -> Verified:
        return self._slotted((self._terms(self._subaccount()), None))

    def _terms(self, subaccount: int) -> GrantSession:
        dice, number = self.dice, self.dice.randrange(2)
        first = 200 + 100 * number
        last = first + dice.choice((20, 99, 99, 150))
        if dice.random() < 0.1:
            first, last = 8 * number, 8 * number + 7
        underlyings = dice.choice(((1 << 64) - 1, (1 << 64) - 1, 3, 1, 1 << 63, 0x5555_5555_5555_5555))
        key = KEYS[subaccount, number].address
        if dice.random() < 0.05:
            key = dice.choice((bytes(20), OWNERS[subaccount].address))
        return GrantSession(
            subaccount, 1, self._stamp(), NO_DEADLINE, key,
            self.time // MICRO + dice.choice((0, 3, 30, 100, 300, 1 << 36)), first, last,
            dice.choice((ALL_SCOPES, ALL_SCOPES, 3, 1, 0, 8)), underlyings, dice.choice((7, 7, 1, 3, 6)),
        )  # fmt: skip

    def _revocation(self) -> Verified:
        living = self._living() if self.dice.random() < 0.5 else []
        subaccount, number, _ = (
            self.dice.choice(living) if living else (self._subaccount(), self.dice.randrange(2), None)
        )
        key = KEYS[subaccount, number].address
        return self._slotted((RevokeSession(subaccount, 1, self._stamp(), NO_DEADLINE, key), None))

    def _living(self) -> list[tuple[int, int, Session]]:
        """Every session key of the cast that lives: subaccount, number, session."""
        return [
            (subaccount, number, account.sessions[index])
            for (subaccount, number), key in KEYS.items()
            if (account := self.state.accounts.get(subaccount))
            and (index := account.session_of.get(key.address)) is not None
            and account.sessions[index].lives(self.time)
        ]

    def _bundle(self) -> Verified:
        subaccount, session = self._who()
        records: list[SlotCommand] = []
        for _ in range(self.dice.choice((1, 2, 2, 3, 6, 20))):
            roll = self.dice.random()
            if roll < 0.1:
                records.append(CancelAll(subaccount, self._slot(session), self._stamp(), NO_DEADLINE))
            elif roll < 0.13:
                records.append(self._payout(subaccount))
            elif roll < 0.15:
                records.append(self._terms(subaccount))
            else:
                make = self._order if self.dice.random() < 0.8 else self._cancellation
                records.append(make(subaccount, session)[0])
        deadline = NO_DEADLINE if self.dice.random() < 0.95 else self.time - 1
        return self._bundled(subaccount, session, records, deadline)

    def _order(self, subaccount: int, session: int | None) -> tuple[PlaceOrder, int | None]:
        dice, market = self.dice, self._market()
        terms = self.state.markets[market].terms
        account = self.state.accounts[subaccount]
        side = dice.choice((BUY, SELL))
        price = self._limit(market, side)
        budget = max(0, account.cash) * dice.choice(self.profile.leverage) // (20 if subaccount not in SMALL else 1)
        size = max(1, budget // (self._cost(market) * terms.lot)) * terms.lot
        held = account.positions.get(market)
        reduce_only = dice.random() < 0.1
        if held and dice.random() < (0.8 if self.state.markets[market].reduce_only else 0.3):
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
            min(size, WIDEST_SIZE // terms.lot * terms.lot), min(guard, ANY_FILL),
            IMMEDIATE_OR_CANCEL if immediate else GOOD_TIL_CANCELLED, post_only, reduce_only, 1_000,
        )  # fmt: skip
        if dice.random() < self.profile.built:
            fee = dice.choice((1, 50, 1_000, 1_000, 0, 1_001))
            record = replace(
                record, builder=dice.choice((self._subaccount(), self._subaccount(), 0, 999)), builder_fee_ppm=fee
            )
        return record, session

    def _limit(self, market: int, side: int) -> int:
        """A limit price near the mark; now and then one that has nothing to do with it, or is a limit of prices."""
        dice, tick = self.dice, self.state.markets[market].terms.tick
        mark = self._worth(market)
        away = dice.choice((0, 1, 2, 3, 5, 8, 30)) * mark // 10_000 * dice.choice((-1, 1, 1))
        price = mark + (-away if side == BUY else away)
        if dice.random() < self.profile.far:
            far = mark >> dice.randrange(1, 12) if dice.random() < 0.5 else mark << dice.randrange(1, 12)
            price = dice.choice((far, far, dice.randrange(1, 1 << dice.randrange(1, 41)), 1, WIDEST_PRICE))
        return max(tick, min(price, WIDEST_PRICE) // tick * tick)

    def _cancellation(self, subaccount: int, session: int | None) -> tuple[CancelOrder, int | None]:
        slots = sorted(self.state.accounts[subaccount].orders)
        slot = self.dice.choice(slots) if slots and self.dice.random() < 0.8 else self._slot(session)
        return CancelOrder(subaccount, slot, self._stamp(), NO_DEADLINE), session

    def _reducers(self) -> Verified:
        """Ten reduce-only orders against one position: two more than a market takes."""
        dice = self.dice
        holders = [s for s in range(1, SUBACCOUNTS + 1) if self.state.accounts[s].positions]
        if not holders:
            return self._place()
        subaccount = dice.choice(holders)
        market, held = dice.choice(sorted(self.state.accounts[subaccount].positions.items()))
        side = SELL if held.size > 0 else BUY
        prices = [self._beyond(market, side, rung) for rung in range(1, 11)]
        lot = self.state.markets[market].terms.lot
        records = [self._simple(subaccount, 900 + i, market, side, p, lot, True) for i, p in enumerate(prices)]
        return self._bundled(subaccount, None, records)

    # --- crowds: kinds that only some profiles name ---

    def _ladder(self) -> Verified:
        """A whole bundle of small orders beyond the touch, on slots that were not used yet."""
        dice, market, side = self.dice, self._market(), self.dice.choice((BUY, SELL))
        subaccount, away = dice.choice((*WHALES, WHALES[0], WHALES[0])), dice.choice((0, 40, 80))
        first = self._rungs.get(subaccount, 0)
        self._rungs[subaccount] = first + MAX_BUNDLE
        lot = self.state.markets[market].terms.lot
        records = [
            self._simple(
                subaccount,
                _LADDER_SLOT + (first + rung) % 1_152,
                market,
                side,
                self._beyond(market, side, away + rung),
                lot,
            )
            for rung in range(MAX_BUNDLE)
        ]
        return self._bundled(subaccount, None, records)

    def _sweep(self) -> Verified:
        """One taker through more orders than a sequence may remove; perhaps with more behind it in one bundle."""
        dice, market, side = self.dice, self._market(), self.dice.choice((BUY, SELL))
        subaccount, lot = dice.choice(TAKERS), self.state.markets[market].terms.lot
        price = self._beyond(market, 1 - side, 400)
        record = self._simple(subaccount, 800, market, side, price, 600 * lot)
        if dice.random() < 0.3:
            record = replace(record, time_in_force=IMMEDIATE_OR_CANCEL)
        if dice.random() < 0.5:
            return self._slotted((record, None))
        behind = [self._simple(subaccount, 801 + i, market, side, price, (i + 1) * lot) for i in range(3)]
        behind[0] = replace(behind[0], post_only=True)
        behind[1] = replace(behind[1], time_in_force=IMMEDIATE_OR_CANCEL)
        return self._bundled(subaccount, None, [record, *behind])

    def _keyring(self) -> Verified:
        """A bundle of 64 grants to keys nobody has seen: a second one finds no place left."""
        subaccount, records = self._subaccount(), []
        for number in range(MAX_BUNDLE):
            key = keccak(f"key {self.sequence} {number}".encode())[12:]
            first = 1_000 + 40 * number + 10 * self.dice.randrange(4)
            records.append(
                GrantSession(
                    subaccount, 1, self._stamp(), NO_DEADLINE, key, self.time // MICRO + 60, first, first + 9,
                    ALL_SCOPES, 3, 1,
                )
            )  # fmt: skip
        return self._bundled(subaccount, None, records)

    def _collect(self) -> Verified:
        """A lot in every market at once: whales offer half of them each, takers want all of them."""
        dice, offers = self.dice, self.dice.random() < 0.6
        subaccount = dice.choice(WHALES if offers else TAKERS)
        wanted = [m for i, m in enumerate(self._markets) if not offers or i % 2 == subaccount % 2]
        dice.shuffle(wanted)
        side = SELL if offers else BUY
        records = [
            self._simple(subaccount, 500 + i, m, side, self._beyond(m, side, -1), self.state.markets[m].terms.lot)
            for i, m in enumerate(wanted)
        ]
        return self._bundled(subaccount, None, records)

    def _pump(self) -> Verified:
        """A bundle of the largest orders there are, long in one direction, until a width is reached; then back."""
        dice, back = self.dice, self.sequence // 400 % 2
        subaccount, market = dice.choice(WHALES), self._markets[dice.choice((0, 1, 1))]
        side = BUY if (subaccount == WHALES[0]) != back else SELL
        price = self._worth(market)
        records = [self._simple(subaccount, 500 + i, market, side, price, WIDEST_SIZE) for i in range(MAX_BUNDLE)]
        return self._bundled(subaccount, None, records)

    # --- what the venue and strangers send ---

    def _price(self) -> Verified:
        dice, market = self.dice, self._market()
        now, width = self.state.markets[market], self.profile.step_ppm
        if now.terms.kind != PERPETUAL and self.profile.templates:
            price = dated_price(self.state, now, self.time, dice)
            return self._sign(price, dice.choice((ORACLES[:2], ORACLES[1:], ORACLES)))
        step = dice.randrange(-width, width + 1) + self.drift * dice.randrange(min(max(8_000, width), 4 * width))
        basis = dice.randrange(-2_000, 2_001)
        if dice.random() < self.profile.wild:
            homewards = 900_000 if now.index_price < self._first_price.get(market, 1) else -500_000
            step = dice.choice((-500_000, -300_000, 400_000, 900_000, *[homewards] * 4))
            basis = dice.randrange(-now.terms.mark_band_ppm, now.terms.mark_band_ppm + 1)
        index = _inside(now.index_price + now.index_price * step // 1_000_000)
        mark = _inside(index + index * basis // 1_000_000)
        if dice.random() < 0.05:
            index, mark = map(_inside, price_at_the_edge(now, dice))
        if dice.random() < 0.05:
            apart = now.index_price * 995 // 1_000, now.mark_price * 1_006 // 1_000
            far_apart = now.index_price * 2 // 3, now.mark_price * 3 // 2
            index, mark = dice.choice(((index * 3, mark * 3), apart, far_apart, (0, mark)))
        published_at, signers = self.time, dice.choice((ORACLES[:2], ORACLES[1:], ORACLES))
        if dice.random() < 0.05:
            published_at -= dice.choice((1_000_000, now.terms.stale_after, now.terms.stale_after + 1, -1))
            signers = dice.choice((ORACLES, ORACLES[:1], [*ORACLES[:1], STRANGER]))
        price = PublishPrice(market, published_at, min(index, WIDEST_PRICE), min(mark, WIDEST_PRICE))
        if now.terms.kind == PERPETUAL:
            price = replace(price, premium=self._premium(now, basis))
        return self._sign(price, signers)

    def _premium(self, now: Market, basis: int) -> int:
        """Parts in 1e9: most often the basis of the mark, within a step of the last; else at an edge."""
        step, band = now.terms.price_step_ppm * 1_000, now.terms.mark_band_ppm * 1_000
        wanted = min(max(basis * 1_000, now.premium - step, -band), now.premium + step, band)
        if self.dice.random() < 0.05:
            edges = (now.premium + step, now.premium - step, band, -band)
            wanted = self.dice.choice((0, *edges)) + self.dice.choice((-1, 0, 0, 1))
        return max(-(1 << 31), min(wanted, (1 << 31) - 1))

    def _life(self) -> Verified:
        """Something of a contract's life."""
        record, signers = lifecycle(self.state, self.time, self.dice)
        return Verified(record, hash_record(record), tuple(signers))

    def _credit(self, subaccount: int, amount: int) -> Verified:
        return _unsigned(CreditDeposit(self.state.deposits, subaccount, OWNERS[subaccount].address, amount, 1))

    def _deposit(self) -> Verified:
        dice, accounts = self.dice, len(self.state.accounts)
        opens = accounts in OWNERS and dice.random() < 0.05
        who = dice.choice(SMALL) if dice.random() < 0.5 else self._subaccount()
        message = self._credit(accounts if opens else who, dice.randrange(1, self.profile.small_cash))
        if dice.random() < 0.3:
            changes = dice.choice(
                ({"deposit": max(0, self.state.deposits - 1)}, {"deposit": self.state.deposits + 1}, {"amount": 0},
                 {"owner": STRANGER.address}, {"subaccount": 0}, {"subaccount": 500}, {"amount": 1 << 95},
                 {"owner": bytes(20), "subaccount": accounts})
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
            if is_dead(self.state, account, order, self.time)
        ]
        if dead and self.dice.random() < 0.9:
            return _unsigned(RemoveDeadOrder(*self.dice.choice(dead)))
        return _unsigned(RemoveDeadOrder(self.dice.choice((self._subaccount(), 999)), 16))

    def _funding(self) -> Verified:
        return _unsigned(AccrueFunding(self._market()))

    def _fees(self) -> Verified:
        return _unsigned(SweepFees(self._market()))

    def _again(self) -> Verified:
        """What was sent before, once more."""
        return self.dice.choice(self._sent)

    def _nonsense(self) -> Verified:
        """A good message with one thing wrong, or signed by the wrong one."""
        dice, (subaccount, session) = self.dice, self._who()
        if dice.random() < 0.3:
            return self._elsewhere(subaccount, session)
        record, session = self._order(subaccount, session)
        wrong = dice.choice(
            [
                *[{"price": price} for price in (0, min(record.price + 1, WIDEST_PRICE), WIDEST_PRICE)],
                *[{"size": size} for size in (0, min(record.size + 1, WIDEST_SIZE), WIDEST_SIZE - 99)],
                *[{"slot": slot} for slot in (3, 4096, 65_535)],
                *[{"nonce": nonce} for nonce in (0, (1 << 64) - 1, self.time - 5 * MICRO, self.time + MAX_NONCE_AHEAD)],
                *[{"side": 2}, {"side": 255}, {"time_in_force": 9}, {"post_only": True, "time_in_force": 1}],
                *[{"market": (1 << 24) - 1}, {"market": 77}, {"subaccount": 0}, {"subaccount": 999}],
                *[{"max_fee_ppm": 0}, {"deadline": self.time - 1}, {"deadline": self.time}, {}],
            ]
        )
        record = replace(record, **wrong)
        signer = STRANGER if not wrong else self._signer_of(subaccount, session)
        return self._sign(record, [signer])

    def _elsewhere(self, subaccount: int, session: int | None) -> Verified:
        """Other commands for slots, markets or terms that there are not."""
        stamp, dice = self._stamp(), self.dice
        grant = self._terms(subaccount)
        record = dice.choice(
            (
                CancelAll(subaccount, 4096, stamp, NO_DEADLINE), CancelOrder(subaccount, 4, stamp, NO_DEADLINE),
                CancelOrder(subaccount, self._slot(session), stamp, self.time - 1),
                Withdraw(subaccount, 16, stamp, NO_DEADLINE, 1), RevokeSession(subaccount, 1, stamp, 0, bytes(20)),
                replace(grant, slot_first=grant.slot_last + 1), replace(grant, slot_last=4096),
                replace(grant, expiry=(1 << 40) - 1), replace(grant, slot=16),
                PublishPrice(77, self.time, 5, 5), AccrueFunding(77), SweepFees((1 << 24) - 1),
            )
        )  # fmt: skip
        if isinstance(record, PublishPrice):
            return self._sign(record, ORACLES)
        if isinstance(record, AccrueFunding | SweepFees):
            return _unsigned(record)
        return self._slotted((record, session if dice.random() < 0.5 else None))

    def _overreach(self) -> Verified:
        """A session key that does what its owner did not allow."""
        living = self._living()
        if not living:
            return self._grant()
        subaccount, number, session = self.dice.choice(living)
        record = self._forbidden(subaccount, number, session)
        return self._slotted((record, number))

    def _forbidden(self, subaccount: int, number: int, session: Session) -> SlotCommand:
        order, _ = self._order(subaccount, number)
        slot = min(max(16, self.dice.choice((session.slot_first, session.slot_last))), 4_095)
        return self.dice.choice(
            (
                self._terms(subaccount),
                RevokeSession(subaccount, 2, self._stamp(), NO_DEADLINE, session.key),
                replace(order, slot=min(session.slot_last + 1, 4_095)),
                replace(order, slot=max(16, session.slot_first - 1)),
                replace(order, slot=slot),
                Withdraw(subaccount, session.slot_first % 16, self._stamp(), NO_DEADLINE, 1),
                CancelAll(subaccount, session.slot_last, self._stamp(), NO_DEADLINE),
            )
        )

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
        """A market that trades; now and then any."""
        living = live(self.state, self.time)
        return self.dice.choice(living if living and self.dice.random() < 0.97 else sorted(self.state.markets))

    def _worth(self, market: int) -> int:
        """The mark, or 1 before there is one."""
        return max(1, self.state.markets[market].mark_price)

    def _cost(self, market: int) -> int:
        """What orders are sized by: the mark, or what an option's margin is about."""
        found = self.state.markets[market]
        return max(1, found.index_price // 7, found.mark_price) if found.terms.kind == OPTION else self._worth(market)

    def _beyond(self, market: int, side: int, rung: int) -> int:
        """A price `rung` small steps behind the mark, as `side` sees it; inside what prices may be."""
        tick, mark = self.state.markets[market].terms.tick, self._worth(market)
        away = rung * max(tick, mark // 20_000 // tick * tick)
        return max(tick, min(mark - away if side == BUY else mark + away, WIDEST_PRICE) // tick * tick)

    def _stamp(self) -> int:
        self._nonce = max(self._nonce + 1, self.time)
        return self._nonce

    def _simple(
        self, subaccount: int, slot: int, market: int, side: int, price: int, size: int, reduce_only: bool = False
    ) -> PlaceOrder:
        return PlaceOrder(
            subaccount, slot, self._stamp(), NO_DEADLINE, market, side, price, size, ANY_FILL, GOOD_TIL_CANCELLED,
            False, reduce_only, 1_000,
        )  # fmt: skip

    def _signer_of(self, subaccount: int, session: int | None) -> Signer:
        return OWNERS[subaccount] if session is None else KEYS[subaccount, session]

    def _slotted(self, made: tuple[SlotCommand, int | None]) -> Verified:
        record, session = made
        return self._sign(record, [self._signer_of(record.subaccount, session)])

    def _bundled(
        self, subaccount: int, session: int | None, records: Sequence[SlotCommand], deadline: int = NO_DEADLINE
    ) -> Verified:
        members = tuple(Member(r, hash_record(r)) for r in records)
        bundle = Bundle(bundle_root([m.record_hash for m in members]), len(members), INDEPENDENT, subaccount, deadline)
        return Verified(bundle, hash_record(bundle), (self._signer_of(subaccount, session).address,), members)

    def _sign(self, record: Record, signers: list[Signer]) -> Verified:
        return Verified(record, hash_record(record), tuple(sorted(s.address for s in signers)))


def _unsigned(record: Record) -> Verified:
    return Verified(record, hash_record(record), ())


def _inside(price: int) -> int:
    return max(1, min(price, WIDEST_PRICE))
