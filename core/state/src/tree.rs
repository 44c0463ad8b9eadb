//! The sparse 4-ary keccak tree: node = keccak(0x02 ‖ c0 ‖ c1 ‖ c2 ‖ c3), absent leaf = 32 zero bytes.
//!
//! Empty subtrees are hashed like any other. A `Forest` is many trees of one depth in one index space: leaf `i` of
//! tree `t` has index `t · 4^depth + i`. What is kept of a tree are its groups of four siblings.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use penstock_protocol::keccak::{Hash, keccak256, keccak256_rows};

/// The hash of a leaf that was never set.
pub const ABSENT: Hash = [0; 32];
/// No tree is deeper.
pub const MAX_DEPTH: usize = 16;
const NODE: u8 = 0x02;
const ROW: usize = 129;
/// Rows gathered before they are hashed: a few tens of kilobytes, which stay in the nearest cache.
const GATHERED: usize = 256;

/// `EMPTY[d]` is the root of a tree of depth d without leaves.
pub static EMPTY: LazyLock<[Hash; MAX_DEPTH + 1]> = LazyLock::new(|| {
    let mut roots = [ABSENT; MAX_DEPTH + 1];
    for depth in 0..MAX_DEPTH {
        roots[depth + 1] = node_hash(&[roots[depth]; 4]);
    }
    roots
});

/// A leaf or node as it is from `time` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub index: u64,
    pub time: u32,
    pub hash: Hash,
}

/// Trees of one depth, each with 4^depth leaves, that keep every node up to date.
#[derive(Clone, Debug)]
pub struct Forest {
    depth: usize,
    /// Leaves first.
    levels: Vec<Level>,
    roots: BTreeMap<u64, Hash>,
}

/// Groups of four siblings, and where each is, by the index of its parent.
#[derive(Clone, Debug, Default)]
struct Level {
    places: BTreeMap<u64, usize>,
    families: Vec<[Hash; 4]>,
}

impl Level {
    fn get(&self, parent: u64) -> Option<&[Hash; 4]> {
        self.places.get(&parent).map(|place| &self.families[*place])
    }

    /// The siblings under a parent, `empty` where there were none.
    fn get_mut(&mut self, parent: u64, empty: &Hash) -> &mut [Hash; 4] {
        let place = *self.places.entry(parent).or_insert_with(|| {
            self.families.push([*empty; 4]);
            self.families.len() - 1
        });
        &mut self.families[place]
    }
}

impl Forest {
    /// Trees without leaves. The depth must be in 1..=16.
    pub fn new(depth: usize) -> Forest {
        assert!((1..=MAX_DEPTH).contains(&depth), "depth {depth} is outside 1..={MAX_DEPTH}");
        Forest { depth, levels: vec![Level::default(); depth], roots: BTreeMap::new() }
    }

    /// Levels from the leaves to the root.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The index of a tree's leaf among the leaves of all trees.
    pub fn index(&self, tree: u32, leaf: u64) -> u64 {
        u64::from(tree) << (2 * self.depth) | leaf
    }

    /// Write one leaf's hash and every node above it; ABSENT removes the leaf.
    pub fn set(&mut self, index: u64, leaf_hash: Hash) {
        let (mut index, mut hash) = (index, leaf_hash);
        for level in 0..self.depth {
            let siblings = self.levels[level].get_mut(index >> 2, &EMPTY[level]);
            siblings[(index & 3) as usize] = hash;
            hash = node_hash(siblings);
            index >>= 2;
        }
        self.roots.insert(index, hash);
    }

    /// Write leaf versions, in order of time, and return the version of a tree's root at every time it changed, by
    /// tree and time. Of a leaf's versions of one time the last counts. Nodes are hashed a whole level at a time.
    pub fn advance(&mut self, versions: Vec<Version>) -> Vec<Version> {
        let roots = (0..self.depth).fold(versions, |versions, level| self.rise(level, versions));
        for root in &roots {
            self.roots.insert(root.index, root.hash);
        }
        roots
    }

    /// The root of a tree.
    pub fn root(&self, tree: u32) -> Hash {
        self.roots.get(&u64::from(tree)).copied().unwrap_or(EMPTY[self.depth])
    }

    /// The node at a level (0: leaves) by its index among that level's nodes of all trees.
    pub fn node(&self, level: usize, index: u64) -> Hash {
        if level == self.depth {
            return self.roots.get(&index).copied().unwrap_or(EMPTY[level]);
        }
        self.levels[level].get(index >> 2).map_or(EMPTY[level], |siblings| siblings[(index & 3) as usize])
    }

    /// Whether nothing is under the node at a level.
    pub fn is_empty(&self, level: usize, index: u64) -> bool {
        self.node(level, index) == EMPTY[level]
    }

    /// The 3 · depth siblings of a leaf, set or absent, from the leaf up.
    pub fn proof(&self, index: u64) -> Vec<Hash> {
        let mut siblings = Vec::with_capacity(3 * self.depth);
        for level in 0..self.depth {
            let at = index >> (2 * level);
            let first = at & !3;
            siblings.extend((first..first + 4).filter(|child| *child != at).map(|child| self.node(level, child)));
        }
        siblings
    }

