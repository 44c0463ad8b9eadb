//! What a witness shows of the leaves before a trade leads to the settlement root, and fails where Python's does.

#[allow(dead_code)]
mod written;

use std::collections::BTreeMap;

use penstock_protocol::entries::{DELIST, DelistEntry, LIST, ListEntry, TradeEntry};
use penstock_protocol::keccak::{Hash, keccak256};
use penstock_protocol::quantities::{BY_OWNER_KEY, NO_SLOT};
use penstock_state::roots::{Malformed, SettlementTree};
use penstock_state::tree::{EMPTY, node_hash};
use written::{Noise, account_write, empty_state};

const TRADE: TradeEntry = TradeEntry {
    kind: 3,
    sequence: u64::MAX,
    member: 255,
    index: 65535,
    market: 3,
    price: 1 << 39,
    size: 1 << 47,
    maker: 4,
    maker_slot: 5,
    maker_session: 6,
    maker_sequence: u64::MAX,
    maker_member: 255,
    maker_priority: u64::MAX,
    maker_priority_member: 255,
    maker_fee: -1,
    maker_scenario: 255,
    taker: 7,
    taker_slot: 8,
    taker_session: 2,
    taker_fee: -1,
    taker_scenario: 255,
    taker_equity: -1,
    taker_initial: u128::MAX,
    taker_held: -1,
    builder: 9,
    builder_fee: -1,
    flags: 255,
    maker_hash: [255; 32],
    taker_hash: [255; 32],
};

/// The packed terms of a market with as many tiers.
fn terms(market: u8, tiers: u8) -> Vec<u8> {
    [&[0, 0, market][..], &[0xAA; 107], &[tiers], &vec![0xBB; 18 * usize::from(tiers)]].concat()
}

/// A state without accounts but with these markets, each its terms and what its leaf is full of.
fn state_of(markets: &[(Vec<u8>, u8)]) -> Vec<u8> {
    let mut state = [[0; 4], (markets.len() as u32).to_be_bytes()].concat();
    for (terms, leaf) in markets {
        state.extend([&terms[..3], &[*leaf; 192], &(terms.len() as u16).to_be_bytes(), terms].concat());
    }
    [&state[..], &[0; 96]].concat()
}

/// A genesis of these markets and templates, each template its number and its terms.
fn genesis(markets: &[Vec<u8>], templates: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut genesis = [&[2, 3][..], &[0xCC; 100], &(markets.len() as u32).to_be_bytes(), &markets.concat()].concat();
    genesis.extend((templates.len() as u16).to_be_bytes());
    for (number, terms) in templates {
        genesis.extend([&[0, *number][..], &[0xDD; 12], terms].concat());
    }
    genesis
}

/// An entry that writes nothing but one market's leaf.
fn entry_with(packed: &[u8], market: u8) -> Vec<u8> {
    [&[packed.len() as u8][..], packed, &[0, 1, 0, 0, market], &[6; 192], &[0]].concat()
}

/// A write of one account and nothing else.
fn entry_of(write: &[u8]) -> Vec<u8> {
    [&[0, 1], write, &[0, 0]].concat()
}

/// An account write with these positions' markets, and the slots and sessions of these numbers.
fn account(subaccount: u8, markets: &[u32], slots: &[u16], sessions: &[u8]) -> Vec<u8> {
    let mut write = [&[0, 0, subaccount][..], &[1; 64], &[markets.len() as u8]].concat();
    markets.iter().for_each(|market| write.extend([&market.to_be_bytes()[1..], &[2; 29]].concat()));
    write.push(slots.len() as u8);
    slots.iter().for_each(|slot| write.extend([&slot.to_be_bytes()[..], &[3; 64]].concat()));
    write.push(sessions.len() as u8);
    sessions.iter().for_each(|session| write.extend([&[*session][..], &[4; 64]].concat()));
    write
}

/// Reads a witness as the referee does, without its judgement.
struct Referee<'a>(&'a [u8]);

