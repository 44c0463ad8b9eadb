"""One key on a chain that somebody else runs: it signs its transactions itself, and pays their gas."""

import time
from typing import Any, Final

from coincurve import PrivateKey
from eth_abi.abi import decode, encode

from penstock.protocol.signing import address_of
from penstock.protocol.words import keccak
from penstock.settlement.chain import ChainError, Receipt, read_receipt, revert_reason
from penstock.settlement.rpc import Rpc, RpcError, from_hex, to_hex

_MINED_LIMIT: Final = 120.0
_TYPE_2: Final = b"\x02"
Item = int | bytes | list["Item"]


class Wallet:
    """Views and transactions through one JSON-RPC server. `secret` is a secp256k1 key, 32 bytes."""

    def __init__(self, rpc: Rpc, secret: bytes) -> None:
        self._rpc = rpc
        self._key = PrivateKey(secret)
        self.address = address_of(self._key.public_key)

    def view(self, to: bytes, signature: str, returns: str, *arguments: Any) -> Any:
        """What a view such as `is_final(uint64)` returns. Raises ChainError, ConnectionError."""
        types = signature.partition("(")[2].removesuffix(")").split(",")
        payload = keccak(signature.encode())[:4] + encode(types, arguments)
        answer = from_hex(self._ask("eth_call", {"to": to_hex(to), "data": to_hex(payload)}, "latest"))
        if not answer:
            raise ChainError(f"no contract answers {signature} at {to_hex(to)}: another chain?")
        return decode([returns], answer)[0]

    def send(self, to: bytes, payload: bytes) -> Receipt:
        """Sign, send and wait until it is mined. Raises ChainError with the reason of a revert, ConnectionError."""
        call = {"from": to_hex(self.address), "to": to_hex(to), "data": to_hex(payload)}
        gas = int(self._ask("eth_estimateGas", call), 16)
        tip = int(self._ask("eth_maxPriorityFeePerGas"), 16)
        base = int(self._ask("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
        nonce = int(self._ask("eth_getTransactionCount", to_hex(self.address), "pending"), 16)
        chain_id = int(self._ask("eth_chainId"), 16)
        # Twice the base fee holds for six full blocks; what is not needed is not taken (EIP-1559).
        signed = sign_transaction(self._key, chain_id, nonce, tip, 2 * base + tip, gas * 5 // 4, to, payload)
        return self._await(self._ask("eth_sendRawTransaction", to_hex(signed)))

    def _await(self, transaction: str) -> Receipt:
        give_up = time.monotonic() + _MINED_LIMIT
        while (raw := self._ask("eth_getTransactionReceipt", transaction)) is None:
            if time.monotonic() > give_up:
                raise ChainError(f"transaction {transaction} was sent and is not mined after {_MINED_LIMIT:.0f} s")
            time.sleep(0.25)
        if int(raw["status"], 16) == 0:
            raise ChainError(f"transaction {transaction} reverted")
        return read_receipt(raw)

    def _ask(self, method: str, *params: Any) -> Any:
        try:
            return self._rpc.request(method, *params)
        except RpcError as error:
            raise ChainError(revert_reason(error.returned, error.message)) from error


def sign_transaction(
    key: PrivateKey, chain_id: int, nonce: int, tip: int, most: int, gas: int, to: bytes, payload: bytes
) -> bytes:
    """A signed transaction of type 2 without value: `tip` and `most` in wei a gas (EIP-1559, EIP-2718)."""
    fields: list[Item] = [chain_id, nonce, tip, most, gas, to, 0, payload, []]
    signature: bytes = key.sign_recoverable(keccak(_TYPE_2 + rlp(fields)), hasher=None)
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:64]))
    return _TYPE_2 + rlp([*fields, signature[64], r, s])


def rlp(item: Item) -> bytes:
    """Recursive length prefix (Ethereum yellow paper, appendix B): integers are big-endian without leading zeros."""
    if isinstance(item, list):
        return _prefixed(0xC0, b"".join(rlp(part) for part in item))
    content = item.to_bytes((item.bit_length() + 7) // 8, "big") if isinstance(item, int) else item
    return content if len(content) == 1 and content[0] < 0x80 else _prefixed(0x80, content)


def _prefixed(kind: int, content: bytes) -> bytes:
    if len(content) < 56:
        return bytes([kind + len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([kind + 55 + len(length)]) + length + content
