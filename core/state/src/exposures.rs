//! What one account has at stake, market by market: positions and what open orders reserve, in two small sorted lists.

use penstock_margin::Position;

/// A market's place among the listed ones, ascending by id.
pub type MarketIndex = u16;

/// So many of each list fit the account's own record.
const NEAR: usize = 2;

/// A position, packed: half a cache line. Entry costs take 96 bits and funding indices 80, sign included.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub struct Held {
    pub size: i64,
    entry_low: u64,
    funding_low: u64,
    entry_high: i32,
    funding_high: i16,
    pub market: MarketIndex,
}

impl Held {
    #[inline]
    fn of(market: MarketIndex, position: &Position) -> Held {
        let Position { entry, funding, size } = *position;
        Held {
            size,
            entry_low: entry as u64,
            funding_low: funding as u64,
            entry_high: i32::try_from(entry >> 64).expect("entry costs take 96 bits"),
            funding_high: i16::try_from(funding >> 64).expect("funding indices take 80 bits"),
            market,
        }
    }

    #[inline]
    pub fn position(&self) -> Position {
        Position {
            entry: i128::from(self.entry_high) << 64 | i128::from(self.entry_low),
            funding: i128::from(self.funding_high) << 64 | i128::from(self.funding_low),
            size: self.size,
        }
    }
}

/// Open [bid, ask] lots that margin reserves, and the number of reduce-only orders, in one market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    pub lots: [u64; 2],
    pub market: MarketIndex,
    pub reduce_only: u16,
}

trait Entry: Copy + Default {
    fn market(&self) -> MarketIndex;
}

impl Entry for Held {
    #[inline]
    fn market(&self) -> MarketIndex {
        self.market
    }
}

impl Entry for Reserved {
    #[inline]
    fn market(&self) -> MarketIndex {
        self.market
    }
}

/// Ascending by market. All of them are in `far` when there are more than fit `near`.
#[derive(Clone, Debug, Default)]
struct List<T> {
    near: [T; NEAR],
    count: usize,
    far: Vec<T>,
}

impl<T: Entry> List<T> {
    #[inline]
    fn all(&self) -> &[T] {
        if self.far.is_empty() { &self.near[..self.count] } else { &self.far }
    }

    #[inline]
    fn get(&self, market: MarketIndex) -> Option<&T> {
        self.all().iter().find(|entry| entry.market() == market)
    }

    /// Put an entry in its market's place; None leaves nothing there.
    #[inline]
    fn set(&mut self, market: MarketIndex, entry: Option<T>) {
        let all = if self.far.is_empty() { &mut self.near[..self.count] } else { &mut self.far[..] };
        let at = all.iter().position(|entry| entry.market() >= market).unwrap_or(all.len());
        let found = all.get_mut(at).filter(|entry| entry.market() == market);
        match (found, entry) {
            (Some(found), Some(entry)) => *found = entry,
            (Some(_), None) => self.remove(at),
            (None, Some(entry)) => self.insert(at, entry),
            (None, None) => {}
        }
    }

    fn insert(&mut self, at: usize, entry: T) {
        if !self.far.is_empty() {
            self.far.insert(at, entry);
        } else if self.count < NEAR {
            self.near.copy_within(at..self.count, at + 1);
            self.near[at] = entry;
            self.count += 1;
        } else {
            self.far.extend_from_slice(&self.near);
            self.far.insert(at, entry);
            self.count = 0;
        }
    }

    fn remove(&mut self, at: usize) {
        if self.far.is_empty() {
            self.near.copy_within(at + 1..self.count, at);
            self.count -= 1;
        } else {
            self.far.remove(at);
        }
    }
}

/// Positions, and what open orders reserve, each ascending by market; neither lists what is empty.
#[derive(Clone, Debug, Default)]
pub struct Exposures {
    held: List<Held>,
    reserved: List<Reserved>,
}

impl Exposures {
    #[inline]
    pub fn held(&self) -> &[Held] {
        self.held.all()
    }

