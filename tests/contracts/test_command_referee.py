"""Commands that no gateway lets pass, committed all the same: what `judge` cannot open, `judge_command` convicts."""

from collections.abc import Iterator, Sequence

import pytest
from msgspec.structs import replace
from referee_mutants import Raw, fields, with_fields
from referee_scenes import TIME, scene
from referee_world import LIBRARY, SEPARATOR, ZERO, Court, contents_of, record_stream

from penstock.protocol.commands import BUY, CODECS, Bundle, PlaceOrder
from penstock.protocol.quantities import ANY_FILL, NO_DEADLINE
from penstock.protocol.signing import SIGNATURE, bundle_root
from penstock.protocol.verdicts import Finding, Verdict
from penstock.protocol.words import keccak
from penstock.settlement.chain import Chain, ChainError
from penstock.settlement.contract import Contract, deploy_contract
from penstock.settlement.disputes import BatchContents, command_question, trade_witness
from penstock.settlement.local_chain import open_chain
from penstock.spec.referee.command_alone import CommandQuestion, judge_command
from penstock.spec.referee.judge import Committed
from penstock.spec.referee.witness import WitnessWrong

pytestmark = pytest.mark.needs_node
FORGED = bytes(SIGNATURE)
ORDER = CODECS[PlaceOrder].encode(
    PlaceOrder(1 << 23, 4_000, TIME + 2, NO_DEADLINE, 1, BUY, 600_000, 7_000, ANY_FILL, 0, False, False, 5_000)
)


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with open_chain() as opened:
        yield opened


def bundle(members: Sequence[bytes], count: int | None = None, root: bytes | None = None) -> bytes:
    root = root or bundle_root([keccak(member) for member in members])
    return CODECS[Bundle].encode(Bundle(root, len(members) if count is None else count, 0, 1 << 23, NO_DEADLINE))


LONG_MEMBER = ORDER + bytes(1)
MALFORMED = {
    "seven signatures": Raw(2, TIME, ORDER, FORGED * 7),
    "no signature": Raw(2, TIME, ORDER, b""),
    "a signature cut short": Raw(2, TIME, ORDER, FORGED[:-1]),
    "a record too long": Raw(2, TIME, LONG_MEMBER, FORGED),
    "a record as long as an envelope": Raw(2, TIME, (ORDER * 128)[:65_535], FORGED),
    "members of an order": Raw(2, TIME, ORDER, FORGED, (ORDER,)),
    "a bundle without members": Raw(2, TIME, bundle([ORDER], root=bytes(32)), FORGED),
    "a bundle of others": Raw(2, TIME, bundle([ORDER], root=keccak(b"others")), FORGED, (ORDER,)),
    "a bundle with one left out": Raw(2, TIME, bundle([ORDER, ORDER]), FORGED, (ORDER,)),
    "a bundle with one more": Raw(2, TIME, bundle([ORDER], count=1), FORGED, (ORDER, ORDER)),
    "a bundle of 65": Raw(2, TIME, bundle([ORDER] * 65, count=64), FORGED, (ORDER,) * 65),
    "a bundle that counts 65": Raw(2, TIME, bundle([ORDER] * 65), FORGED, (ORDER,) * 65),
    "a bundle twice signed": Raw(2, TIME, bundle([ORDER]), FORGED * 2, (ORDER,)),
}


class CommandCourt:
    """The contract and its twin, asked the same."""

    def __init__(self, chain: Chain, contents: BatchContents, genesis_root: bytes = ZERO) -> None:
        self.court = Court(chain, genesis_root)
        self.court.commit(contents)
        self.contents = contents
        settlement = self.court.settlement.address
        self.contract: Contract = deploy_contract(
            chain, LIBRARY.artifact("CommandReferee"), settlement, sender=self.court.operator
        )

    def agree(self, question: CommandQuestion) -> Finding | None:
        """What both say; None when both refuse the question."""
        committed = Committed(SEPARATOR, self.court.hashes.get)
        try:
            ours: Finding | None = judge_command(committed, self.contents.batch, question)
        except (WitnessWrong, ValueError):
            ours = None
        fields = [getattr(question, name) for name in question.__struct_fields__]
        try:
            theirs = Finding(self.contract.call("judge_command", self.contents.batch, tuple(fields)))
        except ChainError:
            theirs = None
        assert ours == theirs
        return ours


def with_command(command: Raw) -> BatchContents:
    """A trade whose taker's command is another."""
    whole = scene([1], [1], [1], 1).contents
    return contents_of(whole.batch, [whole.commands[0], command], whole.entries, whole.post_roots)


