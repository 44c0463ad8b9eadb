//! What one account has at stake, market by market: positions and open orders, in one small sorted list.

use penstock_margin::Position;

/// A market's place among the listed ones, ascending by id.
pub type MarketIndex = u16;

/// Two markets fit the account's own record.
const NEAR: usize = 2;

/// Position, open [bid, ask] lots that margin reserves, and the number of reduce-only orders, in one market.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposure {
    pub(crate) entry: i128,
    pub(crate) funding: i128,
    pub size: i64,
    pub lots: [u64; 2],
    pub market: MarketIndex,
    pub reduce_only: u16,
}

impl Exposure {
    #[inline]
    pub fn position(&self) -> Position {
        Position { entry: self.entry, funding: self.funding, size: self.size }
    }

    /// A size of 0 leaves nothing of the position.
    #[inline]
    pub fn hold(&mut self, position: Position) {
        let Position { entry, funding, size } = position;
        (self.entry, self.funding, self.size) = if size == 0 { (0, 0, 0) } else { (entry, funding, size) };
    }

    fn is_empty(&self) -> bool {
        self.size == 0 && self.lots == [0, 0] && self.reduce_only == 0
    }
}

/// Exposures ascending by market. All of them are in `far` when there are more than fit `near`.
#[derive(Clone, Debug, Default)]
pub struct Exposures {
    near: [Exposure; NEAR],
    count: usize,
    far: Vec<Exposure>,
}

impl Exposures {
    #[inline]
    pub fn all(&self) -> &[Exposure] {
        if self.far.is_empty() { &self.near[..self.count] } else { &self.far }
    }

    #[inline]
    fn all_mut(&mut self) -> &mut [Exposure] {
        if self.far.is_empty() { &mut self.near[..self.count] } else { &mut self.far }
    }

    /// Those with a position.
    #[inline]
    pub fn held(&self) -> impl Iterator<Item = &Exposure> {
        self.all().iter().filter(|exposure| exposure.size != 0)
    }

    #[inline]
    pub fn get(&self, market: MarketIndex) -> Option<&Exposure> {
        self.all().iter().find(|exposure| exposure.market == market)
    }

    /// Change what is at stake in a market; what becomes empty is forgotten.
    #[inline]
    pub fn change(&mut self, market: MarketIndex, change: impl FnOnce(&mut Exposure)) {
        let at = self.all().iter().position(|exposure| exposure.market >= market).unwrap_or(self.all().len());
        if self.all().get(at).is_none_or(|exposure| exposure.market != market) {
            self.insert(at, Exposure { market, ..Exposure::default() });
        }
        let exposure = &mut self.all_mut()[at];
        change(exposure);
        if exposure.is_empty() {
            self.remove(at);
        }
    }

    /// Forget every open order at once.
    pub fn forget_orders(&mut self) {
        for at in (0..self.all().len()).rev() {
            let exposure = &mut self.all_mut()[at];
            (exposure.lots, exposure.reduce_only) = ([0, 0], 0);
            if exposure.is_empty() {
                self.remove(at);
            }
        }
    }

    fn insert(&mut self, at: usize, exposure: Exposure) {
        if !self.far.is_empty() {
            self.far.insert(at, exposure);
        } else if self.count < NEAR {
            self.near.copy_within(at..self.count, at + 1);
            self.near[at] = exposure;
            self.count += 1;
        } else {
            self.far.extend_from_slice(&self.near);
            self.far.insert(at, exposure);
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

#[cfg(test)]
mod tests {
    use super::{Exposure, Exposures};

    #[test]
    fn an_exposure_is_one_cache_line() {
        assert_eq!(size_of::<Exposure>(), 64);
    }

    #[test]
    fn markets_stay_in_order_and_empty_ones_go() {
        let mut exposures = Exposures::default();
        for market in [5, 1, 9, 3, 7] {
            exposures.change(market, |exposure| exposure.lots[0] = market.into());
        }
        exposures.change(9, |exposure| exposure.size = -4);
        let markets = |exposures: &Exposures| exposures.all().iter().map(|e| e.market).collect::<Vec<_>>();
        assert_eq!(markets(&exposures), [1, 3, 5, 7, 9]);
        exposures.change(3, |exposure| exposure.lots[0] = 0);
        assert_eq!(markets(&exposures), [1, 5, 7, 9]);
        exposures.forget_orders();
        assert_eq!(markets(&exposures), [9]);
        exposures.change(9, |exposure| exposure.size = 0);
        exposures.change(2, |exposure| exposure.reduce_only = 1);
        exposures.change(1, |exposure| exposure.size = 1);
        assert_eq!(markets(&exposures), [1, 2]);
    }
}
