"""Golden vectors as the spec writes them: {folder/file: JSON value}. `python tests/vectors` writes the files."""

import json
from enum import Enum
from pathlib import Path
from random import Random

from msgspec import Struct

from penstock.protocol.commands import (
    ATOMIC,
    CODECS,
    HALTED,
    IMMEDIATE_OR_CANCEL,
    OPEN,
    POKES,
    RECORD_TYPES,
    SELL,
    Bundle,
    CancelAll,
    CancelOrder,
    CreditDeposit,
    DelistMarket,
    ListMarket,
    MarkStale,
    PayBuilder,
    PublishPrice,
    Record,
    ReopenMarket,
    encode_record,
)
from penstock.protocol.instruments import CALL, DAY, EXPIRY_HOUR, PUT
from penstock.protocol.ledger import ENTRY_FORMS, LEAF_FORMS, Domains
from penstock.protocol.quantities import MICRO, NO_DEADLINE
from penstock.protocol.reasons import Refusal
from penstock.protocol.receipts import CODEC as RECEIPT
from penstock.protocol.receipts import (
    COMMIT_WITHIN,
    NO_RECEIPT,
    Receipt,
    receipt_leaf,
    receipt_path,
    receipt_root,
    sign_receipt,
)
from penstock.protocol.signing import (
    CURVE_ORDER,
    Domain,
    Signer,
    Verified,
    bundle_root,
    digest_of,
    hash_record,
    pack_envelope,
    seal,
    seal_bundle,
    verify,
)
from penstock.protocol.terms import Genesis, MarketTerms, default_markets
from penstock.protocol.words import keccak
from penstock.spec.digest import engine_root
from penstock.spec.margin import assess, initial_with_orders, withdrawable
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import EXPIRED, Account, Position, State
from protocol.records import example_of
from spec.contracts import INDEX, option, templates
from world import GOVERNOR, SESSION_KEY, START, World, owner_of, terms

FOLDER = Path(__file__).resolve().parents[2] / "schema" / "vectors"
MARK = 600_000
DOMAIN = Domain(31337, b"\x77" * 20)
SECRETS = [keccak(b"vector" + bytes([i])) for i in range(3)]


def every_file() -> dict[str, str]:
    """Every vector file's path below schema/vectors, and its text."""
    written = {
        "encode/records.json": records(),
        "encode/bundles.json": bundles(),
        "encode/refusals.json": refusals(),
        "encode/packed.json": packed(),
        "encode/receipts.json": receipts(),
        "margin/accounts.json": accounts(),
    }
    written |= {f"match/{name}.json": recorded(play) for name, play in MATCHES.items()}
    written |= {f"liquidate/{name}.json": recorded(play) for name, play in LIQUIDATIONS.items()}
    return {name: json.dumps(plain(value), indent=1) + "\n" for name, value in written.items()}


def plain(value: object) -> object:
    """As JSON: integers as decimal strings, bytes as 0x hex, enums by name, structs with their type."""
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Struct):
        fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


# --- encode ---


def records() -> object:
    """Every record type with small distinct values, with all bits set, and with all bits clear."""
    separator = DOMAIN.separator()
    found = []
    for record_type in RECORD_TYPES:
        for record in (example_of(record_type), filled(record_type, 1), filled(record_type, 0)):
            unsigned = isinstance(record, (*POKES, CreditDeposit))
            count = 0 if unsigned else 2 if isinstance(record, PublishPrice) else 1
            signers = sorted((Signer(secret) for secret in SECRETS[:count]), key=lambda signer: signer.address)
            found.append(
                {
                    "record": record,
                    "encoded": encode_record(record),
                    "hash": hash_record(record),
                    "digest": digest_of(separator, hash_record(record)),
                    "signers": [s.address for s in signers],
                    "envelope": seal(separator, record, signers),
                }
            )
    types = {t.__name__: {"encode_type": c.encode_type, "typehash": c.typehash} for t, c in CODECS.items()}
    return {"domain": {"domain": DOMAIN, "separator": separator}, "secrets": SECRETS, "types": types, "records": found}


def filled(record_type: type, bit: int) -> Record:
    """The record with every bit of every field equal to `bit`."""
    values = {}
    for name, atom in CODECS[record_type].fields:
        number = ((1 << atom.bits - atom.signed) - 1) * bit - atom.signed * (1 - bit) * (1 << atom.bits - 1)
        is_bytes = atom.name in ("address", "bytes32")
        values[name] = number.to_bytes(atom.bits >> 3, "big") if is_bytes else bool(bit) if atom.bits == 1 else number
    return record_type(**values)


