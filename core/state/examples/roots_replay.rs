//! Check a file of written entries against the roots and proofs beside them, one at a time and in batches. Each part
//! behind its length, u32: `state · root · (written · root) each`, then u32 2^32-1 and a proof of each account.

use penstock_protocol::keccak::Hash;
use penstock_state::roots::SettlementTree;

fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let bytes = std::fs::read(path).expect("a readable file");
    let mut rest = bytes.as_slice();
    let mut single = SettlementTree::from_state(take(&mut rest).expect("a state")).expect("a state");
    assert_eq!(single.root(), take(&mut rest).expect("a root"));
    let mut batched = single.clone();
    let (mut entries, mut roots): (Vec<&[u8]>, Vec<Hash>) = (Vec::new(), Vec::new());
    while let Some(written) = take(&mut rest) {
        let root = take(&mut rest).expect("a root");
        assert_eq!(single.advance(written).expect("an entry"), root, "entry {}", entries.len());
        entries.push(written);
        roots.push(*root.first_chunk().expect("a hash"));
    }
    for (entries, roots) in entries.chunks(333).zip(roots.chunks(333)) {
        assert_eq!(batched.advance_batch(entries).expect("entries"), roots);
    }
    let mut proofs = 0;
    while !rest.is_empty() {
        let expected = take(&mut rest).expect("a proof");
        let (subaccount, expected) = expected.split_first_chunk().expect("a subaccount");
        for tree in [&single, &batched] {
            let proof = tree.proof(u32::from_be_bytes(*subaccount)).expect("an account");
            let tail = [proof.markets_root, proof.globals_hash, proof.deposit_head, proof.forced_head];
            let found = [&proof.leaf, proof.siblings.as_flattened(), tail.as_flattened()].concat();
            assert_eq!(found, expected);
        }
        proofs += 1;
    }
    println!("{} roots and {proofs} proofs agree", entries.len());
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk().expect("a length");
    *rest = after;
    let length = u32::from_be_bytes(*length);
    if length == u32::MAX {
        return None;
    }
    let (taken, after) = after.split_at(length as usize);
    *rest = after;
    Some(taken)
}
