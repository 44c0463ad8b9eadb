"""Finality windows, in production and in development, by travelling in time."""

import pytest
from chain_world import DAY, ETHER, GENESIS, LIBRARY, RULESET, Accounts, World, account_leaf, refused_with

from penstock.settlement import batches
from penstock.settlement.chain import Chain
from penstock.settlement.contract import deploy_contract
from penstock.settlement.exits import pay
from penstock.settlement.local_chain import open_chain

WEEK = 7 * DAY


def deploy_settlement(chain: Chain, name: str, window: int, bond: int = ETHER, **changes: bytes):
    operator = changes.get("operator", chain.accounts()[0])
    vault = changes.get("vault", b"\x01" * 20)
    return deploy_contract(
        chain, LIBRARY.artifact(name), operator, vault, window, bond, GENESIS, RULESET, sender=chain.accounts()[0]
    )


def test_seven_days_pass_to_the_second_before_a_claim_is_paid(chain: Chain):
    world = World(chain, dev=False, window=WEEK)
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    committed_at = chain.block().time
    with refused_with("vault: batch is not final"):
        pay(world.vault, claim, sender=world.alice)
    chain.set_next_time(committed_at + WEEK - 1)
    with refused_with("vault: batch is not final"):
        pay(world.vault, claim, sender=world.alice)
    chain.set_next_time(committed_at + WEEK)
    pay(world.vault, claim, sender=world.alice)
    assert world.token.call("balanceOf", world.alice) == 300


def test_batches_become_final_one_by_one(chain: Chain):
    world = World(chain, window=100)
    start = chain.block().time + 10
    for step in range(9):
        chain.set_next_time(start + 10 * step)
        world.commit(settlement_root=bytes([step + 1]) * 32)
    for final in range(10):
        chain.set_next_time(start + 100 + 10 * (final - 1))
        chain.mine()
        assert batches.final_number(world.settlement) == final
        assert batches.final_root(world.settlement) == batches.root_at(world.settlement, final)
        finals = [batches.is_final(world.settlement, number) for number in range(11)]
        assert finals == [number <= final for number in range(11)]


def test_the_bond_stays_until_the_last_batch_is_final(chain: Chain):
    world = World(chain, window=100)
    start = chain.block().time + 10
    chain.set_next_time(start)
    world.commit()
    chain.set_next_time(start + 99)
    with refused_with("settlement: a batch is not final"):
        world.settlement.send("withdraw_bond", ETHER, sender=world.operator)
    chain.set_next_time(start + 100)
    world.settlement.send("withdraw_bond", ETHER, sender=world.operator)
    assert world.settlement.call("bond") == 0


def test_genesis_is_final_even_where_time_began_yesterday():
    with open_chain(start_time=DAY) as young:
        assert batches.is_final(World(young, window=WEEK).settlement, 0)


def test_production_refuses_a_window_below_seven_days(chain: Chain):
    with refused_with("settlement: finality window below 7 days"):
        deploy_settlement(chain, "Settlement", WEEK - 1)
    assert deploy_settlement(chain, "Settlement", WEEK).call("finality_window") == WEEK


def test_production_refuses_to_run_without_a_bond(chain: Chain):
    with refused_with("settlement: no minimum bond"):
        deploy_settlement(chain, "Settlement", WEEK, bond=0)


def test_development_takes_any_window_and_says_that_it_is_unsafe(chain: Chain):
    settlement = deploy_settlement(chain, "DevSettlement", 0, bond=0)
    assert settlement.call("UNSAFE") is True
    assert settlement.call("finality_window") == settlement.call("minimum_bond") == 0
    assert settlement.call("ruleset") == RULESET


def test_a_window_above_a_year_is_refused(chain: Chain):
    with refused_with("settlement: finality window above a year"):
        deploy_settlement(chain, "Settlement", 365 * DAY + 1)
    deploy_settlement(chain, "Settlement", 365 * DAY)


@pytest.mark.parametrize("role", ["operator", "vault"])
def test_a_settlement_names_its_operator_and_its_vault(chain: Chain, role: str):
    with refused_with(f"settlement: {role} is zero"):
        deploy_settlement(chain, "DevSettlement", 0, **{role: bytes(20)})


def test_a_vault_refuses_a_settlement_that_names_another(chain: Chain):
    settlement = deploy_settlement(chain, "DevSettlement", 0)
    with refused_with("vault: not the settlement's vault"):
        deploy_contract(chain, LIBRARY.artifact("Vault"), b"\x09" * 20, settlement.address, sender=chain.accounts()[0])


def test_a_vault_names_its_token(chain: Chain):
    settlement = deploy_settlement(chain, "DevSettlement", 0)
    with refused_with("vault: token is zero"):
        deploy_contract(chain, LIBRARY.artifact("Vault"), bytes(20), settlement.address, sender=chain.accounts()[0])
