//! The prices of one side: an array of levels near the touch with a bitmap of those in use, and a sorted map beyond.
//!
//! The array covers 4,096 ticks. Which ticks those are is a matter of speed only: any price may live in either part.
//! When the best price has left the good part of the window, and as many prices were missed as moving costs, it moves.

use std::collections::BTreeMap;

use crate::queue::Level;

const WORDS: u64 = 64;
const WINDOW: u64 = 64 * WORDS;
/// Distance kept between the best price and the window's better end after a move.
const MARGIN: u64 = WINDOW / 4;

/// One side's levels. Steps are prices in ticks; "rank" counts from the window's base.
#[derive(Clone, Debug)]
pub struct Ladder {
    bids: bool,
    base: u64,
    near: Vec<Option<Level>>,
    /// Bit r of word w: level 64 w + r is in use. `summary` bit w: word w is not zero.
    words: [u64; WORDS as usize],
    summary: u64,
    far: BTreeMap<u64, Option<Level>>,
    /// Prices looked for outside the window since it last moved, less the levels that moving would carry.
    missed: u64,
    used: u64,
}

impl Ladder {
    pub fn new(bids: bool) -> Ladder {
        Ladder {
            bids,
            base: 0,
            near: vec![None; WINDOW as usize],
            words: [0; WORDS as usize],
            summary: 0,
            far: BTreeMap::new(),
            missed: WINDOW,
            used: 0,
        }
    }

    /// The level of a price that an order is about to join.
    #[inline]
    pub fn enter(&mut self, step: u64) -> &mut Option<Level> {
        if self.rank(step).is_none() {
            self.missed += 1;
            if self.missed > self.used + WORDS {
                self.recentre(step);
            }
        }
        match self.rank(step) {
            Some(rank) => {
                let word = &mut self.words[rank / 64];
                self.used += u64::from(*word >> (rank % 64) & 1 == 0);
                *word |= 1 << (rank % 64);
                self.summary |= 1 << (rank / 64);
                &mut self.near[rank]
            }
            None => self.far.entry(step).or_insert(None),
        }
    }

    /// The level of a price that has orders.
    #[inline]
    pub fn level_mut(&mut self, step: u64) -> &mut Option<Level> {
        match self.rank(step) {
            Some(rank) => &mut self.near[rank],
            None => self.far.entry(step).or_insert(None),
        }
    }

    /// A price's last order has gone.
    #[inline]
    pub fn leave(&mut self, step: u64) {
        match self.rank(step) {
            Some(rank) => {
                self.used -= 1;
                self.words[rank / 64] &= !(1 << (rank % 64));
                if self.words[rank / 64] == 0 {
                    self.summary &= !(1 << (rank / 64));
                }
            }
            None => {
                self.missed += 1;
                self.far.remove(&step);
            }
        }
    }

    /// The best price and its queue.
    #[inline]
    pub fn best(&self) -> Option<(u64, Level)> {
        let near = if self.summary == 0 {
            None
        } else if self.bids {
            let word = 63 - self.summary.leading_zeros() as usize;
            Some(64 * word + 63 - self.words[word].leading_zeros() as usize)
        } else {
            let word = self.summary.trailing_zeros() as usize;
            Some(64 * word + self.words[word].trailing_zeros() as usize)
        };
        let far = if self.far.is_empty() {
            None
        } else if self.bids {
            self.far.last_key_value()
        } else {
            self.far.first_key_value()
        };
        self.better(near, far)
    }

    /// The best price worse than this one, and its queue.
    #[inline]
    pub fn worse(&self, step: u64) -> Option<(u64, Level)> {
        let near = if self.bids { self.below(step) } else { self.above(step) };
        let far = if self.far.is_empty() {
            None
        } else if self.bids {
            self.far.range(..step).next_back()
        } else {
            self.far.range(step + 1..).next()
        };
        self.better(near, far)
    }

    #[inline]
    fn better(&self, near: Option<usize>, far: Option<(&u64, &Option<Level>)>) -> Option<(u64, Level)> {
        let near = near.and_then(|rank| Some((self.base + rank as u64, self.near[rank]?)));
        let Some((&step, &Some(level))) = far else {
            return near;
        };
        match near {
            Some((best, _)) if (best > step) == self.bids => near,
            _ => Some((step, level)),
        }
    }

    /// The highest rank in use below a step.
    #[inline]
    fn below(&self, step: u64) -> Option<usize> {
        let limit = step.checked_sub(self.base)?.min(WINDOW) as usize;
        let (word, bit) = (limit / 64, limit % 64);
        let within = if bit == 0 { 0 } else { self.words[word] & ((1 << bit) - 1) };
        if within != 0 {
            return Some(64 * word + 63 - within.leading_zeros() as usize);
        }
        let lower = if word == 64 { self.summary } else { self.summary & ((1 << word) - 1) };
        if lower == 0 {
            return None;
        }
        let word = 63 - lower.leading_zeros() as usize;
        Some(64 * word + 63 - self.words[word].leading_zeros() as usize)
    }

    /// The lowest rank in use above a step.
    #[inline]
    fn above(&self, step: u64) -> Option<usize> {
        let first = (step + 1).saturating_sub(self.base);
        if first >= WINDOW {
            return None;
        }
        let (word, bit) = (first as usize / 64, first % 64);
        let within = self.words[word] & (u64::MAX << bit);
        if within != 0 {
            return Some(64 * word + within.trailing_zeros() as usize);
        }
        let higher = if word == 63 { 0 } else { self.summary & (u64::MAX << (word + 1)) };
        if higher == 0 {
            return None;
        }
        let word = higher.trailing_zeros() as usize;
        Some(64 * word + self.words[word].trailing_zeros() as usize)
    }

    #[inline]
    fn rank(&self, step: u64) -> Option<usize> {
        let rank = step.wrapping_sub(self.base);
        (rank < WINDOW).then_some(rank as usize)
    }

    /// Move the window to the best price, `step` included; keep it where the best is well inside already.
    fn recentre(&mut self, step: u64) {
        self.missed = 0;
        let best = match self.best() {
            Some((best, _)) if (best > step) == self.bids => best,
            _ => step,
        };
        let worst_inside = if self.bids { WINDOW / 2..WINDOW } else { 0..WINDOW / 2 };
        if self.rank(best).is_some_and(|rank| worst_inside.contains(&(rank as u64))) {
            return;
        }
        for word in 0..WORDS as usize {
            while self.words[word] != 0 {
                let rank = 64 * word + self.words[word].trailing_zeros() as usize;
                self.words[word] &= self.words[word] - 1;
                self.far.insert(self.base + rank as u64, self.near[rank].take());
            }
        }
        (self.summary, self.used) = (0, 0);
        self.base = if self.bids { (best + MARGIN).saturating_sub(WINDOW) } else { best.saturating_sub(MARGIN) };
        let mut inside = self.far.split_off(&self.base);
        let mut above = inside.split_off(&(self.base + WINDOW));
        self.far.append(&mut above);
        for (step, level) in inside {
            let rank = (step - self.base) as usize;
            self.near[rank] = level;
            self.words[rank / 64] |= 1 << (rank % 64);
            self.summary |= 1 << (rank / 64);
            self.used += 1;
        }
    }
}
