//! Deciding money in and out: deposits, withdrawals, and fees on their way to the insurance fund.

use penstock_protocol::events::{BuilderPaid, CashWithdrawn, DepositCredited, Event, FeesSwept};
use penstock_protocol::keccak::keccak256;
use penstock_protocol::leaves::domain;
use penstock_protocol::quantities::{
    CASH_BITS, FUNDING_SHIFT, Hash, INSURANCE_FUND, MAX_SUBACCOUNTS, WITHDRAWN_BITS, fits,
};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::{CreditDeposit, PayBuilder, SweepFees, Withdraw};
use penstock_state::State;

use crate::moment::{Moment, Scratch};

/// Credit the Vault's next deposit, once, opening the next subaccount where it is the first.
pub fn decide_deposit(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &CreditDeposit,
) -> Result<(), Reason> {
    if command.deposit < state.deposits {
        return Err(Reason::DepositAlreadyCredited);
    }
    if command.deposit > state.deposits {
        return Err(Reason::DepositOutOfOrder);
    }
    let account = state.accounts.get(command.subaccount as usize);
    let is_next = command.subaccount as usize == state.accounts.len() && state.accounts.len() < MAX_SUBACCOUNTS;
    let owned = account.map_or(is_next, |account| account.owner == command.owner);
    if command.subaccount == INSURANCE_FUND || command.owner == [0; 20] || !owned {
        return Err(Reason::DepositOwnerWrong);
    }
    if command.amount == 0 {
        return Err(Reason::AmountNotPositive);
    }
    let amount = command.amount as i128;
    let cash = account.map_or(0, |account| account.cash);
    if !fits(state.deposited + amount, CASH_BITS) || !fits(cash + amount, CASH_BITS) {
        return Err(Reason::OutOfRange);
    }
    scratch.events.push(Event::DepositCredited(DepositCredited {
        sequence: moment.sequence,
        deposit: command.deposit,
        subaccount: command.subaccount,
        owner: command.owner,
        amount,
        l1_block: command.l1_block,
        head: next_deposit_head(&state.deposit_head, command),
    }));
    Ok(())
}

/// The deposit chain's head after one deposit, as the Vault computes it.
fn next_deposit_head(head: &Hash, command: &CreditDeposit) -> Hash {
    keccak256(&[
        &[domain::DEPOSIT],
        head,
        &command.deposit.to_be_bytes(),
        &command.subaccount.to_be_bytes()[1..],
        &command.owner,
        &command.amount.to_be_bytes()[4..],
    ])
}

/// Move cash to the cumulative `withdrawn` of the leaf; unrealised profit stays.
pub fn decide_withdraw(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &Withdraw,
    record_hash: &Hash,
) -> Result<(), Reason> {
    let account = state.account(command.subaccount);
    let amount = command.amount as i128;
    if !state.all_fresh(account, moment.time) {
        return Err(Reason::PriceStale);
    }
    if !fits(account.withdrawn.max(state.withdrawn) + amount, WITHDRAWN_BITS) {
        return Err(Reason::OutOfRange);
    }
    if amount == 0 {
        return Err(Reason::AmountNotPositive);
    }
    // Winners may not take out more than came in while a loser's debt is not settled yet.
    if amount > state.withdrawable(account).min(state.deposited - state.withdrawn) {
        return Err(Reason::AmountAboveWithdrawable);
    }
    scratch.events.push(Event::CashWithdrawn(CashWithdrawn {
        sequence: moment.sequence,
        member: moment.member,
        subaccount: command.subaccount,
        slot: command.slot,
        nonce: command.nonce,
        amount,
        record_hash: *record_hash,
    }));
    Ok(())
}

/// Move a market's fees and whole dust to subaccount 0, and repay from it what the market has booked.
pub fn decide_sweep(state: &State, scratch: &mut Scratch, moment: &Moment, command: &SweepFees) -> Result<(), Reason> {
    let index = state.market_index(command.market).ok_or(Reason::MarketUnknown)?;
    let leaf = &state.market(index).leaf;
    let dust = leaf.dust >> FUNDING_SHIFT;
    let fund = state.account(INSURANCE_FUND).cash + leaf.fees + dust;
    let repaid = leaf.shortfall.min(fund);
    if leaf.fees + dust <= 0 && repaid <= 0 {
        return Err(Reason::FeesNotDue);
    }
    if !fits(fund, CASH_BITS) {
        return Err(Reason::OutOfRange);
    }
    let (sequence, market, fees) = (moment.sequence, command.market, leaf.fees);
    scratch.events.push(Event::FeesSwept(FeesSwept { sequence, market, fees, dust, repaid }));
    Ok(())
}

/// Move what a market owes a builder into its subaccount.
pub fn decide_builder(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &PayBuilder,
) -> Result<(), Reason> {
    let found = state.market(state.market_index(command.market).ok_or(Reason::MarketUnknown)?);
    let &amount = found.builders.get(&command.subaccount).ok_or(Reason::BuilderNotDue)?;
    if !fits(state.account(command.subaccount).cash + amount, CASH_BITS) {
        return Err(Reason::OutOfRange);
    }
    let (sequence, market, subaccount) = (moment.sequence, command.market, command.subaccount);
    scratch.events.push(Event::BuilderPaid(BuilderPaid { sequence, market, subaccount, amount }));
    Ok(())
}
