//! What is listed: markets and their terms, the templates of what may be listed later, oracle keys, roles, and the
//! genesis that binds them.

use crate::instruments::{ALL_DATES, CALL, FUTURE, NO_OPTION, OPTION, PERPETUAL, PUT};
use crate::keccak::keccak256;
use crate::leaves::domain;
use crate::packed::Packer;
use crate::quantities::{
    Address, Hash, MAX_MARKETS, MAX_ORACLES, MAX_TIERS, NO_TEMPLATE, OPEN_INTEREST_BITS, POSITION_BITS, PPM,
    PRICE_BITS, RATE_SCALE,
};

/// Bytes of packed terms before their tiers, and of each tier.
pub const TERMS: usize = 111;
pub const TIER: usize = 18;
/// Bytes of a packed template before its terms.
pub const TEMPLATE: usize = 14;

/// Margin fractions for the part of a position's notional up to `notional` (1e-6 USDC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    pub notional: u128,
    pub initial_ppm: u64,
    pub maintenance_ppm: u64,
}

/// A market's terms. price unit × size unit = 1e-6 USDC; tick and lot are filters in those units.
///
/// Times in µs but `expiry` (s, 0: none); `strike` in price units. A negative maker fee is a rebate. Funding terms are
/// parts in 1e9 per eight hours. From `crowded_from` on the initial margin of each position grows, to all of its
/// notional at the open-interest cap. Two prices are at least `price_interval` apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketTerms {
    pub market: u32,
    pub underlying: u8,
    pub kind: u8,
    pub tick: u64,
    pub lot: u64,
    pub maker_fee_ppm: i32,
    pub taker_fee_ppm: u32,
    pub liquidation_fee_ppm: u32,
    pub liquidation_band_ppm: u32,
    pub liquidation_slice: u128,
    pub price_step_ppm: u32,
    pub mark_band_ppm: u32,
    pub stale_after: u64,
    pub funding_interval: u64,
    pub funding_cap: u32,
    pub funding_interest: i32,
    pub funding_clamp: u32,
    pub expiry: u64,
    pub strike: u64,
    pub option_type: u8,
    pub position_cap: u64,
    pub open_interest_cap: u64,
    pub crowded_from: u64,
    pub price_interval: u32,
    pub tiers: Vec<Tier>,
}

/// What two listed markets may not share: underlying, kind, expiry, strike, option type.
pub type Identity = (u8, u8, u64, u64, u8);

/// Contracts that anybody may list: the terms they share, the dates they may end on, the strikes they may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub template: u16,
    pub dates: u8,
    pub strike_step: u64,
    pub strike_band_ppm: u32,
    pub index_market: u32,
    pub terms: MarketTerms,
}

/// What the core needs of everything fixed before the first command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    pub oracle_threshold: u8,
    pub oracles: Vec<Address>,
    pub guardian: Address,
    pub governor: Address,
    /// In the order in which genesis lists them.
    pub markets: Vec<MarketTerms>,
    pub templates: Vec<Template>,
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

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.wide(1)? as u8)
    }

    /// A number of so many bytes, at most four, in two's complement.
    fn signed(&mut self, count: usize) -> Result<i32, String> {
        let unused = 32 - 8 * count as u32;
        Ok(((self.small(count)? << unused) as i32) >> unused)
    }

    fn address(&mut self) -> Result<Address, String> {
        let mut address = [0; 20];
        address.copy_from_slice(self.take(20)?);
        Ok(address)
    }
}

impl Genesis {
    /// threshold u8 · oracle count u8 · oracles b20 · guardian b20 · governor b20 · market count u32 · each market's
    /// packed terms · template count u16 · each packed template.
    ///
    /// Err names the first term that no venue can run on.
    pub fn decode(bytes: &[u8]) -> Result<Genesis, String> {
        let genesis = Genesis::read(bytes)?;
        genesis.check()?;
        Ok(genesis)
    }

