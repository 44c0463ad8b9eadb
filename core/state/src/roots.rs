//! The tree behind `settlement_root`: fed by written ledger entries, one post-root each, off the hot path.
//!
//! `advance` writes one entry; `advance_batch` takes many and hashes them level by level: a ledger fixes every leaf
//! version, so the roots after each entry are not sequential work. Both leave the same tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::keccak::{Hash, keccak256, keccak256_many, keccak256_rows};
use penstock_protocol::leaves::MARKET_LEAF as MARKET;
use penstock_protocol::terms::{MarketTerms, Template};

use crate::learned::Learned;
use crate::tree::{EMPTY, Forest, Tree, Version};

pub const ACCOUNTS_DEPTH: usize = 12;
pub const MARKETS_DEPTH: usize = 8;
pub const SLOTS_DEPTH: usize = 6;
pub const SESSIONS_DEPTH: usize = 3;
/// Forced requests are not built yet: their queue is empty.
pub const FORCED_HEAD: Hash = [0; 32];

const ACCOUNT_LEAF: u8 = 0x03;
const SLOT_LEAF: u8 = 0x04;
const SESSION_LEAF: u8 = 0x05;
const MARKET_LEAF: u8 = 0x06;
const GLOBALS: u8 = 0x07;
const SETTLEMENT_ROOT: u8 = 0x08;
const GLOBALS_WRITTEN: u8 = 1;
const HEAD_WRITTEN: u8 = 2;

/// Bytes that are not written entries, a state, a genesis, or a trade entry that can be opened; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the bytes are not exactly what is written for the settlement tree")
    }
}

impl std::error::Error for Malformed {}

/// What opens one account leaf under a settlement root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    pub subaccount: u32,
    pub leaf: Vec<u8>,
    /// Three a level, from the leaf up: 36.
    pub siblings: Vec<Hash>,
    pub markets_root: Hash,
    pub globals_hash: Hash,
    pub deposit_head: Hash,
    pub forced_head: Hash,
}

/// Accounts, each with its slots and sessions; markets; globals; L1 heads. Keeps the leaves beside their hashes.
#[derive(Clone, Debug)]
pub struct SettlementTree {
    accounts: Tree,
    markets: Tree,
    slots: Forest,
    sessions: Forest,
    account_leaves: BTreeMap<u32, Vec<u8>>,
    slot_leaves: BTreeMap<u64, [u8; 64]>,
    session_leaves: BTreeMap<u64, [u8; 64]>,
    market_leaves: BTreeMap<u32, [u8; MARKET]>,
    globals: [u8; 64],
    globals_hash: Hash,
    deposit_head: Hash,
    /// Each market's terms, which witnesses show.
    pub(crate) terms: Arc<BTreeMap<u32, MarketTerms>>,
    /// What markets may be listed by: see `with_templates`.
    pub(crate) templates: Arc<Vec<Template>>,
}

impl SettlementTree {
    /// The tree of a whole state, counted from nothing:
    ///
    /// ```text
    /// accounts u32 · account write each · markets u32 · (market u24 · leaf b192 · length u16 · terms · tier each) each
    /// · globals b64 · deposit head b32
    /// ```
    ///
    /// An account with more than 255 filled slots takes several account writes, each with some of them.
    pub fn from_state(state: &[u8]) -> Result<SettlementTree, Malformed> {
        let mut writes = Writes::default();
        let (mut reader, mut terms) = (Reader(state), BTreeMap::new());
        for _ in 0..reader.number(4)? {
            writes.read_account(&mut reader, 0)?;
        }
        for _ in 0..reader.number(4)? {
            writes.read_market(&mut reader, 0)?;
            let length = reader.number(2)?;
            let packed = reader.take(length as usize)?;
            let known = MarketTerms::unpack(packed).map_err(|_| Malformed)?;
            terms.insert(known.market, known);
        }
        let globals = *reader.array()?;
        let deposit_head = *reader.array()?;
        reader.finish()?;
        let mut tree = SettlementTree {
            accounts: Tree::new(ACCOUNTS_DEPTH),
            markets: Tree::new(MARKETS_DEPTH),
            slots: Forest::new(SLOTS_DEPTH),
            sessions: Forest::new(SESSIONS_DEPTH),
            account_leaves: BTreeMap::new(),
            slot_leaves: BTreeMap::new(),
            session_leaves: BTreeMap::new(),
            market_leaves: BTreeMap::new(),
            globals,
            globals_hash: keccak256(&[&[GLOBALS], &globals]),
            deposit_head,
            terms: Arc::new(terms),
            templates: Arc::default(),
        };
        tree.write_accounts(writes.accounts, &writes.slots, &writes.sessions);
        tree.write_markets(&writes.markets);
        Ok(tree)
    }