impl<'a> Referee<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        self.0.split_off(..count).expect("more of the witness")
    }

    fn number(&mut self, bytes: usize) -> u32 {
        self.take(bytes).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    fn leaf(&mut self, domain: u8, length: usize) -> Hash {
        if self.number(1) == 1 { keccak256(&[&[domain], self.take(length)]) } else { EMPTY[0] }
    }

    fn climb(&mut self, depth: usize, leaves: &[(u32, Hash)]) -> Hash {
        let mut known: BTreeMap<u32, Hash> = leaves.iter().copied().collect();
        for empty in &EMPTY[..depth] {
            let mut above = BTreeMap::new();
            let parents: Vec<u32> = known.keys().map(|index| index >> 2).collect();
            for parent in parents.chunk_by(|a, b| a == b).map(|same| same[0]) {
                let mask = self.number(1);
                let mut children = [*empty; 4];
                for (child, at) in children.iter_mut().zip(0..) {
                    let before = known.get(&(parent << 2 | at));
                    assert!(before.is_none() || mask >> at & 1 == 0, "a child is known and given");
                    *child = before.copied().unwrap_or(*child);
                    if mask >> at & 1 == 1 {
                        child.copy_from_slice(self.take(32));
                    }
                }
                above.insert(parent, node_hash(&children));
            }
            known = above;
        }
        known[&0]
    }

    /// The settlement root that the witness of a trade leads to.
    fn root(mut self, trade: &TradeEntry, terms: &BTreeMap<u32, Vec<u8>>) -> Hash {
        let mut leaves = [0, 1].map(|_| {
            let length = self.number(2);
            self.take(length as usize)
        });
        let (maker, taker) = ((trade.maker_slot, trade.maker_session, 0), (trade.taker_slot, trade.taker_session, 1));
        for (slot, session, side) in [maker, taker].into_iter().filter(|(_, _, side)| !leaves[*side].is_empty()) {
            if slot != NO_SLOT {
                let hash = self.leaf(4, 64);
                assert_eq!(self.climb(6, &[(slot.into(), hash)]), leaves[side][64..96]);
            }
            if session != BY_OWNER_KEY {
                let hash = self.leaf(5, 64);
                assert_eq!(self.climb(3, &[(session.into(), hash)]), leaves[side][96..128]);
            }
        }
        let mut markets = Vec::new();
        for _ in 0..self.number(1) {
            let market = self.number(3);
            markets.push((market, self.leaf(6, 192)));
            let terms = terms.get(&market).map_or(&[][..], Vec::as_slice);
            assert_eq!(self.take(terms.len()), terms);
        }
        assert!(markets.is_sorted() && markets.iter().any(|(market, _)| *market == trade.market));
        let rest = self.take(96);
        let markets = self.climb(8, &markets);
        let hashes = leaves.each_mut().map(|leaf| if leaf.is_empty() { EMPTY[0] } else { keccak256(&[&[3], leaf]) });
        let accounts = self.climb(12, &[(trade.maker, hashes[0]), (trade.taker, hashes[1])]);
        assert!(self.0.is_empty(), "the witness goes on");
        keccak256(&[&[8], &accounts, &markets, rest])
    }
}

#[test]
fn nothing_is_shown_of_an_empty_tree() {
    let tree = SettlementTree::from_state(&empty_state()).unwrap();
    let opened = tree.open_trade(&TRADE.pack()).unwrap();
    let shown = [&[0; 4][..], &[1, 0, 0, 3, 0], &tree.globals_hash(), &[0; 64], &[0; 8], &[0; 12]].concat();
    assert_eq!(opened, shown);
    let apart = TradeEntry { maker: 0, taker: 0xFF_FFFF, maker_slot: 9999, taker_session: 99, ..TRADE };
    let opened = tree.open_trade(&apart.pack()).unwrap();
    assert_eq!(opened, [&shown[..], &[0; 11]].concat(), "two paths that meet under the root");
}

