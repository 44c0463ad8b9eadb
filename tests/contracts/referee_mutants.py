"""Committed content with one thing changed: entries, entries before them, leaves before them, commands, times.

`python tests/contracts/referee_mutants.py --trades 12` puts every mutant of so many trades to both judges.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random
from time import perf_counter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from referee_contracts import SCENES
from referee_scenes import Scene
from referee_world import SEPARATOR, ZERO, Court, Record, Trade, contents_of, record_stream

from penstock.protocol.batch import Batch
from penstock.protocol.commands import CODECS, Bundle, PlaceOrder
from penstock.protocol.events import BY_OWNER_KEY, NO_SLOT
from penstock.protocol.forms import Form
from penstock.protocol.ledger import (
    ACCOUNT_LEAF,
    ENTRY_FORMS,
    LIST_DEPTH,
    MARKET_LEAF,
    POSITION,
    SESSION_LEAF,
    SLOT_LEAF,
    TERMS,
    TIER,
    TRADE,
    Domains,
)
from penstock.protocol.signing import CURVE_ORDER, SIGNATURE, bundle_root
from penstock.protocol.verdicts import Finding, Verdict
from penstock.protocol.words import keccak
from penstock.settlement.chain import Chain
from penstock.settlement.disputes import BatchContents, Sequenced, trade_witness
from penstock.settlement.local_chain import open_chain
from penstock.simulation.cast import SIGNERS
from penstock.spec.margin import assess
from penstock.spec.positions import Holding, trading_fee
from penstock.spec.referee.entry import TradeEntry, read_entry
from penstock.spec.referee.leaves import JudgedMarkets, _market
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import EXPIRED, Position

FORM: Final = ENTRY_FORMS[TRADE]
_PLACE: Final = CODECS[PlaceOrder]
_BUNDLE: Final = CODECS[Bundle]
_LAST: Final = 4
EXTREMES: Final = 60
LENGTHS: Final = {6: 3_000, 8: 3_000}
"""Streams of contracts that begin and end take longer to trade in all of them."""
Seen = Counter[tuple[str, str]]


class Raw(Struct, frozen=True):
    """A sequenced command in its parts, well-formed or not."""

    sequence: int
    time: int
    record: bytes
    signatures: bytes
    members: tuple[bytes, ...] = ()


class PackedTerms(Struct, frozen=True):
    """Terms and tiers as a leaf commits to them, whatever they say."""

    packed: bytes

    def encode(self) -> bytes:
        """As they are."""
        return self.packed


class Case(Struct, frozen=True):
    """Two steps, one after the other: what is before the entry, and the entry; and the leaves that open it."""

    label: str
    previous: bytes
    pre_root: bytes
    entry: bytes
    post_root: bytes
    leaves: bytes


def variants(form: Form, packed: bytes, dice: Random) -> Iterator[tuple[str, bytes]]:
    """Every field one more, one less, zero, its highest bit alone, all ones, and with a bit flipped."""
    number, place = int.from_bytes(packed, "big"), form.bits
    for name, _, bits in form.fields:
        place -= bits
        mask = (1 << bits) - 1
        value = number >> place & mask
        wanted = {value + 1, value - 1, 0, 1 << bits - 1, mask, value ^ 1 << dice.randrange(bits)}
        for other in sorted({w & mask for w in wanted} - {value}):
            yield name, (number ^ (value ^ other) << place).to_bytes(form.length, "big")


def extremes(form: Form, packed: bytes, dice: Random, share: float, keep: Sequence[str] = ()) -> bytes:
    """A share of the fields, but for those to keep, at an end of their width, next to it, or anywhere."""
    number, place = int.from_bytes(packed, "big"), form.bits
    for name, _, bits in form.fields:
        place -= bits
        if name in keep or dice.random() >= share:
            continue
        high = 1 << bits - 1
        other = dice.choice((0, 1, high - 1, high, high + 1, 2 * high - 1, dice.randrange(2 * high))) % (2 * high)
        number ^= ((number >> place & 2 * high - 1) ^ other) << place
    return number.to_bytes(form.length, "big")


def fields(packed: bytes) -> TradeEntry:
    """A trade entry's fields."""
    entry = read_entry(packed)
    assert entry is not None
    return entry


