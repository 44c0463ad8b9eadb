//! Deciding what guardian and governor may do, and what ends by itself: halts, reduce-only, delisting.

use penstock_protocol::events::{Event, MarketDelisted, MarketFlagged};
use penstock_protocol::leaves::flag::{HALTED, RESTRICTED};
use penstock_protocol::quantities::{Address, MAX_NONCE_AHEAD, MICRO, status};
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::{DelistMarket, ReopenMarket, SetMarketStatus};
use penstock_state::{Market, State};

use crate::moment::{Moment, Scratch};

/// A status of the guardian's may be ended by anybody after this long.
const LONGEST: u64 = 72 * 3_600 * MICRO;
/// The guardian acts on a market once in this long.
const REST: u64 = 30 * 24 * 3_600 * MICRO;
/// A halt that the guardian ends goes on for this long, for cancels only.
const REOPENING: u64 = 5 * 60 * MICRO;
/// A delisting is known at least this long ahead.
const NOTICE: u64 = 7 * 24 * 3_600 * MICRO;

/// The guardian restricts or halts a market, sharpens that, or lets it end.
pub fn decide_status(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &SetMarketStatus,
    signers: &[Address],
) -> Result<(), Reason> {
    if *signers != [state.guardian] {
        return Err(Reason::GuardianOnly);
    }
    check_nonce(moment, command.nonce, state.guardian_nonce)?;
    let market = trading(state, moment, command.market)?;
    let flags = market.leaf.flags;
    let (asked, given) = (flag_of(command.status)?, flags & (RESTRICTED | HALTED));
    let (flags, until, flagged_at) = match asked {
        None if given == 0 => return Err(Reason::StatusUnchanged),
        None if market.halted() => (flags, market.until.min(moment.time.saturating_add(REOPENING)), market.flagged_at),
        None => (flags & !RESTRICTED, 0, market.flagged_at),
        Some(asked) if given >= asked => return Err(Reason::StatusUnchanged),
        Some(_) if given != 0 => (flags | HALTED, market.until, market.flagged_at),
        Some(_) if market.flagged_at != 0 && moment.time < market.flagged_at.saturating_add(REST) => {
            return Err(Reason::StatusTooSoon);
        }
        Some(asked) => (flags | asked, moment.time.saturating_add(LONGEST), moment.time),
    };
    let (sequence, market, nonce) = (moment.sequence, command.market, command.nonce);
    let flagged = MarketFlagged { sequence, market, flags, until, flagged_at, nonce };
    scratch.events.push(Event::MarketFlagged(flagged));
    Ok(())
}

/// The flag a status sets; None opens.
fn flag_of(wanted: u8) -> Result<Option<u16>, Reason> {
    match wanted {
        status::OPEN => Ok(None),
        status::REDUCE_ONLY => Ok(Some(RESTRICTED)),
        status::HALTED => Ok(Some(HALTED)),
        _ => Err(Reason::FieldUnknownValue),
    }
}

/// End what the guardian asked for, once its time is over.
pub fn decide_reopening(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &ReopenMarket,
) -> Result<(), Reason> {
    let market = state.market(state.market_index(command.market).ok_or(Reason::MarketUnknown)?);
    let flags = market.leaf.flags;
    if flags & (RESTRICTED | HALTED) == 0 || moment.time < market.until {
        return Err(Reason::StatusNotOver);
    }
    scratch.events.push(Event::MarketFlagged(MarketFlagged {
        sequence: moment.sequence,
        market: command.market,
        flags: flags & !(RESTRICTED | HALTED),
        until: 0,
        flagged_at: market.flagged_at,
        nonce: 0,
    }));
    Ok(())
}

/// The governor gives a perpetual an expiry, once, with notice.
pub fn decide_delisting(
    state: &State,
    scratch: &mut Scratch,
    moment: &Moment,
    command: &DelistMarket,
    signers: &[Address],
) -> Result<(), Reason> {
    if *signers != [state.governor] {
        return Err(Reason::GovernorOnly);
    }
    check_nonce(moment, command.nonce, state.governor_nonce)?;
    if trading(state, moment, command.market)?.terms.expiry != 0 {
        return Err(Reason::MarketAlreadyDated);
    }
    if command.expiry * MICRO < moment.time.saturating_add(NOTICE) {
        return Err(Reason::NoticeTooShort);
    }
    let &DelistMarket { market, nonce, expiry } = command;
    scratch.events.push(Event::MarketDelisted(MarketDelisted { sequence: moment.sequence, market, expiry, nonce }));
    Ok(())
}

/// Above the role's last, not ahead of venue time and a minute behind it at most.
///
/// So a refused command cannot be kept for later: the role's next one has a higher nonce.
fn check_nonce(moment: &Moment, nonce: u64, last: u64) -> Result<(), Reason> {
    if nonce <= last {
        return Err(Reason::NonceUsed);
    }
    if nonce > moment.time {
        return Err(Reason::NonceTooFarAhead);
    }
    if nonce.saturating_add(MAX_NONCE_AHEAD) < moment.time {
        return Err(Reason::DeadlinePassed);
    }
    Ok(())
}

fn trading<'a>(state: &'a State, moment: &Moment, number: u32) -> Result<&'a Market, Reason> {
    let market = state.market(state.market_index(number).ok_or(Reason::MarketUnknown)?);
    if market.over(moment.time) { Err(Reason::MarketExpired) } else { Ok(market) }
}
