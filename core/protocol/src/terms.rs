//! What is listed: markets and their fixed terms, oracle keys, and the genesis that binds them.

use crate::keccak::keccak256;
use crate::leaves::domain;
use crate::quantities::{Address, Hash, MAX_MARKETS, MAX_ORACLES, MAX_TIERS, PPM, RATE_SCALE};

const TERMS_LENGTH: usize = 67;
const TIER_LENGTH: usize = 18;

/// Margin fractions for the part of a position's notional up to `notional` (1e-6 USDC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    pub notional: u128,
    pub initial_ppm: u64,
    pub maintenance_ppm: u64,
}

/// A market's terms. price unit × size unit = 1e-6 USDC; tick and lot are filters in those units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketTerms {
    pub market: u32,
    pub underlying: u8,
    pub kind: u8,
    pub tick: u64,
    pub lot: u64,
    pub maker_fee_ppm: u32,
    pub taker_fee_ppm: u32,
    pub liquidation_fee_ppm: u32,
    pub liquidation_band_ppm: u32,
    pub liquidation_slice: u128,
    pub price_step_ppm: u32,
    pub mark_band_ppm: u32,
    pub stale_after: u64,
    pub funding_interval: u64,
    pub funding_cap: u32,
    pub tiers: Vec<Tier>,
    /// keccak of the packed terms; 32 bytes in the market leaf.
    pub digest: Hash,
}

/// What the core needs of everything fixed before the first command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    pub oracle_threshold: u8,
    pub oracles: Vec<Address>,
    /// In the order in which genesis lists them.
    pub markets: Vec<MarketTerms>,
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("genesis ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn wide(&mut self, count: usize) -> Result<u128, String> {
        Ok(self.take(count)?.iter().fold(0, |number, &byte| number << 8 | u128::from(byte)))
    }

    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.wide(count)? as u64)
    }

    fn small(&mut self, count: usize) -> Result<u32, String> {
        Ok(self.wide(count)? as u32)
    }
}

impl Genesis {
    /// threshold u8 · oracle count u8 · oracles b20 · market count u32 · each market's packed terms.
    ///
    /// Err names the first term that no venue can run on.
    pub fn decode(bytes: &[u8]) -> Result<Genesis, String> {
        let mut cursor = Cursor(bytes);
        let oracle_threshold = cursor.number(1)? as u8;
        let count = cursor.number(1)? as usize;
        let mut oracles = Vec::new();
        for _ in 0..count {
            let mut oracle = [0; 20];
            oracle.copy_from_slice(cursor.take(20)?);
            oracles.push(oracle);
        }
        let mut markets = Vec::new();
        for _ in 0..cursor.number(4)? {
            markets.push(MarketTerms::decode(&mut cursor)?);
        }
        if !cursor.0.is_empty() {
            return Err(format!("genesis has {} bytes too many", cursor.0.len()));
        }
        let genesis = Genesis { oracle_threshold, oracles, markets };
        genesis.check()?;
        Ok(genesis)
    }

    fn check(&self) -> Result<(), String> {
        let mut numbers: Vec<u32> = self.markets.iter().map(|terms| terms.market).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() || numbers.len() != self.markets.len() {
            return Err("markets: at least one, each with a number of its own".into());
        }
        if self.oracles.len() > MAX_ORACLES {
            return Err(format!("oracles: {}, wants at most {MAX_ORACLES}", self.oracles.len()));
        }
        let mut keys = self.oracles.clone();
        keys.sort_unstable();
        keys.dedup();
        if !(1..=keys.len()).contains(&self.oracle_threshold.into()) {
            return Err(format!("oracle_threshold: {}, wants 1 to {}", self.oracle_threshold, keys.len()));
        }
        self.markets.iter().try_for_each(MarketTerms::check)
    }

    /// keccak over the markets' digests and the oracle quorum; named by every batch's globals.
    pub fn ruleset(&self) -> Hash {
        let mut bytes = vec![domain::PARAMETERS];
        bytes.extend_from_slice(&[0; 31]);
        bytes.push(self.oracle_threshold);
        let mut oracles = self.oracles.clone();
        oracles.sort_unstable();
        for oracle in oracles {
            bytes.extend_from_slice(&[0; 12]);
            bytes.extend_from_slice(&oracle);
        }
        self.markets.iter().for_each(|terms| bytes.extend_from_slice(&terms.digest));
        keccak256(&[&bytes])
    }
}

