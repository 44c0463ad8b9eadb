//! The state: accounts, markets, books. Plain mutable records; only the engine's `evolve` writes them.

use std::collections::BTreeSet;

use penstock_book::Ticket;
use penstock_protocol::leaves::{Globals, SessionLeaf, SlotLeaf};
use penstock_protocol::quantities::{Address, BY_OWNER_KEY, Hash, MICRO, NO_TEMPLATE};
use penstock_protocol::terms::{Genesis, Identity, MarketTerms, Template};

use crate::exposures::{Exposures, MarketIndex};
use crate::market::{Gauge, Market};
use crate::pool::{Handle, Pool};
use crate::slots::{Directory, Slot, Slots};

/// A resting order. `priority`: the sequence that gave it its place; `accepted`: the stamp of its latest message.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub struct Order {
    pub record_hash: Hash,
    pub nonce: u64,
    pub first_nonce: u64,
    pub price: u64,
    pub size: u64,
    pub filled: u64,
    pub priority: u64,
    pub accepted: u64,
    pub subaccount: u32,
    pub ticket: Option<Ticket>,
    pub slot: u16,
    pub market: MarketIndex,
    pub side: u8,
    pub member: u8,
    pub session: u8,
    pub post_only: bool,
    pub reduce_only: bool,
}

/// Neither revoked nor past its expiry at venue time `time` (µs).
#[inline]
pub fn lives(session: &SessionLeaf, time: u64) -> bool {
    session.revoked_at == 0 && time < session.expiry * MICRO
}

/// One subaccount: a margin silo with one owner.
///
/// What margin reserves for open orders is forgotten at once when `cancelled_before` (a mass cancel's stamp) rises.
#[derive(Clone, Debug)]
pub struct Account {
    pub owner: Address,
    pub open_orders: u32,
    pub cancelled_before: u64,
    pub cash: i128,
    pub withdrawn: i128,
    pub exposures: Exposures,
    pub slots: Directory,
    /// By place among the 64; every key has one place.
    pub sessions: Vec<SessionLeaf>,
}

impl Account {
    /// Nothing but an owner.
    pub fn new(owner: Address) -> Account {
        Account {
            owner,
            open_orders: 0,
            cancelled_before: 0,
            cash: 0,
            withdrawn: 0,
            exposures: Exposures::default(),
            slots: Directory::default(),
            sessions: Vec::new(),
        }
    }

    /// The key's place among the session keys.
    pub fn session_of(&self, key: &Address) -> Option<u8> {
        self.sessions.iter().position(|session| session.key == *key).map(|place| place as u8)
    }

    /// Killed by a mass cancel, or by the revocation, expiry or replacement of the session that placed it.
    #[inline]
    pub fn has_killed(&self, order: &Order, time: u64) -> bool {
        if order.accepted < self.cancelled_before {
            return true;
        }
        if order.session == BY_OWNER_KEY {
            return false;
        }
        let session = &self.sessions[usize::from(order.session)];
        !lives(session, time) || order.accepted >> 6 < session.from_sequence
    }
}

/// Everything `apply` can read.
#[derive(Clone, Debug)]
pub struct State {
    pub oracles: Vec<Address>,
    pub oracle_threshold: u8,
    pub guardian: Address,
    pub governor: Address,
    pub templates: Vec<Template>,
    pub ruleset: Hash,
    /// Ascending by id.
    pub markets: Vec<Market>,
    /// Of each market, side by side.
    pub(crate) gauges: Vec<Gauge>,
    /// What each listed market is, so that none is listed twice.
    pub contracts: BTreeSet<Identity>,
    /// By subaccount: the Vault numbers them without gaps.
    pub accounts: Vec<Account>,
    pub slots: Slots,
    pub orders: Pool<Order>,
    pub filled: Pool<FilledSlot>,
    pub deposits: u64,
    pub deposit_head: Hash,
    pub deposited: i128,
    pub withdrawn: i128,
    pub guardian_nonce: u64,
    pub governor_nonce: u64,
}

/// What the slot leaf says of the last order that filled in it.
#[derive(Clone, Copy, Debug)]
pub struct FilledSlot(pub SlotLeaf);

impl Default for FilledSlot {
    fn default() -> Self {
        let (nonce, filled, price, priority_sequence) = (0, 0, 0, 0);
        FilledSlot(SlotLeaf { nonce, filled, price, priority_sequence, member: 0, flags: 0, order_hash: [0; 32] })
    }
}

