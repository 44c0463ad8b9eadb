//! What entries tell the settlement tree of terms: of a market that is listed, or that gets an end.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::entries::{DELIST, LIST};
use penstock_protocol::terms::MarketTerms;

use crate::roots::{Malformed, Reader, SettlementTree};

/// What an entry tells of a market's terms.
pub(crate) enum Learned {
    Listed { market: u32, template: u32, expiry: u64, strike: u64, option_type: u8 },
    Delisted { market: u32, expiry: u64 },
}

impl Learned {
    /// None of an entry of another kind. Skips the header.
    pub(crate) fn read(packed: &[u8]) -> Result<Option<Learned>, Malformed> {
        let mut reader = Reader(packed);
        let kind = packed.first().copied().unwrap_or_default();
        if kind != LIST && kind != DELIST {
            return Ok(None);
        }
        reader.take(12)?;
        let market = reader.number(3)?;
        let learned = if kind == LIST {
            let (template, expiry, strike) = (reader.number(2)?, reader.wide(5)?, reader.wide(5)?);
            Learned::Listed { market, template, expiry, strike, option_type: reader.number(1)? as u8 }
        } else {
            Learned::Delisted { market, expiry: reader.wide(5)? }
        };
        reader.finish()?;
        Ok(Some(learned))
    }
}

impl SettlementTree {
    /// Take in the terms of markets that are listed, or that get an end. Err, and nothing learned, for a template or a
    /// market that there is not.
    pub(crate) fn learn(&mut self, learned: &[Learned]) -> Result<(), Malformed> {
        let mut news: BTreeMap<u32, MarketTerms> = BTreeMap::new();
        for told in learned {
            let terms = match *told {
                Learned::Listed { market, template, expiry, strike, option_type } => {
                    let found = self.templates.iter().find(|known| u32::from(known.template) == template);
                    found.ok_or(Malformed)?.terms.contract(market, expiry, strike, option_type)
                }
                Learned::Delisted { market, expiry } => {
                    let known = news.get(&market).or_else(|| self.terms.get(&market)).ok_or(Malformed)?;
                    MarketTerms { expiry, ..known.clone() }
                }
            };
            news.insert(terms.market, terms);
        }
        if !news.is_empty() {
            Arc::make_mut(&mut self.terms).extend(news);
        }
        Ok(())
    }
}