def cancels(count: int) -> list[Record]:
    """Members of a bundle of subaccount 1."""
    return [CancelOrder(1, 16 + i, 5 + i, 9) for i in range(count)]


def bundles() -> object:
    """Roots of 1 to 64 member hashes keccak(0), keccak(1), …; and one sealed bundle."""
    hashes = [keccak(bytes([i])) for i in range(64)]
    envelope = seal_bundle(DOMAIN.separator(), 1, 9, cancels(3), Signer(SECRETS[0]))
    return {
        "roots": [bundle_root(hashes[:count]) for count in range(1, 65)],
        "sealed": {"members": cancels(3), "signer": Signer(SECRETS[0]).address, "envelope": envelope},
    }


def refusals() -> object:
    """Envelopes that `verify` refuses, with the reason."""
    separator, signer = DOMAIN.separator(), Signer(SECRETS[0])
    cancel = cancels(1)[0]
    good, encoded = seal(separator, cancel, [signer]), encode_record(cancel)
    signature = signer.sign(separator, hash_record(cancel))
    high_s = (CURVE_ORDER - int.from_bytes(signature[52:84], "big")).to_bytes(32, "big")
    sealed = seal_bundle(separator, 1, 9, cancels(2), signer)
    wrong = {
        "empty": b"",
        "last byte missing": good[:-1],
        "one byte more": good + b"\0",
        "unknown scheme": good[:32] + b"\2" + good[33:],
        "another chain": seal(Domain(1, DOMAIN.vault).separator(), cancel, [signer]),
        "unknown type": pack_envelope(separator, b"\0" + encoded[1:], [signature], []),
        "one word missing": pack_envelope(separator, encoded[:-32], [signature], []),
        "a bit above uint24": pack_envelope(separator, encoded[:60] + b"\1" + encoded[61:], [signature], []),
        "a client's deposit": seal(separator, example_of(CreditDeposit), []),
        "another signer named": pack_envelope(separator, encoded, [b"\1" * 20 + signature[20:]], []),
        "two signatures": seal(separator, cancel, [signer, Signer(SECRETS[1])]),
        "high s": pack_envelope(separator, encoded, [signature[:52] + high_s + bytes([55 - signature[84]])], []),
        "v of 0": pack_envelope(separator, encoded, [signature[:84] + b"\0"], []),
        "r of no point": pack_envelope(
            separator, encoded, [signature[:20] + (5).to_bytes(32, "big") + signature[52:]], []
        ),
        "the same signer twice": seal(separator, PublishPrice(0, 5, 1, 1), [signer, signer]),
        "a member missing": sealed[:-164],
        "another member": sealed[:-1] + bytes([sealed[-1] ^ 1]),
        "an atomic bundle": _atomic(separator, signer),
        "an operator's receipt": _receipt_as_command(separator, signer),
    }
    found = []
    for name, envelope in wrong.items():
        try:
            verify(separator, envelope)
        except Refusal as refusal:
            found.append({"name": name, "envelope": envelope, "reason": refusal.reason})
    return {"domain": DOMAIN, "refused": found}


def _atomic(separator: bytes, signer: Signer) -> bytes:
    members = cancels(2)
    bundle = Bundle(bundle_root([hash_record(m) for m in members]), 2, ATOMIC, 1, 9)
    encoded = [encode_record(m) for m in members]
    return pack_envelope(separator, encode_record(bundle), [signer.sign(separator, hash_record(bundle))], encoded)


def _receipt_as_command(separator: bytes, signer: Signer) -> bytes:
    encoded = RECEIPT.encode(Receipt(1, 1, 1, 1, NO_RECEIPT, bytes(32), 5, 5 + COMMIT_WITHIN))
    return pack_envelope(separator, encoded, [signer.sign(separator, keccak(encoded))], [])