@pytest.mark.parametrize("command", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_command_that_no_gateway_lets_pass_is_convicted(chain: Chain, command: Raw):
    court = CommandCourt(chain, with_command(command))
    assert court.agree(command_question(court.contents, 2)) == Finding.COMMAND_MALFORMED


def test_a_member_too_long_is_convicted_when_it_is_shown(chain: Chain):
    court = CommandCourt(chain, with_command(Raw(2, TIME, bundle([ORDER, LONG_MEMBER]), FORGED, (ORDER, LONG_MEMBER))))
    assert court.agree(command_question(court.contents, 2, 1)) == Finding.COMMAND_MALFORMED
    assert court.agree(command_question(court.contents, 2, 0)) == Finding.HONEST
    another = replace(command_question(court.contents, 2, 1), member=LONG_MEMBER[:-1])
    assert court.agree(another) is None


def test_every_command_of_an_honest_stream_is_well_formed(chain: Chain):
    for seed in (0, 4):
        record = record_stream(seed, 150)
        court = CommandCourt(chain, record.batches[0], record.genesis_root)
        for command in court.contents.commands:
            place = 0 if command.members else None
            assert court.agree(command_question(court.contents, command.sequence, place)) == Finding.HONEST


def test_a_question_that_does_not_open_the_batch_convicts_nobody(chain: Chain):
    court = CommandCourt(chain, with_command(MALFORMED["a bundle of others"]))
    asked = command_question(court.contents, 2)
    changes = [
        {"time": asked.time + 1}, {"sequence": 1}, {"sequence": 0}, {"sequence": 2 + 4**10},
        {"record": asked.record[:-1]},
        {"signatures": FORGED * 2}, {"member_hashes": []}, {"member_hashes": [ZERO]}, {"siblings": asked.siblings[:-3]},
        {"siblings": [keccak(b"another"), *asked.siblings[1:]]},
    ]  # fmt: skip
    for change in changes:
        assert court.agree(replace(asked, **change)) is None, change


def judged(chain: Chain, contents: BatchContents, index: int, leaves: bytes) -> Verdict | None:
    court = Court(chain, ZERO)
    court.commit(contents)
    return court.agree(contents.batch, contents.batch, trade_witness(contents, contents, index, leaves))


def without_mark(entry: bytes) -> bytes:
    return with_fields(entry, flags=fields(entry).flags & ~4)


def test_a_last_fill_that_is_not_marked_is_convicted_by_whatever_follows_it(chain: Chain):
    staged = scene([1], [1], [1], 1)
    whole = staged.contents
    unmarked = without_mark(whole.entries[1])
    following = bytes([4]) + (2).to_bytes(8, "big") + bytes(25)
    entries, roots = [*whole.entries[:1], unmarked, following], [*whole.post_roots, whole.post_roots[-1]]
    contents = contents_of(replace(whole.batch, entries=3), whole.commands, entries, roots)
    assert judged(chain, contents, 2, b"") == Verdict(Finding.FILLS_DISAGREE)
    honest = contents_of(replace(whole.batch, entries=3), whole.commands, [*whole.entries, following], roots)
    assert judged(chain, honest, 2, b"") is None, "a step that is no trade is judged only where it cuts one off"


def test_one_order_met_twice_a_better_price_after_a_worse_or_another_builder_is_convicted(chain: Chain):
    whole = scene([1], [1], [1], 1).contents
    first = whole.entries[1]
    entry = fields(first)
    second = {"index": 1, "maker_slot": entry.maker_slot - 1}
    for changes in (
        {"maker_slot": entry.maker_slot}, {"price": entry.price - 1}, {"builder": 1}, {"taker_held": 5},
        {"market": 2}, {"taker_hash": ZERO},
    ):  # fmt: skip
        unmarked, following = without_mark(first), with_fields(first, **(second | changes))
        entries = [whole.entries[0], unmarked, following]
        roots = [*whole.post_roots, whole.post_roots[-1]]
        contents = contents_of(replace(whole.batch, entries=3), whole.commands, entries, roots)
        assert judged(chain, contents, 2, b"") == Verdict(Finding.FILLS_DISAGREE)


def test_a_command_stamped_after_its_batch_is_convicted(chain: Chain):
    staged = scene([1], [1], [1], 1)
    whole = staged.contents
    late = (chain.block().time + 86_400) * 1_000_000
    for role, finding in ((1, Finding.TAKER_COMMAND_WRONG), (0, Finding.MAKER_COMMAND_WRONG)):
        commands = list(whole.commands)
        commands[role] = replace(commands[role], time=late)
        contents = contents_of(whole.batch, commands, whole.entries, whole.post_roots)
        leaves = staged.tree.open_trade(whole.entries[1])
        assert judged(chain, contents, 1, leaves) == Verdict(finding)
