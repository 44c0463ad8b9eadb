"""The development chains themselves, and the way to them."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.settlement.anvil import AnvilChain, find_anvil
from penstock.settlement.chain import Chain, ChainError, revert_reason
from penstock.settlement.contracts import repository
from penstock.settlement.deployment import created_address
from penstock.settlement.local_chain import open_chain
from penstock.settlement.rpc import Rpc, RpcError

ANVIL = find_anvil(repository())
wants_anvil = [
    pytest.mark.needs_node,
    pytest.mark.skipif(ANVIL is None, reason="anvil is not installed: run npm install"),
]


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with open_chain() as opened:
        yield opened


def test_without_npm_the_chain_runs_in_process_and_says_so(tmp_path: Path):
    with open_chain(root=tmp_path) as chain:
        assert chain.describe() == f"chain: py-evm in this process (anvil not found), chain id {chain.chain_id}"
        assert "\n" not in chain.describe()


def test_value_moves_and_the_receipt_says_at_what_price(chain: Chain):
    alice, bob = chain.accounts()[:2]
    before = chain.balance(bob)
    receipt = chain.send(alice, bob, value=7)
    assert chain.balance(bob) == before + 7
    assert receipt.gas_used == 21_000
    assert receipt.block == chain.block().number
    assert receipt.contract is None


def test_more_than_an_account_has_is_refused(chain: Chain):
    alice, bob = chain.accounts()[:2]
    with pytest.raises(ChainError):
        chain.send(alice, bob, value=10**30)


def test_a_failed_transaction_tells_its_reason(chain: Chain):
    sentence = b"vault: closed on Sundays"
    error = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + len(sentence).to_bytes(32, "big")
    error += sentence.ljust(32, b"\0")
    contract = chain.send(chain.accounts()[0], None, _creation(_returning(error, 0xFD))).contract
    assert contract is not None
    for attempt in (lambda: chain.send(chain.accounts()[0], contract), lambda: chain.call(contract, b"")):
        with pytest.raises(ChainError) as failure:
            attempt()
        assert failure.value.reason == sentence.decode()


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (b"", "silent"),
        (b"\x08\xc3\x79\xa0", "silent"),
        (b"\x08\xc3\x79\xa0" + b"\xff" * 64, "silent"),
        (b"\x01\x02\x03\x04rest", "silent"),
        (bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big"), "panic 0x11"),
    ],
)
def test_a_revert_without_a_sentence_still_has_a_reason(returned: bytes, reason: str):
    assert revert_reason(returned, "silent") == reason


def test_created_addresses_are_known_before(chain: Chain):
    sender = chain.accounts()[5]
    for nonce in range(260):
        assert chain.nonce(sender) == nonce
        assert chain.send(sender, None, b"").contract == created_address(sender, nonce)


def test_time_moves_where_told_and_only_forwards(chain: Chain):
    now = chain.block().time
    with pytest.raises(ChainError, match="not after"):
        chain.set_next_time(now)
    chain.set_next_time(now + 5_000)
    block = chain.mine()
    assert block.time >= now + 5_000
    assert chain.block(block.number) == block
    with pytest.raises(ChainError, match="no block"):
        chain.block(block.number + 1_000)


def test_a_snapshot_brings_everything_back(chain: Chain):
    alice, bob = chain.accounts()[:2]
    mark, before = chain.snapshot(), chain.balance(bob)
    chain.send(alice, bob, value=7)
    chain.restore(mark)
    assert chain.balance(bob) == before


@pytest.mark.needs_node
class TestAnvil:
    pytestmark = wants_anvil

    def test_it_dies_with_close(self):
        chain = AnvilChain(ANVIL, start_time=1_800_000_000)
        pid = chain._process.pid
        assert chain.block(0).time == 1_800_000_000
        os.kill(pid, 0)
        chain.close()
        chain.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_a_transaction_confirmed_too_late_is_found_and_not_sent_again(self, monkeypatch: pytest.MonkeyPatch):
        with AnvilChain(ANVIL) as chain:
            alice, bob = chain.accounts()[:2]
            ask = chain._rpc.request

            def starved(method: str, *params: object) -> object:
                found = ask(method, *params)
                if method == "eth_sendTransactionSync":
                    raise RpcError(4, "Transaction confirmation timeout")
                return found

            monkeypatch.setattr(chain._rpc, "request", starved)
            assert chain.send(alice, bob, value=7).gas_used == 21_000
            assert chain.nonce(alice) == 1

    def test_two_chains_do_not_meet(self):
        with AnvilChain(ANVIL) as one, AnvilChain(ANVIL) as other:
            one.mine()
            assert (one.block().number, other.block().number) == (1, 0)
            assert one.describe() != other.describe()

    def test_a_taken_port_is_an_error_and_not_somebody_elses_chain(self):
        with AnvilChain(ANVIL) as first, pytest.raises(ChainError, match="taken"):
            AnvilChain(ANVIL, port=first._port)

    def test_it_listens_on_the_loopback_only(self):
        with AnvilChain(ANVIL) as chain, socket.socket() as probe:
            probe.bind(("127.0.0.2", chain._port))

    def test_a_program_that_ends_at_once_is_an_error(self, tmp_path: Path):
        program = tmp_path / "anvil"
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
        with pytest.raises(ChainError, match="did not start"):
            AnvilChain(program)


@contextmanager
def server(*answers: bytes) -> Iterator[int]:
    """A server that gives one connection these answers, in order, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    connection.recv(65_536)
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n"
                    connection.sendall(head.encode() + answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=5)


def test_an_error_answer_carries_code_message_and_bytes():
    answer = {"jsonrpc": "2.0", "id": 1, "error": {"code": 3, "message": "no", "data": "0x0102"}}
    with server(json.dumps(answer).encode()) as port, pytest.raises(RpcError) as failure:
        Rpc("127.0.0.1", port).request("eth_call")
    assert (failure.value.code, failure.value.message, failure.value.returned) == (3, "no", b"\x01\x02")


def test_a_server_that_hangs_up_or_talks_nonsense_is_a_connection_error():
    for answers in ((), (b"not json",)):
        with server(*answers) as port, pytest.raises(ConnectionError):
            Rpc("127.0.0.1", port, timeout=2).request("eth_call")


def _returning(payload: bytes, opcode: int) -> bytes:
    """EVM code that ends with this opcode (RETURN or REVERT) over the payload."""
    size = bytes([len(payload)])
    return b"\x60" + size + b"\x60\x0c\x60\x00\x39\x60" + size + b"\x60\x00" + bytes([opcode]) + payload


def _creation(code: bytes) -> bytes:
    return _returning(code, 0xF3)
