"""The native core: bytes in, bytes out, the GIL released. The byte forms are those of schema/packed.txt."""

from typing import final

__all__ = ["Engine", "SettlementTree", "Verifier", "keccak256"]

@final
class Engine:
    """The state machine. A call that raises has left it unusable: stop and replay."""

    def __new__(cls, genesis: bytes) -> Engine:
        """Begin at genesis (as `Genesis.encode` packs it). Raises ValueError for bytes that are none."""

    def apply(self, commands: bytes) -> bytes:
        """Execute commands one after the other; the applied frame of each. Raises ValueError for a broken frame."""

    @staticmethod
    def load(genesis: bytes, saved: bytes) -> Engine:
        """The engine at a state saved under this genesis. Raises ValueError saying where and why otherwise."""

    def save(self) -> bytes:
        """Everything `apply` can read: one state has one saved form."""

    def replay(self, records: bytes) -> int:
        """Execute journal records, signatures unchecked; the last sequence. Raises ValueError naming the sequence."""

    def resting(self) -> bytes:
        """Every account with what of it the public books are made of, packed."""

    def engine_root(self) -> bytes:
        """Digest of everything `apply` can read, 32 bytes."""

    def snapshot(self) -> bytes:
        """Every leaf of the settlement tree now, as `SettlementTree` takes them."""

    def account(self, subaccount: int) -> bytes | None:
        """The packed account view, or None if it was never credited."""

    def market(self, market: int) -> bytes | None:
        """The packed market view, or None if it is not listed."""

    def markets(self) -> bytes:
        """Every listed market's packed view, ascending."""

    def what_if(self, subaccount: int, market: int, change: int, price: int) -> bytes | None:
        """The packed what_if view; None for an unknown subaccount or market. Raises ValueError for a fill too wide."""

    def guard_nonces(self, subaccount: int, slots: list[int]) -> list[int] | None:
        """The guard nonce of each slot, 0 where none was seen; None if the account was never credited."""

@final
class Verifier:
    """Checks envelopes on all cores, recovering a key once and verifying against it afterwards."""

    def __new__(cls, separator: bytes, threads: int = 0) -> Verifier:
        """`separator` is the EIP-712 domain's, 32 bytes; 0 threads: one a core. Raises ValueError."""

    def verify(self, envelopes: list[bytes], from_node: list[bool]) -> list[bytes | int]:
        """For each envelope its packed message, or the number of the Reason it is refused for."""

    def reopen(self, envelope: bytes, signers: bytes) -> bytes:
        """The packed message of an envelope verified before; `signers` 20 bytes each. Raises ValueError."""

@final
class SettlementTree:
    """The tree behind the settlement root, with one root per ledger entry."""

    def __new__(cls, snapshot: bytes, genesis: bytes) -> SettlementTree:
        """The tree of a snapshot. Raises ValueError for bytes that are none."""

    def advance(self, written: list[bytes]) -> list[bytes]:
        """Write entries and return the settlement root after each, computed level by level. Raises ValueError."""

    def root(self) -> bytes:
        """The settlement root now, 32 bytes."""

    def holds(self, subaccount: int) -> bool:
        """Whether the subaccount has a leaf."""

    def copy(self) -> SettlementTree:
        """An independent tree at the same root."""

    def prove(self, subaccount: int) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes]:
        """leaf, 36 siblings, markets root, globals hash, deposit head, forced head. Raises KeyError."""

    def open_trade(self, packed: bytes) -> bytes:
        """What a witness needs of the leaves before this trade entry. Raises ValueError for other bytes."""

def keccak256(payload: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it, 32 bytes."""