    #[inline]
    pub fn reserved(&self) -> &[Reserved] {
        self.reserved.all()
    }

    /// The position in a market; none is one of size 0.
    #[inline]
    pub fn position(&self, market: MarketIndex) -> Position {
        self.held.get(market).map_or_else(Position::default, Held::position)
    }

    /// What open orders in a market reserve.
    #[inline]
    pub fn reserved_in(&self, market: MarketIndex) -> Reserved {
        self.reserved.get(market).copied().unwrap_or(Reserved { market, ..Reserved::default() })
    }

    /// A size of 0 leaves nothing of the position.
    #[inline]
    pub fn hold(&mut self, market: MarketIndex, position: &Position) {
        self.held.set(market, (position.size != 0).then(|| Held::of(market, position)));
    }

    /// Change what open orders in a market reserve; what becomes empty is forgotten.
    #[inline]
    pub fn reserve(&mut self, market: MarketIndex, change: impl FnOnce(&mut Reserved)) {
        let mut reserved = self.reserved_in(market);
        change(&mut reserved);
        let some = reserved.lots != [0, 0] || reserved.reduce_only != 0;
        self.reserved.set(market, some.then_some(reserved));
    }

    /// Forget every open order at once.
    pub fn forget_orders(&mut self) {
        self.reserved = List::default();
    }
}

#[cfg(test)]
mod tests {
    use penstock_margin::Position;

    use super::{Exposures, Held};

    #[test]
    fn a_held_position_is_half_a_cache_line() {
        assert_eq!((size_of::<Held>(), align_of::<Held>()), (32, 32));
    }

    #[test]
    fn the_widest_positions_come_back_as_they_were() {
        let (entry, funding, size) = ((1 << 95) - 1, (1 << 78) - 1, (1 << 55) - 1);
        for entry in [entry, -entry, 1 << 64, -(1 << 64), 1, -1, 0] {
            for funding in [funding, -funding, 1 << 64, -(1 << 64), u64::MAX.into(), -1, 0] {
                for size in [size, -size, 1] {
                    let mut exposures = Exposures::default();
                    exposures.hold(7, &Position { entry, funding, size });
                    assert_eq!(exposures.position(7), Position { entry, funding, size });
                }
            }
        }
    }

    #[test]
    fn markets_stay_in_order_and_empty_ones_go() {
        let mut exposures = Exposures::default();
        for market in [5, 1, 9, 3, 7] {
            exposures.reserve(market, |reserved| reserved.lots[0] = market.into());
            exposures.hold(market, &Position { entry: -4, funding: 2, size: market.into() });
        }
        let reserved =
            |exposures: &Exposures| exposures.reserved().iter().map(|found| found.market).collect::<Vec<_>>();
        let held = |exposures: &Exposures| exposures.held().iter().map(|found| found.market).collect::<Vec<_>>();
        assert_eq!((reserved(&exposures), held(&exposures)), (vec![1, 3, 5, 7, 9], vec![1, 3, 5, 7, 9]));
        exposures.reserve(3, |reserved| reserved.lots[0] = 0);
        exposures.hold(5, &Position::default());
        exposures.hold(6, &Position::default());
        assert_eq!((reserved(&exposures), held(&exposures)), (vec![1, 5, 7, 9], vec![1, 3, 7, 9]));
        exposures.forget_orders();
        assert_eq!((reserved(&exposures), held(&exposures)), (vec![], vec![1, 3, 7, 9]));
        exposures.reserve(2, |reserved| reserved.reduce_only = 1);
        exposures.reserve(1, |reserved| reserved.lots[1] = 1);
        for market in [1, 3, 7, 9] {
            exposures.hold(market, &Position::default());
        }
        assert_eq!((reserved(&exposures), held(&exposures)), (vec![1, 2], vec![]));
        assert_eq!((exposures.reserved_in(2).reduce_only, exposures.reserved_in(3).lots), (1, [0, 0]));
    }
}