    /// As `decode`, but any terms do.
    pub fn read(bytes: &[u8]) -> Result<Genesis, String> {
        let mut cursor = Cursor(bytes);
        let oracle_threshold = cursor.byte()?;
        let oracles = (0..cursor.byte()?).map(|_| cursor.address()).collect::<Result<_, _>>()?;
        let (guardian, governor) = (cursor.address()?, cursor.address()?);
        let (mut markets, mut templates) = (Vec::new(), Vec::new());
        for _ in 0..cursor.number(4)? {
            markets.push(MarketTerms::read(&mut cursor)?);
        }
        for _ in 0..cursor.number(2)? {
            templates.push(Template::read(&mut cursor)?);
        }
        match cursor.0.len() {
            0 => Ok(Genesis { oracle_threshold, oracles, guardian, governor, markets, templates }),
            left => Err(format!("genesis has {left} bytes too many")),
        }
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
        self.markets.iter().try_for_each(MarketTerms::check)?;
        let mut templates: Vec<u16> = self.templates.iter().map(|template| template.template).collect();
        templates.sort_unstable();
        if templates.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("templates: each wants a number of its own".into());
        }
        for template in &self.templates {
            template.check()?;
            if numbers.binary_search(&template.index_market).is_err() {
                let (number, market) = (template.template, template.index_market);
                return Err(format!("template {number}: index_market {market} is not listed"));
            }
        }
        Ok(())
    }

    /// keccak over the oracle quorum, the roles, and the digests of markets and templates; named by every batch's
    /// globals.
    pub fn ruleset(&self) -> Hash {
        let mut bytes = vec![domain::PARAMETERS];
        bytes.extend_from_slice(&[0; 31]);
        bytes.push(self.oracle_threshold);
        let mut oracles = self.oracles.clone();
        oracles.sort_unstable();
        for address in oracles.iter().chain([&self.guardian, &self.governor]) {
            bytes.extend_from_slice(&[0; 12]);
            bytes.extend_from_slice(address);
        }
        self.markets.iter().for_each(|terms| bytes.extend_from_slice(&terms.digest()));
        self.templates.iter().for_each(|template| bytes.extend_from_slice(&template.digest()));
        keccak256(&[&bytes])
    }
}