#[test]
fn everything_named_and_held_is_shown() {
    let state = state_of(&[(terms(1, 1), 5), (terms(9, 2), 7), (terms(200, 0), 8)]);
    let mut tree = SettlementTree::from_state(&state).unwrap();
    tree.advance(&entry_of(&account(4, &[1, 9], &[5, 6], &[]))).unwrap();
    let opened = tree.open_trade(&TRADE.pack()).unwrap();
    let leaf = tree.account_leaf(4).unwrap();
    let sibling = keccak256(&[&[4], &[3; 64]]);
    let sides = [&[0, 192], leaf, &[0, 0, 1], &[3; 64], &[0b100], &sibling, &[0; 5], &[0], &[0; 3]].concat();
    let absent = [&[3, 0, 0, 1, 1][..], &[5; 192], &terms(1, 1), &[0, 0, 3, 0]].concat();
    let listed = [&absent, &[0, 0, 9, 1][..], &[7; 192], &terms(9, 2)].concat();
    // Markets 1 and 3 have one parent, 9 another, and these one, beside that of 200; accounts 4 and 7 have one.
    let beside = tree.markets().node(3, 3);
    let markets = [&[0; 4][..], &[0b1000], &beside, &[0; 4]].concat();
    let rest = [&tree.globals_hash()[..], &[0; 64], &markets, &[0; 12]].concat();
    assert_eq!(opened, [sides, listed, rest].concat());
    assert_eq!(Referee(&opened).root(&TRADE, &BTreeMap::from([(1, terms(1, 1)), (9, terms(9, 2))])), tree.root());
}

#[test]
fn witnesses_lead_to_the_settlement_root() {
    let mut noise = Noise(21);
    let state = state_of(&[(terms(0, 1), 1), (terms(5, 2), 2), (terms(2, 0), 3)]);
    let mut tree = SettlementTree::from_state(&state).unwrap();
    let terms = BTreeMap::from([(0, terms(0, 1)), (5, terms(5, 2)), (2, terms(2, 0))]);
    for _ in 0..400 {
        // No positions: theirs would be noise, and their markets outside the tree.
        let subaccount = 2 * noise.below(20) as u32;
        tree.advance(&entry_of(&account_write(&mut noise, subaccount, 1))).unwrap();
        let mut below = |limit: u64| noise.below(limit) as u16;
        let slots = [below(24), NO_SLOT];
        let sessions = [below(10) as u8, BY_OWNER_KEY];
        let trade = TradeEntry {
            market: below(8).into(),
            maker: below(42).into(),
            maker_slot: slots[usize::from(below(4) / 3)],
            maker_session: sessions[usize::from(below(2))],
            taker: below(42).into(),
            taker_slot: slots[usize::from(below(4) / 3)],
            taker_session: sessions[usize::from(below(2))],
            ..TRADE
        };
        let opened = tree.open_trade(&trade.pack()).unwrap();
        assert_eq!(Referee(&opened).root(&trade, &terms), tree.root());
    }
}

#[test]
fn what_no_tree_has_is_an_error_only_where_it_is_opened() {
    let mut tree = SettlementTree::from_state(&empty_state()).unwrap();
    let open = |tree: &SettlementTree, trade: TradeEntry| tree.open_trade(&trade.pack());
    let far = [
        TradeEntry { maker_slot: 4096, ..TRADE },
        TradeEntry { maker_slot: NO_SLOT - 1, ..TRADE },
        TradeEntry { maker_session: 64, ..TRADE },
        TradeEntry { taker_slot: 4096, ..TRADE },
        TradeEntry { taker_session: BY_OWNER_KEY - 1, ..TRADE },
    ];
    far.into_iter().for_each(|trade| assert!(open(&tree, trade).is_ok(), "no account, no slot"));
    // Slot 4096 of one account must not be slot 0 of the next.
    for subaccount in [4, 5, 7, 8] {
        tree.advance(&entry_of(&account(subaccount, &[], &[0], &[0]))).unwrap();
    }
    far.into_iter().for_each(|trade| assert_eq!(open(&tree, trade), Err(Malformed), "{trade:?}"));
    let widest = TradeEntry { market: 65535, maker_slot: 4095, maker_session: 63, taker_slot: NO_SLOT, ..TRADE };
    assert!(open(&tree, widest).is_ok());
    assert_eq!(open(&tree, TradeEntry { market: 65536, ..TRADE }), Err(Malformed));
    tree.advance(&entry_of(&account(4, &[65536], &[], &[]))).unwrap();
    assert_eq!(open(&tree, TRADE), Err(Malformed), "a market that is held");
    let many: Vec<u32> = (0..255).collect();
    tree.advance(&entry_of(&account(4, &many, &[], &[]))).unwrap();
    assert!(open(&tree, TRADE).is_ok());
    assert_eq!(open(&tree, TradeEntry { market: 255, ..TRADE }), Err(Malformed), "more markets than a byte counts");
}

