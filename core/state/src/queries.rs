//! Reading the state for people: one account, one market, packed.

use penstock_margin::{funding_owed, funding_rate};
use penstock_protocol::views::{AccountView, MarketView, OrderView, PositionView, SessionView};

use crate::state::State;

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
        view.push(account.exposures.held().count() as u8);
        for exposure in account.exposures.held() {
            let (market, position) = (self.market(exposure.market), exposure.position());
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
        let found = self.market(self.market_index(market)?);
        let leaf = &found.leaf;
        let rate = funding_rate(leaf.index_price, leaf.mark_price, found.terms.funding_cap);
        let view = MarketView {
            market,
            index_price: leaf.index_price,
            mark_price: leaf.mark_price,
            priced_at: leaf.priced_at,
            funding_index: leaf.funding_index,
            funding_rate: rate as i64,
            open_interest: leaf.open_interest as u64,
            fees: leaf.fees,
            dust: leaf.dust,
            shortfall: leaf.shortfall,
            reduce_only: leaf.reduce_only,
        };
        Some(view.pack().to_vec())
    }
}
