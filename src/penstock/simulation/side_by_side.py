"""The spec and other hands doing the same work: one seeded stream through both, compared byte by byte.

run(task)
  100 steps of the stream      the spec does them, and makes the next message from its own state
  envelopes                    verified by both
  commands                     applied by both: events and written entries
  engine root                  of both
  settlement root              of both, after every entry
  every 1,000 steps            both saved, compared, and replaced by what the saved bytes load to
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any, Final, Protocol

from msgspec import Struct, field

from penstock.protocol.events import Event, Refused
from penstock.protocol.ledger import TRADE, Entry, decode_entry
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import Domain, Verified, verify
from penstock.protocol.terms import Genesis
from penstock.protocol.views import MARKET_VIEW, WhatIf, decode_account_view, decode_market_view, decode_what_if
from penstock.protocol.wire import (
    decode_applied,
    decode_message,
    decode_written,
    encode_applied,
    encode_command,
    encode_message,
    encode_written,
)
from penstock.simulation.envelopes import Attempt
from penstock.simulation.profiles import profile_of
from penstock.simulation.streams import Step, Stream
from penstock.spec.digest import engine_root
from penstock.spec.queries import account_view, market_view
from penstock.spec.saved import load, save
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import State
from penstock.spec.transition import apply
from penstock.spec.what_if import what_if

CHUNK: Final = 100
"""Commands between two comparisons."""
SAVES: Final = 1_000
"""Commands between two saves, in whole chunks."""
_COMMAND_HEAD: Final = 20


class Hands(Protocol):
    """Whoever can do the engine's work, in bytes."""

    def verify(self, envelopes: list[bytes], from_node: list[bool]) -> Sequence[bytes | int]:
        """Per envelope the verified message (wire.encode_message), or the number of a reason."""

    def apply(self, commands: bytes) -> bytes:
        """Frames of wire.encode_command in, one frame of wire.encode_applied each out."""

    def engine_root(self) -> bytes:
        """The engine root now."""

    def settlement_roots(self, written: list[bytes]) -> list[bytes]:
        """The settlement root after each written entry."""

    def opening(self, packed: bytes) -> bytes:
        """What a witness needs of the leaves now for this trade entry."""

    def views(self, subaccount: int) -> list[object]:
        """One account as people see it, and every market."""

    def save(self) -> bytes:
        """The saved form of the state now."""

    def load(self, saved: bytes) -> None:
        """Go on from a saved state, with a settlement tree built from it."""


