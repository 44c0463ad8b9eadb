"""Deciding money in and out: deposits, withdrawals, and fees on their way to the insurance fund."""

from penstock.protocol.commands import CreditDeposit, PayBuilder, SweepFees, Withdraw
from penstock.protocol.events import BuilderPaid, CashWithdrawn, DepositCredited, Event, FeesSwept
from penstock.protocol.ledger import next_deposit_head
from penstock.protocol.quantities import CASH_BITS, FUNDING_SCALE, MAX_SUBACCOUNTS, WITHDRAWN_BITS, div_floor, fits
from penstock.protocol.reasons import Reason, Refusal
from penstock.spec.margin import withdrawable
from penstock.spec.matching import Moment
from penstock.spec.state import INSURANCE_FUND


def decide_deposit(moment: Moment, command: CreditDeposit) -> list[Event]:
    """Credit the Vault's next deposit, once, opening the next subaccount where it is the first."""
    state = moment.state
    if command.deposit < state.deposits:
        raise Refusal(Reason.DEPOSIT_ALREADY_CREDITED)
    if command.deposit > state.deposits:
        raise Refusal(Reason.DEPOSIT_OUT_OF_ORDER)
    account = state.accounts.get(command.subaccount)
    is_next = command.subaccount == len(state.accounts) < MAX_SUBACCOUNTS
    owned = account.owner == command.owner if account else is_next
    if command.subaccount == INSURANCE_FUND or command.owner == bytes(20) or not owned:
        raise Refusal(Reason.DEPOSIT_OWNER_WRONG)
    if command.amount == 0:
        raise Refusal(Reason.AMOUNT_NOT_POSITIVE)
    cash = account.cash if account else 0
    if not fits(state.deposited + command.amount, CASH_BITS) or not fits(cash + command.amount, CASH_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    head = next_deposit_head(state.deposit_head, command.deposit, command.subaccount, command.owner, command.amount)
    return [
        DepositCredited(
            moment.sequence, command.deposit, command.subaccount, command.owner, command.amount,
            command.l1_block, head,
        )
    ]  # fmt: skip


def decide_withdraw(moment: Moment, command: Withdraw, record_hash: bytes) -> list[Event]:
    """Move cash to the cumulative `withdrawn` of the leaf; unrealised profit stays."""
    state = moment.state
    account = state.accounts[command.subaccount]
    if any(not state.markets[m].fresh(moment.time) for m in account.positions):
        raise Refusal(Reason.PRICE_STALE)
    if not fits(max(account.withdrawn, state.withdrawn) + command.amount, WITHDRAWN_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    if command.amount == 0:
        raise Refusal(Reason.AMOUNT_NOT_POSITIVE)
    # Winners may not take out more than came in while a loser's debt is not settled yet.
    if command.amount > min(withdrawable(state, account), state.deposited - state.withdrawn):
        raise Refusal(Reason.AMOUNT_ABOVE_WITHDRAWABLE)
    return [
        CashWithdrawn(
            moment.sequence, moment.member, command.subaccount, command.slot, command.nonce, command.amount,
            record_hash,
        )
    ]  # fmt: skip


def decide_sweep(moment: Moment, command: SweepFees) -> list[Event]:
    """Move a market's fees and whole dust to subaccount 0, and repay from it what the market has booked."""
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    dust = div_floor(market.dust, FUNDING_SCALE)
    fund = moment.state.accounts[INSURANCE_FUND].cash + market.fees + dust
    repaid = min(market.shortfall, fund)
    if market.fees + dust <= 0 and repaid <= 0:
        raise Refusal(Reason.FEES_NOT_DUE)
    if not fits(fund, CASH_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    return [FeesSwept(moment.sequence, command.market, market.fees, dust, repaid)]


def decide_builder(moment: Moment, command: PayBuilder) -> list[Event]:
    """Move what a market owes a builder into its subaccount."""
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    amount = market.builders.get(command.subaccount, 0)
    if amount == 0:
        raise Refusal(Reason.BUILDER_NOT_DUE)
    if not fits(moment.state.accounts[command.subaccount].cash + amount, CASH_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    return [BuilderPaid(moment.sequence, command.market, command.subaccount, amount)]