    /// Write one entry's leaf versions, leaf after leaf, and return the settlement root after it.
    pub fn advance(&mut self, written: &[u8]) -> Result<Hash, Malformed> {
        let mut writes = Writes::default();
        writes.read_entry(written, 0)?;
        self.learn(&writes.learned)?;
        for slot in &writes.slots {
            self.slots.set(slot.index, keccak256(&[&[SLOT_LEAF], slot.leaf]));
            self.slot_leaves.insert(slot.index, *slot.leaf);
        }
        for session in &writes.sessions {
            self.sessions.set(session.index, keccak256(&[&[SESSION_LEAF], session.leaf]));
            self.session_leaves.insert(session.index, *session.leaf);
        }
        for account in &writes.accounts {
            let (slots, sessions) = (self.slots.root(account.subaccount), self.sessions.root(account.subaccount));
            let leaf = [account.head, &slots, &sessions, account.positions].concat();
            self.accounts.set(u64::from(account.subaccount), keccak256(&[&[ACCOUNT_LEAF], &leaf]));
            self.account_leaves.insert(account.subaccount, leaf);
        }
        for market in &writes.markets {
            self.markets.set(market.index, keccak256(&[&[MARKET_LEAF], market.leaf]));
            self.market_leaves.insert(market.index as u32, *market.leaf);
        }
        for (_, globals) in writes.globals {
            self.globals = *globals;
            self.globals_hash = keccak256(&[&[GLOBALS], globals]);
        }
        for (_, head) in writes.deposit_heads {
            self.deposit_head = *head;
        }
        Ok(self.root())
    }

    /// Write many entries' leaf versions and return the settlement root after each. Malformed bytes write nothing.
    pub fn advance_batch(&mut self, written: &[&[u8]]) -> Result<Vec<Hash>, Malformed> {
        let mut writes = Writes::default();
        for (entry, time) in written.iter().zip(0..) {
            writes.read_entry(entry, time)?;
        }
        self.learn(&writes.learned)?;
        let before = [self.accounts.root(), self.markets.root(), self.globals_hash, self.deposit_head];
        let accounts = self.write_accounts(writes.accounts, &writes.slots, &writes.sessions);
        let markets = self.write_markets(&writes.markets);
        let mut rows = Vec::with_capacity(writes.globals.len() * 65);
        for (_, globals) in &writes.globals {
            rows.push(GLOBALS);
            rows.extend_from_slice(*globals);
            self.globals = **globals;
        }
        let globals_hashes = keccak256_rows(&rows, 65);
        let globals = writes.globals.iter().map(|(time, _)| *time).zip(globals_hashes).collect();
        let deposit_heads = writes.deposit_heads.iter().map(|(time, head)| (*time, **head)).collect();
        let timed = |versions: Vec<Version>| versions.iter().map(|version| (version.time, version.hash)).collect();
        let columns = [timed(accounts), timed(markets), globals, deposit_heads];
        let (roots, after) = settlement_roots(written.len(), before, columns);
        [_, _, self.globals_hash, self.deposit_head] = after;
        Ok(roots)
    }

