"""What the gateway asks of whoever posts batches. The node runs without one: then there is nothing to list."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct


class PostedBatch(Struct, frozen=True):
    """A span of the sequence committed on chain. `status` is `posted` or `final`; `gas` what posting it took."""

    number: int
    first_sequence: int
    last_sequence: int
    entries: int
    settlement_root: bytes
    engine_root: bytes
    transaction: bytes
    block: int
    status: str
    gas: int


class ClaimProof(Struct, frozen=True):
    """What `Vault.claim` takes for one subaccount against batch `batch`: packed leaf, siblings, the other subtrees."""

    batch: int
    leaf: bytes
    siblings: Sequence[bytes]
    markets_root: bytes
    globals_hash: bytes
    deposit_head: bytes
    forced_head: bytes


class SettlementRoot(Struct, frozen=True):
    """The settlement root behind the last entry of `sequence`, and how many entries the ledger then has."""

    sequence: int
    settlement_root: bytes
    ledger_entries: int


class Batches(Protocol):
    """The batcher as the gateway sees it. All calls come from the node's event loop."""

    def newest(self, count: int) -> Sequence[PostedBatch]:
        """Up to `count` batches, newest first."""

    async def settlement_root(self, sequence: int) -> SettlementRoot:
        """The root after all entries up to `sequence`; waits until they are hashed."""

    async def proof(self, subaccount: int) -> ClaimProof | None:
        """Proof against the newest posted batch; None if the subaccount is not in it, or nothing is posted."""

    def watch(self, told: Callable[[PostedBatch], None]) -> None:
        """Call `told` for each batch when it is posted, and again when it is final."""
