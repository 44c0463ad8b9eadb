//! What a witness needs of the leaves before a trade entry: the leaves it names, and openings of their trees.
//!
//! An opening is, level by level from the leaves, for each parent of what is known in ascending order: a mask byte
//! (bit c: child c is given) and the given children, 32 bytes each. A child neither known nor given is the empty
//! subtree. The chain reads both back as `penstock.spec.referee` does.

use std::collections::BTreeSet;
use std::sync::Arc;

use penstock_protocol::entries::TradeEntry;
use penstock_protocol::quantities::{BY_OWNER_KEY, NO_SLOT};
use penstock_protocol::terms::{Genesis, MarketTerms};

use crate::roots::{FORCED_HEAD, Malformed, Reader, SettlementTree};
use crate::tree::Forest;

const TRADE: u8 = 3;
/// An account leaf's bytes before its positions, and each position's, which begins with its market, u24.
const POSITIONS_AT: usize = 128;
const POSITION: usize = 32;

impl SettlementTree {
    /// The same tree, knowing by which templates markets may be listed, out of the genesis as `Genesis.encode` packs it.
    pub fn with_templates(mut self, genesis: &[u8]) -> Result<SettlementTree, Malformed> {
        self.templates = Arc::new(Genesis::read(genesis).map_err(|_| Malformed)?.templates);
        Ok(self)
    }

    /// What a witness needs of the leaves before this trade entry, absent ones included.
    ///
    /// Err for bytes that are no trade entry, or fields that no tree has; such an entry is judged without opening a
    /// leaf.
    pub fn open_trade(&self, packed: &[u8]) -> Result<Vec<u8>, Malformed> {
        let trade = Trade::read(packed)?;
        let mut opened = Vec::new();
        let mut markets = BTreeSet::from([trade.market]);
        for side in &trade.sides {
            let leaf = self.account_leaf(side.subaccount).unwrap_or_default();
            opened.extend_from_slice(&(leaf.len() as u16).to_be_bytes());
            opened.extend_from_slice(leaf);
            for position in leaf.get(POSITIONS_AT..).unwrap_or_default().chunks(POSITION) {
                markets.insert(Reader(position).number(3)?);
            }
        }
        for side in trade.sides.iter().filter(|side| self.holds(side.subaccount)) {
            self.open_side(side, &mut opened)?;
        }
        self.show_markets(&markets, &mut opened)?;
        for hash in [self.globals_hash(), self.deposit_head(), FORCED_HEAD] {
            opened.extend_from_slice(&hash);
        }
        open_leaves(self.markets().forest(), 0, markets.into_iter().map(u64::from).collect(), &mut opened)?;
        let accounts = trade.sides.iter().map(|side| u64::from(side.subaccount)).collect();
        open_leaves(self.accounts().forest(), 0, accounts, &mut opened)?;
        Ok(opened)
    }

    /// The side's slot unless it has none, its session unless the owner signed: present u8 · leaf · opening each.
    fn open_side(&self, side: &Side, opened: &mut Vec<u8>) -> Result<(), Malformed> {
        let &Side { subaccount, slot, session } = side;
        if slot != NO_SLOT {
            show(self.slot_leaf(subaccount, slot), opened);
            open_leaves(self.slots(), subaccount, BTreeSet::from([u64::from(slot)]), opened)?;
        }
        if session != BY_OWNER_KEY {
            show(self.session_leaf(subaccount, session), opened);
            open_leaves(self.sessions(), subaccount, BTreeSet::from([u64::from(session)]), opened)?;
        }
        Ok(())
    }

    /// count u8 · per market, ascending: number u24 · present u8 · leaf · terms and tiers.
    fn show_markets(&self, markets: &BTreeSet<u32>, opened: &mut Vec<u8>) -> Result<(), Malformed> {
        opened.push(u8::try_from(markets.len()).map_err(|_| Malformed)?);
        for market in markets {
            opened.extend_from_slice(&market.to_be_bytes()[1..]);
            show(self.market_leaf(*market), opened);
            opened.extend(self.terms.get(market).map(MarketTerms::pack).unwrap_or_default());
        }
        Ok(())
    }
}

/// present u8 · leaf.
fn show<const LENGTH: usize>(leaf: Option<&[u8; LENGTH]>, opened: &mut Vec<u8>) {
    opened.push(leaf.is_some().into());
    opened.extend_from_slice(leaf.map_or(&[], |leaf| leaf));
}

/// Append the opening of these leaves of one of the forest's trees, set or absent.
fn open_leaves(forest: &Forest, tree: u32, leaves: BTreeSet<u64>, opened: &mut Vec<u8>) -> Result<(), Malformed> {
    if leaves.last().is_some_and(|leaf| leaf >> (2 * forest.depth()) != 0) {
        return Err(Malformed);
    }
    let mut known: BTreeSet<u64> = leaves.into_iter().map(|leaf| forest.index(tree, leaf)).collect();
    for level in 0..forest.depth() {
        let parents: BTreeSet<u64> = known.iter().map(|index| index >> 2).collect();
        for parent in &parents {
            let mask_at = opened.len();
            opened.push(0);
            let children = (parent << 2)..(parent << 2) + 4;
            for child in children.filter(|child| !known.contains(child) && !forest.is_empty(level, *child)) {
                opened[mask_at] |= 1 << (child & 3);
                opened.extend_from_slice(&forest.node(level, child));
            }
        }
        known = parents;
    }
    Ok(())
}

/// What a trade entry names of the tree; the maker's side first.
struct Trade {
    market: u32,
    sides: [Side; 2],
}

struct Side {
    subaccount: u32,
    slot: u16,
    session: u8,
}

impl Trade {
    /// Skips the header; price and size; what else it says of the maker; all after the taker's session.
    fn read(packed: &[u8]) -> Result<Trade, Malformed> {
        if packed.len() != TradeEntry::LENGTH || packed[0] != TRADE {
            return Err(Malformed);
        }
        let mut reader = Reader(packed);
        reader.take(12)?;
        let market = reader.number(3)?;
        reader.take(11)?;
        let maker = Side::read(&mut reader)?;
        reader.take(31)?;
        Ok(Trade { market, sides: [maker, Side::read(&mut reader)?] })
    }
}

impl Side {
    fn read(reader: &mut Reader<'_>) -> Result<Side, Malformed> {
        Ok(Side { subaccount: reader.number(3)?, slot: reader.number(2)? as u16, session: reader.number(1)? as u8 })
    }
}