    /// The settlement root now.
    pub fn root(&self) -> Hash {
        keccak256(&[
            &[SETTLEMENT_ROOT],
            &self.accounts.root(),
            &self.markets.root(),
            &self.globals_hash,
            &self.deposit_head,
            &FORCED_HEAD,
        ])
    }

    /// Whether the subaccount has a leaf.
    pub fn holds(&self, subaccount: u32) -> bool {
        self.account_leaves.contains_key(&subaccount)
    }

    /// Open an account leaf; None for a subaccount that was never credited.
    pub fn proof(&self, subaccount: u32) -> Option<AccountProof> {
        Some(AccountProof {
            subaccount,
            leaf: self.account_leaves.get(&subaccount)?.clone(),
            siblings: self.accounts.proof(u64::from(subaccount)),
            markets_root: self.markets.root(),
            globals_hash: self.globals_hash,
            deposit_head: self.deposit_head,
            forced_head: FORCED_HEAD,
        })
    }

    /// The account's leaf: head b64 · slots root · sessions root · a word for each position.
    pub fn account_leaf(&self, subaccount: u32) -> Option<&[u8]> {
        self.account_leaves.get(&subaccount).map(Vec::as_slice)
    }

    /// A filled slot's leaf.
    pub fn slot_leaf(&self, subaccount: u32, slot: u16) -> Option<&[u8; 64]> {
        self.slot_leaves.get(&self.slots.index(subaccount, u64::from(slot)))
    }

    /// A session key's leaf.
    pub fn session_leaf(&self, subaccount: u32, session: u8) -> Option<&[u8; 64]> {
        self.session_leaves.get(&self.sessions.index(subaccount, u64::from(session)))
    }

    /// A market's leaf.
    pub fn market_leaf(&self, market: u32) -> Option<&[u8; MARKET]> {
        self.market_leaves.get(&market)
    }

    /// Deposited and withdrawn in all, and the ruleset.
    pub fn globals(&self) -> &[u8; 64] {
        &self.globals
    }

    pub fn globals_hash(&self) -> Hash {
        self.globals_hash
    }

    pub fn deposit_head(&self) -> Hash {
        self.deposit_head
    }

    /// The tree of account leaves.
    pub fn accounts(&self) -> &Tree {
        &self.accounts
    }

    /// The tree of market leaves.
    pub fn markets(&self) -> &Tree {
        &self.markets
    }

    /// The trees of slot leaves, one a subaccount.
    pub fn slots(&self) -> &Forest {
        &self.slots
    }

    /// The trees of session leaves, one a subaccount.
    pub fn sessions(&self) -> &Forest {
        &self.sessions
    }

