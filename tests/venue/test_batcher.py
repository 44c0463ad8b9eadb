"""Batches and deposits against a real chain: answers lost, chains that refuse, nodes that come back."""

import asyncio
import time
from pathlib import Path

import pytest

from penstock.participants.client import GatewayClient
from penstock.participants.session import Session
from penstock.protocol.commands import BUY
from penstock.protocol.quantities import MICRO
from penstock.settlement import batches as on_chain
from penstock.settlement.chain import ChainError
from penstock.settlement.exits import claim_root, pay
from penstock.settlement.rpc import RpcError
from penstock.settlement.vault import top_up
from penstock.simulation.accounts import development_accounts, guest
from penstock.simulation.exit_drill import cash_of
from penstock.simulation.local_chain import LocalChain, fund, open_local_chain
from penstock.simulation.local_venue import LocalVenue, dev_clock
from penstock.venue import batcher as batcher_module
from penstock.venue.recovery import replay_journal

ACCOUNTS = development_accounts()
CASH = 1_000_000 * MICRO


@pytest.fixture
def local():
    opened = open_local_chain(ACCOUNTS, int(time.time()))
    yield opened
    opened.close()


async def venue_of(local: LocalChain, home: Path, owners: int = 2) -> LocalVenue:
    venue = LocalVenue(local, home, dev_clock(1.0), keepers=None)
    await venue.start()
    await venue.credited(owners)
    await venue.stop_posting()
    return venue


async def fund_two(local: LocalChain) -> None:
    await asyncio.to_thread(fund, local, ACCOUNTS, [t.owner().address for t in ACCOUNTS.traders[:2]], CASH)


async def withdraw(venue: LocalVenue, subaccount: int, amount: int) -> None:
    trader = ACCOUNTS.traders[subaccount - 1]
    async with await GatewayClient.connect(venue.node.url) as client:
        session = Session(client, venue.node.separator, subaccount, trader.owner())
        answer = await session.submit(session.withdraw(amount))
        assert answer.reasons == []