#[test]
fn other_bytes_are_no_trade_entry() {
    let tree = SettlementTree::from_state(&empty_state()).unwrap();
    let packed = TRADE.pack();
    for wrong in [&[][..], &[3], &packed[1..], &packed[..packed.len() - 1], &[&packed[..], &[0]].concat()] {
        assert_eq!(tree.open_trade(wrong), Err(Malformed));
    }
    assert_eq!(tree.open_trade(&TradeEntry { kind: 4, ..TRADE }.pack()), Err(Malformed));
}

#[test]
fn templates_come_from_exactly_one_genesis() {
    let tree = SettlementTree::from_state(&empty_state()).unwrap();
    let whole = genesis(&[terms(1, 2), terms(2, 3)], &[(7, terms(0, 1)), (9, terms(0, 8))]);
    for end in 0..whole.len() {
        assert_eq!(tree.clone().with_templates(&whole[..end]).err(), Some(Malformed), "{end} bytes");
    }
    assert!(tree.clone().with_templates(&[&whole[..], &[0]].concat()).is_err());
    assert!(tree.with_templates(&whole).is_ok());
}

#[test]
fn a_tree_learns_what_is_listed_and_what_gets_an_end() {
    let (sequence, member, index) = (1, 0, 0);
    let list = ListEntry {
        kind: LIST,
        sequence,
        member,
        index,
        market: 3,
        template: 7,
        expiry: 1 << 39,
        strike: 5,
        option_type: 2,
    };
    let delist = DelistEntry { kind: DELIST, sequence, member, index, market: 3, expiry: 77 };
    let known = SettlementTree::from_state(&empty_state()).unwrap();
    let mut tree = known.clone().with_templates(&genesis(&[], &[(7, terms(0, 2))])).unwrap();
    let listed = entry_with(&list.pack(), 3);
    let delisted = entry_with(&delist.pack(), 3);
    assert_eq!(tree.clone().advance(&delisted), Err(Malformed), "a market that is not there");
    assert_eq!(known.clone().advance(&listed), Err(Malformed), "a template that is not there");
    let mut batched = tree.clone();
    let roots = [tree.advance(&listed).unwrap(), tree.advance(&delisted).unwrap()];
    assert_eq!(batched.advance_batch(&[&listed, &delisted]).unwrap(), roots);
    let mut expected = terms(3, 2);
    expected[74..79].copy_from_slice(&77u64.to_be_bytes()[3..]);
    expected[79..84].copy_from_slice(&5u64.to_be_bytes()[3..]);
    expected[84] = 2;
    for tree in [&tree, &batched, &tree.clone()] {
        let opened = tree.open_trade(&TRADE.pack()).unwrap();
        assert_eq!(Referee(&opened).root(&TRADE, &BTreeMap::from([(3, expected.clone())])), tree.root());
    }
    let short = [&[20][..], &list.pack()[..20], &[0, 0, 0]].concat();
    assert_eq!(batched.advance_batch(&[&listed, &short]), Err(Malformed));
    assert_eq!(batched.root(), roots[1]);
}
