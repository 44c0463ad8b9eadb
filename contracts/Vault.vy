# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Vault
@license Apache-2.0
@notice Holds the users' collateral. Takes deposits, chains them for the venue to credit, and pays what a final
        settlement root says was withdrawn. No owner, no operator, no pause, no upgrade.
        Not audited; not for real money.
"""

from ethereum.ercs import IERC20

from interfaces import ISettlement
from interfaces import IVault
import merkle

implements: IVault

event Deposited:
    deposit: indexed(uint64)
    subaccount: indexed(uint24)
    owner: indexed(address)
    amount: uint96
    head: bytes32

event Claimed:
    subaccount: indexed(uint24)
    owner: indexed(address)
    amount: uint96
    withdrawn: uint96
    number: uint64

CASH_LIMIT: constant(uint256) = 2 ** 95
LAST_SUBACCOUNT: constant(uint24) = max_value(uint24)
HEADER_BYTES: constant(uint256) = 128
POSITION_BYTES: constant(uint256) = 32
MAX_LEAF_BYTES: constant(uint256) = 1152
DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)

TOKEN: public(immutable(address))
SETTLEMENT: public(immutable(address))

owner_of: public(HashMap[uint24, address])
paid: public(HashMap[uint24, uint96])
subaccount_count: public(uint24)
deposit_count: public(uint64)
heads: HashMap[uint64, bytes32]


@deploy
def __init__(token: address, settlement: address):
    """
    @notice Bind the vault for life to its token and to the settlement contract that already names it.
    """
    assert token != empty(address), "vault: token is zero"
    assert staticcall ISettlement(settlement).vault() == self, "vault: not the settlement's vault"
    TOKEN = token
    SETTLEMENT = settlement


@external
def open(owner: address, amount: uint256) -> uint24:
    """
    @notice Deposit `amount` of the caller's tokens into a new subaccount of `owner`.
    @return The new subaccount; ids count from 1, for 0 is the insurance fund and has no owner.
    """
    assert owner != empty(address), "vault: owner is zero"
    assert self.subaccount_count < LAST_SUBACCOUNT, "vault: no subaccount left"
    subaccount: uint24 = self.subaccount_count + 1
    self.subaccount_count = subaccount
    self.owner_of[subaccount] = owner
    self._deposit(subaccount, owner, amount)
    return subaccount


@external
def deposit(subaccount: uint24, amount: uint256):
    """
    @notice Deposit `amount` of the caller's tokens into an existing subaccount, whoever owns it.
    """
    owner: address = self.owner_of[subaccount]
    assert owner != empty(address), "vault: no such subaccount"
    self._deposit(subaccount, owner, amount)


@external
def claim(
    subaccount: uint24,
    leaf: Bytes[MAX_LEAF_BYTES],
    siblings: bytes32[36],
    markets_root: bytes32,
    globals_hash: bytes32,
    deposit_head: bytes32,
    forced_head: bytes32,
    number: uint64,
):
    """
    @notice Pay the owner what the account leaf, proven against final batch `number`, says was withdrawn and
            the vault has not paid yet. Anyone may call; only the owner is paid.
    @dev `withdrawn` is cumulative, so a repeated claim or an older root finds nothing more to pay.
    """
    assert staticcall ISettlement(SETTLEMENT).is_final(number), "vault: batch is not final"
    accounts_root: bytes32 = merkle._account_root(
        convert(subaccount, uint256), keccak256(concat(0x03, leaf)), siblings
    )
    settlement_root: bytes32 = keccak256(
        concat(0x08, accounts_root, markets_root, globals_hash, deposit_head, forced_head)
    )
    assert settlement_root == staticcall ISettlement(SETTLEMENT).root_at(number), "vault: not in the root"

    owner: address = empty(address)
    withdrawn: uint96 = 0
    owner, withdrawn = self._parse(leaf)
    # A root can only ever pay the owner whom the deposit made, whatever a leaf says.
    assert owner != empty(address) and owner == self.owner_of[subaccount], "vault: wrong owner"
    paid: uint96 = self.paid[subaccount]
    assert withdrawn > paid, "vault: nothing to claim"

    self.paid[subaccount] = withdrawn
    amount: uint96 = withdrawn - paid
    log Claimed(subaccount=subaccount, owner=owner, amount=amount, withdrawn=withdrawn, number=number)
    assert extcall IERC20(TOKEN).transfer(
        owner, convert(amount, uint256), default_return_value=True
    ), "vault: token refused the transfer"


@external
@view
def deposit_head_at(count: uint64) -> bytes32:
    """
    @notice Head of the deposit chain after `count` deposits; 32 zero bytes before the first.
    """
    # Without this an unmade deposit would have the head of no deposit at all.
    assert count <= self.deposit_count, "vault: deposit not made"
    return self.heads[count]


@external
@view
def domain_separator() -> bytes32:
    """
    @notice EIP-712 domain under which the venue's messages are signed, for the chain this runs on now.
    """
    return keccak256(
        abi_encode(DOMAIN_TYPEHASH, keccak256("Penstock"), keccak256("1"), chain.id, self)
    )


@internal
def _deposit(subaccount: uint24, owner: address, amount: uint256):
    # The interaction comes before its effects, because only the balance tells what arrived; the lock that
    # every function holds keeps a hook of the token from depositing twice over one transfer.
    before: uint256 = staticcall IERC20(TOKEN).balanceOf(self)
    assert extcall IERC20(TOKEN).transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "vault: token refused the transfer"
    held: uint256 = staticcall IERC20(TOKEN).balanceOf(self)
    assert held > before, "vault: nothing deposited"
    assert held < CASH_LIMIT, "vault: holds too much"

    credited: uint96 = convert(held - before, uint96)
    index: uint64 = self.deposit_count
    head: bytes32 = keccak256(
        concat(
            0x0d,
            self.heads[index],
            convert(index, bytes8),
            convert(subaccount, bytes3),
            convert(owner, bytes20),
            convert(credited, bytes12),
        )
    )
    self.deposit_count = index + 1
    self.heads[index + 1] = head
    log Deposited(deposit=index, subaccount=subaccount, owner=owner, amount=credited, head=head)


@internal
@pure
def _parse(leaf: Bytes[MAX_LEAF_BYTES]) -> (address, uint96):
    """
    @notice Owner and cumulative withdrawn of a packed account leaf (schema/packed.txt).
    """
    assert len(leaf) >= HEADER_BYTES, "vault: leaf too short"
    first: uint256 = convert(extract32(leaf, 0), uint256)
    second: uint256 = convert(extract32(leaf, 32), uint256)
    positions: uint256 = first & 255
    assert len(leaf) == HEADER_BYTES + POSITION_BYTES * positions, "vault: wrong leaf length"
    return convert(first >> 96, address), convert((second >> 64) & (2 ** 96 - 1), uint96)
