"""A state saves to one string of bytes, which loads to that state; every other string is refused with its place."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol.ledger import Domains
from penstock.protocol.words import WORD, keccak
from penstock.simulation.profiles import PROFILES
from penstock.simulation.streams import Stream
from penstock.spec.digest import engine_root, state_words
from penstock.spec.saved import load, read, save
from penstock.spec.saved_words import Words, shortened
from penstock.spec.state import EXPIRED, State
from world import World

WORDS = st.one_of(st.integers(-(1 << 255), (1 << 255) - 1), st.integers(-300, 300))
PRICE = 600_000


def whole(number):
    return number.to_bytes(WORD, "big", signed=True)


def stream_after(profile, seed, commands):
    stream = Stream(seed, profile)
    for _ in range(commands):
        stream.advance()
    return stream


def small_world():
    """Two resting orders at one price, a position on each side, a session key, a withdrawal."""
    world = World()
    world.price(PRICE)
    world.grant(1)
    world.sell(1, PRICE, 500, 16)
    world.sell(2, PRICE, 300, 16)
    world.buy(3, PRICE, 100, 17)
    world.withdraw(3, 5)
    return world


def renamed(body):
    """The body behind its hash, as if it had been saved so."""
    return body + keccak(body)


def spoilt(world, change):
    """What `save` would give of a state that `change` has broken."""
    state = load(world.genesis, save(world.state))
    change(state)
    return save(state)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_state_comes_back_from_its_saved_form_whole(profile):
    stream = stream_after(profile, 5, 400)
    saved = save(stream.state)
    loaded = load(stream.genesis, saved)
    assert loaded == stream.state
    assert save(loaded) == saved
    assert engine_root(loaded) == engine_root(stream.state)
    for market, book in ((m, stream.state.markets[m].book) for m in loaded.markets):
        queues = [loaded.markets[market].book.bid_queues, loaded.markets[market].book.ask_queues]
        for before, after in zip((book.bid_queues, book.ask_queues), queues, strict=True):
            assert {price: list(queue) for price, queue in before.items()} == {p: list(q) for p, q in after.items()}


@given(st.lists(WORDS, max_size=6))
def test_words_made_short_come_back_and_are_as_short_as_can_be(numbers):
    words = b"".join(map(whole, numbers))
    short = shortened(words)
    cursor = Words(short, 0)
    assert [cursor.number("one", -(1 << 255), 1 << 255) for _ in numbers] == numbers
    cursor.finish()
    assert cursor.whole() == words
    lengths = [0 if n == 0 else (n if n > 0 else ~n).bit_length() // 8 + 1 for n in numbers]
    assert len(short) == sum(1 + length for length in lengths)


@pytest.mark.parametrize("word", [b"\1\0", b"\2\0\x7f", b"\2\xff\x80", b"\x21" + bytes(33), b"\2\1", b""])
def test_a_word_that_is_none_or_longer_than_it_has_to_be_is_refused(word):
    with pytest.raises(ValueError, match=r"saved state, byte 0: (no word|a word longer)"):
        Words(word, 0).hash()


def test_every_truncation_is_refused_with_the_byte_where_it_ends():
    world = small_world()
    saved = save(world.state)
    for length in range(len(saved)):
        with pytest.raises(ValueError, match="saved state"):
            load(world.genesis, saved[:length])
    body = saved[:-32]
    for length in range(1, len(body)):
        with pytest.raises(ValueError, match="saved state, byte"):
            read(world.genesis, body[:length])
    with pytest.raises(ValueError, match="1 bytes too many"):
        load(world.genesis, renamed(body + b"\0"))


def test_flipped_bits_are_refused_and_without_the_hash_what_is_taken_saves_to_itself():
    world = small_world()
    saved = save(world.state)
    dice, body = Random(7), saved[:-32]
    for _ in range(600):
        bit = dice.randrange(8 * len(saved))
        flipped = saved[: bit >> 3] + bytes([saved[bit >> 3] ^ 1 << (bit & 7)]) + saved[(bit >> 3) + 1 :]
        with pytest.raises(ValueError, match="saved state"):
            load(world.genesis, flipped)
        if bit >> 3 >= len(body) or bit >> 3 == 0:
            continue
        try:
            taken = read(world.genesis, flipped[:-32])
        except ValueError as refusal:
            assert "saved state, byte" in str(refusal)
        else:
            assert save(taken)[:-32] == flipped[:-32]


def test_another_genesis_refuses_it():
    world = small_world()
    with pytest.raises(ValueError, match="byte 1: ruleset"):
        load(PROFILES["wide"].genesis(), save(world.state))


def test_bytes_that_do_not_begin_as_a_saved_state_are_refused():
    world = small_world()
    for strange in (b"", b"\x0c" + bytes(40), renamed(Domains.ENGINE_ROOT + state_words(world.state))):
        with pytest.raises(ValueError, match="do not begin as one"):
            load(world.genesis, strange)


def first(orders):
    return next(iter(orders.values()))


BROKEN = {
    "cash is": lambda s: setattr(s.accounts[1], "cash", 1 << 95),
    "guard nonce is 0": lambda s: s.accounts[1].guards.update({20: 0}),
    "nonce is": lambda s: s.accounts[1].guards.update({16: first(s.accounts[1].orders).nonce - 1}),
    "do not add up to what they reserve": lambda s: setattr(s.accounts[1], "open_orders", 0),
    "positions of market 0 do not add up": lambda s: setattr(s.markets[0], "open_interest", 7),
    "withdrawals do not add up": lambda s: setattr(s, "withdrawn", 6),
    "an order of no session": lambda s: setattr(first(s.accounts[1].orders), "session", 9),
    "not in order of arrival": lambda s: setattr(first(s.accounts[1].orders), "priority", 1 << 40),
    "an order stands in no queue": lambda s: s.markets[0].book.remove(first(s.accounts[2].orders)),
    "no such order": lambda s: setattr(first(s.accounts[2].orders), "price", PRICE + 1),
    "is owned by": lambda s: setattr(s.accounts[2], "owner", bytes(20)),
    "has two places": lambda s: s.accounts[1].sessions.update({1: s.accounts[1].sessions[0]}),
    "parameters is": lambda s: setattr(s.markets[0], "parameters", bytes(32)),
    "subaccount is 3": lambda s: s.accounts.pop(2),
    "session is 1": lambda s: s.accounts[1].sessions.update({1: s.accounts[1].sessions.pop(0)}),
    "side is 2": lambda s: setattr(first(s.accounts[2].orders), "side", 2),
    "a position of 0": lambda s: setattr(s.accounts[3].positions[0], "size", 0),
    "number of accounts": lambda s: s.accounts.clear(),
    "deposits is": lambda s: setattr(s, "deposits", 1 << 63),
    "cash is -1": lambda s: setattr(s.accounts[0], "cash", -1),
    "filled is": lambda s: setattr(first(s.accounts[1].orders), "filled", (1 << 48) - 1),
    "dust is": lambda s: setattr(s.markets[0], "dust", 1 << 95),
    "index × time is 1": lambda s: setattr(s.markets[0], "window_sum", 1),
    "has ended without an expiry": lambda s: setattr(s.markets[0], "flags", EXPIRED),
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_state_that_does_not_hold_together_is_refused_by_spec_and_core_alike(why):
    world = small_world()
    saved = spoilt(world, BROKEN[why])
    expected = "there is no subaccount 0|no such order" if why == "number of accounts" else why
    with pytest.raises(ValueError, match=expected):
        load(world.genesis, saved)
    core = pytest.importorskip("penstock_core")
    with pytest.raises(ValueError, match="saved state, byte"):
        core.Engine.load(world.genesis.encode(), saved)


def test_an_order_off_the_tick_is_refused():
    world = small_world()
    terms = world.genesis.markets[0]
    assert terms.tick == 1, "every price is on the tick of the default markets"
    profile = next(p for p in PROFILES.values() if any(t.tick > 1 for t in p.genesis().markets))
    stream = stream_after(profile, 3, 500)
    state = load(stream.genesis, save(stream.state))
    order, tick = off_the_tick(state)
    order.price += 1
    book = state.markets[order.market].book
    prices, queues = (book.asks, book.ask_queues) if order.side else (book.bids, book.bid_queues)
    prices[prices.index(order.price - 1)] = order.price
    queues[order.price] = queues.pop(order.price - 1)
    with pytest.raises(ValueError, match="is off the tick"):
        load(stream.genesis, save(state))
    assert tick > 1


def off_the_tick(state: State):
    """An order alone at its price, in a market with a tick above 1."""
    for account in state.accounts.values():
        for order in account.orders.values():
            tick = state.markets[order.market].terms.tick
            book = state.markets[order.market].book
            if tick > 1 and len((book.bid_queues, book.ask_queues)[order.side][order.price]) == 1:
                return order, tick
    raise AssertionError("no such order in this stream")
