//! A batch of written entries gives the roots of the same entries one at a time.

mod written;

use penstock_protocol::keccak::keccak256;
use penstock_state::roots::{Malformed, SettlementTree};
use penstock_state::tree::{EMPTY, root_from_proof};
use written::{Noise, empty_state, random_entry, trade};

fn slices(entries: &[Vec<u8>]) -> Vec<&[u8]> {
    entries.iter().map(Vec::as_slice).collect()
}

#[test]
fn batches_give_the_roots_of_single_entries() {
    let mut noise = Noise(7);
    let mut batched = SettlementTree::from_state(&empty_state()).unwrap();
    let mut single = batched.clone();
    for size in [1, 2, 7, 0, 64, 500, 3] {
        let entries: Vec<Vec<u8>> = (0..size).map(|_| random_entry(&mut noise, 30)).collect();
        let expected: Vec<_> = entries.iter().map(|entry| single.advance(entry).unwrap()).collect();
        assert_eq!(batched.advance_batch(&slices(&entries)).unwrap(), expected);
        assert_eq!(batched.root(), single.root());
        for subaccount in 0..40 {
            assert_eq!(batched.proof(subaccount), single.proof(subaccount));
            assert_eq!(batched.account_leaf(subaccount), single.account_leaf(subaccount));
            (0..20)
                .for_each(|slot| assert_eq!(batched.slot_leaf(subaccount, slot), single.slot_leaf(subaccount, slot)));
            (0..8).for_each(|key| {
                assert_eq!(batched.session_leaf(subaccount, key), single.session_leaf(subaccount, key))
            });
            assert_eq!(batched.market_leaf(subaccount), single.market_leaf(subaccount));
        }
        assert_eq!(batched.globals(), single.globals());
        assert_eq!(batched.deposit_head(), single.deposit_head());
    }
}

#[test]
fn trades_give_the_roots_of_single_entries() {
    let mut noise = Noise(9);
    let mut batched = SettlementTree::from_state(&empty_state()).unwrap();
    let mut single = batched.clone();
    let entries: Vec<Vec<u8>> = (0..1500).map(|_| trade(&mut noise, 1000)).collect();
    let expected: Vec<_> = entries.iter().map(|entry| single.advance(entry).unwrap()).collect();
    assert_eq!(batched.advance_batch(&slices(&entries)).unwrap(), expected);
}

#[test]
fn an_account_is_proven_under_the_settlement_root() {
    let mut noise = Noise(3);
    let mut tree = SettlementTree::from_state(&empty_state()).unwrap();
    let entries: Vec<Vec<u8>> = (0..50).map(|_| trade(&mut noise, 10)).collect();
    let roots = tree.advance_batch(&slices(&entries)).unwrap();
    let subaccount = (0..10).find(|subaccount| tree.holds(*subaccount)).unwrap();
    let proof = tree.proof(subaccount).unwrap();
    let leaf = keccak256(&[&[3], &proof.leaf]);
    let accounts = root_from_proof(u64::from(subaccount), leaf, &proof.siblings).unwrap();
    let tail = [proof.markets_root, proof.globals_hash, proof.deposit_head, proof.forced_head];
    assert_eq!(keccak256(&[&[8], &accounts, tail.as_flattened()]), roots[49]);
    assert_eq!(tree.slots().root(subaccount), proof.leaf[64..96]);
    assert_eq!(tree.sessions().root(subaccount), EMPTY[3]);
    assert_eq!(tree.proof(77), None);
}

#[test]
fn malformed_entries_write_nothing() {
    let mut noise = Noise(5);
    let mut tree = SettlementTree::from_state(&empty_state()).unwrap();
    let good = trade(&mut noise, 10);
    let root = tree.root();
    for end in 0..good.len() {
        assert_eq!(tree.advance_batch(&[&good, &good[..end]]), Err(Malformed), "{end} bytes");
    }
    assert_eq!(tree.advance(&[good.as_slice(), &[0]].concat()), Err(Malformed));
    let far_market = [&[0, 0, 1, 1, 0, 0][..], &[0; 192], &[0]].concat();
    assert_eq!(tree.advance(&far_market), Err(Malformed));
    assert_eq!(tree.root(), root);
    assert!(SettlementTree::from_state(&empty_state()[1..]).is_err());
}

#[test]
fn a_state_is_its_writes_at_once() {
    let mut noise = Noise(11);
    let writes: Vec<Vec<u8>> = (0..300).map(|at| written::account_write(&mut noise, at / 2, 9)).collect();
    let mut entry_by_entry = SettlementTree::from_state(&empty_state()).unwrap();
    for write in &writes {
        entry_by_entry.advance(&[&[0, 1][..], write, &[0, 0]].concat()).unwrap();
    }
    let terms = [&[0, 0, 9][..], &[0; 108]].concat();
    let markets = [&1u32.to_be_bytes()[..], &[0, 0, 9], &[5; 192], &[0, 111], &terms].concat();
    entry_by_entry.advance(&[&[0, 0, 1, 0, 0, 9][..], &[5; 192], &[0]].concat()).unwrap();
    let state = [&300u32.to_be_bytes()[..], &writes.concat(), &markets, &[0; 96]].concat();
    assert_eq!(SettlementTree::from_state(&state).unwrap().root(), entry_by_entry.root());
}