def receipts() -> object:
    """Roots of 1 to 33 leaves keccak(0), keccak(1), …; and three signed receipts, the last behind a restart."""
    separator, operator = DOMAIN.separator(), Signer(SECRETS[0])
    hashes = [keccak(bytes([i])) for i in range(33)]
    groups: list[object] = []
    sequence, previous = 0, NO_RECEIPT
    for epoch, count in ((1, 1), (1, 5), (2, 2)):
        sealed = [seal(separator, CancelOrder(1, 16, sequence + i + 1, 9), [Signer(SECRETS[1])]) for i in range(count)]
        messages = [(sequence + i, 1_000 * (sequence + i), envelope) for i, envelope in enumerate(sealed, 1)]
        leaves = [receipt_leaf(*message) for message in messages]
        first, (sequence, time, _) = messages[0][0], messages[-1]
        receipt = Receipt(
            epoch, len(groups) + 1, first, sequence, previous, receipt_root(leaves), time, time + COMMIT_WITHIN
        )
        previous = receipt.hash()
        groups.append(
            {
                "messages": [dict(zip(("sequence", "time", "envelope"), m, strict=True)) for m in messages],
                "leaves": leaves,
                "paths": [receipt_path(leaves, i) for i in range(count)],
                "receipt": receipt,
                "hash": previous,
                "digest": digest_of(separator, previous),
                "signed": sign_receipt(separator, receipt, operator).encode(),
            }
        )
    return {
        "domain": DOMAIN,
        "operator": operator.address,
        "encode_type": RECEIPT.encode_type,
        "typehash": RECEIPT.typehash,
        "roots": [receipt_root(hashes[:count]) for count in range(1, 34)],
        "groups": groups,
    }


def packed() -> object:
    """Every packed form with three sets of values; entries with their hash."""
    dice = Random(1)
    found = []
    for kind, form in [*((0, form) for form in LEAF_FORMS), *ENTRY_FORMS.items()]:
        for choose in ("low", "high", "any"):
            values: list[int | bytes] = []
            for name, sign, bits in form.fields:
                low = -(1 << bits - 1) if sign == "i" else 0
                high = low + (1 << bits) - 1
                number = {"low": low, "high": high, "any": dice.randint(low, high)}[choose]
                if name == "kind":
                    number = kind
                values.append(number.to_bytes(bits >> 3, "big") if sign == "b" else number)
            written = form.pack(*values)
            case = {"form": form.name, "values": form.unpack(written), "packed": written}
            if kind:
                case["hash"] = keccak(Domains.LEDGER_ENTRY + written)
            found.append(case)
    return found


# --- margin ---


def accounts() -> object:
    """Holdings with prices and open lots, and what they are worth and require."""
    dice, listed = Random(2), (*default_markets(0), option(2, 400_000, CALL), option(3, 500_000, PUT))
    found = []
    for number in range(60):
        state = State.from_genesis(Genesis(1, DOMAIN.vault, listed, (bytes([0xA0]) * 20,), 1))
        account = state.accounts[1] = Account(owner_of(1), cash=dice.choice((-1, 1)) * dice.randrange(10**12))
        for market_id, market in state.markets.items():
            market.mark_price, market.index_price = dice.randrange(1, 10**6), dice.randrange(1, 10**6)
            market.crowding = dice.choice((0, 0, 3_333, 10_000))
            dated = market.terms.expiry > 0
            market.funding_index = 0 if dated else dice.randrange(-(1 << 50), 1 << 50)
            market.flags = EXPIRED if dated and dice.random() < 0.1 else 0
            if dice.random() < 0.8:
                size = dice.choice((-1, 1)) * dice.randrange(1, 10 ** dice.randrange(3, 12))
                entry = size * market.mark_price * dice.randrange(900_000, 1_100_000) // 1_000_000
                account.positions[market_id] = Position(
                    size, entry, 0 if dated else dice.randrange(-(1 << 50), 1 << 50)
                )
            if dice.random() < 0.5:
                account.lots[market_id] = [dice.randrange(10**9), dice.randrange(10**9)]
        risk = assess(state, account)
        found.append(
            {
                "number": number,
                "markets": {
                    m: [x.mark_price, x.funding_index, x.index_price, x.crowding, x.flags]
                    for m, x in state.markets.items()
                },
                "cash": account.cash,
                "positions": {m: [p.size, p.entry, p.funding] for m, p in account.positions.items()},
                "lots": account.lots,
                "equity": risk.equity,
                "initial": risk.initial,
                "maintenance": risk.maintenance,
                "initial_with_orders": initial_with_orders(state, account, account.lots),
                "withdrawable": withdrawable(state, account),
            }
        )
    return {"terms": [plain_terms(t) for t in listed], "accounts": found}


def plain_terms(market: MarketTerms) -> object:
    """A market's terms with its digest."""
    return {"terms": market, "digest": market.digest()}


# --- match, liquidate ---


