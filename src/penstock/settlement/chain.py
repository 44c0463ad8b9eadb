"""What the settlement layer asks of an L1 chain. `open_chain` in `local_chain` starts one for development.

Addresses, hashes and payloads are bytes; amounts are wei; times are unix seconds.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from eth_abi.abi import decode

from penstock.settlement.rpc import from_hex

DEFAULT_GAS: Final = 8_000_000
_ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
_PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")


class ChainError(Exception):
    """A call or transaction failed; `reason` is the contract's own words where it gave any."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Log(msgspec.Struct, frozen=True):
    """One event as the chain keeps it."""

    address: bytes
    topics: tuple[bytes, ...]
    payload: bytes
    block: int
    index: int
    transaction: bytes


class Receipt(msgspec.Struct, frozen=True):
    """What became of a mined transaction; `contract` is the address of the contract it created, if any."""

    transaction: bytes
    block: int
    gas_used: int
    logs: tuple[Log, ...]
    contract: bytes | None


class Block(msgspec.Struct, frozen=True):
    """Number, time (unix seconds) and hash of a block."""

    number: int
    time: int
    block_hash: bytes


class Chain(ABC):
    """An L1 chain with unlocked development accounts. Close it when done, or use it as a context."""

    chain_id: int

    @abstractmethod
    def describe(self) -> str:
        """One line: which form this is and where it listens."""

    @abstractmethod
    def accounts(self) -> list[bytes]:
        """The unlocked accounts, funded with ETH."""

    @abstractmethod
    def send(
        self, sender: bytes, to: bytes | None, payload: bytes = b"", value: int = 0, gas: int = DEFAULT_GAS
    ) -> Receipt:
        """Mine a transaction; `to` None creates a contract. Raises ChainError with the reason of a revert."""

    @abstractmethod
    def call(self, to: bytes, payload: bytes, sender: bytes | None = None) -> bytes:
        """What the contract returns at the newest block. Raises ChainError with the reason of a revert."""

    @abstractmethod
    def get_logs(
        self, address: bytes, topics: Sequence[bytes] = (), from_block: int = 0, to_block: int | None = None
    ) -> list[Log]:
        """The contract's events of these blocks, both ends included, in order."""

    @abstractmethod
    def balance(self, address: bytes) -> int:
        """The account's ETH in wei."""

    @abstractmethod
    def nonce(self, address: bytes) -> int:
        """How many transactions the account has sent."""

    @abstractmethod
    def block(self, number: int | None = None) -> Block:
        """A block, the newest by default. Raises ChainError when there is none of that number."""

    @abstractmethod
    def set_next_time(self, time: int) -> None:
        """Fix the next block's time, later than the newest block's; time runs on from there.

        Raises ChainError for a time not later.
        """

    @abstractmethod
    def mine(self) -> Block:
        """Mine an empty block."""

    @abstractmethod
    def snapshot(self) -> Any:
        """A mark to `restore`, once."""

    @abstractmethod
    def restore(self, mark: Any) -> None:
        """Return to the state at the mark."""

    @abstractmethod
    def close(self) -> None:
        """Stop the chain. A second call does nothing."""

    def __enter__(self) -> "Chain":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def revert_reason(returned: bytes, fallback: str = "reverted without a reason") -> str:
    """The sentence in a revert's return bytes, or the fallback when they hold none."""
    try:
        if returned.startswith(_ERROR_SELECTOR):
            return str(decode(["string"], returned[4:])[0])
        if returned.startswith(_PANIC_SELECTOR):
            return f"panic {int.from_bytes(returned[4:36], 'big'):#x}"
    except Exception:  # whatever a contract returned instead of a well-formed string
        return fallback
    return fallback


def read_receipt(raw: dict[str, Any]) -> Receipt:
    """The receipt in a JSON-RPC answer."""
    created = raw.get("contractAddress")
    return Receipt(
        from_hex(raw["transactionHash"]),
        int(raw["blockNumber"], 16),
        int(raw["gasUsed"], 16),
        tuple(read_log(log) for log in raw["logs"]),
        from_hex(created) if created else None,
    )


def read_log(raw: dict[str, Any]) -> Log:
    """The event in a JSON-RPC answer."""
    return Log(
        from_hex(raw["address"]),
        tuple(from_hex(topic) for topic in raw["topics"]),
        from_hex(raw["data"]),
        int(raw["blockNumber"], 16),
        int(raw["logIndex"], 16),
        from_hex(raw["transactionHash"]),
    )
