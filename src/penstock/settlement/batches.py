"""Batches on chain: what the operator commits, and which of it is final."""

from penstock.protocol.batch import Batch
from penstock.settlement.chain import Receipt
from penstock.settlement.contract import Contract


def commit(settlement: Contract, batch: Batch, operator: bytes) -> Receipt:
    """Commit the next batch. Raises ChainError with the contract's reason."""
    return settlement.send("commit_batch", batch, sender=operator)


def committed(settlement: Contract, since_block: int = 0, to_block: int | None = None) -> list[Batch]:
    """The batches committed in these L1 blocks, both ends included, in order."""
    return [Batch(*event.fields["batch"]) for event in settlement.events("BatchCommitted", since_block, to_block)]


def batch_count(settlement: Contract) -> int:
    """Number of the last batch; zero when only the genesis root is committed."""
    return int(settlement.call("batch_count"))


def last_sequence(settlement: Contract) -> int:
    """The last sequence number that a batch covers; zero before the first."""
    return int(settlement.call("last_sequence"))


def root_at(settlement: Contract, number: int) -> bytes:
    """Settlement root after the batch; number 0 is genesis. Raises ChainError for a batch not committed."""
    root: bytes = settlement.call("root_at", number)
    return root


def is_final(settlement: Contract, number: int) -> bool:
    """Whether the batch is committed and its window has passed, by the newest block's time."""
    return bool(settlement.call("is_final", number))


def final_number(settlement: Contract) -> int:
    """Number of the newest final batch; zero while only genesis is final."""
    return int(settlement.call("final_number"))


def final_root(settlement: Contract) -> bytes:
    """Settlement root of the newest final batch."""
    root: bytes = settlement.call("final_root")
    return root