impl State {
    /// The state before the first command: listed markets, and subaccount 0 (the insurance fund), unowned.
    pub fn new(genesis: Genesis) -> State {
        let ruleset = genesis.ruleset();
        let mut terms = genesis.markets;
        terms.sort_by_key(|terms| terms.market);
        let mut state = State {
            oracles: genesis.oracles,
            oracle_threshold: genesis.oracle_threshold,
            guardian: genesis.guardian,
            governor: genesis.governor,
            templates: genesis.templates,
            ruleset,
            markets: Vec::new(),
            gauges: Vec::new(),
            contracts: BTreeSet::new(),
            accounts: vec![Account::new([0; 20])],
            slots: Slots::default(),
            orders: Pool::default(),
            filled: Pool::default(),
            deposits: 0,
            deposit_head: [0; 32],
            deposited: 0,
            withdrawn: 0,
            guardian_nonce: 0,
            governor_nonce: 0,
        };
        terms.into_iter().for_each(|terms| state.list(terms, NO_TEMPLATE));
        state
    }

    /// Add a market, whose number must be above all others.
    pub fn list(&mut self, terms: MarketTerms, template: u16) {
        self.contracts.insert(terms.identity());
        let market = Market::new(terms, template);
        self.gauges.push(Gauge::of(&market));
        self.markets.push(market);
    }

    /// After a market's prices, funding index, crowding or flags have changed.
    pub fn gauge_again(&mut self, market: MarketIndex) {
        self.gauges[usize::from(market)] = Gauge::of(&self.markets[usize::from(market)]);
    }

    #[inline]
    pub fn gauge(&self, market: MarketIndex) -> &Gauge {
        let gauge = &self.gauges[usize::from(market)];
        debug_assert_eq!(*gauge, Gauge::of(self.market(market)));
        gauge
    }

    /// Give a market its end.
    pub fn delist(&mut self, market: MarketIndex, expiry: u64) {
        let market = &mut self.markets[usize::from(market)];
        self.contracts.remove(&market.terms.identity());
        market.terms.expiry = expiry;
        market.leaf.parameters = market.terms.digest();
        self.contracts.insert(market.terms.identity());
    }

    /// The template of this number.
    pub fn template(&self, number: u16) -> Option<&Template> {
        self.templates.iter().find(|template| template.template == number)
    }

    /// The market of this id.
    #[inline]
    pub fn market_index(&self, market: u32) -> Option<MarketIndex> {
        // Ids mostly count from 0.
        let guess = market as usize;
        if self.markets.get(guess).is_some_and(|found| found.terms.market == market) {
            return Some(guess as MarketIndex);
        }
        let found = self.markets.binary_search_by_key(&market, |found| found.terms.market);
        found.ok().map(|index| index as MarketIndex)
    }

    #[inline]
    pub fn market(&self, market: MarketIndex) -> &Market {
        &self.markets[usize::from(market)]
    }

    #[inline]
    pub fn account(&self, subaccount: u32) -> &Account {
        &self.accounts[subaccount as usize]
    }

    /// A slot of an account; an unused one, or one beyond 4,095, is empty.
    #[inline]
    pub fn slot(&self, account: &Account, slot: u16) -> &Slot {
        self.slots.get(&account.slots, slot)
    }

    #[inline]
    pub fn slot_mut(&mut self, subaccount: u32, slot: u16) -> &mut Slot {
        self.slots.get_mut(&mut self.accounts[subaccount as usize].slots, slot)
    }

    /// Its market is over; or the account has killed it.
    #[inline]
    pub fn is_dead(&self, account: &Account, order: &Order, time: u64) -> bool {
        self.market(order.market).over(time) || account.has_killed(order, time)
    }

    /// The order resting in a slot.
    #[inline]
    pub fn order_in(&self, account: &Account, slot: u16) -> Option<(Handle, &Order)> {
        let handle = self.slot(account, slot).order;
        (handle != 0).then(|| (handle, &self.orders[handle]))
    }

    /// Deposited and withdrawn in all, and the ruleset.
    pub fn globals(&self) -> Globals {
        Globals { deposited: self.deposited, withdrawn: self.withdrawn, spare: 0, ruleset: self.ruleset }
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn an_order_is_two_cache_lines() {
        assert_eq!(size_of::<Order>(), 128);
    }
}
