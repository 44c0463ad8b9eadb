"""Anvil, the development chain from npm, as a child process on the loopback interface."""

import atexit
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from penstock.settlement.chain import (
    DEFAULT_GAS,
    Block,
    Chain,
    ChainError,
    Log,
    Receipt,
    read_log,
    read_receipt,
    revert_reason,
)
from penstock.settlement.rpc import Rpc, RpcError, from_hex, to_hex

_HOST: Final = "127.0.0.1"
_HARDFORK: Final = "osaka"
_START_LIMIT: Final = 10.0
_UNCONFIRMED: Final = "confirmation timeout"
_PACKAGES: Final = Path("node_modules") / "@foundry-rs"
_SYSTEMS: Final = {"linux": "linux", "darwin": "darwin", "win32": "win32"}
_MACHINES: Final = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_anvil(root: Path) -> Path | None:
    """The program that `npm install` put under `root` for this platform, or None."""
    package = f"anvil-{_SYSTEMS.get(sys.platform)}-{_MACHINES.get(platform.machine())}"
    program = root / _PACKAGES / package / "bin" / ("anvil.exe" if sys.platform == "win32" else "anvil")
    return program if program.is_file() else None


class AnvilChain(Chain):
    """A fresh chain in an anvil process of our own, stopped by `close` and when Python ends.

    `start_time` is the genesis block's time in unix seconds, now by default. Raises ChainError when the program
    does not start.
    """

    def __init__(self, program: Path, port: int | None = None, start_time: int | None = None) -> None:
        self._port = port or _free_port()
        if _answers(self._port):
            raise ChainError(f"anvil did not start: port {self._port} is taken")
        command = [str(program), "--silent", "--host", _HOST, "--port", str(self._port), "--hardfork", _HARDFORK]
        if start_time is not None:
            command += ["--timestamp", str(start_time)]
        # A session of its own, so that an interrupt at the terminal reaches us first and the last batch its chain.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        atexit.register(self.close)
        self._rpc = Rpc(_HOST, self._port)
        try:
            self._await_start()
            self.chain_id = int(self._rpc.request("eth_chainId"), 16)
        except BaseException:
            self.close()
            raise

    def describe(self) -> str:
        return f"chain: anvil on {_HOST}:{self._port}, chain id {self.chain_id}"

    def accounts(self) -> list[bytes]:
        return [from_hex(account) for account in self._rpc.request("eth_accounts")]

    def send(
        self, sender: bytes, to: bytes | None, payload: bytes = b"", value: int = 0, gas: int = DEFAULT_GAS
    ) -> Receipt:
        transaction = _transaction(sender, to, payload) | {"value": to_hex(value), "gas": to_hex(gas)}
        try:
            raw = self._rpc.request("eth_sendTransactionSync", transaction)
        except RpcError as error:
            if _UNCONFIRMED not in error.message:
                raise ChainError(revert_reason(error.returned, error.message)) from error
            raw = self._late_receipt(sender, error)
        if int(raw["status"], 16) == 0:
            raise ChainError(self._reason_of(raw["transactionHash"]))
        return read_receipt(raw)

    def call(self, to: bytes, payload: bytes, sender: bytes | None = None) -> bytes:
        try:
            return from_hex(self._rpc.request("eth_call", _transaction(sender, to, payload), "latest"))
        except RpcError as error:
            raise ChainError(revert_reason(error.returned, error.message)) from error

    def get_logs(
        self, address: bytes, topics: Sequence[bytes] = (), from_block: int = 0, to_block: int | None = None
    ) -> list[Log]:
        wanted = {
            "address": to_hex(address),
            "topics": [to_hex(topic) for topic in topics],
            "fromBlock": to_hex(from_block),
            "toBlock": "latest" if to_block is None else to_hex(to_block),
        }
        return [read_log(log) for log in self._rpc.request("eth_getLogs", wanted)]

    def balance(self, address: bytes) -> int:
        return int(self._rpc.request("eth_getBalance", to_hex(address), "latest"), 16)

    def nonce(self, address: bytes) -> int:
        return int(self._rpc.request("eth_getTransactionCount", to_hex(address), "latest"), 16)

    def block(self, number: int | None = None) -> Block:
        raw = self._rpc.request("eth_getBlockByNumber", "latest" if number is None else to_hex(number), False)
        if raw is None:
            raise ChainError(f"no block {number}")
        return Block(int(raw["number"], 16), int(raw["timestamp"], 16), from_hex(raw["hash"]))

    def set_next_time(self, time: int) -> None:
        if time <= self.block().time:
            raise ChainError(f"time {time} is not after the newest block's")
        self._rpc.request("evm_setNextBlockTimestamp", time)

    def mine(self) -> Block:
        self._rpc.request("evm_mine")
        return self.block()

    def snapshot(self) -> Any:
        return self._rpc.request("evm_snapshot")

    def restore(self, mark: Any) -> None:
        if not self._rpc.request("evm_revert", mark):
            raise ChainError("no such snapshot")

    def close(self) -> None:
        atexit.unregister(self.close)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._rpc.close()

    def _late_receipt(self, sender: bytes, error: RpcError) -> Any:
        """The receipt of the sender's newest transaction, which a starved anvil took and confirmed too late."""
        number = self._rpc.request("eth_getTransactionCount", to_hex(sender), "pending")
        newest = to_hex(int(number, 16) - 1)
        give_up = time.monotonic() + _START_LIMIT
        while time.monotonic() < give_up:
            sent = self._rpc.request("eth_getTransactionBySenderAndNonce", to_hex(sender), newest)
            raw = sent and self._rpc.request("eth_getTransactionReceipt", sent["hash"])
            if raw:
                return raw
            time.sleep(0.1)
        raise ChainError(f"{error.message}, nor {_START_LIMIT:.0f} s after") from error

    def _await_start(self) -> None:
        give_up = time.monotonic() + _START_LIMIT
        while True:
            try:
                self._rpc.request("web3_clientVersion")
                break
            except ConnectionError as error:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    raise ChainError("anvil did not start") from error
                time.sleep(0.01)
        # If another program took the port first, it answered and ours is about to end.
        try:
            self._process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            return
        raise ChainError(f"anvil did not start: port {self._port} is taken")

    def _reason_of(self, transaction: str) -> str:
        # The trace has the state and time of the failure itself, which a repeated call would not.
        trace = self._rpc.request("debug_traceTransaction", transaction, {"tracer": "callTracer"})
        return revert_reason(from_hex(trace.get("output", "")), trace.get("error") or "reverted without a reason")


def _transaction(sender: bytes | None, to: bytes | None, payload: bytes) -> dict[str, str]:
    fields = {"data": to_hex(payload)}
    if sender is not None:
        fields["from"] = to_hex(sender)
    if to is not None:
        fields["to"] = to_hex(to)
    return fields


def _answers(port: int) -> bool:
    """Whether somebody listens there already; whoever takes the port later is found in `_await_start`."""
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