def with_fields(packed: bytes, **changes: int | bytes) -> bytes:
    """The entry with these fields."""
    return FORM.pack(*(FORM.unpack(packed) | changes).values())


# --- steps ---


def case_of(record: Record, trade: Trade, label: str, **changes: bytes) -> Case:
    """The trade as it was, but for the changes."""
    contents = record.batches[trade.batch]
    whole = Case(
        label, contents.entries[trade.index - 1], contents.post_roots[trade.index - 1],
        contents.entries[trade.index], contents.post_roots[trade.index], trade.leaves,
    )  # fmt: skip
    return replace(whole, **changes)


def entry_cases(record: Record, trade: Trade, dice: Random) -> Iterator[Case]:
    """The entry with each field changed, with other lengths, and with another root after it."""
    assert trade.tree is not None
    honest = case_of(record, trade, "entry")
    for name, entry in variants(FORM, honest.entry, dice):
        yield replace(honest, label=f"entry.{name}", entry=entry, leaves=_open(trade.tree, entry))
    for length in (1, 11, FORM.length - 1, FORM.length + 1, 255):
        yield replace(honest, label="entry length", entry=(honest.entry + bytes(99))[:length])
    for root in (ZERO, honest.pre_root, _flipped(honest.post_root, dice)):
        yield replace(honest, label="post-root", post_root=root)


def previous_cases(record: Record, trade: Trade, dice: Random) -> Iterator[Case]:
    """The entry before it changed likewise."""
    honest = case_of(record, trade, "previous")
    form = ENTRY_FORMS[honest.previous[0]]
    for name, previous in variants(form, honest.previous, dice):
        yield replace(honest, label=f"previous.{name}", previous=previous)
    for length in (0, 1, 11, 12, FORM.length - 1, FORM.length + 1, 255):
        yield replace(honest, label="previous length", previous=(honest.previous + bytes(255))[:length])
    yield replace(honest, label="previous itself", previous=honest.entry)


def leaf_cases(record: Record, trade: Trade, dice: Random) -> Iterator[Case]:
    """Each leaf before the entry with each field changed, and without it, in a tree that agrees with the change."""
    tree = trade.tree
    assert tree is not None
    honest = case_of(record, trade, "leaf")
    for label, changed in _changed_trees(tree, fields(honest.entry), dice):
        yield replace(honest, label=label, pre_root=changed.root(), leaves=_open(changed, honest.entry))
    for _ in range(EXTREMES):
        changed = _with_extremes(tree, fields(honest.entry), dice)
        entry = _fitted(changed, honest.entry)
        yield replace(
            honest, label="several at once", pre_root=changed.root(), entry=entry, leaves=_open(changed, entry)
        )


