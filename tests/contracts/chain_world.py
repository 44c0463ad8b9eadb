"""A venue on chain for the tests: contracts, money in them, and batches that are legal unless a test says otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.protocol.batch import Batch
from penstock.settlement import batches, vault
from penstock.settlement.chain import Chain, ChainError, Receipt
from penstock.settlement.contract import Contract, deploy_contract
from penstock.settlement.contracts import Library
from penstock.settlement.deployment import deploy
from penstock.settlement.exits import Claim, leaf_hash, settlement_root
from penstock.spec.merkle import Tree

DAY = 86_400
MICRO = 1_000_000
ETHER = 10**18
GENESIS = b"\x11" * 32
RULESET = b"\x22" * 32
MARKETS, GLOBALS, DEPOSITS, FORCED = (bytes([mark]) * 32 for mark in (0xA1, 0xA2, 0xA3, 0xA4))
LIBRARY = Library()
DOUBLES = Library(sources=Path(__file__).parent / "doubles")


@contextmanager
def refused_with(reason: str) -> Iterator[None]:
    """Expect exactly this reason from the chain."""
    with pytest.raises(ChainError) as failure:
        yield
    assert failure.value.reason == reason


class World:
    """One deployment, its operator, and users by role."""

    def __init__(self, chain: Chain, dev: bool = True, window: int = 0, double: str | None = None) -> None:
        self.chain = chain
        self.operator, self.alice, self.bob, self.stranger = chain.accounts()[:4]
        token = deploy_contract(chain, DOUBLES.artifact(double), sender=self.stranger) if double else None
        if not dev and token is None:
            token = deploy_contract(chain, LIBRARY.artifact("DevToken"), sender=self.stranger)
        deployment = deploy(
            chain,
            LIBRARY,
            operator=self.operator,
            finality_window=window,
            minimum_bond=ETHER,
            genesis_root=GENESIS,
            ruleset=RULESET,
            dev=dev,
            token=token.address if token else None,
        )
        self.vault, self.settlement = deployment.vault, deployment.settlement
        self.token: Contract = token or deployment.token

    def give(self, owner: bytes, amount: int) -> None:
        """Mint and let the vault take it."""
        self.token.send("mint", owner, amount, sender=self.stranger)
        self.token.send("approve", self.vault.address, amount, sender=owner)

    def open(self, owner: bytes, amount: int) -> vault.Deposit:
        self.give(owner, amount)
        return vault.open_subaccount(self.vault, owner, amount, sender=owner)

    def batch(self, **changes: Any) -> Batch:
        """The next legal batch, with these fields changed."""
        last = batches.batch_count(self.settlement)
        first = batches.last_sequence(self.settlement) + 1
        deposits = vault.deposit_count(self.vault)
        block = self.chain.block()
        legal = Batch(
            number=last + 1,
            previous_root=batches.root_at(self.settlement, last),
            settlement_root=b"\x33" * 32,
            engine_root=b"\x44" * 32,
            ledger_root=b"\x55" * 32,
            sequence_root=b"\x66" * 32,
            availability=b"\x77" * 32,
            first_sequence=first,
            last_sequence=first + 9,
            entries=3,
            time=block.time * MICRO,
            deposits=deposits,
            deposit_head=vault.deposit_head_at(self.vault, deposits),
            l1_block=block.number,
        )
        return msgspec.structs.replace(legal, **changes)

    def commit(self, **changes: Any) -> Receipt:
        return batches.commit(self.settlement, self.batch(**changes), self.operator)

    def commit_accounts(self, accounts: "Accounts") -> int:
        """Commit a batch over these accounts and say its number."""
        self.commit(settlement_root=accounts.root())
        return batches.batch_count(self.settlement)


class Accounts:
    """Packed account leaves and the claims on them."""

    def __init__(self, leaves: dict[int, bytes]) -> None:
        self.leaves = leaves
        self.tree = Tree(12)
        for subaccount, leaf in leaves.items():
            self.tree.set(subaccount, leaf_hash(leaf))

    def root(self) -> bytes:
        return settlement_root(self.tree.root(), MARKETS, GLOBALS, DEPOSITS, FORCED)

    def claim(self, subaccount: int, number: int) -> Claim:
        siblings = tuple(self.tree.proof(subaccount))
        return Claim(subaccount, self.leaves[subaccount], siblings, MARKETS, GLOBALS, DEPOSITS, FORCED, number)


def account_leaf(owner: bytes, withdrawn: int, positions: int = 0, cash: int = 0, fill: int = 0) -> bytes:
    """A packed account leaf (schema/packed.txt); `fill` is the byte of every field the vault does not read."""
    filler = bytes([fill])
    header = owner + filler * 11 + bytes([positions])
    money = cash.to_bytes(12, "big", signed=True) + withdrawn.to_bytes(12, "big") + filler * 8
    return header + money + filler * 64 + filler * 32 * positions