    /// Write the versions of one level's nodes and return those of their parents, by parent and time.
    fn rise(&mut self, level: usize, mut versions: Vec<Version>) -> Vec<Version> {
        versions.sort_by_key(|version| (version.index >> 2, version.time));
        let mut parents = Vec::with_capacity(versions.len());
        let mut rows = Vec::with_capacity(ROW * GATHERED);
        for family in versions.chunk_by(|a, b| a.index >> 2 == b.index >> 2) {
            let parent = family[0].index >> 2;
            let siblings = self.levels[level].get_mut(parent, &EMPTY[level]);
            for moment in family.chunk_by(|a, b| a.time == b.time) {
                for version in moment {
                    siblings[(version.index & 3) as usize] = version.hash;
                }
                rows.push(NODE);
                rows.extend_from_slice(siblings.as_flattened());
                parents.push(Version { index: parent, time: moment[0].time, hash: ABSENT });
                if rows.len() == ROW * GATHERED {
                    hash_last(&mut parents, &mut rows);
                }
            }
        }
        hash_last(&mut parents, &mut rows);
        parents
    }
}

/// Hash the gathered rows into the last parents.
fn hash_last(parents: &mut [Version], rows: &mut Vec<u8>) {
    let hashes = keccak256_rows(rows, ROW);
    let first = parents.len() - hashes.len();
    for (parent, hash) in parents[first..].iter_mut().zip(hashes) {
        parent.hash = hash;
    }
    rows.clear();
}

/// One tree of 4^depth leaves.
#[derive(Clone, Debug)]
pub struct Tree(Forest);

impl Tree {
    /// A tree without leaves. The depth must be in 1..=16.
    pub fn new(depth: usize) -> Tree {
        Tree(Forest::new(depth))
    }

    /// The forest that has this tree as its first and only one.
    pub fn forest(&self) -> &Forest {
        &self.0
    }

    /// Levels from the leaves to the root.
    pub fn depth(&self) -> usize {
        self.0.depth()
    }

    /// Whether the tree has a leaf of that index.
    pub fn spans(&self, index: u64) -> bool {
        index >> (2 * self.depth()) == 0
    }

    /// Write a leaf's hash; ABSENT removes it. The index must be in the tree's span.
    pub fn set(&mut self, index: u64, leaf_hash: Hash) {
        assert!(self.spans(index), "index {index} is outside a tree of depth {}", self.depth());
        self.0.set(index, leaf_hash);
    }

    /// Write leaf versions, in order of time, and return the root's version at every time it changed.
    pub fn advance(&mut self, versions: Vec<Version>) -> Vec<Version> {
        assert!(versions.iter().all(|version| self.spans(version.index)), "a leaf outside the tree");
        self.0.advance(versions)
    }

    /// The leaf's hash, ABSENT where none was set.
    pub fn leaf(&self, index: u64) -> Hash {
        self.0.node(0, index)
    }

    /// The root after every write so far.
    pub fn root(&self) -> Hash {
        self.0.root(0)
    }

    /// The node at a level (0: leaves).
    pub fn node(&self, level: usize, index: u64) -> Hash {
        self.0.node(level, index)
    }

    /// Whether nothing is under the node at a level.
    pub fn is_empty(&self, level: usize, index: u64) -> bool {
        self.0.is_empty(level, index)
    }

    /// The 3 · depth siblings of a leaf, set or absent, from the leaf up.
    pub fn proof(&self, index: u64) -> Vec<Hash> {
        self.0.proof(index)
    }
}

/// The hash of a node with these children.
pub fn node_hash(children: &[Hash; 4]) -> Hash {
    keccak256(&[&[NODE], children.as_flattened()])
}

/// The root that holds the leaf beside these siblings, three a level; None when the siblings are not whole levels or
/// the index is outside such a tree.
pub fn root_from_proof(index: u64, leaf_hash: Hash, siblings: &[Hash]) -> Option<Hash> {
    let (levels, rest) = siblings.as_chunks::<3>();
    let (mut index, mut node) = (index, leaf_hash);
    for &[a, b, c] in levels {
        node = node_hash(&match index & 3 {
            0 => [node, a, b, c],
            1 => [a, node, b, c],
            2 => [a, b, node, c],
            _ => [a, b, c, node],
        });
        index >>= 2;
    }
    (rest.is_empty() && index == 0).then_some(node)
}

/// The root of a tree whose first leaves are these hashes, in order; None when there are more than 4^depth, or the
/// depth is above 16.
pub fn list_root(leaves: &[Hash], depth: usize) -> Option<Hash> {
    if depth > MAX_DEPTH || leaves.len() as u64 > 1 << (2 * depth) {
        return None;
    }
    let mut level = leaves.to_vec();
    for empty in &EMPTY[..depth] {
        level.resize(level.len().next_multiple_of(4), *empty);
        let mut rows = Vec::with_capacity(level.len() / 4 * ROW);
        for children in level.as_chunks::<4>().0 {
            rows.push(NODE);
            rows.extend_from_slice(children.as_flattened());
        }
        level = keccak256_rows(&rows, ROW);
    }
    Some(level.first().copied().unwrap_or(EMPTY[depth]))
}
