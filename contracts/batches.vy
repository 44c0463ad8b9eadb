# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title The chain of batches
@license Apache-2.0
@notice Keeps the roots the operator commits, says when each is final, and holds the operator's bond in ETH.
@dev The logic of Settlement.vy and DevSettlement.vy. Batches are numbered from 1; number 0 is the genesis root.
     Whatever is read per number is only valid up to `batch_count`, so a rollback moves that pointer and loops
     over nothing. Words of one batch: three slots, the third packs four uint64.
"""

from interfaces import IVault

event BatchCommitted:
    number: indexed(uint64)
    batch: Batch

event BondPosted:
    sender: indexed(address)
    amount: uint256
    bond: uint256

event BondWithdrawn:
    operator: indexed(address)
    amount: uint256
    bond: uint256

struct Batch:
    number: uint64
    previous_root: bytes32
    settlement_root: bytes32
    engine_root: bytes32
    ledger_root: bytes32
    sequence_root: bytes32
    availability: bytes32
    first_sequence: uint64
    last_sequence: uint64
    entries: uint32
    time: uint64
    deposits: uint64
    deposit_head: bytes32
    l1_block: uint64

struct Committed:
    batch_hash: bytes32
    settlement_root: bytes32
    # committed_at (s) ‖ last_sequence ‖ time (venue microseconds) ‖ deposits, each 64 bits
    marks: uint256

MICRO: constant(uint256) = 1_000_000
LOW_64: constant(uint256) = 2 ** 64 - 1
STEPS_CAPACITY: constant(uint256) = 4 ** 10
# Venue time may run this far ahead of the block's, whose stamp the proposer chooses within seconds.
TIME_AHEAD: constant(uint256) = 15 * 60
# Far beyond every outage the rules survive, so that the bound can never lock an honest operator out.
TIME_BEHIND: constant(uint256) = 30 * 86_400
MAX_FINALITY_WINDOW: constant(uint256) = 365 * 86_400

operator: public(immutable(address))
vault: public(immutable(address))
finality_window: public(immutable(uint256))
minimum_bond: public(immutable(uint256))
ruleset: public(immutable(bytes32))

bond: public(uint256)
batch_count: public(uint64)
committed: HashMap[uint64, Committed]


@deploy
def __init__(
    operator_: address,
    vault_: address,
    finality_window_: uint256,
    minimum_bond_: uint256,
    genesis_root: bytes32,
    ruleset_: bytes32,
):
    """
    @notice Fix the rules for life and commit the genesis root as batch 0, final from the start.
    @param vault_ Address the vault will have; it may be deployed after this contract.
    @param finality_window_ Seconds between a batch's commitment and its finality, at most a year.
    @param minimum_bond_ Wei below which no batch is accepted.
    """
    assert operator_ != empty(address), "settlement: operator is zero"
    assert vault_ != empty(address), "settlement: vault is zero"
    assert finality_window_ <= MAX_FINALITY_WINDOW, "settlement: finality window above a year"
    operator = operator_
    vault = vault_
    finality_window = finality_window_
    minimum_bond = minimum_bond_
    ruleset = ruleset_
    self.committed[0].settlement_root = genesis_root


@external
@payable
def post_bond():
    """
    @notice Add the ETH sent to the operator's bond. Anyone may; only the operator can take it out.
    """
    assert msg.value > 0, "settlement: no bond sent"
    self.bond += msg.value
    log BondPosted(sender=msg.sender, amount=msg.value, bond=self.bond)


@external
def withdraw_bond(amount: uint256):
    """
    @notice Pay `amount` wei of the bond to the operator, once no batch can be disputed any more.
    @dev Without the minimum bond no batch is accepted, so the bond always covers every unfinal batch.
    """
    assert msg.sender == operator, "settlement: not the operator"
    assert self._is_final(self.batch_count), "settlement: a batch is not final"
    assert 0 < amount and amount <= self.bond, "settlement: more than the bond"
    self.bond -= amount
    log BondWithdrawn(operator=operator, amount=amount, bond=self.bond)
    raw_call(operator, b"", value=amount)


@external
def commit_batch(batch: Batch):
    """
    @notice Append the next batch to the chain; it becomes final when the window has passed.
    @dev Checked here is what L1 alone can tell: linkage, time, deposits. What the batch says about money is
         judged against its ledger, not here.
    """
    assert msg.sender == operator, "settlement: not the operator"
    assert self.bond >= minimum_bond, "settlement: bond below the minimum"
    last: uint64 = self.batch_count
    previous: Committed = self.committed[last]
    assert batch.number == last + 1, "settlement: not the next number"
    assert batch.previous_root == previous.settlement_root, "settlement: wrong previous root"
    self._check_extent(batch, previous.marks)
    self._check_time(batch, previous.marks)
    self._check_deposits(batch, previous.marks)

    self.committed[batch.number] = Committed(
        batch_hash=keccak256(abi_encode(batch)),
        settlement_root=batch.settlement_root,
        marks=(block.timestamp << 192)
        | (convert(batch.last_sequence, uint256) << 128)
        | (convert(batch.time, uint256) << 64)
        | convert(batch.deposits, uint256),
    )
    self.batch_count = batch.number
    log BatchCommitted(number=batch.number, batch=batch)


@external
@view
def root_at(number: uint64) -> bytes32:
    """
    @notice Settlement root after batch `number`; 0 is the genesis root.
    """
    assert number <= self.batch_count, "settlement: no such batch"
    return self.committed[number].settlement_root


@external
@view
def batch_hash_at(number: uint64) -> bytes32:
    """
    @notice keccak256 of the ABI-encoded Batch; zero for genesis.
    """
    assert number <= self.batch_count, "settlement: no such batch"
    return self.committed[number].batch_hash


@external
@view
def committed_at(number: uint64) -> uint256:
    """
    @notice Block time, in seconds, at which batch `number` was committed; zero for genesis.
    """
    assert number <= self.batch_count, "settlement: no such batch"
    return self.committed[number].marks >> 192


@external
@view
def last_sequence() -> uint64:
    """
    @notice Sequence number of the last command covered by a batch; zero before the first batch.
    """
    return convert((self.committed[self.batch_count].marks >> 128) & LOW_64, uint64)


@external
@view
def deposits() -> uint64:
    """
    @notice How many of the vault's deposits the committed batches have consumed.
    """
    return convert(self.committed[self.batch_count].marks & LOW_64, uint64)


@external
@view
def is_final(number: uint64) -> bool:
    """
    @notice Whether batch `number` is committed and its finality window has passed. Constant cost.
    """
    return self._is_final(number)


@external
@view
def final_number() -> uint64:
    """
    @notice Number of the newest final batch; zero while only the genesis root is final.
    """
    return self._final_number()


@external
@view
def final_root() -> bytes32:
    """
    @notice Settlement root of the newest final batch.
    """
    return self.committed[self._final_number()].settlement_root


@internal
@view
def _is_final(number: uint64) -> bool:
    if number > self.batch_count:
        return False
    return number == 0 or (self.committed[number].marks >> 192) + finality_window <= block.timestamp


@internal
@view
def _final_number() -> uint64:
    # Block time never decreases, so finality is a prefix of the numbers and can be bisected.
    low: uint64 = 0
    high: uint64 = self.batch_count
    for _: uint256 in range(64):
        if low == high:
            break
        middle: uint64 = high - (high - low) // 2
        if self._is_final(middle):
            low = middle
        else:
            high = middle - 1
    return low


@internal
@view
def _check_extent(batch: Batch, marks: uint256):
    last_sequence: uint256 = (marks >> 128) & LOW_64
    assert convert(batch.first_sequence, uint256) == last_sequence + 1, "settlement: sequence has a gap"
    assert batch.last_sequence >= batch.first_sequence, "settlement: sequence does not advance"
    # One leaf a command and one a ledger entry: what does not fit its tree could not be proved.
    commands: uint256 = convert(batch.last_sequence - batch.first_sequence, uint256) + 1
    assert commands <= STEPS_CAPACITY, "settlement: too many commands"
    assert convert(batch.entries, uint256) <= STEPS_CAPACITY, "settlement: too many entries"
    if batch.entries == 0:
        # Only entries move money, so there would be no step left to refute.
        assert batch.settlement_root == batch.previous_root, "settlement: root moved without an entry"
        assert convert(batch.deposits, uint256) == marks & LOW_64, "settlement: deposits without an entry"


@internal
@view
def _check_time(batch: Batch, marks: uint256):
    time: uint256 = convert(batch.time, uint256)
    assert time >= (marks >> 64) & LOW_64, "settlement: time runs backwards"
    assert time <= (block.timestamp + TIME_AHEAD) * MICRO, "settlement: time in the future"
    assert time + TIME_BEHIND * MICRO >= block.timestamp * MICRO, "settlement: time too old"
    assert convert(batch.l1_block, uint256) <= block.number, "settlement: L1 block in the future"


@internal
@view
def _check_deposits(batch: Batch, marks: uint256):
    assert convert(batch.deposits, uint256) >= marks & LOW_64, "settlement: deposits uncounted"
    head: bytes32 = staticcall IVault(vault).deposit_head_at(batch.deposits)
    assert batch.deposit_head == head, "settlement: wrong deposit head"
