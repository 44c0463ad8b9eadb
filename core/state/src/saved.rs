//! The whole state as bytes and back: the words of `engine_root` made short, and the hash that names them.
//!
//! ```text
//! saved   0x0f · short word each · keccak256 of all before it b32
//! ```
//!
//! One state has one saved form. `load` takes nothing else: whatever it returns saves to the bytes it was given.

use penstock_margin::Position;
use penstock_protocol::keccak::keccak256;
use penstock_protocol::leaves::{SessionLeaf, SlotLeaf, domain};
use penstock_protocol::quantities::{
    BY_OWNER_KEY, CASH_BITS, FIRST_ORDER_SLOT, FUNDING_BITS, FUNDING_SHIFT, INSURANCE_FUND, MAX_BUNDLE, MAX_MARKETS,
    MAX_OPEN_ORDERS, MAX_POSITIONS, MAX_REDUCE_ONLY, MAX_SEQUENCE, MAX_SESSIONS, MAX_SUBACCOUNTS, ORDER_SIZE_BITS,
    POSITION_BITS, PRICE_BITS, SLOTS, WITHDRAWN_BITS,
};
use penstock_protocol::terms::Genesis;
use penstock_protocol::wide::Wide;

use crate::exposures::{Exposures, MarketIndex};
use crate::saved_markets::{Place, read_markets};
use crate::state::{Account, FilledSlot, Order, State};
use crate::words::{Short, ShortWords};

const PRICE: i128 = (1 << PRICE_BITS) - 1;
const SIZE: i128 = (1 << ORDER_SIZE_BITS) - 1;
const CASH: i128 = (1 << CASH_BITS) - 1;
const WIDE_CASH: i128 = (1 << WITHDRAWN_BITS) - 1;
const FUNDING: i128 = (1 << FUNDING_BITS) - 1;
const POSITION: i128 = (1 << POSITION_BITS) - 1;
const LOTS: i128 = MAX_OPEN_ORDERS as i128 * SIZE;
const SEQUENCE: i128 = MAX_SEQUENCE as i128;
const MEMBER: i128 = MAX_BUNDLE as i128 - 1;
const U64: i128 = u64::MAX as i128;
/// So many that no later deposit is one too many for its word.
const DEPOSITS: i128 = (1 << 63) - 1;
const SLOT_LIMIT: i128 = SLOTS as i128;
const FIRST_SLOT: i128 = FIRST_ORDER_SLOT as i128;

impl State {
    /// The saved form of the state.
    pub fn save(&self) -> Vec<u8> {
        let mut words = Short(vec![domain::SAVED_STATE]);
        self.write(&mut words);
        let mut saved = words.0;
        let name = keccak256(&[&saved]);
        saved.extend_from_slice(&name);
        saved
    }

    /// The state of a saved form, under the genesis it was saved under.
    ///
    /// Err says where and why when the bytes are not exactly what `save` makes of such a state.
    pub fn load(genesis: Genesis, saved: &[u8]) -> Result<State, String> {
        let Some((body, name)) = saved.split_last_chunk::<32>() else {
            return Err(format!("saved state: {} bytes do not begin as one", saved.len()));
        };
        if keccak256(&[body]) != *name {
            return Err("saved state: the bytes are not those that were named".into());
        }
        State::read(genesis, body)
    }

    /// As `load`, for the bytes before the name, whatever they hash to.
    pub fn read(genesis: Genesis, body: &[u8]) -> Result<State, String> {
        if body.first() != Some(&domain::SAVED_STATE) {
            return Err(format!("saved state: {} bytes do not begin as one", body.len()));
        }
        let mut words = ShortWords::new(body, 1);
        let mut loading = Loading { state: State::new(genesis), places: Vec::new() };
        loading.read(&mut words)?;
        words.finish()?;
        loading.fill_books(&words)?;
        let state = loading.state;
        check_sums(&words, &state)?;
        let mut again = Short(Vec::with_capacity(body.len()));
        again.0.push(domain::SAVED_STATE);
        state.write(&mut again);
        if again.0 == body { Ok(state) } else { Err(words.wrong("it is not what this state saves to")) }
    }
}

/// A state half read, and the queues its orders are still to join.
struct Loading {
    state: State,
    places: Vec<Place>,
}

