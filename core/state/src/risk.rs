//! Cross margin of whole accounts: equity, requirements, and the worse side of open orders.

use penstock_margin::Risk;

use crate::exposures::{Exposure, MarketIndex};
use crate::state::{Account, State};

/// How an account would differ while a command is being decided: its position in one market, lots an order there no
/// longer reserves, and lots it would add.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub market: MarketIndex,
    pub size: i64,
    pub freed: Option<(MarketIndex, u8, u64)>,
    pub added: (u8, u64),
}

impl State {
    /// Equity = cash + Σ(size × mark − entry) − unsettled funding, and the requirements of the positions.
    pub fn assess(&self, account: &Account) -> Risk {
        let mut risk = Risk { equity: account.cash, initial: 0, maintenance: 0 };
        for exposure in account.exposures.held() {
            let position = exposure.position();
            risk.equity += self.gauge(exposure.market).worth(&position);
            risk.initial += self.initial(exposure.market, position.size);
            risk.maintenance += self.market(exposure.market).maintenance(position.size);
        }
        risk
    }

    /// Initial requirement if, per market, the worse of all bids or all asks had filled.
    pub fn initial_with_orders(&self, account: &Account) -> u128 {
        account.exposures.all().iter().map(|exposure| self.worse_side(exposure)).sum()
    }

    /// The same for an account changed as `change` says, whose positions in other markets than that of the change require
    /// `others` initially: what orders add there, and the market of the change.
    #[inline]
    pub fn initial_after(&self, account: &Account, change: &Change, others: u128) -> u128 {
        let mut total = others;
        let mut only = Exposure { market: change.market, size: change.size, ..Exposure::default() };
        for exposure in account.exposures.all() {
            let mut after = *exposure;
            if let Some((market, side, size)) = change.freed
                && market == after.market
            {
                after.lots[usize::from(side)] -= size;
            }
            if after.market == change.market {
                only.lots = after.lots;
            } else if after.lots != [0, 0] {
                total += self.worse_side(&after) - self.initial(after.market, after.size);
            }
        }
        only.lots[usize::from(change.added.0)] += change.added.1;
        total + self.worse_side(&only)
    }

    /// Initial requirement of a position of signed `size`.
    #[inline]
    pub fn initial(&self, market: MarketIndex, size: i64) -> u128 {
        self.gauge(market).initial(size).unwrap_or_else(|| self.market(market).initial(size))
    }

    /// max(0, min(cash, equity − initial margin, open orders included)): unrealised profit cannot leave.
    pub fn withdrawable(&self, account: &Account) -> i128 {
        let free = self.assess(account).equity - self.initial_with_orders(account) as i128;
        account.cash.min(free).max(0)
    }

    /// Whether every position's market has a fresh price.
    pub fn all_fresh(&self, account: &Account, time: u64) -> bool {
        account.exposures.held().all(|exposure| self.market(exposure.market).fresh(time))
    }

    #[inline]
    fn worse_side(&self, exposure: &Exposure) -> u128 {
        let [bid, ask] = exposure.lots;
        let (bought, sold) = (exposure.size + bid as i64, exposure.size - ask as i64);
        self.initial(exposure.market, bought).max(self.initial(exposure.market, sold))
    }
}
