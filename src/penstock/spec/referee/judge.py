"""judge(witness): re-execute one committed trade entry and say what is wrong with it, if anything.

Total on what the operator committed: every entry, record and root gets a finding. What the challenger brings and
does not open the commitments raises WitnessWrong and convicts nobody. By replay only, because no leaf holds it:
price-time priority, open-order margin, guard nonces, mass cancels, order counts, tick and lot, the open-interest
cap, which builders there are.
"""

from collections.abc import Callable

from msgspec import Struct

from penstock.protocol.batch import Batch
from penstock.protocol.commands import PlaceOrder
from penstock.protocol.ledger import TRADE
from penstock.protocol.verdicts import Finding, Verdict
from penstock.spec.referee.commands import (
    Command,
    liquidates,
    maker_may,
    open_command,
    order_of,
    signer_of,
    taker_may,
)
from penstock.spec.referee.entry import Step, TradeEntry, find_in_entry, is_first_fill, open_step, read_entry
from penstock.spec.referee.trade import Sides, judge_trade
from penstock.spec.referee.witness import Witness


class Committed(Struct, frozen=True):
    """What the chain tells the referee: the domain of signatures, and each batch's hash by its number."""

    separator: bytes
    batch_hash_at: Callable[[int], bytes]


def judge(committed: Committed, batch: Batch, maker_batch: Batch, packed: bytes) -> Verdict:
    """The verdict on the step a witness opens. Raises WitnessWrong.

    `maker_batch` is the batch in which the maker's order was sequenced; it is looked at only when it is needed.
    """
    witness = Witness(packed)
    witness.require(committed.batch_hash_at(batch.number) == batch.hash(), "no such batch is committed")
    step = open_step(witness, batch)
    if step.entry[:1] != bytes([TRADE]):
        # Something else where the next fill belongs: the fill before it was the last and does not say so.
        return Verdict(Finding.FILLS_DISAGREE)
    entry = read_entry(step.entry)
    if entry is None:
        return Verdict(Finding.ENTRY_MALFORMED)
    finding = find_in_entry(step, batch, entry)
    if finding:
        return Verdict(finding)
    return _judge_commands(committed, batch, maker_batch, witness, step, entry)


def _judge_commands(
    committed: Committed, batch: Batch, maker_batch: Batch, witness: Witness, step: Step, entry: TradeEntry
) -> Verdict:
    command = open_command(witness, batch, entry.sequence, entry.member, order=not entry.liquidation)
    taking, taker_signer = None, b""
    if entry.liquidation:
        if not liquidates(command, entry.taker):
            return Verdict(Finding.TAKER_COMMAND_WRONG)
    else:
        finding, taking, taker_signer = _authored(
            committed, witness, entry, command, entry.taker_hash, taker_may, Finding.TAKER_COMMAND_WRONG
        )
        if finding:
            return Verdict(finding)
    witness.require(committed.batch_hash_at(maker_batch.number) == maker_batch.hash(), "no such batch is committed")
    inside = maker_batch.first_sequence <= entry.maker_sequence <= maker_batch.last_sequence
    witness.require(inside, "the maker's order was not sequenced in that batch")
    made = open_command(witness, maker_batch, entry.maker_sequence, entry.maker_member, order=True)
    finding, making, maker_signer = _authored(
        committed, witness, entry, made, entry.maker_hash, maker_may, Finding.MAKER_COMMAND_WRONG
    )
    if finding or making is None or command is None:
        return Verdict(finding)
    sides = Sides(entry, command.time, is_first_fill(step, entry), taking, taker_signer, making, maker_signer)
    verdict = judge_trade(witness, sides, step.pre_root, step.post_root)
    if verdict.finding == Finding.HONEST and step.is_last and verdict.post_root != batch.settlement_root:
        # The batch's last step leads to the root that the batch stands for.
        return Verdict(Finding.POST_ROOT_WRONG, verdict.post_root)
    return verdict


def _authored(
    committed: Committed,
    witness: Witness,
    entry: TradeEntry,
    command: Command | None,
    order_hash: bytes,
    may: Callable[[TradeEntry, PlaceOrder, Command], bool],
    first: Finding,
) -> tuple[Finding, PlaceOrder | None, bytes]:
    """The order and its signer; or, from `first` on, which of three is wrong: command, signature, order."""
    order = order_of(command, order_hash)
    if order is None or command is None:
        return first, None, b""
    signer = signer_of(witness, committed.separator, command)
    if signer is None:
        return Finding(first + 1), None, b""
    return (Finding.HONEST if may(entry, order, command) else Finding(first + 2)), order, signer