    /// Write slots, sessions, then the accounts above them; returns the versions of the accounts' root.
    fn write_accounts(
        &mut self,
        mut writes: Vec<AccountWrite<'_>>,
        slots: &[LeafWrite<'_, 64>],
        sessions: &[LeafWrite<'_, 64>],
    ) -> Vec<Version> {
        let slot_roots = self.slots.advance(hash_leaves(SLOT_LEAF, slots));
        let session_roots = self.sessions.advance(hash_leaves(SESSION_LEAF, sessions));
        self.slot_leaves.extend(slots.iter().map(|slot| (slot.index, *slot.leaf)));
        self.session_leaves.extend(sessions.iter().map(|session| (session.index, *session.leaf)));
        writes.sort_by_key(|write| (write.subaccount, write.time));
        let leaves = self.account_versions(&writes, &slot_roots, &session_roots);
        for leaf in leaves.last_of_each_account() {
            let kept = self.account_leaves.entry(leaf.subaccount).or_default();
            kept.clear();
            kept.extend_from_slice(leaves.bytes_of(leaf));
        }
        self.accounts.advance(leaves.hash())
    }

    /// The leaf versions of accounts from their writes and the versions of their two roots, all by account and time.
    fn account_versions(&self, writes: &[AccountWrite<'_>], slots: &[Version], sessions: &[Version]) -> AccountLeaves {
        let (mut slots, mut sessions) = (slots.iter().peekable(), sessions.iter().peekable());
        let mut leaves = AccountLeaves::default();
        for family in writes.chunk_by(|a, b| a.subaccount == b.subaccount) {
            let subaccount = family[0].subaccount;
            let (mut slots_root, mut sessions_root) = (EMPTY[SLOTS_DEPTH], EMPTY[SESSIONS_DEPTH]);
            if let Some(leaf) = self.account_leaves.get(&subaccount) {
                slots_root.copy_from_slice(&leaf[64..96]);
                sessions_root.copy_from_slice(&leaf[96..128]);
            }
            for moment in family.chunk_by(|a, b| a.time == b.time) {
                let write = &moment[moment.len() - 1];
                let now = |root: &&Version| (root.index, root.time) == (u64::from(subaccount), write.time);
                slots_root = slots.next_if(now).map_or(slots_root, |root| root.hash);
                sessions_root = sessions.next_if(now).map_or(sessions_root, |root| root.hash);
                leaves.push(write, &slots_root, &sessions_root);
            }
        }
        leaves
    }

    fn write_markets(&mut self, writes: &[LeafWrite<'_, MARKET>]) -> Vec<Version> {
        self.market_leaves.extend(writes.iter().map(|market| (market.index as u32, *market.leaf)));
        self.markets.advance(hash_leaves(MARKET_LEAF, writes))
    }
}

/// The settlement root after each of `count` entries, and the four columns after the last, from what the columns were
/// before the first and their versions: accounts root, markets root, globals hash, deposit head.
fn settlement_roots(count: usize, before: [Hash; 4], columns: [Vec<(u32, Hash)>; 4]) -> (Vec<Hash>, [Hash; 4]) {
    const ROW: usize = 161;
    let mut now = before;
    let mut columns = columns.map(|versions| versions.into_iter().peekable());
    let mut rows = Vec::with_capacity(count * ROW);
    for (time, _) in (0u32..).zip(0..count) {
        for (present, versions) in now.iter_mut().zip(&mut columns) {
            while let Some((_, hash)) = versions.next_if(|(at, _)| *at == time) {
                *present = hash;
            }
        }
        rows.push(SETTLEMENT_ROOT);
        rows.extend_from_slice(now.as_flattened());
        rows.extend_from_slice(&FORCED_HEAD);
    }
    (keccak256_rows(&rows, ROW), now)
}

/// Account leaf versions, by account and time, their bytes one after the other behind the domain byte each.
#[derive(Default)]
struct AccountLeaves {
    bytes: Vec<u8>,
    versions: Vec<LeafVersion>,
}

struct LeafVersion {
    subaccount: u32,
    time: u32,
    first: usize,
    end: usize,
}

impl AccountLeaves {
    fn push(&mut self, write: &AccountWrite<'_>, slots_root: &Hash, sessions_root: &Hash) {
        let first = self.bytes.len();
        self.bytes.push(ACCOUNT_LEAF);
        for part in [write.head, slots_root, sessions_root, write.positions] {
            self.bytes.extend_from_slice(part);
        }
        let end = self.bytes.len();
        self.versions.push(LeafVersion { subaccount: write.subaccount, time: write.time, first, end });
    }

    fn last_of_each_account(&self) -> impl Iterator<Item = &LeafVersion> {
        self.versions.chunk_by(|a, b| a.subaccount == b.subaccount).filter_map(|family| family.last())
    }

    fn bytes_of(&self, leaf: &LeafVersion) -> &[u8] {
        &self.bytes[leaf.first + 1..leaf.end]
    }

    fn hash(&self) -> Vec<Version> {
        let inputs: Vec<&[u8]> = self.versions.iter().map(|leaf| &self.bytes[leaf.first..leaf.end]).collect();
        let hashes = keccak256_many(&inputs);
        let version =
            |(leaf, hash): (&LeafVersion, Hash)| Version { index: leaf.subaccount.into(), time: leaf.time, hash };
        self.versions.iter().zip(hashes).map(version).collect()
    }
}

/// keccak(domain ‖ leaf) of each leaf written.
fn hash_leaves<const LENGTH: usize>(domain: u8, writes: &[LeafWrite<'_, LENGTH>]) -> Vec<Version> {
    let mut rows = Vec::with_capacity(writes.len() * (LENGTH + 1));
    for write in writes {
        rows.push(domain);
        rows.extend_from_slice(write.leaf);
    }
    let hashes = keccak256_rows(&rows, LENGTH + 1);
    let version =
        |(write, hash): (&LeafWrite<'_, LENGTH>, Hash)| Version { index: write.index, time: write.time, hash };
    writes.iter().zip(hashes).map(version).collect()
}

struct AccountWrite<'a> {
    subaccount: u32,
    time: u32,
    head: &'a [u8],
    positions: &'a [u8],
}

struct LeafWrite<'a, const LENGTH: usize> {
    index: u64,
    time: u32,
    leaf: &'a [u8; LENGTH],
}

/// The leaf versions of entries, in order of time, still where the entries' bytes are.
#[derive(Default)]
struct Writes<'a> {
    learned: Vec<Learned>,
    accounts: Vec<AccountWrite<'a>>,
    slots: Vec<LeafWrite<'a, 64>>,
    sessions: Vec<LeafWrite<'a, 64>>,
    markets: Vec<LeafWrite<'a, MARKET>>,
    globals: Vec<(u32, &'a [u8; 64])>,
    deposit_heads: Vec<(u32, &'a Hash)>,
}

impl<'a> Writes<'a> {
    /// Take one written entry, as `penstock.protocol.wire` packs it.
    fn read_entry(&mut self, written: &'a [u8], time: u32) -> Result<(), Malformed> {
        let mut reader = Reader(written);
        let packed = reader.number(1)?;
        self.learned.extend(Learned::read(reader.take(packed as usize)?)?);
        for _ in 0..reader.number(1)? {
            self.read_account(&mut reader, time)?;
        }
        for _ in 0..reader.number(1)? {
            self.read_market(&mut reader, time)?;
        }
        let flags = reader.number(1)? as u8;
        if flags & GLOBALS_WRITTEN != 0 {
            self.globals.push((time, reader.array()?));
        }
        if flags & HEAD_WRITTEN != 0 {
            self.deposit_heads.push((time, reader.array()?));
        }
        reader.finish()
    }

    fn read_account(&mut self, reader: &mut Reader<'a>, time: u32) -> Result<(), Malformed> {
        let subaccount = reader.number(3)?;
        let head = reader.take(64)?;
        let positions = reader.number(1)?;
        let positions = reader.take(32 * positions as usize)?;
        self.accounts.push(AccountWrite { subaccount, time, head, positions });
        for _ in 0..reader.number(1)? {
            let index = reader.index(2, subaccount, SLOTS_DEPTH)?;
            self.slots.push(LeafWrite { index, time, leaf: reader.array()? });
        }
        for _ in 0..reader.number(1)? {
            let index = reader.index(1, subaccount, SESSIONS_DEPTH)?;
            self.sessions.push(LeafWrite { index, time, leaf: reader.array()? });
        }
        Ok(())
    }

    fn read_market(&mut self, reader: &mut Reader<'a>, time: u32) -> Result<(), Malformed> {
        let index = reader.index(3, 0, MARKETS_DEPTH)?;
        self.markets.push(LeafWrite { index, time, leaf: reader.array()? });
        Ok(())
    }
}

/// What is left of some bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<&'a [u8; LENGTH], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn wide(&mut self, bytes: usize) -> Result<u64, Malformed> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn number(&mut self, bytes: usize) -> Result<u32, Malformed> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// The index of a leaf that must fit its tree.
    fn index(&mut self, bytes: usize, tree: u32, depth: usize) -> Result<u64, Malformed> {
        let leaf = u64::from(self.number(bytes)?);
        if leaf >> (2 * depth) != 0 {
            return Err(Malformed);
        }
        Ok(u64::from(tree) << (2 * depth) | leaf)
    }

    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
