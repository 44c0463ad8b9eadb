"""The chain that stands in where anvil is missing does the same."""

from collections.abc import Iterator

import pytest
from chain_world import Accounts, World, account_leaf, refused_with

from penstock.protocol.signing import Domain
from penstock.settlement import batches, in_process, vault
from penstock.settlement.chain import ChainError
from penstock.settlement.exits import pay

START = 1_800_000_000


@pytest.fixture(scope="module")
def stand_in() -> Iterator[in_process.TesterChain]:
    with in_process.TesterChain(start_time=START) as chain:
        yield chain


def test_deposit_commit_and_claim_work_in_process(stand_in: in_process.TesterChain):
    world = World(stand_in, window=60)
    deposit = world.open(world.alice, 1_000)
    assert vault.deposits(world.vault) == [deposit]
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    assert [b.number for b in batches.committed(world.settlement)] == [1]
    with refused_with("vault: batch is not final"):
        pay(world.vault, claim, sender=world.stranger)
    stand_in.set_next_time(stand_in.block().time + 60)
    pay(world.vault, claim, sender=world.stranger)
    assert world.token.call("balanceOf", world.alice) == 300
    assert world.vault.call("domain_separator") == Domain(stand_in.chain_id, world.vault.address).separator()


def test_its_time_starts_where_asked_and_moves_only_forwards(stand_in: in_process.TesterChain):
    assert stand_in.block(0).time == START
    now = stand_in.block().time
    with pytest.raises(ChainError, match="not after"):
        stand_in.set_next_time(now)
    stand_in.set_next_time(now + 1_000)
    assert stand_in.mine().time >= now + 1_000


def test_it_goes_back_to_a_snapshot(stand_in: in_process.TesterChain):
    accounts = stand_in.accounts()
    mark = stand_in.snapshot()
    before = stand_in.balance(accounts[1])
    stand_in.send(accounts[0], accounts[1], value=7)
    assert stand_in.balance(accounts[1]) == before + 7
    stand_in.restore(mark)
    assert stand_in.balance(accounts[1]) == before
    assert "py-evm" in stand_in.describe()