impl MarketTerms {
    /// The terms that exactly these bytes are, whatever they say.
    pub fn unpack(bytes: &[u8]) -> Result<MarketTerms, String> {
        let mut cursor = Cursor(bytes);
        let terms = MarketTerms::read(&mut cursor)?;
        if cursor.0.is_empty() { Ok(terms) } else { Err(format!("terms have {} bytes too many", cursor.0.len())) }
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<MarketTerms, String> {
        let mut terms = MarketTerms {
            market: cursor.small(3)?,
            underlying: cursor.byte()?,
            kind: cursor.byte()?,
            tick: cursor.number(5)?,
            lot: cursor.number(6)?,
            maker_fee_ppm: cursor.signed(3)?,
            taker_fee_ppm: cursor.small(3)?,
            liquidation_fee_ppm: cursor.small(3)?,
            liquidation_band_ppm: cursor.small(3)?,
            liquidation_slice: cursor.wide(12)?,
            price_step_ppm: cursor.small(3)?,
            mark_band_ppm: cursor.small(3)?,
            stale_after: cursor.number(8)?,
            funding_interval: cursor.number(8)?,
            funding_cap: cursor.small(4)?,
            funding_interest: cursor.signed(4)?,
            funding_clamp: cursor.small(4)?,
            expiry: cursor.number(5)?,
            strike: cursor.number(5)?,
            option_type: cursor.byte()?,
            position_cap: cursor.number(7)?,
            open_interest_cap: cursor.number(7)?,
            crowded_from: cursor.number(7)?,
            price_interval: cursor.small(4)?,
            tiers: Vec::new(),
        };
        for _ in 0..cursor.byte()? {
            terms.tiers.push(Tier {
                notional: cursor.wide(12)?,
                initial_ppm: cursor.number(3)?,
                maintenance_ppm: cursor.number(3)?,
            });
        }
        Ok(terms)
    }

    /// The packed terms: what is hashed, and what a witness shows.
    pub fn pack(&self) -> Vec<u8> {
        let mut packer = Packer::<TERMS>::new();
        packer.u24(self.market).u8(self.underlying).u8(self.kind).u40(self.tick).u48(self.lot);
        packer.i24(self.maker_fee_ppm).u24(self.taker_fee_ppm).u24(self.liquidation_fee_ppm);
        packer.u24(self.liquidation_band_ppm).u96(self.liquidation_slice as i128);
        packer.u24(self.price_step_ppm).u24(self.mark_band_ppm).u64(self.stale_after).u64(self.funding_interval);
        packer.u32(self.funding_cap).i32(self.funding_interest).u32(self.funding_clamp);
        packer.u40(self.expiry).u40(self.strike).u8(self.option_type);
        packer.u56(self.position_cap).u56(self.open_interest_cap).u56(self.crowded_from);
        packer.u32(self.price_interval).u8(self.tiers.len() as u8);
        let mut packed = packer.finish().to_vec();
        for tier in &self.tiers {
            let mut packer = Packer::<TIER>::new();
            packer.u96(tier.notional as i128).u24(tier.initial_ppm as u32).u24(tier.maintenance_ppm as u32);
            packed.extend_from_slice(&packer.finish());
        }
        packed
    }

    /// keccak of every term the chain needs to judge an entry; 32 bytes in the market leaf.
    pub fn digest(&self) -> Hash {
        keccak256(&[&[domain::PARAMETERS], &self.pack()])
    }

    /// These terms for one contract, with its own number.
    pub fn contract(&self, market: u32, expiry: u64, strike: u64, option_type: u8) -> MarketTerms {
        MarketTerms { market, expiry, strike, option_type, ..self.clone() }
    }

    /// What no other listed market may share.
    pub fn identity(&self) -> Identity {
        (self.underlying, self.kind, self.expiry, self.strike, self.option_type)
    }

    /// What one unit pays at an index: the index itself, or an option's intrinsic value (price units).
    pub fn payoff(&self, index: u64) -> u64 {
        match (self.kind, self.option_type) {
            (OPTION, CALL) => index.saturating_sub(self.strike),
            (OPTION, _) => self.strike.saturating_sub(index),
            _ => index,
        }
    }

    /// Err names the first term that is out of range.
    pub fn check(&self) -> Result<(), String> {
        self.check_numbers()?;
        if self.kind != PERPETUAL && self.expiry == 0 {
            return Err(format!("market {}: expiry is 0, wants a time: it is a dated market", self.market));
        }
        let option = self.kind == OPTION;
        if option != matches!(self.option_type, CALL | PUT) || option != (self.strike > 0) {
            return Err(format!(
                "market {}: strike and option_type belong to options, and to all of them",
                self.market
            ));
        }
        if !self.strike.is_multiple_of(self.tick) {
            let Self { market, strike, tick, .. } = self;
            return Err(format!("market {market}: strike is {strike}, wants a multiple of the tick {tick}"));
        }
        Ok(())
    }

    /// Err names the first term that is out of range, whatever the contract's own three.
    fn check_numbers(&self) -> Result<(), String> {
        let (ppm, rate, whole) = (i128::from(PPM), RATE_SCALE, (1 << OPEN_INTEREST_BITS) - 1);
        let limits: [(&str, i128, i128, i128); 22] = [
            ("market", self.market.into(), 0, i128::from(MAX_MARKETS) - 1),
            ("underlying", self.underlying.into(), 0, 63),
            ("tick", self.tick.into(), 1, 1 << 39),
            ("lot", self.lot.into(), 1, 1 << 47),
            ("maker_fee_ppm", self.maker_fee_ppm.into(), -i128::from(self.taker_fee_ppm), ppm),
            ("taker_fee_ppm", self.taker_fee_ppm.into(), 0, ppm),
            ("liquidation_fee_ppm", self.liquidation_fee_ppm.into(), 0, ppm),
            ("liquidation_band_ppm", self.liquidation_band_ppm.into(), 1, ppm - 1),
            ("liquidation_slice", self.liquidation_slice as i128, 1, 1 << 95),
            ("price_step_ppm", self.price_step_ppm.into(), 1, ppm),
            ("mark_band_ppm", self.mark_band_ppm.into(), 1, ppm),
            ("stale_after", self.stale_after.into(), 1, 1 << 48),
            ("funding_interval", self.funding_interval.into(), 1, 1 << 48),
            ("funding_cap", self.funding_cap.into(), 0, rate),
            ("funding_interest", self.funding_interest.into(), -rate, rate),
            ("funding_clamp", self.funding_clamp.into(), 0, rate),
            ("expiry", self.expiry.into(), 0, (1 << 40) - 1),
            ("strike", self.strike.into(), 0, (1 << PRICE_BITS) - 1),
            ("option_type", self.option_type.into(), NO_OPTION.into(), PUT.into()),
            ("position_cap", self.position_cap.into(), 1, (1 << POSITION_BITS) - 1),
            ("open_interest_cap", self.open_interest_cap.into(), 1, whole),
            ("crowded_from", self.crowded_from.into(), 0, whole),
        ];
        for (name, value, low, high) in limits {
            if !(low..=high).contains(&value) {
                return Err(format!("market {}: {name} is {value}, wants {low} to {high}", self.market));
            }
        }
        if ![PERPETUAL, FUTURE, OPTION].contains(&self.kind) {
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

impl Template {
    fn read(cursor: &mut Cursor<'_>) -> Result<Template, String> {
        Ok(Template {
            template: cursor.small(2)? as u16,
            dates: cursor.byte()?,
            strike_step: cursor.number(5)?,
            strike_band_ppm: cursor.small(3)?,
            index_market: cursor.small(3)?,
            terms: MarketTerms::read(cursor)?,
        })
    }

    /// keccak of everything a listing is judged by.
    fn digest(&self) -> Hash {
        let mut packer = Packer::<TEMPLATE>::new();
        packer.u16(self.template).u8(self.dates).u40(self.strike_step).u24(self.strike_band_ppm);
        packer.u24(self.index_market);
        keccak256(&[&[domain::PARAMETERS], &packer.finish(), &self.terms.pack()])
    }

    /// Err names the first term that is out of range.
    fn check(&self) -> Result<(), String> {
        let (number, terms, step) = (self.template, &self.terms, self.strike_step);
        terms.check_numbers().map_err(|why| format!("template {number}: {why}"))?;
        if number == NO_TEMPLATE {
            return Err(format!("template {number}: wants a number from 0 to {}", NO_TEMPLATE - 1));
        }
        let own = (terms.market, terms.expiry, terms.strike, terms.option_type);
        if ![FUTURE, OPTION].contains(&terms.kind) || own != (0, 0, 0, 0) {
            return Err(format!(
                "template {number}: wants terms of a future or an option, without market, expiry, strike and type"
            ));
        }
        if !(1..=ALL_DATES).contains(&self.dates) {
            return Err(format!("template {number}: dates is {}, wants 1 to {ALL_DATES}", self.dates));
        }
        let steps = step > 0 && step.is_multiple_of(terms.tick);
        if (terms.kind == OPTION) != steps || (terms.kind == FUTURE) != (step == 0) {
            return Err(format!(
                "template {number}: strike_step is {step}, wants a multiple of an option's tick, else 0"
            ));
        }
        Ok(())
    }
}