impl Loading {
    fn read(&mut self, words: &mut ShortWords<'_>) -> Result<(), String> {
        words.expect("ruleset", &self.state.ruleset)?;
        self.state.deposit_head = words.hash()?;
        self.state.deposits = words.number("deposits", 0..=DEPOSITS)?;
        self.state.deposited = words.number("deposited", 0..=CASH)?;
        self.state.withdrawn = words.number("withdrawn", 0..=WIDE_CASH)?;
        self.state.guardian_nonce = words.number("guardian nonce", 0..=U64)?;
        self.state.governor_nonce = words.number("governor nonce", 0..=U64)?;
        self.places = read_markets(words, &mut self.state)?;
        self.state.accounts.clear();
        for subaccount in 0..words.count("number of accounts", MAX_SUBACCOUNTS, 13)? {
            words.number::<u32>("subaccount", subaccount as i128..=subaccount as i128)?;
            self.read_account(words, subaccount as u32)?;
        }
        Ok(())
    }

    fn read_account(&mut self, words: &mut ShortWords<'_>, subaccount: u32) -> Result<(), String> {
        let mut account = Account::new(words.address("owner")?);
        if (account.owner == [0; 20]) != (subaccount == INSURANCE_FUND) {
            return Err(words.wrong(format_args!("subaccount {subaccount} has not the owner it can have")));
        }
        let least = if subaccount == INSURANCE_FUND { 0 } else { -CASH };
        account.cash = words.number("cash", least..=CASH)?;
        account.withdrawn = words.number("withdrawn", 0..=WIDE_CASH)?;
        account.cancelled_before = words.number("cancelled before", 0..=U64)?;
        account.open_orders = words.number("open orders", 0..=i128::from(MAX_OPEN_ORDERS))?;
        self.read_positions(words, &mut account)?;
        let reserved = self.read_reserved(words)?;
        self.state.accounts.push(account);
        let mut first = 0;
        for _ in 0..words.count("number of guards", usize::from(SLOTS), 2)? {
            let slot: u16 = words.key("slot of a guard", first, SLOT_LIMIT)?;
            self.state.slot_mut(subaccount, slot).guard = words.number("guard nonce", 1..=U64)?;
            first = i128::from(slot) + 1;
        }
        let orders = self.read_orders(words, subaccount)?;
        self.read_sessions(words, subaccount, &orders)?;
        self.read_filled(words, subaccount)?;
        self.check_reserved(words, subaccount, &orders, &reserved)
    }

    fn read_positions(&self, words: &mut ShortWords<'_>, account: &mut Account) -> Result<(), String> {
        let mut first = 0;
        for _ in 0..words.count("number of positions", MAX_POSITIONS, 4)? {
            let index = self.read_listed(words, &mut first)?;
            let size = words.number("position size", -POSITION..=POSITION)?;
            if size == 0 {
                return Err(words.wrong("a position of nothing"));
            }
            let entry = words.number("entry cost", -CASH..=CASH)?;
            let funding = words.number("funding index", -FUNDING..=FUNDING)?;
            account.exposures.hold(index, &Position { entry, funding, size });
        }
        Ok(())
    }

    /// What the account says its open orders reserve.
    fn read_reserved(&self, words: &mut ShortWords<'_>) -> Result<Exposures, String> {
        let (mut reserved, mut first) = (Exposures::default(), 0);
        for _ in 0..words.count("number of reserved lots", MAX_MARKETS as usize, 3)? {
            let index = self.read_listed(words, &mut first)?;
            let lots = [words.number("reserved lots", 0..=LOTS)?, words.number("reserved lots", 0..=LOTS)?];
            reserved.reserve(index, |reserved| reserved.lots = lots);
        }
        first = 0;
        for _ in 0..words.count("number of reduce-only counts", MAX_MARKETS as usize, 2)? {
            let index = self.read_listed(words, &mut first)?;
            let count = words.number("reduce-only orders", 1..=i128::from(MAX_REDUCE_ONLY))?;
            reserved.reserve(index, |reserved| reserved.reduce_only = count);
        }
        Ok(reserved)
    }

