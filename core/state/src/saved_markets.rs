//! The markets of a saved state: terms told again from genesis, prices, sums, queues.

use std::collections::BTreeMap;

use penstock_protocol::instruments::PUT;
use penstock_protocol::leaves::{MarketLeaf, flag};
use penstock_protocol::quantities::{
    BUILDER_FEES_BITS, CASH_BITS, CROWDING_SCALE, FIRST_ORDER_SLOT, FUNDING_BITS, INSURANCE_FUND, MAX_MARKETS,
    MAX_SUBACCOUNTS, MICRO, NO_TEMPLATE, OPEN_INTEREST_BITS, PRICE_BITS, RATE_SCALE, SETTLEMENT_WINDOW, SIZE_FUNDING_BITS, SLOTS,
    WITHDRAWN_BITS,
};
use penstock_protocol::terms::MarketTerms;
use penstock_protocol::wide::Wide;

use crate::exposures::MarketIndex;
use crate::market::Market;
use crate::state::State;
use crate::words::ShortWords;

const PRICE: i128 = (1 << PRICE_BITS) - 1;
const CASH: i128 = (1 << CASH_BITS) - 1;
const WIDE_CASH: i128 = (1 << WITHDRAWN_BITS) - 1;
const FUNDING: i128 = (1 << FUNDING_BITS) - 1;
const BUILDER_FEES: i128 = (1 << BUILDER_FEES_BITS) - 1;
const SUBACCOUNTS: i128 = MAX_SUBACCOUNTS as i128;
const U64: i128 = u64::MAX as i128;
/// Words of a market that has nothing.
const LEAST: usize = 29;

/// A place in a queue of a book.
pub(crate) struct Place {
    pub market: MarketIndex,
    pub side: u8,
    pub price: u64,
    pub subaccount: u32,
    pub slot: u16,
}

/// All markets, ascending: those of genesis, which `state` holds, and those listed since. Returns their queues' places,
/// each queue in order of arrival.
pub(crate) fn read_markets(words: &mut ShortWords<'_>, state: &mut State) -> Result<Vec<Place>, String> {
    let listed = std::mem::take(&mut state.markets);
    let mut genesis: BTreeMap<u32, MarketTerms> =
        listed.into_iter().map(|market| (market.terms.market, market.terms)).collect();
    state.contracts.clear();
    state.gauges.clear();
    let (mut places, mut first) = (Vec::new(), 0);
    for _ in 0..words.count("number of markets", MAX_MARKETS as usize, LEAST)? {
        let number: u32 = words.key("market", first, MAX_MARKETS.into())?;
        first = i128::from(number) + 1;
        let index = state.markets.len();
        begin(words, state, genesis.remove(&number), number)?;
        read_market(words, &mut state.markets[index], index as MarketIndex, &mut places)?;
        state.gauge_again(index as MarketIndex);
    }
    if genesis.is_empty() { Ok(places) } else { Err(words.wrong("a market of genesis is missing")) }
}

/// The market with its terms, which genesis and four numbers tell.
fn begin(words: &mut ShortWords<'_>, state: &mut State, known: Option<MarketTerms>, number: u32) -> Result<(), String> {
    let template: u16 = words.number("template", 0..=NO_TEMPLATE.into())?;
    let expiry: u64 = words.number("expiry", 0..=(1 << 40) - 1)?;
    let strike: u64 = words.number("strike", 0..=PRICE)?;
    let option_type: u8 = words.number("option type", 0..=PUT.into())?;
    let terms = match (known, state.template(template)) {
        (Some(known), _) if template == NO_TEMPLATE => {
            if (strike, option_type) != (known.strike, known.option_type) {
                return Err(words.wrong(format_args!("market {number} has another strike or option type")));
            }
            if known.expiry != 0 && expiry != known.expiry {
                return Err(words.wrong(format_args!("market {number} has another expiry")));
            }
            MarketTerms { expiry, ..known }
        }
        (None, Some(found)) if expiry != 0 => {
            let terms = found.terms.contract(number, expiry, strike, option_type);
            terms.check().map_err(|why| words.wrong(why))?;
            terms
        }
        _ => return Err(words.wrong(format_args!("market {number} is neither of genesis nor of template {template}"))),
    };
    state.list(terms, template);
    Ok(())
}

