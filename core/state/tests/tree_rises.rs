//! The tree written leaf by leaf, a level at a time and as a list has one root.

use penstock_protocol::keccak::{Hash, keccak256};
use penstock_state::tree::{ABSENT, EMPTY, Forest, Tree, Version, list_root, node_hash, root_from_proof};

fn leaf(seed: u64) -> Hash {
    keccak256(&[&seed.to_be_bytes()])
}

fn draw(seed: u64, below: u64) -> u64 {
    let [a, b, c, d, ..] = leaf(seed);
    u64::from(u32::from_be_bytes([a, b, c, d])) % below
}

#[test]
fn a_tree_without_leaves_has_the_empty_root() {
    assert_eq!(Tree::new(3).root(), EMPTY[3]);
    assert_eq!(EMPTY[1], node_hash(&[ABSENT; 4]));
    assert!(Tree::new(3).is_empty(2, 1));
}

#[test]
fn every_leaf_is_proven_set_or_absent() {
    let mut tree = Tree::new(4);
    (0..40).for_each(|seed| tree.set(draw(seed, 256), leaf(seed)));
    for index in 0..256 {
        let siblings = tree.proof(index);
        assert_eq!(siblings.len(), 12);
        assert_eq!(root_from_proof(index, tree.leaf(index), &siblings), Some(tree.root()));
        assert_ne!(root_from_proof(index, leaf(99), &siblings), Some(tree.root()));
    }
    assert_eq!(root_from_proof(256, leaf(1), &tree.proof(0)), None);
    assert_eq!(root_from_proof(0, leaf(1), &tree.proof(0)[1..]), None);
}

#[test]
fn a_leaf_taken_away_leaves_no_trace() {
    let mut tree = Tree::new(5);
    tree.set(700, leaf(1));
    let root = tree.root();
    let twin = tree.clone();
    tree.set(3, leaf(2));
    assert_ne!(tree.root(), root);
    tree.set(3, ABSENT);
    assert_eq!(tree.root(), root);
    assert_eq!(twin.root(), root);
    tree.set(700, ABSENT);
    assert_eq!(tree.root(), EMPTY[5]);
    assert!(tree.is_empty(5, 0));
}

#[test]
fn a_list_is_a_tree_of_its_first_leaves() {
    for count in [0, 1, 3, 4, 5, 17, 64] {
        let leaves: Vec<Hash> = (0..count).map(leaf).collect();
        let mut tree = Tree::new(3);
        leaves.iter().zip(0..).for_each(|(leaf, index)| tree.set(index, *leaf));
        assert_eq!(list_root(&leaves, 3), Some(tree.root()), "{count} leaves");
    }
    assert_eq!(list_root(&[ABSENT; 65], 3), None);
    assert_eq!(list_root(&[leaf(1)], 0), Some(leaf(1)));
}

#[test]
fn levels_at_a_time_give_the_roots_of_leaf_by_leaf() {
    let (mut forest, mut twin) = (Forest::new(3), Forest::new(3));
    for batch in 0..6u64 {
        let mut versions = Vec::new();
        let mut expected = Vec::new();
        for time in 0..120u32 {
            let seed = 1000 * batch + 7 * u64::from(time);
            for write in 0..draw(seed, 4) {
                let index = twin.index(draw(seed + 1, 5) as u32, draw(seed + 2 + write, 64));
                let hash = if draw(seed + 3, 5) == 0 { ABSENT } else { leaf(seed + write) };
                versions.push(Version { index, time, hash });
                twin.set(index, hash);
                expected.retain(|version: &Version| (version.index, version.time) != (index >> 6, time));
                expected.push(Version { index: index >> 6, time, hash: twin.root((index >> 6) as u32) });
            }
        }
        expected.sort_by_key(|version| (version.index, version.time));
        assert_eq!(forest.advance(versions), expected);
        for index in 0..5 * 64 {
            assert_eq!(forest.proof(index), twin.proof(index));
        }
    }
}
