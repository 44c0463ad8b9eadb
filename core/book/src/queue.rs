//! Orders of one price as a doubly linked list through a pool of nodes; freed nodes are used again.

use std::num::NonZeroU32;

/// Where a resting order is; good until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(NonZeroU32);

/// The queue of a price that is not empty: first to be met, and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub first: Ticket,
    pub last: Ticket,
}

/// One resting order. `step` is its price in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub step: u64,
    pub next: Option<Ticket>,
    pub previous: Option<Ticket>,
    pub handle: u32,
    pub side: u8,
}

/// The pool. Ticket n is node n - 1.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    nodes: Vec<Node>,
    free: Vec<Ticket>,
}

impl Ticket {
    #[inline]
    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Nodes {
    #[inline]
    pub fn at(&self, ticket: Ticket) -> Node {
        self.nodes[ticket.place()]
    }

    #[inline]
    pub fn reference(&self, ticket: Ticket) -> &Node {
        &self.nodes[ticket.place()]
    }

    #[inline]
    pub fn push(&mut self, level: &mut Option<Level>, side: u8, step: u64, handle: u32) -> Ticket {
        let previous = level.map(|level| level.last);
        let ticket = self.store(Node { step, next: None, previous, handle, side });
        match level {
            Some(level) => {
                self.nodes[level.last.place()].next = Some(ticket);
                level.last = ticket;
            }
            None => *level = Some(Level { first: ticket, last: ticket }),
        }
        ticket
    }

    /// Whether the level is empty now.
    #[inline]
    pub fn unlink(&mut self, ticket: Ticket, level: &mut Option<Level>) -> bool {
        let node = self.at(ticket);
        self.free.push(ticket);
        match (node.previous, node.next) {
            (None, None) => *level = None,
            (Some(previous), None) => {
                self.nodes[previous.place()].next = None;
                level.iter_mut().for_each(|level| level.last = previous);
            }
            (None, Some(next)) => {
                self.nodes[next.place()].previous = None;
                level.iter_mut().for_each(|level| level.first = next);
            }
            (Some(previous), Some(next)) => {
                self.nodes[previous.place()].next = Some(next);
                self.nodes[next.place()].previous = Some(previous);
            }
        }
        level.is_none()
    }

    pub fn handles(&self, level: Level) -> Vec<u32> {
        let mut handles = Vec::new();
        let mut next = Some(level.first);
        while let Some(ticket) = next {
            let node = self.at(ticket);
            handles.push(node.handle);
            next = node.next;
        }
        handles
    }

    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    #[inline]
    fn store(&mut self, node: Node) -> Ticket {
        if let Some(ticket) = self.free.pop() {
            self.nodes[ticket.place()] = node;
            return ticket;
        }
        self.nodes.push(node);
        let number = u32::try_from(self.nodes.len()).ok().and_then(NonZeroU32::new);
        // Open orders are capped at 1,024 for each of 2^24 subaccounts, but memory ends long before 2^32 nodes.
        Ticket(number.expect("fewer than 2^32 orders rest"))
    }
}
