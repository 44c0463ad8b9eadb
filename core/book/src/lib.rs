//! A price-time book of one market: who rests where, and in which order they are met. It knows nothing of accounts:
//! an order is an opaque handle with a side and a price.

#![forbid(unsafe_code)]

mod ladder;
mod queue;

use ladder::Ladder;
use queue::Nodes;

pub use queue::{Node, Ticket};

/// Both sides of a market.
#[derive(Clone, Debug)]
pub struct Book {
    tick: u64,
    /// Bids, then asks.
    sides: [Ladder; 2],
    nodes: Nodes,
}

impl Book {
    /// An empty book. Prices given to it are multiples of `tick`.
    pub fn new(tick: u64) -> Book {
        Book { tick, sides: [Ladder::new(true), Ladder::new(false)], nodes: Nodes::default() }
    }

    /// Join the queue at the price, last. Side 0 bids, 1 asks.
    #[inline]
    pub fn add(&mut self, side: u8, price: u64, handle: u32) -> Ticket {
        let step = self.step_of(price);
        let level = self.sides[usize::from(side & 1)].enter(step);
        self.nodes.push(level, side & 1, step, handle)
    }

    /// Leave the queue; an empty price disappears.
    #[inline]
    pub fn remove(&mut self, ticket: Ticket) {
        let node = self.nodes.at(ticket);
        let ladder = &mut self.sides[usize::from(node.side)];
        if self.nodes.unlink(ticket, ladder.level_mut(node.step)) {
            ladder.leave(node.step);
        }
    }

    /// The first order of the best price of a side.
    #[inline]
    pub fn best(&self, side: u8) -> Option<Ticket> {
        self.sides[usize::from(side & 1)].best().map(|(_, level)| level.first)
    }

    /// The order met after this one.
    #[inline]
    pub fn after(&self, ticket: Ticket) -> Option<Ticket> {
        let node = self.nodes.at(ticket);
        node.next.or_else(|| self.sides[usize::from(node.side)].worse(node.step).map(|(_, level)| level.first))
    }

    /// What was added under the ticket: handle and price.
    #[inline]
    pub fn order(&self, ticket: Ticket) -> (u32, u64) {
        let node = self.nodes.at(ticket);
        (node.handle, node.step * self.tick)
    }

    /// Show where a place in a queue lies in memory.
    #[inline]
    pub fn with_node(&self, ticket: Ticket, mut see: impl FnMut(&Node)) {
        see(self.nodes.reference(ticket));
    }

    /// Show where the places around it lie, which `remove` writes too.
    #[inline]
    pub fn with_neighbours(&self, ticket: Ticket, mut see: impl FnMut(&Node)) {
        let node = self.nodes.at(ticket);
        node.previous.into_iter().chain(node.next).for_each(|ticket| see(self.nodes.reference(ticket)));
    }

    /// Each price of a side, ascending, with its queue in order of arrival.
    pub fn prices(&self, side: u8) -> Vec<(u64, Vec<u32>)> {
        let mut prices = Vec::new();
        let ladder = &self.sides[usize::from(side & 1)];
        let mut next = ladder.best();
        while let Some((step, level)) = next {
            prices.push((step * self.tick, self.nodes.handles(level)));
            next = ladder.worse(step);
        }
        if side & 1 == 0 {
            prices.reverse();
        }
        prices
    }

    /// Orders resting on both sides.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing rests.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn step_of(&self, price: u64) -> u64 {
        if self.tick == 1 { price } else { price / self.tick }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn records_stay_small() {
        assert_eq!(size_of::<super::queue::Level>(), 8);
        assert!(size_of::<super::queue::Node>() <= 32);
    }
}
