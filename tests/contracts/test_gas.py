"""What users and the operator pay, from the receipts of a chain that charges calldata as mainnet does."""

from collections.abc import Callable

import pytest
from chain_world import Accounts, World, account_leaf

from penstock.settlement import vault
from penstock.settlement.exits import pay

Recorder = Callable[[str, object], None]
pytestmark = pytest.mark.needs_node


def test_a_deposit_costs_under_120k(world: World, record_property: Recorder):
    world.open(world.bob, 1)
    world.give(world.alice, 10)
    opening = world.vault.send("open", world.alice, 5, sender=world.alice).gas_used
    topping_up = world.vault.send("deposit", 2, 5, sender=world.alice).gas_used
    record_property("open", opening)
    record_property("deposit", topping_up)
    assert topping_up < opening < 150_000
    assert topping_up < 120_000
    assert vault.deposit_count(world.vault) == 3


def test_a_batch_costs_under_160k(world: World, record_property: Recorder):
    world.open(world.alice, 5)
    world.commit()
    gas = world.commit(settlement_root=b"\x99" * 32).gas_used
    record_property("commit_batch", gas)
    assert gas < 160_000


@pytest.mark.parametrize(("positions", "limit"), [(0, 150_000), (32, 190_000)])
def test_a_claim_costs_under_its_limit(world: World, record_property: Recorder, positions: int, limit: int):
    world.open(world.alice, 1_000)
    # Every sibling and every byte of the leaf other than zero: the dearest calldata there is.
    leaves = {4**level * child: account_leaf(b"\x05" * 20, 1) for level in range(12) for child in (1, 2, 3)}
    accounts = Accounts(leaves | {1: account_leaf(world.alice, 300, positions, fill=0xFF)})
    gas = pay(world.vault, accounts.claim(1, world.commit_accounts(accounts)), sender=world.stranger).gas_used
    record_property(f"claim_{positions}", gas)
    assert gas < limit
