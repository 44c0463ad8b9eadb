"""The W4 stream: 60 % cancel-replace, 25 % new, 10 % cancel, 5 % crossing, a price every 1,000 commands.

Crossing orders hold the books at their size: they take about three makers each, more above the target, fewer below.
The generator keeps a twin of the books, so that every cancel finds its order and nothing crosses that should not.
"""

from random import Random
from typing import Final

from msgspec import Struct

from bench import frames
from bench.twin import BUY, SLOT_BITS, TwinBook
from bench.world import LOTS, MARKS, START, World
from penstock.protocol.quantities import FIRST_ORDER_SLOT
from penstock.protocol.wire import encode_command

REPLACE, NEW, CANCEL, CROSS, PRICE = range(5)
KINDS: Final = ("cancel-replace", "new", "cancel", "crossing", "price")
SHARES: Final = (0.60, 0.25, 0.10, 0.05)
COMMANDS_A_PRICE: Final = 1_000
ORDER_SLOTS: Final = 64
CROSSING_SLOT: Final = FIRST_ORDER_SLOT + ORDER_SLOTS
SLOT_MASK: Final = (1 << SLOT_BITS) - 1
_FIRST_MARKET: Final = 1 / (1 + 2**-1.2)
"""Share of the more popular of two markets under Zipf 1.2."""
_POSITION_LOTS: Final = 2_000
_MOST_LOTS: Final = 100
_REACH: Final = 1_000
_SPREAD: Final = 16
_MAKERS_BELOW, _MAKERS_ABOVE = 4, 7
_PARTIAL = 0.25
"""How often a crossing order leaves something of the last order it meets."""
_UNTIL_NEW, _UNTIL_CANCEL, _UNTIL_CROSS = 0.60, 0.85, 0.95


class Parameters(Struct, frozen=True):
    """What a stream is made from; the same parameters give the same bytes on every machine."""

    accounts: int
    target: int
    """Resting orders a book is held at."""
    commands: int
    seed: int = 1


class Stream(Struct, frozen=True):
    """Command frames: set-up, then the timed ones with the kind of each, and what the twin says they do."""

    parameters: Parameters
    setup: bytes
    timed: bytes
    kinds: bytes
    trades: int
    """Trades of the timed commands."""
    resting: tuple[int, ...]
    """Orders left in each book."""


def generate(parameters: Parameters) -> Stream:
    """Deposits, session grants, prices, opening trades and full books untimed; then the mix."""
    generator = Generator(parameters)
    setup = generator.open()
    kinds = bytearray()
    timed = [generator.advance(kinds) for _ in range(parameters.commands)]
    resting = tuple(len(book.live) for book in generator.books)
    return Stream(parameters, setup, b"".join(timed), bytes(kinds), generator.trades, resting)


