//! Holdings that may be written while deciding. A command trades in one market, so a draft is cash, the position there,
//! and what all other positions add up to.

use penstock_margin::{Position, Risk};
use penstock_protocol::wide::Wide;
use penstock_state::{Account, Market, MarketIndex, State};

/// One account's holding as a walk through a book would leave it.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    pub cash: i128,
    pub position: Position,
    /// What the positions in other markets are worth, the most they may require initially, and how many they are.
    others_worth: i128,
    others_most: u128,
    pub others_count: usize,
}

impl Draft {
    /// A copy of the account's holding.
    #[inline]
    pub fn of(state: &State, account: &Account, market: MarketIndex) -> Draft {
        let position = Position::default();
        let mut draft = Draft { cash: account.cash, position, others_worth: 0, others_most: 0, others_count: 0 };
        for held in account.exposures.held() {
            if held.market == market {
                draft.position = held.position();
                continue;
            }
            let (worth, most) = state.weigh(held);
            draft.others_worth += worth;
            draft.others_most += most;
            draft.others_count += 1;
        }
        draft
    }

    /// Equity with the position in `market` at its mark.
    #[inline]
    pub fn equity(&self, market: &Market) -> i128 {
        let own = self.position.worth(market.leaf.mark_price, market.leaf.funding_index);
        self.cash + self.others_worth + own
    }

    /// Equity and initial requirement, `others` of it for positions in other markets; maintenance is not asked of drafts.
    #[inline]
    pub fn risk(&self, market: &Market, others: u128) -> Risk {
        let own = market.initial(self.position.size);
        Risk { equity: self.equity(market), initial: others + own, maintenance: 0 }
    }

    /// The most that positions in other markets may require initially.
    #[inline]
    pub fn others_most(&self) -> u128 {
        self.others_most
    }

    /// Positions held in all.
    #[inline]
    pub fn count(&self) -> usize {
        self.others_count + usize::from(self.position.size != 0)
    }

    /// How many size units an order of `side` could still close.
    #[inline]
    pub fn reducible(&self, side: u8) -> u64 {
        let size = self.position.size;
        (if side == 0 { -size } else { size }).max(0) as u64
    }

    /// What the position adds to its market's sums.
    #[inline]
    pub fn share(&self) -> Sums {
        let position = &self.position;
        if position.size == 0 {
            return Sums::default();
        }
        Sums {
            fees: 0,
            builder_fees: 0,
            entry_total: position.entry,
            size_funding: position.size_funding(),
            open_interest: position.size.max(0).into(),
        }
    }
}

/// A market's running sums, or what positions in it add to them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub fees: i128,
    pub builder_fees: i128,
    pub entry_total: i128,
    pub size_funding: Wide,
    pub open_interest: i128,
}

impl Sums {
    /// The market's own.
    #[inline]
    pub fn of(market: &Market) -> Sums {
        let leaf = &market.leaf;
        Sums {
            fees: leaf.fees,
            builder_fees: leaf.builder_fees,
            entry_total: leaf.entry_total,
            size_funding: leaf.size_funding,
            open_interest: leaf.open_interest,
        }
    }

    /// Add what a position adds: never fees.
    #[inline]
    pub fn add(&mut self, other: &Sums) {
        self.entry_total += other.entry_total;
        self.size_funding = self.size_funding + other.size_funding;
        self.open_interest += other.open_interest;
    }

    /// Take away what a position adds.
    #[inline]
    pub fn subtract(&mut self, other: &Sums) {
        self.entry_total -= other.entry_total;
        self.size_funding = self.size_funding - other.size_funding;
        self.open_interest -= other.open_interest;
    }
}

/// The drafts of one walk. The first is the taker's.
#[derive(Debug, Default)]
pub struct Drafts {
    subaccounts: Vec<u32>,
    drafts: Vec<Draft>,
}

impl Drafts {
    /// Start a walk.
    #[inline]
    pub fn begin(&mut self, taker: u32, draft: Draft) {
        self.subaccounts.clear();
        self.drafts.clear();
        self.subaccounts.push(taker);
        self.drafts.push(draft);
    }

    #[inline]
    pub fn taker(&self) -> &Draft {
        &self.drafts[0]
    }

    #[inline]
    pub fn taker_mut(&mut self) -> &mut Draft {
        &mut self.drafts[0]
    }

    #[inline]
    pub fn get(&self, subaccount: u32) -> Option<&Draft> {
        self.place(subaccount).map(|place| &self.drafts[place])
    }

    #[inline]
    pub fn set(&mut self, subaccount: u32, draft: Draft) {
        match self.place(subaccount) {
            Some(place) => self.drafts[place] = draft,
            None => {
                self.subaccounts.push(subaccount);
                self.drafts.push(draft);
            }
        }
    }

    #[inline]
    fn place(&self, subaccount: u32) -> Option<usize> {
        self.subaccounts.iter().position(|&other| other == subaccount)
    }
}
