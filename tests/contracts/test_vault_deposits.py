"""Money into the vault."""

import pytest
from chain_world import World, refused_with
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.protocol.ledger import next_deposit_head
from penstock.protocol.signing import Domain
from penstock.settlement import vault
from penstock.settlement.chain import Chain
from penstock.settlement.rpc import to_hex

CASH_LIMIT = 1 << 95


def test_opening_numbers_subaccounts_from_one(world: World):
    assert [world.open(world.alice, 5).subaccount, world.open(world.bob, 7).subaccount] == [1, 2]
    assert vault.owner_of(world.vault, 1) == world.alice
    assert vault.owner_of(world.vault, 2) == world.bob


def test_nobody_owns_the_insurance_fund_and_nobody_deposits_into_it(world: World):
    world.open(world.alice, 5)
    world.give(world.alice, 5)
    assert vault.owner_of(world.vault, 0) is None
    with refused_with("vault: no such subaccount"):
        vault.top_up(world.vault, 0, 5, sender=world.alice)


def test_anyone_may_top_up_and_the_owner_is_credited(world: World):
    world.open(world.alice, 5)
    world.give(world.bob, 9)
    deposit = vault.top_up(world.vault, 1, 9, sender=world.bob)
    assert (deposit.subaccount, deposit.owner, deposit.amount) == (1, world.alice, 9)


def test_a_subaccount_not_opened_takes_no_deposit(world: World):
    world.give(world.alice, 5)
    with refused_with("vault: no such subaccount"):
        vault.top_up(world.vault, 1, 5, sender=world.alice)


def test_the_zero_address_owns_nothing(world: World):
    world.give(world.alice, 5)
    with refused_with("vault: owner is zero"):
        vault.open_subaccount(world.vault, bytes(20), 5, sender=world.alice)


def test_a_deposit_of_nothing_is_refused(world: World):
    with refused_with("vault: nothing deposited"):
        vault.open_subaccount(world.vault, world.alice, 0, sender=world.alice)


def test_a_refused_deposit_opens_nothing(world: World):
    with refused_with("token: allowance too low"):
        vault.open_subaccount(world.vault, world.alice, 5, sender=world.alice)
    assert world.open(world.alice, 5).subaccount == 1


def test_the_vault_holds_less_than_cash_can_count(world: World):
    world.open(world.alice, CASH_LIMIT - 1)
    assert vault.held(world.vault, world.token) == CASH_LIMIT - 1
    world.give(world.alice, 1)
    with refused_with("vault: holds too much"):
        vault.top_up(world.vault, 1, 1, sender=world.alice)


def test_deposits_are_read_back_in_order_with_their_blocks(world: World):
    made = [world.open(world.alice, 5), world.open(world.bob, 7)]
    world.give(world.alice, 11)
    made.append(vault.top_up(world.vault, 2, 11, sender=world.alice))
    assert vault.deposits(world.vault) == made
    assert vault.deposits(world.vault, since_block=made[1].l1_block) == made[1:]
    assert vault.deposits(world.vault, to_block=made[1].l1_block) == made[:2]
    assert [d.deposit for d in made] == [0, 1, 2]
    assert made[0].l1_block < made[1].l1_block < made[2].l1_block == world.chain.block().number


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 1 << 90)), min_size=1, max_size=6))
def test_the_deposit_chain_is_the_one_python_hashes(world: World, flows: list[tuple[int, int]]):
    mark = world.chain.snapshot()
    heads = [vault.NO_DEPOSIT]
    for subaccount, amount in flows:
        world.give(world.alice, amount)
        if 1 <= subaccount <= world.vault.call("subaccount_count"):
            made = vault.top_up(world.vault, subaccount, amount, sender=world.alice)
        else:
            made = vault.open_subaccount(world.vault, world.alice, amount, sender=world.alice)
        heads.append(next_deposit_head(heads[-1], made.deposit, made.subaccount, made.owner, amount))
        assert made.head == heads[-1]
    assert [vault.deposit_head_at(world.vault, count) for count in range(len(heads))] == heads
    with refused_with("vault: deposit not made"):
        vault.deposit_head_at(world.vault, len(heads))
    world.chain.restore(mark)


def test_a_token_that_keeps_a_fee_credits_what_arrived(chain: Chain):
    world = World(chain, double="FeeToken")
    deposit = world.open(world.alice, 1_000)
    assert deposit.amount == 990 == vault.held(world.vault, world.token)


def test_a_token_that_returns_nothing_is_taken(chain: Chain):
    world = World(chain, double="NoReturnToken")
    assert world.open(world.alice, 1_000).amount == 1_000 == vault.held(world.vault, world.token)


def test_a_token_that_says_no_is_not_credited(chain: Chain):
    world = World(chain, double="RefusingToken")
    world.give(world.alice, 1_000)
    world.token.send("refuse", sender=world.alice)
    with refused_with("vault: token refused the transfer"):
        vault.open_subaccount(world.vault, world.alice, 1_000, sender=world.alice)


def test_a_token_cannot_deposit_again_in_the_middle_of_a_deposit(chain: Chain):
    world = World(chain, double="ReentrantToken")
    world.open(world.alice, 100)
    world.give(world.alice, 100)
    world.token.send("mint", world.token.address, 100, sender=world.alice)
    again = world.vault.payload("deposit", 1, 100)
    world.token.send("arm", world.vault.address, again, sender=world.alice)
    vault.top_up(world.vault, 1, 100, sender=world.alice)
    assert (world.token.call("attempts"), world.token.call("successes")) == (1, 0)
    assert [d.amount for d in vault.deposits(world.vault)] == [100, 100]


def test_the_domain_is_the_one_messages_are_signed_for(world: World):
    expected = Domain(world.chain.chain_id, world.vault.address).separator()
    assert world.vault.call("domain_separator") == expected


@pytest.mark.needs_node
def test_the_last_subaccount_is_the_last_that_fits_its_width(world: World):
    """Sixteen million openings later: the count is written into the vault's storage, where it is the third word."""
    last = (1 << 24) - 1
    world.chain._rpc.request(
        "anvil_setStorageAt", to_hex(world.vault.address), to_hex(2), "0x" + (last - 1).to_bytes(32, "big").hex()
    )
    assert world.vault.call("subaccount_count") == last - 1
    assert world.open(world.alice, 5).subaccount == last
    world.give(world.alice, 5)
    with refused_with("vault: no subaccount left"):
        vault.open_subaccount(world.vault, world.alice, 5, sender=world.alice)
