//! Reading the state for people: one account, one market, packed.

use penstock_margin::funding_owed;
use penstock_protocol::quantities::BY_OWNER_KEY;
use penstock_protocol::views::{AccountView, MarketView, OrderView, PositionView, RestingOrder, SessionView};

use crate::market::Market;
use crate::state::{Account, Order, State};

impl State {
    /// The account, or None if it was never credited. `initial_margin` includes open orders.
    pub fn account_view(&self, subaccount: u32) -> Option<Vec<u8>> {
        let account = self.accounts.get(subaccount as usize)?;
        let risk = self.assess(account);
        let head = AccountView {
            subaccount,
            owner: account.owner,
            cash: account.cash,
            withdrawn: account.withdrawn,
            equity: risk.equity,
            initial_margin: self.initial_with_orders(account),
            maintenance_margin: risk.maintenance,
        };
        let mut view = head.pack().to_vec();
        view.push(account.exposures.held().len() as u8);
        for held in account.exposures.held() {
            let (market, position) = (self.market(held.market), held.position());
            let held = PositionView {
                market: market.terms.market,
                size: position.size,
                entry: position.entry,
                unrealised: position.unrealised(market.leaf.mark_price),
                unsettled_funding: funding_owed(&position, market.leaf.funding_index).0,
            };
            view.extend_from_slice(&held.pack());
        }
        let used = self.slots.used(&account.slots).filter(|(_, slot)| slot.order != 0);
        let orders = used.map(|(_, slot)| &self.orders[slot.order]);
        let open: Vec<_> = orders.filter(|order| order.accepted >= account.cancelled_before).collect();
        view.extend_from_slice(&(open.len() as u16).to_be_bytes());
        for order in open {
            let resting = OrderView {
                slot: order.slot,
                nonce: order.nonce,
                first_nonce: order.first_nonce,
                market: self.market(order.market).terms.market,
                side: order.side,
                price: order.price,
                size: order.size,
                filled: order.filled,
                post_only: order.post_only,
                reduce_only: order.reduce_only,
            };
            view.extend_from_slice(&resting.pack());
        }
        view.push(account.sessions.len() as u8);
        for (place, session) in account.sessions.iter().enumerate() {
            let granted = SessionView {
                session: place as u8,
                key: session.key,
                expiry: session.expiry,
                slot_first: session.slot_first,
                slot_last: session.slot_last,
                scopes: session.scopes,
                underlyings: session.underlyings,
                kinds: session.kinds,
                revoked_at: session.revoked_at,
            };
            view.extend_from_slice(&granted.pack());
        }
        Some(view)
    }

    /// The market, or None if it is not listed.
    pub fn market_view(&self, market: u32) -> Option<Vec<u8>> {
        Some(view_of(self.market(self.market_index(market)?)).pack().to_vec())
    }

    /// Every listed market, ascending, one view after the other.
    pub fn market_views(&self) -> Vec<u8> {
        self.markets.iter().flat_map(|market| view_of(market).pack()).collect()
    }

    /// Every account, ascending, with what of it the public books are made of, as `schema/packed.txt` says.
    pub fn resting(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for account in &self.accounts {
            packed.push(account.exposures.held().len() as u8);
            for held in account.exposures.held() {
                packed.extend_from_slice(&self.market(held.market).terms.market.to_be_bytes()[1..]);
                packed.extend_from_slice(&held.size.to_be_bytes()[1..]);
            }
            let living = account.sessions.iter().enumerate().filter(|(_, session)| session.revoked_at == 0);
            packed.push(living.clone().count() as u8);
            for (place, session) in living {
                packed.push(place as u8);
                packed.extend_from_slice(&session.expiry.to_be_bytes()[3..]);
            }
            let used = self.slots.used(&account.slots).filter(|(_, slot)| slot.order != 0);
            let orders: Vec<_> = used.map(|(_, slot)| &self.orders[slot.order]).collect();
            packed.extend_from_slice(&(orders.len() as u16).to_be_bytes());
            for order in orders {
                let resting = RestingOrder {
                    slot: order.slot,
                    nonce: order.nonce,
                    market: self.market(order.market).terms.market,
                    side: order.side,
                    price: order.price,
                    size: order.size,
                    session: order.session,
                    killed: self.is_killed(account, order),
                };
                packed.extend_from_slice(&resting.pack());
            }
        }
        packed
    }

    /// Dead whatever the time is: only the expiry of its session key, or of a market not expired yet, is not seen.
    fn is_killed(&self, account: &Account, order: &Order) -> bool {
        if self.market(order.market).expired() || order.accepted < account.cancelled_before {
            return true;
        }
        if order.session == BY_OWNER_KEY {
            return false;
        }
        let session = &account.sessions[usize::from(order.session)];
        session.revoked_at != 0 || order.accepted >> 6 < session.from_sequence
    }
}

fn view_of(found: &Market) -> MarketView {
    let (leaf, terms) = (&found.leaf, &found.terms);
    MarketView {
        market: terms.market,
        index_price: leaf.index_price,
        mark_price: leaf.mark_price,
        priced_at: leaf.priced_at,
        funding_index: leaf.funding_index,
        funding_rate: found.funding_rate() as i64,
        open_interest: leaf.open_interest as u64,
        fees: leaf.fees,
        dust: leaf.dust,
        shortfall: leaf.shortfall,
        rate_time: leaf.rate_time,
        premium: leaf.premium,
        builder_fees: leaf.builder_fees,
        flags: leaf.flags,
        until: found.until,
        template: found.template,
        expiry: terms.expiry,
        strike: terms.strike,
        option_type: terms.option_type,
    }
}