class Recorder(World):
    """A world that keeps every message it applied, with what came of it."""

    def __init__(self, *arguments, **options) -> None:
        self.steps: list[object] = []
        super().__init__(*arguments, **options)

    def apply(self, message: Verified):
        applied = super().apply(message)
        self.steps.append(
            {
                "sequence": self.sequence,
                "time": self.time,
                "signers": message.signers,
                "record": message.record,
                "members": [m.record for m in message.members],
                "events": applied.events,
                "entries": [e.packed for e in applied.entries],
                "engine_root": engine_root(self.state),
            }
        )
        return applied


def recorded(play) -> object:
    """A played scenario: genesis, every command with its events and roots, and the settlement root at the end."""
    world = play()
    return {
        "about": " ".join(play.__doc__.split()),
        "genesis": world.genesis,
        "ruleset": world.genesis.ruleset(),
        "commands": world.steps,
        "settlement_root": SettlementTree(world.state).root(),
    }


def _open(**options) -> Recorder:
    world = Recorder(**options)
    world.price(MARK)
    return world


def price_time() -> Recorder:
    """Two makers at two prices; a taker sweeps both in price, then time, and rests."""
    world = _open()
    for maker, price, slot in ((1, MARK + 1, 16), (2, MARK, 16), (1, MARK, 17)):
        world.sell(maker, price, 300, slot=slot)
    world.buy(3, MARK + 1, 1_000)
    world.sell(1, MARK + 1, 100, slot=18)
    return world


def replaces() -> Recorder:
    """Replaces that keep their place, lose it, or are refused by the fill guard."""
    world = _open()
    world.sell(1, MARK, 500)
    world.sell(2, MARK, 500)
    world.sell(1, MARK, 400)
    world.buy(3, MARK, 100)
    world.sell(1, MARK, 300, fill_guard=99)
    world.sell(1, MARK, 600, fill_guard=100)
    world.buy(3, MARK, 600)
    world.sell(2, MARK + 5, 100)
    world.cancel(2)
    return world


def flags() -> Recorder:
    """Immediate-or-cancel, post-only, reduce-only, self-trade, and refusals."""
    world = _open()
    world.sell(1, MARK, 300)
    world.buy(2, MARK, 500, time_in_force=IMMEDIATE_OR_CANCEL)
    world.buy(1, MARK - 5, 200, slot=17)
    world.sell(2, MARK - 5, 100, post_only=True)
    world.sell(2, MARK + 5, 900, slot=18, reduce_only=True)
    world.buy(3, MARK + 5, 500)
    world.sell(1, MARK - 5, 100, slot=19)
    world.sell(2, MARK, 150)
    world.sell(2, MARK, 100, max_fee_ppm=1)
    world.sell(2, MARK, 100, slot=3)
    return world


def sessions() -> Recorder:
    """A session key trades, is revoked, and its orders die; a mass cancel kills the rest."""
    world = _open()
    world.grant(1)
    world.send(world.order(1, SELL, MARK, 200, 20), signers=(SESSION_KEY,))
    world.sell(1, MARK, 200, slot=21)
    world.sell(1, MARK + 1, 200, slot=22)
    world.revoke(1)
    world.buy(2, MARK, 100)
    world.cancel_all(1)
    world.remove(1, 22)
    world.buy(2, MARK, 200)
    world.send(world.order(1, SELL, MARK, 200, 23), signers=(SESSION_KEY,))
    return world


def bundle_and_money() -> Recorder:
    """A bundle with a refused member and a mass cancel inside; funding, sweep, deposit, withdrawal."""
    world = _open()
    first, bad, last = (world.order(1, SELL, MARK, size, slot) for size, slot in ((200, 20), (150, 21), (300, 22)))
    world.send(first, bad, CancelAll(1, 0, world.next_nonce(), NO_DEADLINE), last, signers=(owner_of(1),))
    world.buy(2, MARK, 200)
    world.price(MARK, MARK + 600)
    world.wait(30)
    world.price(MARK, MARK + 600)
    world.accrue()
    world.buy(1, MARK, 100)
    world.sell(2, MARK, 100)
    world.sweep()
    world.deposit(2, 5 * MICRO)
    world.withdraw(2, 7 * MICRO)
    world.withdraw(2, 1 << 90)
    return world


def _small_long(size: int = 100_000, cash: int = 1_300 * MICRO) -> Recorder:
    world = Recorder([terms(price_step_ppm=30_000)], traders=2, cash=1_000_000 * MICRO)
    world.deposit(3, cash)
    world.price(MARK)
    world.sell(1, MARK, size)
    world.buy(3, MARK, size)
    return world


