//! When a command executes, and the memory it is decided in.

use penstock_protocol::events::Event;
use penstock_protocol::quantities::MAX_REMOVED_PER_SEQUENCE;

use crate::drafts::Drafts;

/// When a command executes; `removed` is shared by all members of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub sequence: u64,
    pub time: u64,
    pub member: u8,
    pub removed: u32,
}

impl Moment {
    /// Whether this sequence has taken as many orders out of books as it may.
    #[inline]
    pub fn exhausted(&self) -> bool {
        self.removed >= MAX_REMOVED_PER_SEQUENCE
    }
}

/// What is decided before anything is written: events in order, and the drafts of all a walk touches.
#[derive(Debug, Default)]
pub struct Scratch {
    pub events: Vec<Event>,
    pub drafts: Drafts,
}
