"""The W4 stream: 60 % cancel-replace, 25 % new, 10 % cancel, 5 % crossing, a price every 1,000 commands.

Crossing orders hold the books at their size: they take about three makers each, more above the target, fewer below.
The generator keeps a twin of the books, so that every cancel finds its order and nothing crosses that should not.
Prices are counted in ticks here, and sizes in lots.
"""

from bisect import bisect
from itertools import pairwise
from random import Random
from typing import Final

from msgspec import Struct

from bench import frames
from bench.instruments import PERPETUALS, popularity
from bench.twin import BUY, SELL, SLOT_BITS, TwinBook
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
_LEAST_RESTING: Final = 16
"""Of 64 books, what the least popular are held at where their share of the orders is less."""
_POSITION_LOTS: Final = 2_000
"""Of the perpetual: 2 BTC or 2 ETH, in whatever contract."""
_FEWEST_OTHERS, _MOST_OTHERS = 14, 20
"""Contracts an account opens beside the perpetuals."""
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
    """Resting orders: of each of two books, or of 64 books in all, shared out by popularity."""
    commands: int
    seed: int = 1
    instruments: int = 2
    """2 or 64; ValueError for another number when a stream is made."""

    def world(self) -> World:
        """Who trades, and what."""
        return World(self.accounts, self.instruments)

    def stage(self, name: str) -> str:
        """What a stage is called that runs on such a stream."""
        return name if self.instruments == PERPETUALS else f"{name}, {self.instruments} instruments"


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
        self.books = [TwinBook() for _ in range(parameters.instruments)]
        self.trades = 0
        self._world = parameters.world()
        self._accounts = parameters.accounts
        self._popularity = popularity(parameters.instruments)
        self._targets = _targets(parameters.target, self._popularity)
        self._random = Random(parameters.seed).random
        self._indexes = list(MARKS)
        self._marks = [0] * parameters.instruments
        self._ticks = [terms.tick for terms in self._world.markets]
        self._lots = [terms.lot for terms in self._world.markets]
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
        for market, sellers in enumerate(self._opening_sellers()):
            made.append(self._publish(market))
            made += self._opening_trades(market, sellers)
        for market, book in enumerate(self.books):
            while len(book.live) < self._targets[market]:
                made.append(self._new(market))
        return b"".join(made)

    def advance(self, kinds: bytearray) -> bytes:
        """The next command; its kind is appended to `kinds`."""
        count = len(kinds)
        if count % COMMANDS_A_PRICE == COMMANDS_A_PRICE - 1:
            kinds.append(PRICE)
            return self._publish(count // COMMANDS_A_PRICE % len(self.books))
        roll = self._random()
        market = bisect(self._popularity, self._random())
        kind, made = self._act(roll, market)
        if made is None:
            # Nothing there to replace, cancel or meet.
            kind, made = NEW, self._new(market)
        kinds.append(kind)
        return made

    def _act(self, roll: float, market: int) -> tuple[int, bytes | None]:
        """What the dice want of a market, and the command, where the book has the orders for it."""
        if roll < _UNTIL_NEW:
            return REPLACE, self._replace(market)
        if roll < _UNTIL_CANCEL:
            return NEW, self._new(market)
        if roll < _UNTIL_CROSS:
            return CANCEL, self._cancel(market)
        return CROSS, self._cross(market)

    def _sequenced(self, message: bytes) -> bytes:
        self._sequence += 1
        return encode_command(self._sequence, START + self._sequence, message)

    def _publish(self, market: int) -> bytes:
        underlying = self._world.markets[market].underlying
        self._indexes[underlying] += self._below(17) - 8
        index = self._indexes[underlying]
        mark = self._world.mark(market, index)
        self._marks[market] = mark // self._ticks[market]
        return self._sequenced(self._world.price(market, index, mark, START + self._sequence + 1))

    def _opening_sellers(self) -> list[list[int]]:
        """Who sells in each market to begin with, to the account paired with it: 1 and 2, 3 and 4, and so on.

        Odd accounts sell both perpetuals, so that everybody holds them. Of the rest each pair draws 14 to 20, by
        popularity, and who sells.
        """
        sellers: list[list[int]] = [[] for _ in self.books]
        for seller in range(1, self._accounts + 1, 2):
            for market in range(PERPETUALS):
                sellers[market].append(seller)
            for market in self._others() if len(self.books) > PERPETUALS and seller < self._accounts else ():
                sellers[market].append(seller + self._below(2))
        return sellers

    def _others(self) -> list[int]:
        """14 to 20 markets that are no perpetuals, ascending."""
        wanted, found = _FEWEST_OTHERS + self._below(_MOST_OTHERS - _FEWEST_OTHERS + 1), set[int]()
        while len(found) < wanted:
            market = bisect(self._popularity, self._random())
            if market >= PERPETUALS:
                found.add(market)
        return sorted(found)

    def _opening_trades(self, market: int, sellers: list[int]) -> list[bytes]:
        """Each seller's order, then that of who buys from it."""
        price = self._marks[market]
        lots = _POSITION_LOTS * LOTS[self._world.markets[market].underlying] // self._lots[market]
        made = []
        for seller in sellers:
            buyer = seller + 1 if seller % 2 else seller - 1
            made.append(self._place(seller, FIRST_ORDER_SLOT, market, SELL, price, lots))
            if buyer <= self._accounts:
                made.append(self._place(buyer, FIRST_ORDER_SLOT, market, BUY, price, lots))
        return made

    def _new(self, market: int) -> bytes:
        subaccount = 1 + self._below(self._accounts)
        while not self._free[subaccount]:
            subaccount = 1 + self._below(self._accounts)
        slot, side = self._free[subaccount].pop(), self._below(2)
        price, lots = self._limit(market, side), 1 + self._below(_MOST_LOTS)
        self.books[market].rest(subaccount << SLOT_BITS | slot, side, price, lots)
        return self._place(subaccount, slot, market, side, price, lots)

    def _replace(self, market: int) -> bytes | None:
        book = self.books[market]
        if not book.live:
            return None
        order = book.live[self._below(len(book.live))]
        side = book.resting[order][0]
        price, lots = self._limit(market, side), 1 + self._below(_MOST_LOTS)
        book.replace(order, price, lots)
        return self._place(order >> SLOT_BITS, order & SLOT_MASK, market, side, price, lots)

    def _cancel(self, market: int) -> bytes | None:
        book = self.books[market]
        if not book.live:
            return None
        order = book.live[self._below(len(book.live))]
        self._leave(book, order)
        self._sequence += 1
        subaccount = order >> SLOT_BITS
        time = START + self._sequence
        return frames.cancel(self._sequence, time, self._signers[subaccount], subaccount, order & SLOT_MASK)

    def _cross(self, market: int) -> bytes | None:
        """An immediate order through a few makers, the last of them perhaps filled in part."""
        book, side, subaccount = self.books[market], self._below(2), 1 + self._below(self._accounts)
        wanted = 1 + self._below(_MAKERS_BELOW if len(book.live) < self._targets[market] else _MAKERS_ABOVE)
        makers, own, lots = book.meet(1 - side, subaccount, wanted)
        touch = book.best(1 - side)
        if touch is None or not makers:
            return None
        last = makers[-1]
        kept = self._below(book.left(last)) if self._random() < _PARTIAL else 0
        self.trades += len(makers)
        for order in own + makers[:-1]:
            self._leave(book, order)
        if kept:
            book.shrink(last, kept)
        else:
            self._leave(book, last)
        price = touch + _REACH if side == BUY else max(1, touch - _REACH)
        return self._place(subaccount, CROSSING_SLOT, market, side, price, lots - kept, True)

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
        self, subaccount: int, slot: int, market: int, side: int, price: int, lots: int, immediate: bool = False
    ) -> bytes:
        self._sequence += 1
        time = START + self._sequence
        price, size = price * self._ticks[market], lots * self._lots[market]
        signer = self._signers[subaccount]
        return frames.place(self._sequence, time, signer, subaccount, slot, market, side, price, size, immediate)

    def _below(self, bound: int) -> int:
        return int(self._random() * bound)


def _targets(orders: int, shares: list[float]) -> list[int]:
    """How many orders each book is held at."""
    if len(shares) == PERPETUALS:
        return [orders] * PERPETUALS
    return [max(_LEAST_RESTING, round(orders * (to - of))) for of, to in pairwise([0.0, *shares])]
