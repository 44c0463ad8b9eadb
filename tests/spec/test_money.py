"""Money in, money out, and fees on their way to the fund."""

import pytest

from penstock.protocol.commands import Withdraw
from penstock.protocol.events import CashWithdrawn, DepositCredited, FeesSwept
from penstock.protocol.ledger import next_deposit_head
from penstock.protocol.quantities import FUNDING_SCALE, MICRO, NO_DEADLINE
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import hash_record
from world import STRANGER, World, owner_of, reasons, terms

MARK = 600_000


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    return venue


def test_a_deposit_becomes_cash_and_moves_the_deposit_chain(world):
    head = world.state.deposit_head
    after = next_deposit_head(head, 3, 1, owner_of(1), 7)
    assert world.deposit(1, 7) == [DepositCredited(world.sequence, 3, 1, owner_of(1), 7, 1, after)]
    assert world.account(1).cash == 10_000 * MICRO + 7
    assert (world.state.deposit_head, world.state.deposits) == (after, 4)


def test_a_deposit_seen_twice_is_credited_once(world):
    for seen in (0, 1, 2):
        world.assert_refused(
            Reason.DEPOSIT_ALREADY_CREDITED, lambda d=seen: world.deposit(1, 10_000 * MICRO, deposit=d), guarded=False
        )


def test_no_deposit_is_credited_before_the_one_in_front_of_it(world):
    for ahead in (4, 1 << 63):
        world.assert_refused(Reason.DEPOSIT_OUT_OF_ORDER, lambda d=ahead: world.deposit(1, 5, deposit=d), guarded=False)


@pytest.mark.parametrize(
    ("subaccount", "owner"),
    [(1, STRANGER), (0, STRANGER), (0, bytes(20)), (5, owner_of(5)), (4, bytes(20)), (1, bytes(20)), (9, owner_of(1))],
)
def test_a_deposit_goes_to_its_owner_or_opens_the_next_subaccount(world, subaccount, owner):
    world.assert_refused(Reason.DEPOSIT_OWNER_WRONG, lambda: world.deposit(subaccount, 5, owner=owner), guarded=False)


def test_the_next_subaccount_opens_with_its_first_deposit(world):
    assert reasons(world.deposit(4, 5, owner=owner_of(1))) == []
    assert (world.account(4).owner, world.account(4).cash) == (owner_of(1), 5)


def test_a_deposit_of_nothing_is_refused(world):
    world.assert_refused(Reason.AMOUNT_NOT_POSITIVE, lambda: world.deposit(1, 0), guarded=False)


def test_a_withdrawal_moves_cash_to_what_the_vault_may_pay(world):
    record = Withdraw(1, 3, world.next_nonce(), NO_DEADLINE, 400)
    events = world.send(record, signers=(owner_of(1),))
    assert events[1:] == [CashWithdrawn(world.sequence, 0, 1, 3, record.nonce, 400, hash_record(record))]
    assert (world.account(1).cash, world.account(1).withdrawn) == (10_000 * MICRO - 400, 400)
    assert world.state.withdrawn == 400


def test_a_withdrawal_of_nothing_is_refused(world):
    world.assert_refused(Reason.AMOUNT_NOT_POSITIVE, lambda: world.withdraw(1, 0), guarded=True)


def test_nobody_withdraws_more_than_his_cash(world):
    world.assert_refused(Reason.AMOUNT_ABOVE_WITHDRAWABLE, lambda: world.withdraw(1, 10_000 * MICRO + 1), guarded=True)
    assert reasons(world.withdraw(1, 10_000 * MICRO)) == []
    world.assert_refused(Reason.AMOUNT_ABOVE_WITHDRAWABLE, lambda: world.withdraw(1, 1), guarded=True)


def test_with_positions_a_withdrawal_wants_a_fresh_price(world):
    world.sell(1, MARK, 100)
    world.buy(2, MARK, 100)
    world.wait(61)
    world.assert_refused(Reason.PRICE_STALE, lambda: world.withdraw(1, 1), guarded=True)
    assert reasons(world.withdraw(3, 1)) == []


def test_fees_and_whole_dust_go_to_the_fund(world):
    world.sell(1, MARK, 100)
    world.buy(2, MARK, 100)
    world.state.markets[0].dust = 3 * FUNDING_SCALE + 5
    assert world.sweep() == [FeesSwept(world.sequence, 0, 18_000, 3, 0)]
    assert world.account(0).cash == 18_003
    assert (world.state.markets[0].fees, world.state.markets[0].dust) == (0, 5)
    world.assert_refused(Reason.FEES_NOT_DUE, world.sweep, guarded=False)


def test_an_unlisted_market_has_nothing_to_sweep_or_accrue(world):
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.sweep(7), guarded=False)
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.accrue(7), guarded=False)


def test_winners_never_take_out_more_than_came_in_while_a_loser_owes():
    """A long wins 12 steps from a short nobody can close in time; an accomplice closes both for it."""
    world = World([terms()], traders=4, cash=10_000 * MICRO)
    world.price(MARK)
    world.sell(2, MARK, 800_000)
    world.buy(1, MARK, 800_000)
    price = MARK
    for _ in range(12):
        price += price // 100
        world.price(price)
    world.deposit(3, 100_000 * MICRO)
    world.buy(3, price, 800_000, slot=20)
    world.sell(1, price, 800_000, time_in_force=1)
    world.sell(3, price, 800_000, slot=21)
    while 0 in world.account(2).positions:
        assert reasons(world.liquidate(2)) == []
    assert world.state.markets[0].shortfall > 0
    for winner in (1, 3):
        world.withdraw(winner, world.account(winner).cash)
    left = world.state.deposited - world.state.withdrawn
    assert left >= 0
    world.assert_refused(Reason.AMOUNT_ABOVE_WITHDRAWABLE, lambda: world.withdraw(1, left + 1), guarded=True)
