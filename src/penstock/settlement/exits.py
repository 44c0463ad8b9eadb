"""Taking money out: a claim on the vault, checked here by the contract's own rule before it costs gas."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from eth_abi.abi import encode

from penstock.protocol.words import keccak
from penstock.settlement.chain import Receipt
from penstock.settlement.contract import Contract
from penstock.spec.merkle import root_from_proof

_ACCOUNT_LEAF: Final = b"\x03"
_SETTLEMENT_ROOT: Final = b"\x08"
_HEADER: Final = 128
_POSITION: Final = 32
_MAX_LEAF: Final = 1152
_SIBLINGS: Final = 36


CLAIM_TYPES: Final = ("uint24", "bytes", "bytes32[36]", "bytes32", "bytes32", "bytes32", "bytes32", "uint64")
"""Of `Vault.claim`'s arguments, which are the fields of `Claim`."""


class ClaimRefused(Exception):
    """The vault would not pay this claim; `reason` is the sentence it would give."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Claim(msgspec.Struct, frozen=True):
    """A packed account leaf, its path, and what hashes with the accounts root into batch `number`'s root."""

    subaccount: int
    leaf: bytes
    siblings: tuple[bytes, ...]
    markets_root: bytes
    globals_hash: bytes
    deposit_head: bytes
    forced_head: bytes
    number: int


class Withdrawn(msgspec.Struct, frozen=True):
    """Whom a leaf pays, and how much (1e-6 USDC) was withdrawn from it since genesis."""

    owner: bytes
    withdrawn: int


def read_claim(told: Mapping[str, Any]) -> Claim:
    """A claim as `penstock/get_proof` tells it, bytes in 0x hex. Raises ValueError naming the field."""
    fields: dict[str, Any] = {}
    for name, kind in zip(Claim.__struct_fields__, CLAIM_TYPES, strict=True):
        value = told.get(name)
        try:
            if kind.startswith("uint"):
                fields[name] = msgspec.convert(value, int)
            elif kind == "bytes32[36]":
                fields[name] = tuple(_unhexed(sibling) for sibling in msgspec.convert(value, list[str]))
            else:
                fields[name] = _unhexed(msgspec.convert(value, str))
        except ValueError as error:
            raise ValueError(f"{name}: {kind} is wanted: {error}") from error
    return Claim(**fields)


def claim_payload(claim: Claim) -> bytes:
    """Selector and arguments of `Vault.claim`. Raises ValueError for a claim that does not fit them."""
    selector = keccak(f"claim({','.join(CLAIM_TYPES)})".encode())[:4]
    return selector + encode(CLAIM_TYPES, msgspec.structs.astuple(claim))


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of a packed account leaf as the accounts tree holds it."""
    return keccak(_ACCOUNT_LEAF + leaf)


def settlement_root(
    accounts_root: bytes, markets_root: bytes, globals_hash: bytes, deposit_head: bytes, forced_head: bytes
) -> bytes:
    """The root that a batch commits."""
    return keccak(_SETTLEMENT_ROOT + accounts_root + markets_root + globals_hash + deposit_head + forced_head)


def claim_root(claim: Claim) -> bytes:
    """The settlement root this claim is a proof for. Raises ClaimRefused for a path that is not one."""
    if len(claim.siblings) != _SIBLINGS:
        raise ClaimRefused(f"vault: {_SIBLINGS} siblings wanted")
    try:
        accounts_root = root_from_proof(claim.subaccount, leaf_hash(claim.leaf), claim.siblings)
    except ValueError as error:
        raise ClaimRefused("merkle: index out of range") from error
    return settlement_root(accounts_root, claim.markets_root, claim.globals_hash, claim.deposit_head, claim.forced_head)


def verify_claim(claim: Claim, root: bytes) -> Withdrawn:
    """What the claim proves against the batch's settlement root. Raises ClaimRefused.

    Whether that batch is final, and how much was paid before, only the chain knows.
    """
    if claim_root(claim) != root:
        raise ClaimRefused("vault: not in the root")
    leaf = claim.leaf
    if len(leaf) < _HEADER:
        raise ClaimRefused("vault: leaf too short")
    if len(leaf) > _MAX_LEAF or len(leaf) != _HEADER + _POSITION * leaf[31]:
        raise ClaimRefused("vault: wrong leaf length")
    owner = leaf[:20]
    if not any(owner):
        raise ClaimRefused("vault: wrong owner")
    return Withdrawn(owner, int.from_bytes(leaf[44:56], "big"))


def pay(vault: Contract, claim: Claim, sender: bytes) -> Receipt:
    """Have the vault pay the claim to its owner; `sender` only pays the gas. Raises ChainError with the reason."""
    return vault.send("claim", *msgspec.structs.astuple(claim), sender=sender)


def _unhexed(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