impl MarketTerms {
    fn decode(cursor: &mut Cursor<'_>) -> Result<MarketTerms, String> {
        let whole = cursor.0;
        let mut terms = MarketTerms {
            market: cursor.small(3)?,
            underlying: cursor.small(1)? as u8,
            kind: cursor.small(1)? as u8,
            tick: cursor.number(5)?,
            lot: cursor.number(6)?,
            maker_fee_ppm: cursor.small(3)?,
            taker_fee_ppm: cursor.small(3)?,
            liquidation_fee_ppm: cursor.small(3)?,
            liquidation_band_ppm: cursor.small(3)?,
            liquidation_slice: cursor.wide(12)?,
            price_step_ppm: cursor.small(3)?,
            mark_band_ppm: cursor.small(3)?,
            stale_after: cursor.number(8)?,
            funding_interval: cursor.number(8)?,
            funding_cap: cursor.small(4)?,
            tiers: Vec::new(),
            digest: [0; 32],
        };
        let count = cursor.number(1)? as usize;
        for _ in 0..count {
            terms.tiers.push(Tier {
                notional: cursor.wide(12)?,
                initial_ppm: cursor.number(3)?,
                maintenance_ppm: cursor.number(3)?,
            });
        }
        terms.digest = keccak256(&[&[domain::PARAMETERS], &whole[..TERMS_LENGTH + count * TIER_LENGTH]]);
        Ok(terms)
    }

    fn check(&self) -> Result<(), String> {
        let ppm = u128::from(PPM);
        let limits: [(&str, u128, u128, u128); 14] = [
            ("market", self.market.into(), 0, u128::from(MAX_MARKETS) - 1),
            ("underlying", self.underlying.into(), 0, 63),
            ("tick", self.tick.into(), 1, 1 << 39),
            ("lot", self.lot.into(), 1, 1 << 47),
            ("maker_fee_ppm", self.maker_fee_ppm.into(), 0, ppm),
            ("taker_fee_ppm", self.taker_fee_ppm.into(), 0, ppm),
            ("liquidation_fee_ppm", self.liquidation_fee_ppm.into(), 0, ppm),
            ("liquidation_band_ppm", self.liquidation_band_ppm.into(), 1, ppm - 1),
            ("liquidation_slice", self.liquidation_slice, 1, 1 << 95),
            ("price_step_ppm", self.price_step_ppm.into(), 1, ppm),
            ("mark_band_ppm", self.mark_band_ppm.into(), 1, ppm),
            ("stale_after", self.stale_after.into(), 1, 1 << 48),
            ("funding_interval", self.funding_interval.into(), 1, 1 << 48),
            ("funding_cap", self.funding_cap.into(), 0, RATE_SCALE as u128),
        ];
        for (name, value, low, high) in limits {
            if !(low..=high).contains(&value) {
                return Err(format!("market {}: {name} is {value}, wants {low} to {high}", self.market));
            }
        }
        if ![1, 2, 4].contains(&self.kind) {
            return Err(format!("market {}: kind is {}, wants 1, 2 or 4", self.market, self.kind));
        }
        let rising = self.tiers.windows(2).all(|pair| pair[0].notional < pair[1].notional);
        let last = self.tiers.last().map_or(0, |tier| tier.notional);
        if !rising || last < (1 << 95) - 1 || self.tiers.len() > MAX_TIERS {
            return Err(format!("market {}: at most {MAX_TIERS} rising tiers to 2^95 - 1", self.market));
        }
        let sound = |tier: &Tier| 0 < tier.maintenance_ppm && tier.maintenance_ppm <= tier.initial_ppm;
        if !self.tiers.iter().all(|tier| sound(tier) && tier.initial_ppm <= PPM) {
            return Err(format!("market {}: tiers want 0 < maintenance <= initial <= 1,000,000 ppm", self.market));
        }
        Ok(())
    }
}