async def test_a_withdrawal_is_proved_against_the_batch_that_holds_it_and_paid_once(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    await withdraw(venue, 1, 400 * MICRO)
    posted = await venue.batcher.post()
    claim = await venue.batcher.claim(1)
    assert claim_root(claim) == posted.settlement_root == on_chain.root_at(local.deployment.settlement, claim.number)
    payer = local.chain.accounts()[0]
    with pytest.raises(ChainError, match="not final"):
        pay(local.deployment.vault, claim, payer)
    local.pass_finality()
    await venue.batcher.refresh_finality()
    assert [b.status for b in venue.batcher.newest(9)] == ["final"] * len(venue.batcher.posted)
    pay(local.deployment.vault, claim, payer)
    owner = ACCOUNTS.traders[0].owner().address
    assert local.deployment.token.call("balanceOf", owner) == 400 * MICRO
    with pytest.raises(ChainError, match="nothing to claim"):
        pay(local.deployment.vault, claim, payer)
    assert cash_of(claim.leaf) == CASH - 400 * MICRO
    await venue.stop()


async def test_a_batch_whose_answer_was_lost_counts_as_posted(local, tmp_path, monkeypatch):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    await withdraw(venue, 1, MICRO)

    def committed_but_silent(settlement, batch, operator):
        on_chain.commit(settlement, batch, operator)
        raise ConnectionError("the answer was lost")

    monkeypatch.setattr(batcher_module, "commit", committed_but_silent)
    with pytest.raises(ConnectionError):
        await venue.batcher.post()
    monkeypatch.setattr(batcher_module, "commit", on_chain.commit)
    posted = await venue.batcher.post()
    assert posted.number == on_chain.batch_count(local.deployment.settlement)
    await withdraw(venue, 2, MICRO)
    assert (await venue.batcher.post()).number == posted.number + 1
    await venue.stop()


async def test_a_batch_the_chain_refuses_is_kept_and_nothing_is_cut_before_it(local, tmp_path, monkeypatch):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    before = len(venue.batcher.posted)
    await withdraw(venue, 1, MICRO)

    def refuse(settlement, batch, operator):
        raise ChainError("settlement: bond below the minimum")

    monkeypatch.setattr(batcher_module, "commit", refuse)
    with pytest.raises(ChainError, match="bond"):
        await venue.batcher.post()
    await withdraw(venue, 2, MICRO)
    assert await venue.batcher.proof(1) is None, "there is nothing on chain to prove against"
    monkeypatch.setattr(batcher_module, "commit", on_chain.commit)
    await venue.batcher.post_all()
    first, second = venue.batcher.posted[before:]
    assert second.first_sequence == first.last_sequence + 1
    assert second.settlement_root == on_chain.root_at(local.deployment.settlement, second.number)
    await venue.stop()


async def test_a_node_that_comes_back_goes_on_where_the_chain_stands(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    await withdraw(venue, 1, 7 * MICRO)
    await venue.batcher.post()
    await withdraw(venue, 2, 9 * MICRO)
    engine_root = venue.engine.engine_root()
    numbers = on_chain.batch_count(local.deployment.settlement)
    await venue.stop()

    again = LocalVenue(local, tmp_path, dev_clock(1.0), keepers=None, reopen=True)
    await again.start()
    await again.stop_posting()
    assert again.engine.engine_root() == engine_root
    await again.batcher.post_all()
    assert on_chain.batch_count(local.deployment.settlement) == numbers + 1
    assert again.batcher.newest(1)[0].number == numbers + 1
    assert len(again.batcher.posted) == numbers + 1, "earlier batches are read back from the chain"
    assert again.watcher.credited == 0, "deposits are credited once"
    assert again.engine.account(1).cash == CASH - 7 * MICRO
    await again.stop()
    assert replay_journal(tmp_path, local.genesis).settlement_root == again.batcher.cut_root


async def test_a_journal_shorter_than_the_chain_is_refused(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path / "first")
    await venue.batcher.post_all()
    await venue.stop()
    other = LocalVenue(local, tmp_path / "second", dev_clock(1.0), keepers=None)
    with pytest.raises(ValueError, match="the journal ends before"):
        await other.start()
    await other.stop()


async def test_a_deposit_made_while_the_venue_runs_is_credited_once_and_committed(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    payer = local.chain.accounts()[0]
    local.deployment.token.send("mint", payer, 5 * MICRO, sender=payer)
    local.deployment.token.send("approve", local.deployment.vault.address, 5 * MICRO, sender=payer)
    top_up(local.deployment.vault, 2, 5 * MICRO, payer)
    assert await venue.watcher.poll() == 1
    assert await venue.watcher.poll() == 0
    venue.watcher.read_block = local.deployment.block
    assert await venue.watcher.poll() == 3, "reading L1 from the start again finds them all"
    assert venue.engine.account(2).cash == CASH + 5 * MICRO
    await venue.batcher.post_all()
    assert local.deployment.settlement.call("deposits") == 3
    await venue.stop()


async def test_deposits_wait_for_their_confirmations(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    venue.watcher._finality_blocks = 3
    payer = local.chain.accounts()[0]
    local.deployment.token.send("mint", payer, MICRO, sender=payer)
    local.deployment.token.send("approve", local.deployment.vault.address, MICRO, sender=payer)
    top_up(local.deployment.vault, 1, MICRO, payer)
    assert await venue.watcher.poll() == 0
    local.chain.mine()
    assert await venue.watcher.poll() == 0
    local.chain.mine()
    assert await venue.watcher.poll() == 1
    await venue.stop()


async def test_the_root_on_demand_is_the_root_a_batch_would_have(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    await withdraw(venue, 1, 3 * MICRO)
    sequence = venue.node.sequencer.durable_sequence
    now = await venue.batcher.settlement_root(sequence)
    await venue.batcher.post_all()
    assert now.settlement_root == venue.batcher.cut_root
    assert now.ledger_entries == venue.batcher.entries
    await venue.stop()


async def test_a_guest_who_never_deposited_has_no_proof(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    await venue.batcher.post_all()
    assert await venue.batcher.proof(guest().subaccount) is None
    async with await GatewayClient.connect(venue.node.url) as client:
        session = Session(client, venue.node.separator, guest().subaccount, guest().owner())
        assert (await session.submit(session.place(16, 0, BUY, 600_000, 100))).reasons == ["SUBACCOUNT_UNKNOWN"]
    await venue.stop()


async def test_a_batch_file_that_could_not_be_written_is_written_with_the_next_try(local, tmp_path, monkeypatch):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    await withdraw(venue, 1, MICRO)
    whole = batcher_module.write_durably

    def fail(path, payload):
        raise OSError(24, "too many open files")

    monkeypatch.setattr(batcher_module, "write_durably", fail)
    with pytest.raises(OSError, match="too many"):
        await venue.batcher.post()
    monkeypatch.setattr(batcher_module, "write_durably", whole)
    await withdraw(venue, 2, MICRO)
    await venue.batcher.post_all()
    assert on_chain.batch_count(local.deployment.settlement) == len(venue.batcher.posted)
    assert on_chain.last_sequence(local.deployment.settlement) == venue.node.sequencer.sequence
    await venue.stop()


async def test_l1_answering_with_errors_and_a_full_queue_only_delay_a_deposit(local, tmp_path, monkeypatch):
    await fund_two(local)
    venue = LocalVenue(local, tmp_path, dev_clock(1.0), keepers=None)
    await venue.start()
    await venue.credited(2)
    chain, sequencer = local.chain, venue.node.sequencer
    real, limit, faults = chain.block, sequencer._waiting_limit, [0]

    def block(number=None):
        if faults[0]:
            faults[0] -= 1
            raise RpcError(-32005, "limit exceeded")
        return real(number)

    monkeypatch.setattr(chain, "block", block)
    sequencer._waiting_limit = 0
    payer = chain.accounts()[0]
    local.deployment.token.send("mint", payer, MICRO, sender=payer)
    local.deployment.token.send("approve", local.deployment.vault.address, MICRO, sender=payer)
    top_up(local.deployment.vault, 1, MICRO, payer)
    await asyncio.sleep(1.2)
    venue.check()
    assert venue.watcher.credited == 2
    sequencer._waiting_limit = limit
    await venue.credited(3)
    await venue.stop()


async def test_a_credited_deposit_that_l1_replaces_stops_the_watcher_with_a_sentence(local, tmp_path):
    await fund_two(local)
    venue = await venue_of(local, tmp_path)
    payer = local.chain.accounts()[0]
    local.deployment.token.send("mint", payer, CASH, sender=payer)
    local.deployment.token.send("approve", local.deployment.vault.address, CASH, sender=payer)
    mark = local.chain.snapshot()
    top_up(local.deployment.vault, 1, 500, payer)
    await venue.watcher.poll()
    local.chain.restore(mark)
    with pytest.raises(ValueError, match="reorganised"):
        await venue.watcher.poll()
    top_up(local.deployment.vault, 2, 7, payer)
    with pytest.raises(ValueError, match="reorganised"):
        await venue.watcher.poll()
    await venue.stop()


async def test_on_an_idle_venue_a_batch_still_becomes_final(local, tmp_path):
    await fund_two(local)
    clock = dev_clock(0.0001)
    venue = LocalVenue(local, tmp_path, clock, keepers=None)
    await venue.start()
    await venue.credited(2)
    await venue.stop_posting()
    await venue.batcher.post_all()
    assert venue.batcher.newest(1)[0].status == "posted"
    venue.batcher.chain_time = lambda: clock.now() // MICRO + 60
    await venue.batcher.refresh_finality()
    assert venue.batcher.newest(1)[0].status == "final"
    await venue.stop()
