//! What an act would leave of an account, and the price at which it would be liquidated: answered by the rules alone.

use penstock_margin::{Position, Risk, funding_owed, grew_or_flipped, is_legal};
use penstock_protocol::quantities::{CASH_BITS, POSITION_BITS, PRICE_BITS, fits};
use penstock_protocol::views::WhatIf;

use crate::market::Market;
use crate::risk::Change;
use crate::state::State;

const HIGHEST: u64 = (1 << PRICE_BITS) - 1;

/// A fill that no width holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

impl State {
    /// The account had it just bought `change` size units (sold, if negative) at `price`, no fee taken; packed.
    ///
    /// None for an unknown subaccount or market. Err for a fill that no width holds.
    pub fn what_if(&self, subaccount: u32, market: u32, change: i64, price: u64) -> Result<Option<Vec<u8>>, Unfit> {
        let (Some(account), Some(index)) = (self.accounts.get(subaccount as usize), self.market_index(market)) else {
            return Ok(None);
        };
        let traded = self.market(index);
        if price > HIGHEST || !fits(change.into(), POSITION_BITS) {
            return Err(Unfit(format!("change {change} wants less than 2^55, price {price} from 0 to 2^40 - 1")));
        }
        let before = account.exposures.position(index);
        let (mut after, mut cash) = (before, account.cash);
        if change != 0 {
            after.fill(&mut cash, change, price, 0, traded.leaf.funding_index);
        }
        if !fits(after.size.into(), POSITION_BITS) || !fits(cash, CASH_BITS) {
            return Err(Unfit(format!("a change of {change} at {price} leaves the widths of a position or of cash")));
        }
        let was = self.assess(account);
        let (mut others, own) = (was, risk_of(traded, &before, account.cash));
        others.equity -= own.equity;
        others.initial -= own.initial;
        others.maintenance -= own.maintenance;
        let own = risk_of(traded, &after, cash);
        let risk = Risk {
            equity: others.equity + own.equity,
            initial: others.initial + own.initial,
            maintenance: others.maintenance + own.maintenance,
        };
        let same = Change { market: index, size: after.size, freed: None, added: (0, 0) };
        let initial_margin = self.initial_after(account, &same, others.initial);
        let covered = risk.equity >= 0 && risk.equity.unsigned_abs() >= initial_margin;
        let view = WhatIf {
            equity: risk.equity,
            initial_margin,
            maintenance_margin: risk.maintenance,
            liquidation_price: liquidation_price(traded, &after, &risk),
            legal: covered || is_legal(&was, &risk, grew_or_flipped(before.size, after.size)),
        };
        Ok(Some(view.pack().to_vec()))
    }
}

/// What the position and so much cash add to an account.
fn risk_of(market: &Market, position: &Position, cash: i128) -> Risk {
    if position.size == 0 {
        return Risk { equity: cash, ..Risk::default() };
    }
    market.risk(position.size, cash + position.worth(market.leaf.mark_price, market.leaf.funding_index))
}

/// The mark of `market` nearest to its present one at which equity is below maintenance margin, all else unchanged.
///
/// 0 where there is none: no position, an option (whose margin follows index and mark), an expired market. Equity less
/// maintenance only rises with a long position's mark and only falls with a short one's, so a bisection finds it.
fn liquidation_price(market: &Market, position: &Position, risk: &Risk) -> u64 {
    if position.size == 0 || market.is_option() || market.expired() {
        return 0;
    }
    let funding = funding_owed(position, market.leaf.funding_index).0;
    let others = risk.equity - position.unrealised(market.leaf.mark_price) + funding;
    let maintenance = risk.maintenance - market.maintenance(position.size);
    let below = |mark: u64| {
        let required = maintenance + market.schedule.maintenance(position.notional(mark));
        others + position.unrealised(mark) - funding < required as i128
    };
    let (mut low, mut high) = (1, HIGHEST);
    let long = position.size > 0;
    if !below(if long { low } else { high }) {
        return 0;
    }
    if below(if long { high } else { low }) {
        return if long { high } else { low };
    }
    // `low` and `high` stay on either side of the edge.
    while high - low > 1 {
        let middle = (low + high) / 2;
        if below(middle) == long {
            low = middle;
        } else {
            high = middle;
        }
    }
    if long { low } else { high }
}
