"""Proofs under a settlement root."""

from msgspec import Struct


class AccountProof(Struct, frozen=True):
    """What opens one account leaf under a settlement root."""

    subaccount: int
    leaf: bytes
    siblings: list[bytes]
    markets_root: bytes
    globals_hash: bytes
    deposit_head: bytes
    forced_head: bytes