fn read_market(
    words: &mut ShortWords<'_>,
    market: &mut Market,
    index: MarketIndex,
    places: &mut Vec<Place>,
) -> Result<(), String> {
    read_prices(words, market)?;
    read_sums(words, &mut market.leaf)?;
    let (number, mut first, mut owed) = (market.terms.market, i128::from(INSURANCE_FUND) + 1, 0);
    for _ in 0..words.count("number of builders", MAX_SUBACCOUNTS, 2)? {
        let builder: u32 = words.key("builder", first, SUBACCOUNTS)?;
        first = i128::from(builder) + 1;
        let fees: i128 = words.number("fees of a builder", 1..=BUILDER_FEES)?;
        owed += fees;
        market.builders.insert(builder, fees);
    }
    if owed != market.leaf.builder_fees {
        return Err(words.wrong(format_args!("the builders of market {number} do not add up to their fees")));
    }
    words.expect("parameters", &market.leaf.parameters)?;
    for side in 0..2 {
        read_queues(words, market.terms.tick, index, side, places)?;
    }
    Ok(())
}

fn read_prices(words: &mut ShortWords<'_>, market: &mut Market) -> Result<(), String> {
    let (leaf, number, expiry) = (&mut market.leaf, market.terms.market, u128::from(market.terms.expiry));
    leaf.index_price = words.number("index price", 0..=PRICE)?;
    leaf.mark_price = words.number("mark price", 0..=PRICE)?;
    leaf.premium = words.number("premium", -RATE_SCALE..=RATE_SCALE)?;
    leaf.priced_at = words.number("time of the price", 0..=U64)?;
    if expiry != 0 && u128::from(leaf.priced_at) >= expiry * u128::from(MICRO) {
        return Err(words.wrong(format_args!("market {number} has a price from after its expiry")));
    }
    leaf.priced_since = words.number("time of the first price", 0..=leaf.priced_at.into())?;
    if (leaf.priced_since == 0) != (leaf.priced_at == 0) {
        return Err(words.wrong(format_args!("market {number} has a price without a first, or the other way round")));
    }
    leaf.rate_time = words.number("rate × time", -CASH..=CASH)?;
    let (end, since) = (expiry * u128::from(MICRO), u128::from(leaf.priced_since));
    let start = since.max(end.saturating_sub(SETTLEMENT_WINDOW.into()));
    // The highest price over all of the time that the settlement window has had one.
    let time = if end == 0 { 0 } else { u128::from(leaf.priced_at).saturating_sub(start) as i128 };
    leaf.window_sum = words.number("index × time", 0..=PRICE * time)?;
    leaf.flags = words.number("flags", 0..=flag::ALL.into())?;
    if leaf.flags & flag::EXPIRED != 0 && end == 0 {
        return Err(words.wrong(format_args!("market {number} has ended without an expiry")));
    }
    market.until = words.number("until", 0..=U64)?;
    market.flagged_at = words.number("time of the flags", 0..=U64)?;
    Ok(())
}

fn read_sums(words: &mut ShortWords<'_>, leaf: &mut MarketLeaf) -> Result<(), String> {
    leaf.crowding = words.number("crowding", 0..=CROWDING_SCALE as i128)?;
    leaf.funding_index = words.number("funding index", -FUNDING..=FUNDING)?;
    leaf.funded_at = words.number("time of funding", 0..=U64)?;
    leaf.fees = words.number("fees", -CASH..=CASH)?;
    leaf.size_funding = Wide::from_be_bytes(words.hash()?);
    if !leaf.size_funding.fits(SIZE_FUNDING_BITS) {
        return Err(words.wrong("Σ size × funding is out of range"));
    }
    leaf.entry_total = words.number("Σ entry", -CASH..=CASH)?;
    leaf.dust = words.number("dust", 0..=CASH)?;
    leaf.shortfall = words.number("shortfall", 0..=WIDE_CASH)?;
    leaf.open_interest = words.number("open interest", 0..=(1 << OPEN_INTEREST_BITS) - 1)?;
    leaf.builder_fees = words.number("builder fees", 0..=BUILDER_FEES)?;
    Ok(())
}

fn read_queues(
    words: &mut ShortWords<'_>,
    tick: u64,
    market: MarketIndex,
    side: u8,
    places: &mut Vec<Place>,
) -> Result<(), String> {
    let mut last: u64 = 0;
    for _ in 0..words.count("number of prices", PRICE as usize, 4)? {
        let price: u64 = words.number("price", i128::from(last) + 1..=PRICE)?;
        if !price.is_multiple_of(tick) {
            return Err(words.wrong(format_args!("price {price} is off the tick")));
        }
        last = price;
        let length = words.number::<usize>("length of a queue", 1..=words.count_limit(2) as i128)?;
        for _ in 0..length {
            let subaccount = words.number("subaccount", 0..=SUBACCOUNTS - 1)?;
            let slot = words.number("slot", i128::from(FIRST_ORDER_SLOT)..=i128::from(SLOTS) - 1)?;
            places.push(Place { market, side, price, subaccount, slot });
        }
    }
    Ok(())
}