def _changed_trees(  # long: one leaf after the other
    tree: SettlementTree, entry: TradeEntry, dice: Random
) -> Iterator[tuple[str, SettlementTree]]:
    sides = (
        ("maker", entry.maker, entry.maker_slot, entry.maker_session),
        ("taker", entry.taker, entry.taker_slot, entry.taker_session),
    )
    for role, number, slot, session in sides:
        leaf = tree._leaves[number]
        for name, head in variants(ACCOUNT_LEAF, leaf[:128], dice):
            yield f"{role}.{name}", _with_account(tree, number, head + leaf[128:])
        for at in range(128, len(leaf), 32):
            for name, word in variants(POSITION, leaf[at : at + 32], dice):
                yield f"{role} position.{name}", _with_account(tree, number, leaf[:at] + word + leaf[at + 32 :])
        yield f"{role} cut", _with_account(tree, number, leaf[:-1])
        if slot != NO_SLOT:
            before = tree._slot_leaves.get((number, slot), bytes(64))
            for name, packed in variants(SLOT_LEAF, before, dice):
                yield f"{role} slot.{name}", _with_slot(tree, number, slot, packed)
            used = SLOT_LEAF.pack(*_used_slot(entry, role))
            yield f"{role} slot in use", _with_slot(tree, number, slot, used)
        if session != BY_OWNER_KEY:
            for name, packed in variants(SESSION_LEAF, tree._session_leaves[number, session], dice):
                yield f"{role} session.{name}", _with_session(tree, number, session, packed)
    yield from _changed_markets(tree, "", entry.market, dice)
    beside = sorted(_held(tree, entry) - {entry.market})
    if beside:
        yield from _changed_markets(tree, "held ", dice.choice(beside), dice)


def _changed_markets(
    tree: SettlementTree, label: str, number: int, dice: Random
) -> Iterator[tuple[str, SettlementTree]]:
    market, terms = tree._market_leaves[number], tree._terms[number].encode()
    for name, packed in variants(MARKET_LEAF, market, dice):
        yield f"{label}market.{name}", with_market(tree, number, packed, terms)
    for name, packed in variants(TERMS, terms[: TERMS.length], dice):
        yield f"{label}terms.{name}", with_market(tree, number, market, packed + terms[TERMS.length :])
    for name, packed in variants(TIER, terms[TERMS.length : TERMS.length + TIER.length], dice):
        changed = terms[: TERMS.length] + packed + terms[TERMS.length + TIER.length :]
        yield f"{label}tier.{name}", with_market(tree, number, market, changed)


def _with_extremes(tree: SettlementTree, entry: TradeEntry, dice: Random) -> SettlementTree:
    """Both sides' cash and positions and all markets held, a share of their fields at an extreme."""
    share = dice.choice((0.02, 0.1, 0.4))
    for number in (entry.maker, entry.taker):
        leaf = tree._leaves[number]
        head = extremes(ACCOUNT_LEAF, leaf[:128], dice, share, ("owner", "positions", "slots_root", "sessions_root"))
        words = b""
        for at in range(128, len(leaf), 32):
            word = extremes(POSITION, leaf[at : at + 32], dice, share, ("market",))
            words += word if any(word[3:10]) else leaf[at : at + 32]
        tree = _with_account(tree, number, head + words)
    for number in _held(tree, entry) | {entry.market}:
        packed = tree._terms[number].encode()
        terms, tiers = packed[: TERMS.length], packed[TERMS.length :]
        kept = ("underlying", "kind", "maker_fee_ppm", "taker_fee_ppm", "stale_after", "option_type", "expiry", "tiers")
        terms = extremes(TERMS, terms, dice, share, kept)
        tiers = extremes(TIER, tiers[: TIER.length], dice, share) + tiers[TIER.length :]
        kept = ("parameters", "flags", "priced_at")
        leaf = extremes(MARKET_LEAF, tree._market_leaves[number], dice, share, kept)
        tree = with_market(tree, number, leaf, terms + tiers)
    return tree


def _fitted(tree: SettlementTree, packed: bytes) -> bytes:
    """The entry with the fees and the risk that these leaves lead to; those of a liquidation as they were."""
    entry = fields(packed)
    numbers = _held(tree, entry) | {entry.market}
    listed = JudgedMarkets({n: _market(tree._market_leaves[n], tree._terms[n].encode()) for n in numbers})
    leaf = tree._leaves[entry.taker]
    words = [POSITION.values(leaf[at : at + 32]) for at in range(128, len(leaf), 32)]
    holding = Holding(ACCOUNT_LEAF.unpack(leaf[:128])["cash"], {m: Position(*values) for m, *values in words})
    risk, held = assess(listed, holding), holding.positions.get(entry.market)
    changes = {"taker_equity": risk.equity, "taker_initial": risk.initial, "taker_held": held.size if held else 0}
    market = listed.markets[entry.market]
    if not entry.liquidation:
        fee = trading_fee(market, entry.size, entry.price, market.terms.taker_fee_ppm)
        rebate = trading_fee(market, entry.size, entry.price, market.terms.maker_fee_ppm)
        changes |= {"taker_fee": fee, "maker_fee": max(-fee, rebate)}
    return with_fields(packed, **changes)