class SpecHands:
    """The Python spec, spoken to in bytes."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._separator = Domain(genesis.chain_id, genesis.vault).separator()
        self._state = State.from_genesis(genesis)
        self._tree = SettlementTree(self._state)

    def verify(self, envelopes: list[bytes], from_node: list[bool]) -> list[bytes | int]:
        """As `Hands` says."""
        return [self._verified(*opened) for opened in zip(envelopes, from_node, strict=True)]

    def _verified(self, envelope: bytes, from_node: bool) -> bytes | int:
        try:
            return encode_message(verify(self._separator, envelope, from_node=from_node))
        except Refusal as refusal:
            return refusal.reason

    def apply(self, commands: bytes) -> bytes:
        """As `Hands` says."""
        done = []
        for sequence, time, message in _commands(commands):
            applied = apply(self._state, sequence, time, decode_message(message))
            done.append(encode_applied(applied.events, applied.entries))
        return b"".join(done)

    def engine_root(self) -> bytes:
        """As `Hands` says."""
        return engine_root(self._state)

    def settlement_roots(self, written: list[bytes]) -> list[bytes]:
        """As `Hands` says."""
        return [self._tree.advance(decode_written(entry)) for entry in written]

    def opening(self, packed: bytes) -> bytes:
        """As `Hands` says."""
        return self._tree.open_trade(packed)

    def views(self, subaccount: int) -> list[object]:
        """As `Hands` says."""
        return spec_views(self._state, subaccount)

    def save(self) -> bytes:
        """As `Hands` says."""
        return save(self._state)

    def load(self, saved: bytes) -> None:
        """As `Hands` says."""
        self._state = load(self._genesis, saved)
        self._tree = SettlementTree(self._state)


class NativeHands:
    """The native core. Raises ImportError where it is not built."""

    def __init__(self, genesis: Genesis) -> None:
        self._core: Any = import_module("penstock_core")
        self._genesis = genesis.encode()
        self._verifier = self._core.Verifier(Domain(genesis.chain_id, genesis.vault).separator(), 1)
        self._engine = self._core.Engine(self._genesis)
        self._tree = self._core.SettlementTree(self._engine.snapshot(), self._genesis)

    def verify(self, envelopes: list[bytes], from_node: list[bool]) -> Sequence[bytes | int]:
        """As `Hands` says."""
        return list(self._verifier.verify(envelopes, from_node))

    def apply(self, commands: bytes) -> bytes:
        """As `Hands` says."""
        return bytes(self._engine.apply(commands))

    def engine_root(self) -> bytes:
        """As `Hands` says."""
        return bytes(self._engine.engine_root())

    def settlement_roots(self, written: list[bytes]) -> list[bytes]:
        """As `Hands` says."""
        return list(self._tree.advance(written))

    def opening(self, packed: bytes) -> bytes:
        """As `Hands` says."""
        return bytes(self._tree.open_trade(packed))

    def views(self, subaccount: int) -> list[object]:
        """As `Hands` says."""
        account = self._engine.account(subaccount)
        packed, length = self._engine.markets(), MARKET_VIEW.length
        markets = [decode_market_view(packed[at : at + length]) for at in range(0, len(packed), length)]
        shown = [account and decode_account_view(account), *markets]
        return shown + _what_ifs(subaccount, [view.market for view in markets], self._what_if)

    def _what_if(self, subaccount: int, market: int, change: int, price: int) -> WhatIf | None:
        packed = self._engine.what_if(subaccount, market, change, price)
        return None if packed is None else decode_what_if(packed)

    def save(self) -> bytes:
        """As `Hands` says."""
        return bytes(self._engine.save())

    def load(self, saved: bytes) -> None:
        """As `Hands` says."""
        self._engine = self._core.Engine.load(self._genesis, saved)
        self._tree = self._core.SettlementTree(self._engine.snapshot(), self._genesis)


class Task(Struct, frozen=True):
    """One stream to run: its seed, how many commands, how many of them begin as bytes (one in; 0 none), and how many
    lie between two saves (0: none is made)."""

    seed: int
    commands: int
    envelopes: int = 8
    saves: int = SAVES

    def replay(self, commands: int) -> str:
        """The command line that runs this stream again, as far as `commands`."""
        return f"make sim SEED={self.seed} COMMANDS={commands} ENVELOPES={self.envelopes} SAVES={self.saves}"


class Difference(Struct, frozen=True):
    """Where the two disagreed; the spec is `expected`."""

    seed: int
    profile: str
    sequence: int
    what: str
    record: str
    expected: str
    found: str
    replay: str

    def __str__(self) -> str:
        return (
            f"seed {self.seed} ({self.profile}), sequence {self.sequence}: {self.what}\n  record  {self.record}\n"
            f"  spec    {self.expected}\n  found   {self.found}\n  replay  {self.replay}"
        )


class Tally(Struct):
    """How often everything happened."""

    commands: int = 0
    envelopes: int = 0
    entries: int = 0
    saves: int = 0
    records: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    def count(self, step: Step) -> None:
        """Note one step."""
        self.commands += 1
        self.envelopes += len(step.attempts)
        self.entries += len(step.applied.entries)
        self.records[type(step.message.record).__name__] += 1
        self.reasons.update(a.outcome.name for a in step.attempts if isinstance(a.outcome, Reason))
        for event in step.applied.events:
            self.events[type(event).__name__] += 1
            if isinstance(event, Refused):
                self.reasons[event.reason.name] += 1
            cause = getattr(event, "cause", None)
            if cause:
                self.causes[cause.name] += 1

    def add(self, other: "Tally") -> None:
        """Add another stream's."""
        self.commands += other.commands
        self.envelopes += other.envelopes
        self.entries += other.entries
        self.saves += other.saves
        for mine, theirs in (
            (self.records, other.records), (self.events, other.events), (self.reasons, other.reasons),
            (self.causes, other.causes),
        ):  # fmt: skip
            mine.update(theirs)


class Outcome(Struct):
    """What came of a task."""

    task: Task
    tally: Tally
    difference: Difference | None = None


class _Differs(Exception):
    """What differs, as a difference without its place in the stream."""

    def __init__(self, step: Step, what: str, expected: object, found: object) -> None:
        super().__init__(what)
        self.step, self.what, self.expected, self.found = step, what, expected, found


