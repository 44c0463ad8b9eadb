//! Cross margin of whole accounts: equity, requirements, and the worse side of open orders.

use penstock_margin::Risk;

use crate::exposures::{MarketIndex, Reserved};
use crate::state::{Account, State};

/// A position without a fresh price counts at its last mark and one part in so many of its last index better.
const FAVOUR: i128 = 2;

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
        for held in account.exposures.held() {
            risk.equity += self.gauge(held.market).worth(&held.position());
            risk.initial += self.initial(held.market, held.size);
            risk.maintenance += self.market(held.market).maintenance(held.size);
        }
        risk
    }

    /// Equity and maintenance as a liquidation at `time` looks at them.
    ///
    /// A position without a fresh price counts at its last mark moved by half its last index in its holder's favour, and
    /// needs no margin: a price that is not known liquidates nobody, and shields nothing but about its own size.
    pub fn favoured(&self, account: &Account, time: u64) -> Risk {
        let mut risk = self.assess(account);
        risk.equity += self.favour(account, time);
        for held in account.exposures.held() {
            if !self.market(held.market).fresh(time) {
                risk.maintenance -= self.market(held.market).maintenance(held.size);
            }
        }
        risk
    }

    /// By how much equity counts higher for positions without a fresh price.
    pub fn favour(&self, account: &Account, time: u64) -> i128 {
        let stale = account.exposures.held().iter().filter(|held| !self.market(held.market).fresh(time));
        stale.map(|held| held.position().notional(self.market(held.market).leaf.index_price) as i128 / FAVOUR).sum()
    }

    /// Initial requirement if, per market, the worse of all bids or all asks had filled.
    pub fn initial_with_orders(&self, account: &Account) -> u128 {
        let exposures = &account.exposures;
        let held: u128 = exposures.held().iter().map(|held| self.initial(held.market, held.size)).sum();
        let more = exposures.reserved().iter().map(|reserved| self.orders_add(account, reserved));
        held + more.sum::<u128>()
    }

    /// The same for an account changed as `change` says, whose positions in other markets than that of the change require
    /// `others` initially: what orders add there, and the market of the change.
    #[inline]
    pub fn initial_after(&self, account: &Account, change: &Change, others: u128) -> u128 {
        let mut total = others;
        let mut own = Reserved { market: change.market, ..Reserved::default() };
        for reserved in account.exposures.reserved() {
            let mut after = *reserved;
            if let Some((market, side, size)) = change.freed
                && market == after.market
            {
                after.lots[usize::from(side)] -= size;
            }
            if after.market == change.market {
                own = after;
            } else if after.lots != [0, 0] {
                total += self.orders_add(account, &after);
            }
        }
        own.lots[usize::from(change.added.0)] += change.added.1;
        total + self.worse_side(change.size, &own)
    }

    /// Initial requirement of a position of signed `size`.
    #[inline(always)]
    pub fn initial(&self, market: MarketIndex, size: i64) -> u128 {
        let gauge = self.gauge(market);
        match gauge.plain_initial(size) {
            Some(initial) => initial,
            None => self.unusual_initial(market, size),
        }
    }

    #[inline(never)]
    fn unusual_initial(&self, market: MarketIndex, size: i64) -> u128 {
        self.gauge(market).initial(size).unwrap_or_else(|| self.market(market).initial(size))
    }

    /// max(0, min(cash, equity − initial margin, open orders included)): unrealised profit cannot leave.
    pub fn withdrawable(&self, account: &Account) -> i128 {
        let free = self.assess(account).equity - self.initial_with_orders(account) as i128;
        account.cash.min(free).max(0)
    }

    /// Whether every position's market has a fresh price.
    pub fn all_fresh(&self, account: &Account, time: u64) -> bool {
        account.exposures.held().iter().all(|held| self.market(held.market).fresh(time))
    }

    /// By how much open orders in a market raise its initial requirement.
    #[inline]
    fn orders_add(&self, account: &Account, reserved: &Reserved) -> u128 {
        let size = account.exposures.position(reserved.market).size;
        self.worse_side(size, reserved) - self.initial(reserved.market, size)
    }

    #[inline]
    fn worse_side(&self, size: i64, reserved: &Reserved) -> u128 {
        let [bid, ask] = reserved.lots;
        let (bought, sold) = (size + bid as i64, size - ask as i64);
        if self.gauge(reserved.market).is_plain() {
            let larger = bought.unsigned_abs().max(sold.unsigned_abs());
            return self.initial(reserved.market, larger as i64);
        }
        self.initial(reserved.market, bought).max(self.initial(reserved.market, sold))
    }
}