class Generator:
    """Dice, a clock, and twins of the books."""

    def __init__(self, parameters: Parameters) -> None:
        self.books = [TwinBook() for _ in MARKS]
        self.trades = 0
        self._world = World(parameters.accounts)
        self._accounts = parameters.accounts
        self._target = parameters.target
        self._random = Random(parameters.seed).random
        self._marks = list(MARKS)
        self._sequence = 0
        self._signers = [signer.address for signer in self._world.sessions]
        last_first = list(range(CROSSING_SLOT - 1, FIRST_ORDER_SLOT - 1, -1))
        self._free = [list(last_first) for _ in range(parameters.accounts + 1)]

    def open(self) -> bytes:
        """Everything that comes before the timed commands."""
        made = [self._sequenced(self._world.deposit(s)) for s in range(1, self._accounts + 1)]
        made += [
            self._sequenced(self._world.grant(s, START + self._sequence + 1)) for s in range(1, self._accounts + 1)
        ]
        for market in range(len(MARKS)):
            made.append(self._publish(market))
            made += self._opening_trades(market)
        for market, book in enumerate(self.books):
            while len(book.live) < self._target:
                made.append(self._new(market))
        return b"".join(made)

    def advance(self, kinds: bytearray) -> bytes:
        """The next command; its kind is appended to `kinds`."""
        count = len(kinds)
        if count % COMMANDS_A_PRICE == COMMANDS_A_PRICE - 1:
            kinds.append(PRICE)
            return self._publish(count // COMMANDS_A_PRICE % len(MARKS))
        roll = self._random()
        market = 0 if self._random() < _FIRST_MARKET else 1
        if roll < _UNTIL_NEW:
            kinds.append(REPLACE)
            return self._replace(market)
        if roll < _UNTIL_CANCEL:
            kinds.append(NEW)
            return self._new(market)
        if roll < _UNTIL_CROSS:
            kinds.append(CANCEL)
            return self._cancel(market)
        kinds.append(CROSS)
        return self._cross(market)

    def _sequenced(self, message: bytes) -> bytes:
        self._sequence += 1
        return encode_command(self._sequence, START + self._sequence, message)

    def _publish(self, market: int) -> bytes:
        self._marks[market] += self._below(17) - 8
        return self._sequenced(self._world.price(market, self._marks[market], START + self._sequence + 1))

    def _opening_trades(self, market: int) -> list[bytes]:
        """Odd accounts sell to the even ones behind them, so that everybody holds a position."""
        price, size = self._marks[market], _POSITION_LOTS * LOTS[market]
        return [
            self._place(subaccount, FIRST_ORDER_SLOT, market, subaccount % 2, price, size)
            for subaccount in range(1, self._accounts + 1)
        ]

    def _new(self, market: int) -> bytes:
        subaccount = 1 + self._below(self._accounts)
        while not self._free[subaccount]:
            subaccount = 1 + self._below(self._accounts)
        slot, side = self._free[subaccount].pop(), self._below(2)
        price, lots = self._limit(market, side), 1 + self._below(_MOST_LOTS)
        self.books[market].rest(subaccount << SLOT_BITS | slot, side, price, lots)
        return self._place(subaccount, slot, market, side, price, lots * LOTS[market])

    def _replace(self, market: int) -> bytes:
        book = self.books[market]
        order = book.live[self._below(len(book.live))]
        side = book.resting[order][0]
        price, lots = self._limit(market, side), 1 + self._below(_MOST_LOTS)
        book.replace(order, price, lots)
        return self._place(order >> SLOT_BITS, order & SLOT_MASK, market, side, price, lots * LOTS[market])

    def _cancel(self, market: int) -> bytes:
        book = self.books[market]
        order = book.live[self._below(len(book.live))]
        self._leave(book, order)
        self._sequence += 1
        subaccount = order >> SLOT_BITS
        time = START + self._sequence
        return frames.cancel(self._sequence, time, self._signers[subaccount], subaccount, order & SLOT_MASK)

    def _cross(self, market: int) -> bytes:
        """An immediate order through a few makers, the last of them perhaps filled in part."""
        book, side, subaccount = self.books[market], self._below(2), 1 + self._below(self._accounts)
        wanted = 1 + self._below(_MAKERS_BELOW if len(book.live) < self._target else _MAKERS_ABOVE)
        makers, own, lots = book.meet(1 - side, subaccount, wanted)
        last = makers[-1]
        touch = book.best(1 - side)
        assert touch is not None
        kept = self._below(book.left(last)) if self._random() < _PARTIAL else 0
        self.trades += len(makers)
        for order in own + makers[:-1]:
            self._leave(book, order)
        if kept:
            book.shrink(last, kept)
        else:
            self._leave(book, last)
        price = touch + (_REACH if side == BUY else -_REACH)
        return self._place(subaccount, CROSSING_SLOT, market, side, price, (lots - kept) * LOTS[market], True)

    def _leave(self, book: TwinBook, order: int) -> None:
        book.leave(order)
        self._free[order >> SLOT_BITS].append(order & SLOT_MASK)

    def _limit(self, market: int, side: int) -> int:
        """A geometric number of steps from the mark, never through the touch."""
        away = 1 + int(self._random() * _SPREAD)
        while self._random() < 0.5:
            away += _SPREAD
        opposite = self.books[market].best(1 - side)
        if side == BUY:
            price = self._marks[market] - away
            return price if opposite is None or price < opposite else opposite - 1
        price = self._marks[market] + away
        return price if opposite is None or price > opposite else opposite + 1

    def _place(
        self, subaccount: int, slot: int, market: int, side: int, price: int, size: int, immediate: bool = False
    ) -> bytes:
        self._sequence += 1
        time = START + self._sequence
        signer = self._signers[subaccount]
        return frames.place(self._sequence, time, signer, subaccount, slot, market, side, price, size, immediate)

    def _below(self, bound: int) -> int:
        return int(self._random() * bound)