    /// A listed market, ascending within its list.
    fn read_listed(&self, words: &mut ShortWords<'_>, first: &mut i128) -> Result<MarketIndex, String> {
        let market: u32 = words.key("market", *first, i128::from(MAX_MARKETS))?;
        *first = i128::from(market) + 1;
        self.state.market_index(market).ok_or_else(|| words.wrong(format_args!("market {market} is not listed")))
    }

    fn read_orders(&mut self, words: &mut ShortWords<'_>, subaccount: u32) -> Result<Vec<Order>, String> {
        let (mut orders, mut first) = (Vec::new(), FIRST_SLOT);
        for _ in 0..words.count("number of orders", usize::from(SLOTS), 15)? {
            let slot: u16 = words.key("slot of an order", first, SLOT_LIMIT)?;
            first = i128::from(slot) + 1;
            let guard = self.state.slot(self.state.account(subaccount), slot).guard;
            let nonce = words.number("nonce", 1..=guard.into())?;
            let first_nonce = words.number("first nonce", 1..=i128::from(nonce))?;
            let market = self.read_listed(words, &mut 0)?;
            let side = words.number("side", 0..=1)?;
            let price = words.number("price", 1..=PRICE)?;
            let size: u64 = words.number("size", 1..=SIZE)?;
            let order = Order {
                subaccount,
                slot,
                nonce,
                first_nonce,
                market,
                side,
                price,
                size,
                filled: words.number("filled", 0..=SIZE - i128::from(size))?,
                priority: words.number("priority", 1..=SEQUENCE)?,
                member: words.number("member", 0..=MEMBER)?,
                accepted: words.number("accepted", 0..=U64)?,
                session: words.number("session", 0..=i128::from(BY_OWNER_KEY))?,
                post_only: words.flag("post-only")?,
                reduce_only: words.flag("reduce-only")?,
                record_hash: words.hash()?,
                ticket: None,
            };
            let handle = self.state.orders.insert(order);
            self.state.slot_mut(subaccount, slot).order = handle;
            orders.push(order);
        }
        Ok(orders)
    }

    fn read_sessions(&mut self, words: &mut ShortWords<'_>, subaccount: u32, orders: &[Order]) -> Result<(), String> {
        let account = &mut self.state.accounts[subaccount as usize];
        for place in 0..words.count("number of sessions", MAX_SESSIONS, 10)? {
            words.number::<u8>("session", place as i128..=place as i128)?;
            let session = SessionLeaf {
                key: words.address("session key")?,
                expiry: words.number("expiry", 0..=(1 << 40) - 1)?,
                slot_first: words.number("first slot", 0..=SLOT_LIMIT - 1)?,
                slot_last: words.number("last slot", 0..=SLOT_LIMIT - 1)?,
                scopes: words.number("scopes", 0..=u32::MAX.into())?,
                underlyings: words.number("underlyings", 0..=U64)?,
                kinds: words.number("kinds", 0..=u8::MAX.into())?,
                from_sequence: words.number("from sequence", 0..=SEQUENCE)?,
                revoked_at: words.number("revoked at", 0..=SEQUENCE)?,
            };
            if account.session_of(&session.key).is_some() {
                return Err(words.wrong("a session key has two places"));
            }
            account.sessions.push(session);
        }
        let known =
            |order: &Order| order.session == BY_OWNER_KEY || usize::from(order.session) < account.sessions.len();
        if orders.iter().all(known) { Ok(()) } else { Err(words.wrong("an order of no session")) }
    }

    fn read_filled(&mut self, words: &mut ShortWords<'_>, subaccount: u32) -> Result<(), String> {
        let mut first = 0;
        for _ in 0..words.count("number of filled slots", usize::from(SLOTS), 8)? {
            let slot: u16 = words.key("filled slot", first, SLOT_LIMIT)?;
            first = i128::from(slot) + 1;
            let leaf = SlotLeaf {
                nonce: words.number("filled nonce", 0..=U64)?,
                filled: words.number("filled", 0..=SIZE)?,
                price: words.number("filled price", 0..=PRICE)?,
                priority_sequence: words.number("filled priority", 0..=SEQUENCE)?,
                member: words.number("filled member", 0..=MEMBER)?,
                flags: words.number("filled flags", 0..=u32::MAX.into())?,
                order_hash: words.hash()?,
            };
            let handle = self.state.filled.insert(FilledSlot(leaf));
            self.state.slot_mut(subaccount, slot).filled = handle;
        }
        Ok(())
    }

