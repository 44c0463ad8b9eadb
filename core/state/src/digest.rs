//! `engine_root`: a digest of everything `apply` can read, as 32-byte two's-complement words in a fixed order.

use penstock_protocol::keccak::keccak256;
use penstock_protocol::leaves::domain;
use penstock_protocol::quantities::Hash;

use crate::market::Market;
use crate::state::{Account, Order, State};
use crate::words::{Whole, Words};

impl State {
    /// keccak(0x0c ‖ the words of the state).
    pub fn engine_root(&self) -> Hash {
        let mut words = Whole(vec![domain::ENGINE_ROOT]);
        self.write(&mut words);
        keccak256(&[&words.0])
    }

    /// ruleset ‖ deposits ‖ markets ‖ accounts, both ascending; a list comes after its length.
    pub(crate) fn write(&self, words: &mut impl Words) {
        words.hash(&self.ruleset);
        words.hash(&self.deposit_head);
        words.word(self.deposits);
        words.word(self.deposited);
        words.word(self.withdrawn);
        words.word(self.guardian_nonce);
        words.word(self.governor_nonce);
        words.count(self.markets.len());
        self.markets.iter().for_each(|market| self.write_market(words, market));
        words.count(self.accounts.len());
        for (subaccount, account) in self.accounts.iter().enumerate() {
            words.count(subaccount);
            self.write_account(words, account);
        }
    }

    fn write_market(&self, words: &mut impl Words, market: &Market) {
        let (leaf, terms) = (&market.leaf, &market.terms);
        words.word(terms.market);
        words.word(market.template);
        words.word(terms.expiry);
        words.word(terms.strike);
        words.word(terms.option_type);
        words.word(leaf.index_price);
        words.word(leaf.mark_price);
        words.word(leaf.premium);
        words.word(leaf.priced_at);
        words.word(leaf.priced_since);
        words.word(leaf.rate_time);
        words.word(leaf.window_sum as i128);
        words.word(leaf.flags);
        words.word(market.until);
        words.word(market.flagged_at);
        words.word(leaf.crowding);
        words.word(leaf.funding_index);
        words.word(leaf.funded_at);
        words.word(leaf.fees);
        words.hash(&leaf.size_funding.to_be_bytes());
        words.word(leaf.entry_total);
        words.word(leaf.dust);
        words.word(leaf.shortfall);
        words.word(leaf.open_interest);
        words.word(leaf.builder_fees);
        words.count(market.builders.len());
        for (&builder, &owed) in &market.builders {
            words.word(builder);
            words.word(owed);
        }
        words.hash(&leaf.parameters);
        for side in 0..2 {
            let prices = market.book.prices(side);
            words.count(prices.len());
            for (price, queue) in prices {
                words.word(price);
                words.count(queue.len());
                for handle in queue {
                    words.word(self.orders[handle].subaccount);
                    words.word(self.orders[handle].slot);
                }
            }
        }
    }

    fn write_account(&self, words: &mut impl Words, account: &Account) {
        words.address(&account.owner);
        words.word(account.cash);
        words.word(account.withdrawn);
        words.word(account.cancelled_before);
        words.word(account.open_orders);
        self.write_exposures(words, account);
        let slots: Vec<_> = self.slots.used(&account.slots).collect();
        words.count(slots.iter().filter(|(_, slot)| slot.guard != 0).count());
        for (number, slot) in slots.iter().filter(|(_, slot)| slot.guard != 0) {
            words.word(*number);
            words.word(slot.guard);
        }
        words.count(slots.iter().filter(|(_, slot)| slot.order != 0).count());
        for (_, slot) in slots.iter().filter(|(_, slot)| slot.order != 0) {
            self.write_order(words, &self.orders[slot.order]);
        }
        write_sessions(words, account);
        words.count(slots.iter().filter(|(_, slot)| slot.filled != 0).count());
        for (number, slot) in slots.iter().filter(|(_, slot)| slot.filled != 0) {
            let leaf = &self.filled[slot.filled].0;
            words.word(*number);
            words.word(leaf.nonce);
            words.word(leaf.filled);
            words.word(leaf.price);
            words.word(leaf.priority_sequence);
            words.word(leaf.member);
            words.word(leaf.flags);
            words.hash(&leaf.order_hash);
        }
    }

    fn write_exposures(&self, words: &mut impl Words, account: &Account) {
        let (held, reserved) = (account.exposures.held(), account.exposures.reserved());
        words.count(held.len());
        for held in held {
            let position = held.position();
            words.word(self.market(held.market).terms.market);
            words.word(position.size);
            words.word(position.entry);
            words.word(position.funding);
        }
        words.count(reserved.iter().filter(|reserved| reserved.lots != [0, 0]).count());
        for reserved in reserved.iter().filter(|reserved| reserved.lots != [0, 0]) {
            words.word(self.market(reserved.market).terms.market);
            words.word(reserved.lots[0]);
            words.word(reserved.lots[1]);
        }
        words.count(reserved.iter().filter(|reserved| reserved.reduce_only != 0).count());
        for reserved in reserved.iter().filter(|reserved| reserved.reduce_only != 0) {
            words.word(self.market(reserved.market).terms.market);
            words.word(reserved.reduce_only);
        }
    }

    fn write_order(&self, words: &mut impl Words, order: &Order) {
        words.word(order.slot);
        words.word(order.nonce);
        words.word(order.first_nonce);
        words.word(self.market(order.market).terms.market);
        words.word(order.side);
        words.word(order.price);
        words.word(order.size);
        words.word(order.filled);
        words.word(order.priority);
        words.word(order.member);
        words.word(order.accepted);
        words.word(order.session);
        words.word(order.post_only);
        words.word(order.reduce_only);
        words.hash(&order.record_hash);
    }
}

fn write_sessions(words: &mut impl Words, account: &Account) {
    words.count(account.sessions.len());
    for (place, session) in account.sessions.iter().enumerate() {
        words.count(place);
        words.address(&session.key);
        words.word(session.expiry);
        words.word(session.slot_first);
        words.word(session.slot_last);
        words.word(session.scopes);
        words.word(session.underlyings);
        words.word(session.kinds);
        words.word(session.from_sequence);
        words.word(session.revoked_at);
    }
}
