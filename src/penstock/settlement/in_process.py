"""An EVM inside this process, for machines without npm: slower than anvil, and gone with the process."""

import threading
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from penstock.settlement.chain import DEFAULT_GAS, Block, Chain, ChainError, Log, Receipt
from penstock.settlement.rpc import from_hex, to_hex

_CHAIN_ID: Final = 131277322940537
"""What the EVM's CHAINID answers; the library fixes it."""


DEVELOPMENT_MNEMONIC: Final = "test test test test test test test test test test test junk"
"""PUBLISHED DEVELOPMENT KEYS ONLY: m/44'/60'/0'/0/0 to 9."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _in_turn(
    method: "Callable[Concatenate[TesterChain, _P], _T]",
) -> "Callable[Concatenate[TesterChain, _P], _T]":
    """One thread at a time: the EVM behind the tester is not made for more."""

    @wraps(method)
    def locked(self: "TesterChain", /, *args: _P.args, **named: _P.kwargs) -> _T:
        with self._lock:
            return method(self, *args, **named)

    return locked


class TesterChain(Chain):
    """A fresh chain of py-evm behind eth-tester. `start_time` is the genesis block's, now by default.

    Raises ChainError when eth-tester is not installed.
    """

    def __init__(self, start_time: int | None = None) -> None:
        try:
            from eth_tester import EthereumTester, PyEVMBackend
            from eth_tester.exceptions import TransactionFailed, ValidationError
            from eth_utils.exceptions import ValidationError as Invalid
        except ImportError as error:
            raise ChainError("the in-process chain needs web3[tester]: install penstock with its demo extra") from error
        self._lock = threading.RLock()
        overrides = {} if start_time is None else {"timestamp": start_time}
        genesis = PyEVMBackend.generate_genesis_params(overrides=overrides)
        # The accounts anvil has too, so that whoever signs for one chain signs for the other.
        backend = PyEVMBackend.from_mnemonic(
            DEVELOPMENT_MNEMONIC, num_accounts=10, genesis_parameters=genesis, hd_path="m/44'/60'/0'/0"
        )
        self._tester = EthereumTester(backend)
        self._failures: tuple[type[Exception], ...] = (TransactionFailed, ValidationError, Invalid)
        self.chain_id = _CHAIN_ID

    def describe(self) -> str:
        return f"chain: py-evm in this process (anvil not found), chain id {self.chain_id}"

    @_in_turn
    def accounts(self) -> list[bytes]:
        return [from_hex(account) for account in self._tester.get_accounts()]

    @_in_turn
    def send(
        self, sender: bytes, to: bytes | None, payload: bytes = b"", value: int = 0, gas: int = DEFAULT_GAS
    ) -> Receipt:
        fields = _transaction(sender, to, payload) | {"value": value, "gas": gas}
        try:
            sent = self._tester.send_transaction(fields)
        except self._failures as error:
            raise ChainError(str(error)) from error
        raw = self._tester.get_transaction_receipt(sent)
        if not raw["status"]:
            raise ChainError(self._reason_of(fields))
        created = raw["contract_address"]
        return Receipt(
            from_hex(raw["transaction_hash"]),
            raw["block_number"],
            raw["gas_used"],
            tuple(_read_log(log) for log in raw["logs"]),
            from_hex(created) if created else None,
        )

    @_in_turn
    def call(self, to: bytes, payload: bytes, sender: bytes | None = None) -> bytes:
        try:
            return from_hex(self._tester.call(_transaction(sender or self.accounts()[0], to, payload)))
        except self._failures as error:
            raise ChainError(str(error)) from error

    @_in_turn
    def get_logs(
        self, address: bytes, topics: Sequence[bytes] = (), from_block: int = 0, to_block: int | None = None
    ) -> list[Log]:
        newest = self.block().number
        found = self._tester.get_logs(
            from_block=min(from_block, newest),
            to_block=newest if to_block is None else min(to_block, newest),
            address=to_hex(address),
            topics=[to_hex(topic) for topic in topics],
        )
        return [log for log in map(_read_log, found) if log.block >= from_block]

    @_in_turn
    def balance(self, address: bytes) -> int:
        return int(self._tester.get_balance(to_hex(address)))

    @_in_turn
    def nonce(self, address: bytes) -> int:
        return int(self._tester.get_nonce(to_hex(address)))

    @_in_turn
    def block(self, number: int | None = None) -> Block:
        try:
            raw = self._tester.get_block_by_number("latest" if number is None else number)
        except Exception as error:
            raise ChainError(f"no block {number}") from error
        return Block(raw["number"], raw["timestamp"], from_hex(raw["hash"]))

    @_in_turn
    def set_next_time(self, time: int) -> None:
        if time <= self.block().time:
            raise ChainError(f"time {time} is not after the newest block's")
        self._tester.time_travel(time)

    @_in_turn
    def mine(self) -> Block:
        self._tester.mine_block()
        return self.block()

    @_in_turn
    def snapshot(self) -> Any:
        return self._tester.take_snapshot()

    @_in_turn
    def restore(self, mark: Any) -> None:
        self._tester.revert_to_snapshot(mark)

    def close(self) -> None:
        """Nothing outlives the object."""

    def _reason_of(self, fields: dict[str, Any]) -> str:
        try:
            self._tester.call(fields)
        except self._failures as error:
            return str(error)
        return "reverted without a reason"


def _transaction(sender: bytes, to: bytes | None, payload: bytes) -> dict[str, Any]:
    return {"from": to_hex(sender), "to": "" if to is None else to_hex(to), "data": to_hex(payload)}


def _read_log(raw: dict[str, Any]) -> Log:
    return Log(
        from_hex(raw["address"]),
        tuple(from_hex(topic) for topic in raw["topics"]),
        from_hex(raw["data"]),
        raw["block_number"],
        raw["log_index"],
        from_hex(raw["transaction_hash"]),
    )