    /// What open orders reserve is what they add up to; orders a mass cancel killed were forgotten with it.
    fn check_reserved(
        &mut self,
        words: &ShortWords<'_>,
        subaccount: u32,
        orders: &[Order],
        said: &Exposures,
    ) -> Result<(), String> {
        let account = &mut self.state.accounts[subaccount as usize];
        let mut live = 0;
        for order in orders.iter().filter(|order| order.accepted >= account.cancelled_before) {
            live += 1;
            account.exposures.reserve(order.market, |reserved| match order.reduce_only {
                true => reserved.reduce_only += 1,
                false => reserved.lots[usize::from(order.side)] += order.size,
            });
        }
        if live == account.open_orders && account.exposures.reserved() == said.reserved() {
            return Ok(());
        }
        Err(words.wrong("the orders of an account do not add up to what they reserve"))
    }

    /// Every order joins the queue that names it; each exactly once, and in the order in which they came.
    fn fill_books(&mut self, words: &ShortWords<'_>) -> Result<(), String> {
        let state = &mut self.state;
        let mut last = None;
        for place in &self.places {
            let &Place { market, side, price, subaccount, slot } = place;
            let account = state.accounts.get(subaccount as usize);
            let handle = account.map_or(0, |account| state.slot(account, slot).order);
            let order = &mut state.orders[handle];
            let named = (order.market, order.side, order.price) == (market, side, price);
            if handle == 0 || order.ticket.is_some() || !named {
                return Err(words.wrong(format_args!("no such order: subaccount {subaccount}, slot {slot}")));
            }
            let came = ((market, side, price), (order.priority, order.member));
            if last.is_some_and(|(queue, last)| queue == came.0 && last >= came.1) {
                return Err(words.wrong("a queue is not in order of arrival"));
            }
            last = Some(came);
            order.ticket = Some(state.markets[usize::from(market)].book.add(side, price, handle));
        }
        let queued = self.places.len();
        if queued == state.orders.len() { Ok(()) } else { Err(words.wrong("an order stands in no queue")) }
    }
}

/// What the positions of a market add up to.
#[derive(Clone, Default)]
struct Held {
    size_funding: Wide,
    size: i128,
    entry: i128,
    open_interest: i128,
}

/// Each market's running sums over positions, and what was withdrawn in all.
fn check_sums(words: &ShortWords<'_>, state: &State) -> Result<(), String> {
    let mut sums = vec![Held::default(); state.markets.len()];
    let mut withdrawn = 0;
    for account in &state.accounts {
        withdrawn += account.withdrawn;
        for held in account.exposures.held() {
            let (position, sum) = (held.position(), &mut sums[usize::from(held.market)]);
            sum.size_funding = sum.size_funding + position.size_funding();
            sum.size += i128::from(position.size);
            sum.entry += position.entry;
            sum.open_interest += i128::from(position.size.max(0));
        }
    }
    for (market, held) in state.markets.iter().zip(sums) {
        let (leaf, number) = (&market.leaf, market.terms.market);
        let mut size_funding = held.size_funding;
        if market.expired() {
            let settled = leaf.funding_index - (i128::from(leaf.mark_price) << FUNDING_SHIFT);
            size_funding = size_funding - Wide::product(held.size, settled);
        } else if held.size != 0 {
            let why = format_args!("the positions of market {number} are not as much long as short");
            return Err(words.wrong(why));
        }
        let said = (leaf.size_funding, leaf.entry_total, leaf.open_interest);
        if said != (size_funding, held.entry, held.open_interest) {
            return Err(words.wrong(format_args!("the positions of market {number} do not add up to its sums")));
        }
        if market.builders.keys().any(|&builder| builder as usize >= state.accounts.len()) {
            let why = format_args!("market {number} owes fees to a builder that is not there");
            return Err(words.wrong(why));
        }
    }
    if state.accounts.is_empty() {
        return Err(words.wrong("there is no subaccount 0"));
    }
    if withdrawn == state.withdrawn { Ok(()) } else { Err(words.wrong("the accounts' withdrawals do not add up")) }
}
