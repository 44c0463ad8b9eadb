# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Referee
@license Apache-2.0
@notice Re-executes one committed trade entry from its witness and says what is wrong with it, if anything. It holds
        nothing and changes nothing. Not audited; not for real money.
@dev What the operator committed never reverts: whatever its bytes are, they get a finding. What the challenger brings
     and does not open the commitments reverts, and convicts nobody. No revert is caught and no call may fail
     unnoticed, so running out of gas reverts too. docs/reference/proofs.md lists the witness byte by byte;
     src/penstock/spec/referee is the same judge in Python.
"""

import batches
import commands
import entries
import findings
import openings
import reading
import trades

from interfaces import IBatches

initializes: openings
initializes: entries[openings := openings]
initializes: commands[openings := openings]
initializes: trades[openings := openings]

struct Verdict:
    finding: uint8
    # The settlement root the step leads to; zero where it was not reached.
    post_root: bytes32

# The longest witness there can be: 65 markets of eight tiers, no two of them near each other in a full tree.
MAX_WITNESS: constant(uint256) = 73_728

SETTLEMENT: public(immutable(address))
VAULT: public(immutable(address))


@deploy
def __init__(settlement: address, vault: address):
    """
    @notice Judge the batches of this settlement contract, and signatures for this vault.
    """
    SETTLEMENT = settlement
    VAULT = vault
    openings.__init__()


@external
@view
def judge(batch: batches.Batch, maker_batch: batches.Batch, witness: Bytes[MAX_WITNESS]) -> Verdict:
    """
    @notice The verdict on the step that the witness opens in `batch`. A finding other than zero convicts.
    @param maker_batch Where the maker's order was sequenced; looked at only when it is needed.
    @param witness Read where it lies in the calldata.
    """
    at: uint256 = 0
    verdict: Verdict = empty(Verdict)
    at, verdict = self._judge(reading._start(), batch, maker_batch)
    reading._assert_inside(at)
    return verdict


@internal
@view
def _judge(start: uint256, batch: batches.Batch, maker_batch: batches.Batch) -> (uint256, Verdict):
    self._assert_committed(batch, reading.BATCH_AT)
    at: uint256 = 0
    step: entries.Step = empty(entries.Step)
    at, step = entries._open_step(start, batch)
    if step.entry_bytes != entries.TRADE_BYTES:
        return at, Verdict(finding=findings.ENTRY_MALFORMED, post_root=empty(bytes32))
    sides: trades.Sides = empty(trades.Sides)
    sides.entry = entries._read(step.entry_at)
    finding: uint8 = entries._find(step, batch, sides.entry)
    if finding == findings.HONEST:
        sides.first = entries._is_first_fill(step, sides.entry)
        at, finding, sides = self._open_commands(at, batch, maker_batch, sides)
    root: bytes32 = empty(bytes32)
    if finding == findings.HONEST:
        at, finding, root = trades._judge(at, sides, step.pre_root, step.post_root)
    if finding == findings.HONEST and step.index + 1 == convert(batch.entries, uint256):
        # The batch's last step leads to the root that the batch stands for.
        if root != batch.settlement_root:
            finding = findings.POST_ROOT_WRONG
    return at, Verdict(finding=finding, post_root=root)


@internal
@view
def _open_commands(
    start: uint256, batch: batches.Batch, maker_batch: batches.Batch, opened: trades.Sides
) -> (uint256, uint8, trades.Sides):
    """
    @notice The taker's command and the maker's, and what is wrong with them.
    """
    sides: trades.Sides = opened
    entry: entries.Entry = sides.entry
    finding: uint8 = findings.HONEST
    at: uint256 = 0
    command: commands.Command = empty(commands.Command)
    at, command = commands._open(start, batch, entry.sequence, entry.member, not entry.liquidation)
    sides.time = command.time
    if entry.liquidation:
        if not commands._liquidates(command, entry.taker):
            return at, findings.TAKER_COMMAND_WRONG, sides
    else:
        finding, sides.taking, sides.taker_signer = commands._authored(
            command, entry, True, entry.taker_hash, VAULT, findings.TAKER_COMMAND_WRONG
        )
        if finding != findings.HONEST:
            return at, finding, sides
    self._assert_committed(maker_batch, reading.MAKER_BATCH_AT)
    early: bool = entry.maker_sequence < convert(maker_batch.first_sequence, uint256)
    late: bool = entry.maker_sequence > convert(maker_batch.last_sequence, uint256)
    assert not early and not late, "referee: the maker's order was not sequenced in that batch"
    at, command = commands._open(at, maker_batch, entry.maker_sequence, entry.maker_member, True)
    finding, sides.making, sides.maker_signer = commands._authored(
        command, entry, False, entry.maker_hash, VAULT, findings.MAKER_COMMAND_WRONG
    )
    return at, finding, sides


@internal
@view
def _assert_committed(batch: batches.Batch, at: uint256):
    """
    @notice Refuse a batch that is not the one committed under its number. A static struct is hashed as it is encoded.
    """
    batch_hash: bytes32 = staticcall IBatches(SETTLEMENT).batch_hash_at(batch.number)
    assert keccak256(slice(msg.data, at, 448)) == batch_hash, "referee: no such batch is committed"