def inside_the_band() -> Recorder:
    """A long below maintenance is cancelled, then sold to the book; the fee is bounded by the equity left."""
    world = _small_long()
    world.sell(3, MARK + 100, 100, slot=20)
    world.price(593_000)
    world.liquidate(3)
    world.buy(2, 587_069, 100, slot=20)
    world.liquidate(3)
    world.buy(2, 588_000, 200_000)
    world.liquidate(3)
    world.liquidate(3)
    return world


def slices() -> Recorder:
    """A position above the slice goes a fifth at a time, rounded up to a lot."""
    world = _small_long(200_100, 2_600 * MICRO)
    world.price(589_000)
    world.buy(2, 589_000, 300_000)
    for _ in range(4):
        world.liquidate(3)
    return world


def shortfall() -> Recorder:
    """Sold below bankruptcy: the fund pays what it has, the rest is booked, the market turns reduce-only."""
    world = _small_long()
    world.sweep()
    world.price(586_000)
    world.buy(2, 586_000, 200_000)
    world.liquidate(3)
    world.buy(2, 586_000, 100)
    return world


def short() -> Recorder:
    """A short is bought back above the mark; a dead order and one of the same owner stand in the way."""
    world = Recorder([terms(price_step_ppm=30_000)], traders=2, cash=1_000_000 * MICRO)
    world.deposit(3, 1_300 * MICRO)
    world.deposit(4, 10_000 * MICRO, owner=owner_of(3))
    world.price(MARK)
    world.buy(1, MARK, 100_000)
    world.sell(3, MARK, 100_000)
    world.price(607_000)
    world.sell(1, 607_100, 100, slot=30)
    world.cancel_all(1)
    world.send(world.order(4, SELL, 607_200, 100), signers=(owner_of(3),))
    world.sell(2, 607_500, 60_000)
    world.liquidate(3)
    world.liquidate(3)
    return world


def contracts() -> Recorder:
    """A chain's life: a future and options listed, priced, traded through a builder, halted, expired and paid out."""
    world = Recorder(markets=[terms(maker_fee_ppm=-100), *default_markets(0)[1:]], templates=templates())
    world.price(INDEX)
    expiry = (START // MICRO // DAY + 1) * DAY + EXPIRY_HOUR
    world.send(ListMarket(0, expiry, 0, 0))
    world.send(ListMarket(1, expiry, INDEX, CALL))
    world.send(ListMarket(1, expiry, INDEX + 10_000, PUT))
    world.send(ListMarket(1, expiry, INDEX + 1, PUT))
    for market, mark in ((2, INDEX + 500), (3, 9_000), (4, 16_000)):
        world.price(INDEX, mark, market=market)
    world.sell(1, INDEX + 500, 2_000, market=2)
    world.buy(2, INDEX + 500, 1_000, market=2, builder=3, builder_fee_ppm=700)
    world.sell(2, 9_000, 3_000, market=3)
    world.buy(3, 9_000, 3_000, market=3)
    world.buy(1, 15_000, 1_000, market=4, slot=17)
    world.sell(2, 15_000, 1_000, market=4, slot=18)
    world.send(PayBuilder(2, 3))
    world.guard(2, HALTED)
    world.buy(3, INDEX + 500, 1_000, market=2, slot=18)
    world.guard(2, OPEN)
    world.wait(301)
    world.send(ReopenMarket(2))
    world.send(MarkStale(3))
    world.send(DelistMarket(0, world.time, world.time // MICRO + 8 * DAY), signers=(GOVERNOR,))
    for minutes, index in ((40, INDEX + 3_000), (20, INDEX + 6_000), (10, INDEX + 9_000)):
        world.time = (expiry - 60 * minutes) * MICRO
        for market, mark in ((2, index), (3, index - INDEX + 100), (4, 10_000)):
            world.price(index, mark, market=market)
    world.time = expiry * MICRO
    world.cancel(1)
    for market in (2, 3, 4):
        world.expire(market)
    for subaccount, market in ((2, 2), (1, 2), (3, 3), (2, 3), (2, 4), (1, 4)):
        world.close(subaccount, market)
    world.remove(1, 16)
    return world


MATCHES = {"contracts": contracts, "price_time": price_time, "replaces": replaces, "flags": flags, "sessions": sessions}
MATCHES["bundle_and_money"] = bundle_and_money
LIQUIDATIONS = {"inside_the_band": inside_the_band, "slices": slices, "shortfall": shortfall, "short": short}