def run(
    task: Task,
    hands_for: Callable[[Genesis], Hands] | None = None,
    *,
    watch: Callable[[Stream, Step], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Run a stream on the spec and, where given, on other hands beside it; stop at the first difference.

    `watch` sees every step as it is made; `progress` hears how many commands more are done.
    """
    stream = Stream(task.seed, envelopes=task.envelopes)
    pair = _Pair(stream, hands_for(stream.genesis)) if hands_for else None
    unsaved = 0
    tally = Tally()
    try:
        made = _made(task, stream, tally, watch)
        while steps := list(islice(made, min(CHUNK, task.commands - tally.commands))):
            if pair:
                pair.compare(steps)
            unsaved += len(steps)
            if task.saves and unsaved >= task.saves:
                unsaved = 0
                tally.saves += 1
                _begin_again(stream, steps[-1], pair)
            if progress:
                progress(len(steps))
    except _Differs as differs:
        return Outcome(task, tally, _placed(task, differs))
    return Outcome(task, tally)


def _begin_again(stream: Stream, step: Step, pair: "_Pair | None") -> None:
    """Replace every state by what it saves to."""
    saved = save(stream.state)
    if pair:
        pair.load(step, saved)
    root = engine_root(stream.state)
    stream.state = load(stream.genesis, saved)
    if engine_root(stream.state) != root:
        raise _Differs(step, "engine root of the loaded state", root.hex(), engine_root(stream.state).hex())


def _made(task: Task, stream: Stream, tally: Tally, watch: Callable[[Stream, Step], None] | None) -> Iterator[Step]:
    while True:
        try:
            step = stream.advance()
        except Exception as error:
            error.add_note(f"the spec raised; replay with: {task.replay(tally.commands + 1)}")
            raise
        tally.count(step)
        if watch:
            watch(stream, step)
        yield step


def _placed(task: Task, differs: _Differs) -> Difference:
    step = differs.step
    records = [member.record for member in step.message.members] or [step.message.record]
    return Difference(
        task.seed, profile_of(task.seed).name, step.sequence, differs.what,
        f"{step.message.record} at {step.time}" + (f", members {records}" if step.message.members else ""),
        str(differs.expected), str(differs.found), task.replay(step.sequence),
    )  # fmt: skip


class _Pair:
    """The spec's stream and the other hands, chunk by chunk."""

    def __init__(self, stream: Stream, hands: Hands) -> None:
        self._stream, self._hands = stream, hands
        self._tree = SettlementTree(State.from_genesis(stream.genesis))

    def compare(self, steps: list[Step]) -> None:
        """Let the other hands do the same steps. Raises _Differs at the first thing that is not the same."""
        self._compare_envelopes([(step, attempt) for step in steps for attempt in step.attempts])
        self._compare_commands(steps)
        expected, found = engine_root(self._stream.state), self._ask(steps[-1], self._hands.engine_root)
        if found != expected:
            raise _Differs(steps[-1], "engine root", expected.hex(), found.hex())
        subaccount = steps[-1].sequence // CHUNK % len(self._stream.state.accounts)
        expected_views = spec_views(self._stream.state, subaccount)
        views = self._ask(steps[-1], lambda: self._hands.views(subaccount))
        if views != expected_views:
            raise _Differs(steps[-1], f"views of subaccount {subaccount}", str(expected_views), str(views))
        self._compare_entries([(step, entry) for step in steps for entry in step.applied.entries])

    def load(self, step: Step, saved: bytes) -> None:
        """Let the other hands save, and go on from what both saved. Raises _Differs where that is not the same."""
        found = self._ask(step, self._hands.save)
        if found != saved:
            raise _Differs(step, "saved state", saved.hex(), found.hex())
        self._ask(step, lambda: self._hands.load(found))
        tree = SettlementTree(load(self._stream.genesis, saved))
        if tree.root() != self._tree.root():
            raise _Differs(step, "settlement root of the loaded state", self._tree.root().hex(), tree.root().hex())
        self._tree = tree

    def _compare_envelopes(self, opened: list[tuple[Step, Attempt]]) -> None:
        if not opened:
            return
        envelopes, from_node = [a.envelope for _, a in opened], [a.from_node for _, a in opened]
        outcomes = self._ask(opened[-1][0], lambda: self._hands.verify(envelopes, from_node))
        for (step, attempt), found in zip(opened, outcomes, strict=True):
            if found != _verified(attempt):
                what = f"verify({attempt.envelope.hex()}, from_node={attempt.from_node})"
                raise _Differs(step, what, _said(attempt.outcome), _said(_understood(found)))

    def _compare_commands(self, steps: list[Step]) -> None:
        commands = b"".join(encode_command(s.sequence, s.time, encode_message(s.message)) for s in steps)
        packed = self._ask(steps[-1], lambda: self._hands.apply(commands))
        at = 0
        for step in steps:
            expected = encode_applied(step.applied.events, step.applied.entries)
            found = packed[at : at + len(expected)]
            if found != expected:
                end = at + 4 + int.from_bytes(packed[at : at + 4], "big")
                raise _applied_differs(step, packed[at:end])
            at += len(expected)
        if at != len(packed):
            raise _Differs(steps[-1], "length of what apply returned", at, len(packed))

    def _compare_entries(self, written: list[tuple[Step, Entry]]) -> None:
        packed = [encode_written(entry) for _, entry in written]
        if not packed:
            return
        roots = self._ask(written[-1][0], lambda: self._hands.settlement_roots(packed))
        for (step, entry), found in zip(written, roots, strict=True):
            expected = self._tree.advance(entry)
            if found != expected:
                raise _Differs(step, f"settlement root after {_shown_entry(entry)}", expected.hex(), found.hex())
        for step, entry in reversed(written):
            if entry.packed[0] == TRADE:
                self._compare_opening(step, entry.packed)
                return

    def _compare_opening(self, step: Step, packed: bytes) -> None:
        expected, found = self._tree.open_trade(packed), self._ask(step, lambda: self._hands.opening(packed))
        if found != expected:
            raise _Differs(step, "opening of the leaves of its trade", expected.hex(), found.hex())

    def _ask(self, step: Step, question: Callable[[], Any]) -> Any:
        """What the other hands answer; that they fail is a difference too, somewhere in the chunk up to `step`."""
        try:
            return question()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the core is no Exception
            what = f"raised within the last {CHUNK} commands"
            raise _Differs(step, what, "an answer", f"{type(error).__name__}: {error}") from error


def spec_views(state: State, subaccount: int) -> list[object]:
    """One account and every market as the spec shows them."""
    shown: list[object] = [account_view(state, subaccount)]
    shown += [market_view(state, market) for market in sorted(state.markets)]
    return shown + _what_ifs(subaccount, sorted(state.markets), partial(what_if, state))


def _what_ifs(subaccount: int, markets: list[int], ask: Callable[[int, int, int, int], WhatIf | None]) -> list[object]:
    """What either says of a few acts in a few markets, each its own; refusals as their kind."""
    shown: list[object] = []
    for at, market in enumerate(markets[subaccount % 3 :: 3]):
        for change, price in ((0, 0), ((-1) ** at * (at * 1_000 + 100), 500_000 + at), (-(1 << 54), 1 << 39)):
            try:
                shown.append(ask(subaccount, market, change, price))
            except ValueError:
                shown.append("ValueError")
    return shown


def _commands(packed: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(packed):
        sequence, time = int.from_bytes(packed[at : at + 8], "big"), int.from_bytes(packed[at + 8 : at + 16], "big")
        end = at + _COMMAND_HEAD + int.from_bytes(packed[at + 16 : at + _COMMAND_HEAD], "big")
        yield sequence, time, packed[at + _COMMAND_HEAD : end]
        at = end


def _verified(attempt: Attempt) -> bytes | int:
    return encode_message(attempt.outcome) if isinstance(attempt.outcome, Verified) else attempt.outcome


def _understood(found: bytes | int) -> Verified | Reason | str:
    if isinstance(found, int):
        return Reason(found) if found in list(Reason) else f"reason {found}"
    try:
        return decode_message(found)
    except (ValueError, Refusal):
        return found.hex()


def _said(outcome: Verified | Reason | str) -> str:
    return outcome.name if isinstance(outcome, Reason) else str(outcome)


def _applied_differs(step: Step, found: bytes) -> _Differs:
    """The first event or entry that is not the same."""
    try:
        ((events, entries),) = decode_applied(found)
    except (ValueError, KeyError, IndexError, Refusal) as error:
        return _Differs(step, f"not an applied frame ({error})", step.applied.events, found.hex())
    for name, ours, theirs in (("event", step.applied.events, events), ("entry", _packed(step), entries)):
        for number, (expected, other) in enumerate(zip(ours, theirs, strict=False)):
            if expected != other:
                return _Differs(step, f"{name} {number}", _shown(expected), _shown(other))
        if len(ours) != len(theirs):
            return _Differs(step, f"number of {name} frames", [*map(_shown, ours)], [*map(_shown, theirs)])
    return _Differs(step, "bytes of equal events and entries", _packed(step), found.hex())


def _packed(step: Step) -> list[bytes]:
    return [encode_written(entry) for entry in step.applied.entries]


def _shown(part: Event | bytes) -> object:
    if not isinstance(part, bytes):
        return part
    try:
        return _shown_entry(decode_written(part))
    except (ValueError, Refusal):
        return part.hex()


def _shown_entry(entry: Entry) -> str:
    return f"{decode_entry(entry.packed)} writing {entry.accounts} {entry.markets} {entry.global_leaf!r}"