def _held(tree: SettlementTree, entry: TradeEntry) -> set[int]:
    """The markets that either side has a position in."""
    leaves = [tree._leaves[entry.maker], tree._leaves[entry.taker]]
    return {int.from_bytes(leaf[at : at + 3], "big") for leaf in leaves for at in range(128, len(leaf), 32)}


def _used_slot(entry: TradeEntry, role: str) -> tuple[int | bytes, ...]:
    if role == "maker":
        return (1, 0, entry.price, entry.maker_priority, entry.maker_priority_member, 0, entry.maker_hash)
    return ((1 << 64) - 1, 0, entry.price, entry.sequence, entry.member, 0, entry.taker_hash)


def _with_account(tree: SettlementTree, number: int, leaf: bytes) -> SettlementTree:
    twin = tree.copy()
    twin._leaves[number] = leaf
    twin._accounts.set(number, keccak(Domains.ACCOUNT_LEAF + leaf))
    return twin


def _with_slot(tree: SettlementTree, number: int, slot: int, packed: bytes) -> SettlementTree:
    twin, leaf = tree.copy(), tree._leaves[number]
    twin._slot_leaves[number, slot] = packed
    twin._slots[number].set(slot, keccak(Domains.SLOT_LEAF + packed))
    return _with_account(twin, number, leaf[:64] + twin._slots[number].root() + leaf[96:])


def _with_session(tree: SettlementTree, number: int, session: int, packed: bytes) -> SettlementTree:
    twin, leaf = tree.copy(), tree._leaves[number]
    twin._session_leaves[number, session] = packed
    twin._sessions[number].set(session, keccak(Domains.SESSION_LEAF + packed))
    return _with_account(twin, number, leaf[:96] + twin._sessions[number].root() + leaf[128:])


def with_market(tree: SettlementTree, market: int, packed: bytes, terms: bytes) -> SettlementTree:
    """The tree with another leaf and other terms of a market."""
    twin = tree.copy()
    if terms != tree._terms[market].encode():
        packed = packed[:-32] + keccak(Domains.PARAMETERS + terms)
    twin._terms = tree._terms | {market: PackedTerms(terms)}
    twin._market_leaves[market] = packed
    twin._markets.set(market, keccak(Domains.MARKET_LEAF + packed))
    return twin


def _open(tree: SettlementTree, entry: bytes) -> bytes:
    """The leaves a changed entry asks for; none where it names what no tree has, and so is judged without."""
    try:
        return tree.open_trade(entry)
    except (ValueError, KeyError):
        return b""


def _flipped(packed: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(packed))
    return packed[:at] + bytes([packed[at] ^ 1 << dice.randrange(8)]) + packed[at + 1 :]


# --- commands ---


