//! Cross margin of whole accounts: equity, requirements, and the worse side of open orders.

use penstock_margin::Risk;

use crate::exposures::{Held, MarketIndex, Reserved};
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
            risk.initial += self.market(held.market).initial(held.size);
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
        let held: u128 = exposures.held().iter().map(|held| self.market(held.market).initial(held.size)).sum();
        let initial = |market, size| self.market(market).initial(size);
        let more = exposures.reserved().iter().map(|reserved| orders_add(account, reserved, initial));
        held + more.sum::<u128>()
    }

    /// The same for an account changed as `change` says, whose positions in other markets than that of the change
    /// require `others` initially: what orders add there, and the market of the change.
    pub fn initial_after(&self, account: &Account, change: &Change, others: u128) -> u128 {
        required(account, change, others, |market, size| self.market(market).initial(size))
    }

    /// No less than `initial_after`, and quickly: `others` is the most that positions in other markets may require.
    #[inline]
    pub fn most_after(&self, account: &Account, change: &Change, others: u128) -> u128 {
        required(account, change, others, |market, size| self.most(market, size))
    }

    /// What the positions in other markets require initially.
    pub fn initial_elsewhere(&self, account: &Account, market: MarketIndex) -> u128 {
        let others = account.exposures.held().iter().filter(|held| held.market != market);
        others.map(|held| self.market(held.market).initial(held.size)).sum()
    }

    /// What a position adds to equity, and the most it may require initially.
    #[inline(always)]
    pub fn weigh(&self, held: &Held) -> (i128, u128) {
        let (gauge, position) = (self.gauge(held.market), held.position());
        match gauge.weigh(position.size, position.entry, position.funding) {
            Some((worth, most)) => {
                debug_assert_eq!(worth, gauge.worth(&position));
                debug_assert!(u128::from(most) >= self.market(held.market).initial(held.size));
                (worth, most.into())
            }
            None => (gauge.worth(&position), self.most(held.market, held.size)),
        }
    }

    /// The most that a position of signed `size` may require initially: a few units above what it does.
    #[inline(always)]
    pub fn most(&self, market: MarketIndex, size: i64) -> u128 {
        match self.gauge(market).most_of(size) {
            Some(most) => {
                debug_assert!(u128::from(most) >= self.market(market).initial(size));
                most.into()
            }
            None => self.market(market).initial(size),
        }
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
}

/// What `change` leaves required, as `measure` has it, of an account whose other positions require `others`.
#[inline(always)]
fn required(account: &Account, change: &Change, others: u128, measure: impl Fn(MarketIndex, i64) -> u128) -> u128 {
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
            total += orders_add(account, &after, &measure);
        }
    }
    own.lots[usize::from(change.added.0)] += change.added.1;
    total + worse_side(change.size, &own, measure)
}

/// By how much open orders in a market raise what it requires.
#[inline(always)]
fn orders_add(account: &Account, reserved: &Reserved, measure: impl Fn(MarketIndex, i64) -> u128) -> u128 {
    let size = account.exposures.position(reserved.market).size;
    worse_side(size, reserved, &measure) - measure(reserved.market, size)
}

#[inline(always)]
fn worse_side(size: i64, reserved: &Reserved, measure: impl Fn(MarketIndex, i64) -> u128) -> u128 {
    let [bid, ask] = reserved.lots;
    measure(reserved.market, size + bid as i64).max(measure(reserved.market, size - ask as i64))
}
