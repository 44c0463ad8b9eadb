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

import accounts
import batches
import findings
import openings
import reading
import trades

from interfaces import IEntryReferee

initializes: openings
initializes: trades[openings := openings]

struct Verdict:
    finding: uint8
    # The settlement root the step leads to; zero where it was not reached.
    post_root: bytes32

ENTRY_REFEREE: public(immutable(address))


@deploy
def __init__(settlement: address, vault: address, entry_referee: address):
    """
    @notice Judge the batches of this settlement contract, and signatures for this vault, with this first half.
    """
    assert staticcall IEntryReferee(entry_referee).SETTLEMENT() == settlement, "referee: another settlement contract"
    assert staticcall IEntryReferee(entry_referee).VAULT() == vault, "referee: another vault"
    ENTRY_REFEREE = entry_referee
    openings.__init__()


@external
@view
def judge(batch: batches.Batch, maker_batch: batches.Batch, witness: Bytes[reading.MAX_WITNESS]) -> Verdict:
    """
    @notice The verdict on the step that the witness opens in `batch`. A finding other than zero convicts.
    @param maker_batch Where the maker's order was sequenced; looked at only when it is needed.
    @param witness Read where it lies in the calldata.
    """
    return self._judge()


@internal
@view
def _judge() -> Verdict:
    # The first half reads the same calldata. Where it reverts, so does this.
    returned: Bytes[reading.OPENED_BYTES] = raw_call(
        ENTRY_REFEREE, msg.data, max_outsize=reading.OPENED_BYTES, is_static_call=True
    )
    opened: accounts.Opened = abi_decode(returned, accounts.Opened)
    if opened.finding != findings.HONEST:
        return Verdict(finding=opened.finding, post_root=empty(bytes32))
    at: uint256 = 0
    finding: uint8 = findings.HONEST
    root: bytes32 = empty(bytes32)
    at, finding, root = trades._judge(opened)
    reading._assert_inside(at)
    # The batch's last step leads to the root that the batch stands for.
    if finding == findings.HONEST and opened.is_last and root != opened.settlement_root:
        finding = findings.POST_ROOT_WRONG
    return Verdict(finding=finding, post_root=root)