def command_cases(  # long: the kinds of change, one after the other
    entry: TradeEntry, command: Sequenced, member: int, role: str, dice: Random
) -> Iterator[tuple[str, Raw | None, bytes]]:
    """(label, the command changed, the order hash the entry then names), as sequenced and as an accomplice signs it."""
    whole = Raw(command.sequence, command.time, command.record, command.signatures, tuple(command.members))
    bundled = bool(whole.members)
    order = whole.members[member] if bundled else whole.record
    order_hash = entry.maker_hash if role == "maker" else entry.taker_hash
    yield f"{role} absent", None, order_hash
    for other in (0, command.time - 1, command.time + 1, (1 << 64) - 1, command.time ^ 1 << dice.randrange(64)):
        if other != command.time:
            yield f"{role} time", replace(whole, time=other), order_hash
    for name, signatures in _signature_variants(whole, dice):
        yield f"{role} signature {name}", replace(whole, signatures=signatures), order_hash
    for name, record in _record_variants(whole.record, dice):
        yield f"{role} record.{name}", replace(whole, record=record), order_hash
        if whole.signatures and len(record) <= 512:
            signed = _signed(replace(whole, record=record))
            yield f"{role} signed.{name}", signed, order_hash if bundled else keccak(record)
    if bundled:
        for name, changed in _record_variants(order, dice):
            members = (*whole.members[:member], changed, *whole.members[member + 1 :])
            root = bundle_root([keccak(m) for m in members])
            signed = _signed(replace(whole, record=whole.record[:32] + root + whole.record[64:], members=members))
            yield f"{role} member.{name}", signed, keccak(changed)


def _record_variants(record: bytes, dice: Random) -> Iterator[tuple[str, bytes]]:
    codec = next(c for c in CODECS.values() if c.typehash == record[:32])
    names = ["type", *(name for name, _ in codec.fields)]
    widths = [256, *(atom.bits for _, atom in codec.fields)]
    for at, (name, bits) in enumerate(zip(names, widths, strict=True)):
        value = int.from_bytes(record[32 * at : 32 * at + 32], "big")
        top = (1 << bits) - 1
        wanted = {value + 1, value - 1, 0, 1, top, top + 1, value ^ 1 << dice.randrange(256), value ^ 1 << 255}
        for other in sorted({w for w in wanted if 0 <= w < 1 << 256} - {value}):
            yield name, record[: 32 * at] + other.to_bytes(32, "big") + record[32 * at + 32 :]
    for length in (0, 31, 32, len(record) - 1, len(record) + 1, len(record) - 32, 512):
        yield "length", (record + bytes(512))[:length]


