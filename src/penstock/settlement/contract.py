"""A contract on a chain, called by the names of its ABI with Python values."""

from collections.abc import Sequence
from typing import Any

import msgspec
from eth_abi.abi import decode, encode

from penstock.protocol.words import keccak
from penstock.settlement.chain import DEFAULT_GAS, Chain, Log, Receipt
from penstock.settlement.contracts import Artifact


class Event(msgspec.Struct, frozen=True):
    """One decoded event: its fields by name, and the block (number) that holds it."""

    name: str
    fields: dict[str, Any]
    block: int
    transaction: bytes


class Contract:
    """One deployed contract. Addresses and byte strings are bytes; structs go in as Structs and come out as tuples."""

    def __init__(self, chain: Chain, address: bytes, artifact: Artifact) -> None:
        self.chain = chain
        self.address = address
        self.name = artifact.name
        self._functions = {entry["name"]: entry for entry in artifact.abi if entry["type"] == "function"}
        self._events = {entry["name"]: entry for entry in artifact.abi if entry["type"] == "event"}

    def call(self, name: str, *args: Any) -> Any:
        """The view's value, or a tuple of several. Raises ChainError with the reason of a revert."""
        outputs = self._functions[name]["outputs"]
        types = [_type_of(output) for output in outputs]
        values = decode(types, self.chain.call(self.address, self.payload(name, *args)))
        natives = tuple(_native(output, value) for output, value in zip(outputs, values, strict=True))
        return natives[0] if len(natives) == 1 else natives

    def send(self, name: str, *args: Any, sender: bytes, value: int = 0, gas: int = DEFAULT_GAS) -> Receipt:
        """Mine the call from an unlocked account. Raises ChainError with the reason of a revert."""
        return self.chain.send(sender, self.address, self.payload(name, *args), value, gas)

    def payload(self, name: str, *args: Any) -> bytes:
        """Selector and encoded arguments. Raises ValueError for arguments that do not fit the function."""
        inputs = self._functions[name]["inputs"]
        if len(inputs) != len(args):
            raise ValueError(f"{self.name}.{name} takes {len(inputs)} arguments, not {len(args)}")
        types = [_type_of(argument) for argument in inputs]
        return keccak(f"{name}({','.join(types)})".encode())[:4] + encode_values(types, args)

    def events(self, name: str, from_block: int = 0, to_block: int | None = None) -> list[Event]:
        """The contract's events of this name in these blocks, both ends included, in order."""
        logs = self.chain.get_logs(self.address, [self._topic(name)], from_block, to_block)
        return [self._read_event(name, log) for log in logs]

    def events_in(self, receipt: Receipt, name: str) -> list[Event]:
        """The contract's events of this name in one transaction, in order."""
        topic = self._topic(name)
        return [
            self._read_event(name, log)
            for log in receipt.logs
            if log.address == self.address and log.topics[:1] == (topic,)
        ]

    def _topic(self, name: str) -> bytes:
        return keccak(f"{name}({','.join(_type_of(field) for field in self._events[name]['inputs'])})".encode())

    def _read_event(self, name: str, log: Log) -> Event:
        inputs = self._events[name]["inputs"]
        plain = [field for field in inputs if not field["indexed"]]
        values = iter(decode([_type_of(field) for field in plain], log.payload))
        topics = iter(log.topics[1:])
        fields = {}
        for field in inputs:
            value = decode([_type_of(field)], next(topics))[0] if field["indexed"] else next(values)
            fields[field["name"]] = _native(field, value)
        return Event(name, fields, log.block, log.transaction)


def deploy_contract(chain: Chain, artifact: Artifact, *args: Any, sender: bytes) -> Contract:
    """Create the contract with its constructor's arguments. Raises ChainError with the reason of a revert."""
    inputs: list[dict[str, Any]] = next(
        (entry["inputs"] for entry in artifact.abi if entry["type"] == "constructor"), []
    )
    receipt = chain.send(sender, None, artifact.bytecode + encode_values([_type_of(i) for i in inputs], args))
    assert receipt.contract is not None
    return Contract(chain, receipt.contract, artifact)


def encode_values(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """The ABI encoding of the values; a Struct stands for the tuple of its fields."""
    return encode(
        list(types),
        [msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else value for value in values],
    )


def _type_of(entry: dict[str, Any]) -> str:
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type_of(part) for part in entry['components'])}){kind.removeprefix('tuple')}"


def _native(entry: dict[str, Any], value: Any) -> Any:
    kind = entry["type"]
    if kind == "address":
        return bytes.fromhex(value[2:])
    if kind == "tuple":
        return tuple(_native(part, item) for part, item in zip(entry["components"], value, strict=True))
    return value
