"""What the settlement contract accepts as the next batch, and what it keeps of it."""

from typing import Any

import pytest
from chain_world import DAY, ETHER, GENESIS, MICRO, World, refused_with

from penstock.settlement import batches
from penstock.settlement.chain import ChainError

CAPACITY = 4**10


def refused(world: World, **changes: Any) -> str:
    """The reason the next batch is refused with these fields changed; its unchanged form is legal."""
    with pytest.raises(ChainError) as failure:
        world.commit(**changes)
    return failure.value.reason


def test_genesis_is_final_batch_zero(world: World):
    settlement = world.settlement
    assert batches.batch_count(settlement) == batches.final_number(settlement) == 0
    assert batches.root_at(settlement, 0) == batches.final_root(settlement) == GENESIS
    assert batches.is_final(settlement, 0)
    assert not batches.is_final(settlement, 1)


def test_a_batch_is_kept_by_hash_root_and_event(world: World):
    batch = world.batch(settlement_root=b"\x99" * 32)
    receipt = batches.commit(world.settlement, batch, world.operator)
    assert batches.batch_count(world.settlement) == 1
    assert batches.root_at(world.settlement, 1) == b"\x99" * 32
    assert batches.last_sequence(world.settlement) == batch.last_sequence
    assert world.settlement.call("batch_hash_at", 1) == batch.hash()
    assert world.settlement.call("committed_at", 1) == world.chain.block().time
    assert batches.committed(world.settlement, receipt.block, receipt.block) == [batch]


def test_batches_link_up(world: World):
    world.open(world.alice, 5)
    roots = [bytes([mark]) * 32 for mark in range(1, 6)]
    for root in roots:
        world.commit(settlement_root=root)
    assert [batches.root_at(world.settlement, number) for number in range(6)] == [GENESIS, *roots]
    spans = [(b.first_sequence, b.last_sequence) for b in batches.committed(world.settlement)]
    assert spans == [(1, 10), (11, 20), (21, 30), (31, 40), (41, 50)]
    assert world.settlement.call("deposits") == 1


def test_only_the_operator_commits(world: World):
    with refused_with("settlement: not the operator"):
        batches.commit(world.settlement, world.batch(), world.stranger)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_numbers_follow_each_other(world: World, number: int):
    world.commit()
    assert refused(world, number=number) == "settlement: not the next number"


def test_a_batch_starts_from_the_last_root(world: World):
    world.commit()
    assert refused(world, previous_root=GENESIS) == "settlement: wrong previous root"


@pytest.mark.parametrize("first", [10, 12])
def test_the_sequence_has_neither_gap_nor_overlap(world: World, first: int):
    world.commit()
    assert refused(world, first_sequence=first) == "settlement: sequence has a gap"


def test_a_batch_advances_the_sequence(world: World):
    assert refused(world, last_sequence=0) == "settlement: sequence does not advance"
    world.commit(last_sequence=1)


def test_the_sequence_cannot_overflow(world: World):
    assert refused(world, last_sequence=2**64 - 1) == "settlement: too many commands"


def test_a_batch_holds_as_many_commands_as_its_tree(world: World):
    assert refused(world, last_sequence=CAPACITY + 1) == "settlement: too many commands"
    world.commit(last_sequence=CAPACITY)


def test_a_batch_holds_as_many_entries_as_its_tree(world: World):
    assert refused(world, entries=CAPACITY + 1) == "settlement: too many entries"
    world.commit(entries=CAPACITY)


def test_a_batch_without_entries_leaves_the_root(world: World):
    assert refused(world, entries=0) == "settlement: root moved without an entry"
    world.commit(entries=0, settlement_root=GENESIS)


def test_time_never_runs_backwards(world: World):
    time = world.chain.block().time * MICRO
    world.commit(time=time)
    assert refused(world, time=time - 1) == "settlement: time runs backwards"
    world.commit(time=time)


def test_time_runs_at_most_fifteen_minutes_ahead(world: World):
    now = world.chain.block().time + 10
    limit = (now + 15 * 60) * MICRO
    world.chain.set_next_time(now)
    assert refused(world, time=limit + 1) == "settlement: time in the future"
    world.chain.set_next_time(now + 10)
    world.commit(time=limit + 10 * MICRO)


def test_time_lags_at_most_thirty_days(world: World):
    now = world.chain.block().time + 10
    limit = (now - 30 * DAY) * MICRO
    world.chain.set_next_time(now)
    assert refused(world, time=limit - 1) == "settlement: time too old"
    world.chain.set_next_time(now + 10)
    world.commit(time=limit + 10 * MICRO)


def test_a_batch_reads_no_block_of_the_future(world: World):
    next_block = world.chain.block().number + 1
    assert refused(world, l1_block=next_block + 1) == "settlement: L1 block in the future"
    world.commit(l1_block=next_block + 1)  # the refused transaction was a block too


def test_consumed_deposits_are_not_given_back(world: World):
    world.open(world.alice, 5)
    world.commit()
    assert refused(world, deposits=0, deposit_head=bytes(32)) == "settlement: deposits uncounted"


def test_deposits_may_wait_for_a_later_batch(world: World):
    world.open(world.alice, 5)
    world.commit(deposits=0, deposit_head=bytes(32))
    world.commit()
    assert world.settlement.call("deposits") == 1


def test_the_deposit_head_is_the_vaults_at_that_count(world: World):
    first = world.open(world.alice, 5)
    second = world.open(world.bob, 5)
    assert refused(world, deposits=2, deposit_head=first.head) == "settlement: wrong deposit head"
    assert refused(world, deposits=1, deposit_head=second.head) == "settlement: wrong deposit head"
    world.commit(deposits=1, deposit_head=first.head)


def test_a_deposit_not_made_cannot_be_consumed(world: World):
    """The head of a deposit that does not exist would read as zero bytes, the head before any."""
    assert refused(world, deposits=1, deposit_head=bytes(32)) == "vault: deposit not made"


def test_a_batch_not_committed_has_no_root(world: World):
    world.commit()
    for view in ("root_at", "batch_hash_at", "committed_at"):
        with refused_with("settlement: no such batch"):
            world.settlement.call(view, 2)


def test_anyone_adds_to_the_bond(world: World):
    world.settlement.send("post_bond", sender=world.stranger, value=3)
    assert world.settlement.call("bond") == ETHER + 3 == world.chain.balance(world.settlement.address)


def test_an_empty_bond_payment_is_refused(world: World):
    with refused_with("settlement: no bond sent"):
        world.settlement.send("post_bond", sender=world.stranger)


def test_only_the_operator_withdraws_the_bond(world: World):
    with refused_with("settlement: not the operator"):
        world.settlement.send("withdraw_bond", 1, sender=world.stranger)


@pytest.mark.parametrize("amount", [0, ETHER + 1])
def test_the_bond_pays_out_no_more_than_it_holds(world: World, amount: int):
    with refused_with("settlement: more than the bond"):
        world.settlement.send("withdraw_bond", amount, sender=world.operator)


def test_below_the_minimum_bond_no_batch_is_accepted(world: World):
    before = world.chain.balance(world.operator)
    world.settlement.send("withdraw_bond", ETHER, sender=world.operator)
    assert world.chain.balance(world.settlement.address) == 0
    assert ETHER - ETHER // 100 < world.chain.balance(world.operator) - before < ETHER
    world.settlement.send("post_bond", sender=world.stranger, value=ETHER - 1)
    assert refused(world) == "settlement: bond below the minimum"
    world.settlement.send("post_bond", sender=world.stranger, value=1)
    world.commit()