def _signature_variants(command: Raw, dice: Random) -> Iterator[tuple[str, bytes]]:
    good = command.signatures
    if not good:
        yield "where none is due", bytes(SIGNATURE)
        return
    signer, r, s, v = good[:20], good[20:52], good[52:84], good[84:]
    high = (CURVE_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    top, order = b"\xff" * 32, CURVE_ORDER.to_bytes(32, "big")
    half = (CURVE_ORDER // 2).to_bytes(32, "big")
    yield from (("signer", _flipped(signer, dice) + good[20:]), ("no signer", bytes(20) + good[20:]))
    yield from (
        ("r", signer + other + s + v) for other in (bytes(32), top, order, _flipped(r, dice), bytes(31) + b"\5")
    )
    yield from (("s", signer + r + other + v) for other in (bytes(32), top, order, half, _flipped(s, dice)))
    yield "s", signer + r + (CURVE_ORDER // 2 + 1).to_bytes(32, "big") + v
    yield "high s", signer + r + high + bytes([55 - v[0]])
    yield from (("v", good[:84] + bytes([other])) for other in (0, 1, 26, 29, 255))
    yield "other parity", good[:84] + bytes([55 - v[0]])
    # An address of zero, and a signature that recovers nobody: both are zero to ecrecover.
    yield "nobody", bytes(20) + bytes(31) + b"\5" + s + v
    yield from (("length", (good + bytes(512))[:length]) for length in (0, 1, 84, 86, 170, 512))


def _signed(command: Raw) -> Raw:
    signer = SIGNERS.get(command.signatures[:20])
    if signer is None:
        return command
    return replace(command, signatures=signer.sign(SEPARATOR, keccak(command.record)))


# --- judging them ---


class Bench:
    """A recorded stream in one batch, and courts for batches that change something in it."""

    def __init__(self, chain: Chain, record: Record) -> None:
        assert len(record.batches) == 1
        self.chain, self.record, self.contents = chain, record, record.batches[0]
        self.court = Court(chain, record.genesis_root)
        self.seen: Seen = Counter()

    def judge(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """What both judges say of each case; all of them in one batch."""
        entries, roots = [], []
        for case in cases:
            entries += [case.previous, case.entry]
            roots += [case.pre_root, case.post_root]
        # Something behind the last, which would have to say that it is its command's last fill.
        contents = self._commit(self.contents.commands, [*entries, b"\4" + bytes(33)], [*roots, ZERO])
        verdicts = []
        for number, case in enumerate(cases):
            witness = trade_witness(contents, contents, 2 * number + 1, case.leaves)
            verdicts.append(self._note(case.label, contents.batch, witness))
        return verdicts

    def judge_again(self, cases: Sequence[Case], verdicts: Sequence[Verdict | None]) -> list[Verdict | None]:
        """The cases whose root was wrong, once more with the root that the judges reached."""
        wrong = [
            replace(case, label=f"{case.label}, right root", post_root=verdict.post_root)
            for case, verdict in zip(cases, verdicts, strict=True)
            if verdict and verdict.finding == Finding.POST_ROOT_WRONG
        ]
        return self.judge(wrong)

    def judge_command(self, trade: Trade, label: str, command: Raw | None, sequence: int, entry: bytes) -> None:
        """The trade with another command at this sequence number; with the right root too where only that is wrong."""
        commands: list[Sequenced | Raw | None] = list(self.contents.commands)
        commands[sequence - 1] = command
        case = case_of(self.record, trade, label, entry=entry)
        for again in (False, True):
            entries, roots = [case.previous, case.entry, b"\4" + bytes(33)], [case.pre_root, case.post_root, ZERO]
            contents = self._commit(commands, entries, roots)
            assert trade.tree is not None
            witness = trade_witness(contents, contents, 1, _open(trade.tree, entry))
            verdict = self._note(case.label, contents.batch, witness)
            if again or not verdict or verdict.finding != Finding.POST_ROOT_WRONG:
                return
            case = replace(case, label=f"{label}, right root", post_root=verdict.post_root)

    def _commit(
        self, commands: Sequence[Sequenced | Raw | None], entries: Sequence[bytes], roots: Sequence[bytes]
    ) -> BatchContents:
        """Commit in place of the batch; the chain returns to where it was before the next."""
        if self.court.hashes:
            self.chain.restore(self._mark)
        self._mark = self.chain.snapshot()
        batch = replace(self.contents.batch, entries=len(entries), settlement_root=roots[-1])
        contents = contents_of(batch, commands, entries, roots)
        self.court.commit(contents)
        return contents

    def _note(self, label: str, batch: Batch, witness: bytes) -> Verdict | None:
        verdict = self.court.agree(batch, batch, witness)
        self.seen[label, verdict.finding.name if verdict else "no verdict"] += 1
        return verdict


def bench_of(chain: Chain, staged: Scene) -> Bench:
    """A bench for one trade set up by hand."""
    entry = staged.contents.entries[staged.index]
    trade = Trade(0, staged.index, staged.tree.open_trade(entry), staged.tree)
    return Bench(chain, Record(ZERO, [staged.contents], [trade]))


def choose(record: Record, wanted: int, dice: Random) -> list[Trade]:
    """Trades of different kinds: by liquidation, side, session, bundle, first and later fills, last ones."""
    kinds: dict[tuple[object, ...], list[Trade]] = {}
    contents = record.batches[0]
    for trade in record.trades:
        if not trade.index:
            continue
        entry = fields(contents.entries[trade.index])
        before = contents.entries[trade.index - 1]
        bundled = [bool(contents.commands[s - 1].members) for s in (entry.sequence, entry.maker_sequence)]
        kind = (
            *_instrument(trade, entry), entry.flags, entry.maker_session == BY_OWNER_KEY,
            entry.taker_session == BY_OWNER_KEY, *bundled,
            before[0] == TRADE and before[1:10] == contents.entries[trade.index][1:10],
        )  # fmt: skip
        kinds.setdefault(kind, []).append(trade)
    order = [dice.choice(trades) for trades in kinds.values()]
    dice.shuffle(order)
    return order[:wanted]


def _instrument(trade: Trade, entry: TradeEntry) -> tuple[object, ...]:
    """What is traded, at whose cost, and whether the taker holds what has ended."""
    tree = trade.tree
    assert tree is not None
    terms = tree._terms[entry.market]
    flags = [tree._market_leaves[market][31] for market in _held(tree, entry)]
    return terms.kind, terms.option_type, entry.maker_fee < 0, entry.builder > 0, any(f & EXPIRED for f in flags)


def put_steps(bench: Bench, trades: Sequence[Trade], dice: Random, keep: Callable[[], bool] = lambda: True) -> None:
    """Every mutant kept of entries, entries before and leaves; asserts what a changed entry may never be."""
    for make in (entry_cases, previous_cases, leaf_cases):
        cases = [case for trade in trades for case in make(bench.record, trade, dice) if keep()]
        assert 2 * len(cases) < 4**LIST_DEPTH
        verdicts = bench.judge(cases)
        if make is entry_cases:
            for case, verdict in zip(cases, verdicts, strict=True):
                honest = verdict is not None and verdict.finding == Finding.HONEST
                assert not honest or _is_only_last(case, bench), case.label
        if make is leaf_cases:
            bench.judge_again(cases, verdicts)


def _is_only_last(case: Case, bench: Bench) -> bool:
    """Whether nothing changed but the mark of a last fill, which the entry behind it is judged by."""
    flags = FORM.unpack(case.entry)["flags"] ^ _LAST
    return case.label == "entry.flags" and with_fields(case.entry, flags=flags) in bench.contents.entries


def put_commands(bench: Bench, trades: Sequence[Trade], dice: Random, keep: Callable[[], bool]) -> None:
    """Every mutant of both commands of these trades that is kept."""
    for trade in trades:
        packed = bench.contents.entries[trade.index]
        entry = fields(packed)
        for role, sequence, member in (
            ("taker", entry.sequence, entry.member),
            ("maker", entry.maker_sequence, entry.maker_member),
        ):
            command = bench.contents.commands[sequence - 1]
            for label, changed, order_hash in command_cases(entry, command, member, role, dice):
                if keep():
                    key = f"{role}_hash"
                    named = (
                        packed if role == "taker" and entry.liquidation else with_fields(packed, **{key: order_hash})
                    )
                    bench.judge_command(trade, label, changed, sequence, named)


def main() -> None:
    """Put every mutant of the chosen trades to both judges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=7)
    options = parser.parse_args()
    started, seen = perf_counter(), Counter[str]()
    with open_chain() as chain:
        for seed in range(options.seeds):
            dice = Random(seed)
            bench = Bench(chain, record_stream(seed, LENGTHS.get(seed % 10, 400), trees=True))
            trades = choose(bench.record, options.trades, dice)
            put_steps(bench, trades, dice)
            put_commands(bench, trades[:4], dice, lambda: True)
            for (_, finding), times in bench.seen.items():
                seen[finding] += times
            print(f"seed {seed}: {len(trades)} trades, {bench.seen.total()} mutants, the judges agree", flush=True)
        for number, (name, make) in enumerate(SCENES.items()):
            bench = bench_of(chain, make())
            put_steps(bench, bench.record.trades, Random(number), lambda: True)
            for (_, finding), times in bench.seen.items():
                seen[finding] += times
            print(f"{name}: {bench.seen.total()} mutants, the judges agree", flush=True)
    print(f"{seen.total()} mutants in {perf_counter() - started:.0f} s")
    for finding, times in seen.most_common():
        print(f"  {finding:24} {times:6}")


if __name__ == "__main__":
    main()
