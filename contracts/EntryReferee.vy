# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title EntryReferee
@license Apache-2.0
@notice The first half of the Referee, which alone would be too long for a contract: the entry, the one before it, the
        commands it rests on, and the two accounts with their slots and sessions. Not audited; not for real money.
"""

import accounts
import batches
import commands
import entries
import findings
import openings
import reading

from interfaces import IBatches

initializes: openings
initializes: entries[openings := openings]
initializes: commands[openings := openings]
initializes: accounts[openings := openings]

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
@raw_return
def __default__() -> Bytes[reading.OPENED_BYTES]:
    """
    @notice What is found before any market is looked at, and what the markets are to be judged by: an encoded Opened.
    @dev To be called with the calldata of Referee.judge as it is. An argument would be copied to memory.
    """
    batch: batches.Batch = abi_decode(slice(msg.data, reading.BATCH_AT, 448), batches.Batch)
    maker_batch: batches.Batch = abi_decode(slice(msg.data, reading.MAKER_BATCH_AT, 448), batches.Batch)
    opened: accounts.Opened = self._judge(reading._start(), batch, maker_batch)
    reading._assert_inside(opened.at)
    return abi_encode(opened)


@internal
@view
def _judge(start: uint256, batch: batches.Batch, maker_batch: batches.Batch) -> accounts.Opened:
    self._assert_committed(batch, reading.BATCH_AT)
    at: uint256 = 0
    step: entries.Step = empty(entries.Step)
    at, step = entries._open_step(start, batch)
    opened: accounts.Opened = empty(accounts.Opened)
    opened.pre_root = step.pre_root
    opened.post_root = step.post_root
    opened.is_last = step.index + 1 == convert(batch.entries, uint256)
    opened.settlement_root = batch.settlement_root
    opened.finding = findings.ENTRY_MALFORMED
    if step.cuts:
        # The fill before it was the last and does not say so.
        opened.finding = findings.FILLS_DISAGREE
    elif step.entry_bytes == entries.TRADE_BYTES:
        opened.entry = entries._read(step.entry_at)
        opened.first = entries._is_first_fill(step, opened.entry)
        opened.finding = entries._find(step, batch, opened.entry)
    if opened.finding == findings.HONEST:
        shown: commands.Shown = empty(commands.Shown)
        at, opened.finding, shown = self._open_commands(at, batch, maker_batch, opened.entry)
        if opened.finding == findings.HONEST:
            opened.time = shown.time
            opened.builder_fits = commands._builder_fits(opened.entry, shown.taking)
            at, opened.maker, opened.taker = accounts._open(at, opened.entry, shown)
    opened.at = at
    return opened


@internal
@view
def _open_commands(
    start: uint256, batch: batches.Batch, maker_batch: batches.Batch, entry: entries.Entry
) -> (uint256, uint8, commands.Shown):
    """
    @notice The taker's command and the maker's, and what is wrong with them.
    """
    shown: commands.Shown = empty(commands.Shown)
    finding: uint8 = findings.HONEST
    at: uint256 = 0
    command: commands.Command = empty(commands.Command)
    at, command = commands._open(start, batch, entry.sequence, entry.member, not entry.liquidation)
    shown.time = command.time
    if entry.liquidation:
        if not commands._liquidates(command, entry.taker):
            return at, findings.TAKER_COMMAND_WRONG, shown
    else:
        finding, shown.taking, shown.taker_signer = commands._authored(
            command, entry, True, entry.taker_hash, VAULT, findings.TAKER_COMMAND_WRONG
        )
        if finding != findings.HONEST:
            return at, finding, shown
    self._assert_committed(maker_batch, reading.MAKER_BATCH_AT)
    early: bool = entry.maker_sequence < convert(maker_batch.first_sequence, uint256)
    late: bool = entry.maker_sequence > convert(maker_batch.last_sequence, uint256)
    assert not early and not late, "referee: the maker's order was not sequenced in that batch"
    at, command = commands._open(at, maker_batch, entry.maker_sequence, entry.maker_member, True)
    finding, shown.making, shown.maker_signer = commands._authored(
        command, entry, False, entry.maker_hash, VAULT, findings.MAKER_COMMAND_WRONG
    )
    return at, finding, shown


@internal
@view
def _assert_committed(batch: batches.Batch, at: uint256):
    """
    @notice Refuse a batch that is not the one committed under its number. A static struct is hashed as it is encoded.
    """
    batch_hash: bytes32 = staticcall IBatches(SETTLEMENT).batch_hash_at(batch.number)
    assert keccak256(slice(msg.data, at, 448)) == batch_hash, "referee: no such batch is committed"
