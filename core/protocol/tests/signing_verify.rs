//! What `verify` lets through and what it refuses, with and without keys kept from before.

mod sealed;

use std::sync::{LazyLock, Mutex};

use penstock_protocol::envelope::{SIGNATURE, reopen};
use penstock_protocol::keccak::keccak256;
use penstock_protocol::reasons::Reason;
use penstock_protocol::records::{Bundle, CancelOrder, CreditDeposit, Liquidate, PublishPrice, SweepFees};
use penstock_protocol::signing::Verifier;
use penstock_protocol::wire::Message;
use sealed::{SEPARATOR, Signer, bundle_of, encoded, envelope, order, signed_bundle, signed_order};

/// One that knows the keys of the first signers.
static WARM: LazyLock<Mutex<Verifier>> = LazyLock::new(|| {
    let mut warm = Verifier::new(SEPARATOR, 1);
    let known: Vec<Vec<u8>> = (1..=4).map(|number| signed_order(&Signer::new(number), 1)).collect();
    known.iter().for_each(|order| assert!(warm.verify(&[(order, false)])[0].is_ok()));
    Mutex::new(warm)
});

/// The result of a fresh verifier, which one that knows the signers' keys must share.
fn verify_as(envelope: &[u8], from_node: bool) -> Result<Vec<u8>, Reason> {
    let result = Verifier::new(SEPARATOR, 1).verify(&[(envelope, from_node)]).remove(0);
    assert_eq!(WARM.lock().unwrap().verify(&[(envelope, from_node)])[0], result);
    result
}

fn verify(envelope: &[u8]) -> Result<Vec<u8>, Reason> {
    verify_as(envelope, false)
}

#[test]
fn a_signed_order_passes_as_its_message() {
    let signer = Signer::new(1);
    let sealed = signed_order(&signer, 9);
    let message = verify(&sealed).unwrap();
    let decoded = Message::decode(&message).unwrap();
    assert_eq!(decoded.head.record, order(9).into());
    assert_eq!(decoded.head.record_hash, keccak256(&[&encoded(order(9))]));
    assert_eq!(decoded.signers, [signer.address]);
    assert!(decoded.members.is_empty());
    assert_eq!(reopen(&sealed, &[signer.address]), Ok(message));
}

#[test]
fn a_bundle_passes_with_its_members() {
    let signer = Signer::new(2);
    for count in [1, 2, 3, 10, 64] {
        let sealed = signed_bundle(&signer, 9, count);
        let message = verify(&sealed).unwrap();
        let decoded = Message::decode(&message).unwrap();
        assert_eq!(decoded.members.len() as u64, count);
        for (member, nonce) in decoded.members.iter().zip(9..) {
            assert_eq!(member.record, order(nonce).into());
            assert_eq!(member.record_hash, keccak256(&[&encoded(order(nonce))]));
        }
        assert_eq!(reopen(&sealed, &[signer.address]), Ok(message));
    }
}

#[test]
fn every_cut_and_every_tail_is_truncated() {
    let sealed = signed_bundle(&Signer::new(1), 1, 2);
    for end in 0..sealed.len() {
        assert_eq!(verify_as(&sealed[..end], true), Err(Reason::MessageTruncated));
        assert_eq!(reopen(&sealed[..end], &[]), Err(Reason::MessageTruncated));
    }
    assert_eq!(verify(&[&sealed[..], &[0]].concat()), Err(Reason::MessageTruncated));
    assert_eq!(verify(&vec![0; 65_537]), Err(Reason::MessageTooLarge));
}

#[test]
fn a_changed_byte_never_passes_but_the_parity() {
    let sealed = signed_order(&Signer::new(1), 1);
    let parity = 34 + SIGNATURE - 1;
    for at in 0..sealed.len() {
        for flip in [1, 0x80] {
            let mut changed = sealed.clone();
            changed[at] ^= flip;
            assert!(verify(&changed).is_err(), "byte {at}");
        }
    }
    let mut other = sealed.clone();
    other[parity] = 27 + 28 - other[parity];
    assert_eq!(verify(&other), verify(&sealed));
}

#[test]
fn scheme_and_domain_come_before_the_record() {
    let mut sealed = signed_order(&Signer::new(1), 1);
    sealed[0] ^= 1;
    assert_eq!(verify(&sealed), Err(Reason::DomainWrong));
    sealed[32] = 2;
    assert_eq!(verify(&sealed), Err(Reason::SchemeUnknown));
    assert_eq!(verify(&envelope(&[5; 32], &[], &[])), Err(Reason::TypeUnknown));
    assert_eq!(verify(&envelope(&encoded(order(1))[..447], &[], &[])), Err(Reason::RecordLengthWrong));
    let mut record = encoded(order(1));
    record[32] = 1;
    assert_eq!(verify(&envelope(&record, &[], &[])), Err(Reason::WordNotCanonical));
}

#[test]
fn only_the_node_credits_deposits() {
    let deposit = CreditDeposit { deposit: 1, subaccount: 1, owner: [3; 20], amount: 5, l1_block: 9 };
    let sealed = envelope(&encoded(deposit), &[], &[]);
    assert_eq!(verify(&sealed), Err(Reason::CommandNotForClients));
    assert!(verify_as(&sealed, true).is_ok());
}

#[test]
fn each_type_wants_its_number_of_signatures() {
    let signer = Signer::new(1);
    let poke = encoded(Liquidate { subaccount: 3 });
    assert!(verify(&envelope(&poke, &[], &[])).is_ok());
    assert_eq!(verify(&envelope(&poke, &[signer.sign(&poke)], &[])), Err(Reason::SignatureCountWrong));
    let mut schemed = envelope(&poke, &[], &[]);
    schemed[32] = 1;
    assert_eq!(verify(&schemed), Err(Reason::SignatureCountWrong));
    let record = encoded(order(1));
    assert_eq!(verify(&envelope(&record, &[], &[])), Err(Reason::SignatureCountWrong));
    assert_eq!(verify(&envelope(&record, &[signer.sign(&record); 2], &[])), Err(Reason::SignatureCountWrong));
    let mut schemeless = signed_order(&signer, 1);
    schemeless[32] = 0;
    assert_eq!(verify(&schemeless), Err(Reason::SignatureCountWrong));
    let price = encoded(PublishPrice { market: 1, published_at: 1, index_price: 5, mark_price: 5, premium: -1 });
    assert_eq!(verify(&envelope(&price, &[signer.sign(&price); 17], &[])), Err(Reason::SignatureCountWrong));
}

#[test]
fn oracles_sign_in_ascending_order() {
    let price = encoded(PublishPrice { market: 1, published_at: 1, index_price: 5, mark_price: 5, premium: -1 });
    let mut signers: Vec<Signer> = (1..=6).map(Signer::new).collect();
    signers.sort_by_key(|signer| signer.address);
    let mut signatures: Vec<_> = signers.iter().map(|signer| signer.sign(&price)).collect();
    assert!(verify(&envelope(&price, &signatures, &[])).is_ok());
    signatures.swap(1, 2);
    assert_eq!(verify(&envelope(&price, &signatures, &[])), Err(Reason::SignersNotAscending));
    signatures[5][50] ^= 1;
    assert_eq!(verify(&envelope(&price, &signatures, &[])), Err(Reason::SignatureWrong));
    assert_eq!(verify(&envelope(&price, &[signatures[0]; 2], &[])), Err(Reason::SignersNotAscending));
}

#[test]
fn numbers_out_of_range_are_malformed() {
    let order_of_curve = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let half = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
    let number = |hex: &str, more: u8| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let mut bytes: Vec<u8> = (0..64).step_by(2).map(byte).collect();
        bytes[31] += more;
        bytes
    };
    let record = encoded(order(1));
    let signature = Signer::new(1).sign(&record);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = signature;
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        verify(&envelope(&record, &[changed], &[])).unwrap_err()
    };
    assert_eq!(with(20, &[0; 32]), Reason::SignatureMalformed);
    assert_eq!(with(20, &number(order_of_curve, 0)), Reason::SignatureMalformed);
    assert_eq!(with(20, &[255; 32]), Reason::SignatureMalformed);
    assert_eq!(with(52, &[0; 32]), Reason::SignatureMalformed);
    assert_eq!(with(52, &number(half, 1)), Reason::SignatureMalformed);
    assert_eq!(with(52, &number(half, 0)), Reason::SignatureWrong);
    assert_eq!(with(84, &[26]), Reason::SignatureMalformed);
    assert_eq!(with(84, &[29]), Reason::SignatureMalformed);
    assert_eq!(with(0, &[9; 20]), Reason::SignatureWrong);
    assert_eq!(with(0, &Signer::new(2).address), Reason::SignatureWrong);
    // No point has x = 5: nothing recovers.
    assert_eq!(with(20, &number(&format!("{:064x}", 5), 0)), Reason::SignatureWrong);
}

#[test]
fn bundles_are_refused_in_the_listed_order() {
    let signer = Signer::new(1);
    let members: Vec<Vec<u8>> = (1..=3).map(|nonce| encoded(order(nonce))).collect();
    let sealed = |bundle: Bundle, members: &[Vec<u8>]| {
        let record = encoded(bundle);
        verify(&envelope(&record, &[signer.sign(&record)], members)).map(|_| ())
    };
    let good = bundle_of(&members);
    assert_eq!(sealed(good, &members), Ok(()));
    assert_eq!(sealed(good, &members[1..]), Err(Reason::BundleCountWrong));
    assert_eq!(sealed(bundle_of(&[]), &[]), Err(Reason::BundleCountWrong));
    let record = encoded(order(1));
    assert_eq!(verify(&envelope(&record, &[signer.sign(&record)], &members)), Err(Reason::BundleCountWrong));
    let mut atomic = good;
    atomic.mode = 1;
    assert_eq!(sealed(atomic, &members), Err(Reason::BundleModeUnknown));
    let mut stranger = members.clone();
    stranger[0] = encoded(CancelOrder { subaccount: 8, slot: 16, nonce: 1, deadline: 9 });
    assert_eq!(sealed(good, &stranger), Err(Reason::BundleMemberRefused));
    stranger[0] = encoded(SweepFees { market: 7 });
    assert_eq!(sealed(good, &stranger), Err(Reason::BundleMemberRefused));
    stranger[2] = vec![1; 40];
    assert_eq!(sealed(good, &stranger), Err(Reason::TypeUnknown));
    let other: Vec<Vec<u8>> = (2..=4).map(|nonce| encoded(order(nonce))).collect();
    assert_eq!(sealed(good, &other), Err(Reason::BundleRootWrong));
}

#[test]
fn batches_give_the_results_of_single_envelopes() {
    let mut envelopes: Vec<Vec<u8>> = (0..60).map(|nonce| signed_order(&Signer::new(nonce % 5), nonce)).collect();
    envelopes.iter_mut().step_by(7).zip(20..).for_each(|(envelope, at)| envelope[at * 5] ^= 1);
    let batch: Vec<(&[u8], bool)> = envelopes.iter().map(|envelope| (envelope.as_slice(), false)).collect();
    let single: Vec<_> = envelopes.iter().map(|envelope| verify(envelope)).collect();
    for threads in [1, 2, 5] {
        let mut verifier = Verifier::new(SEPARATOR, threads);
        assert_eq!(verifier.verify(&batch), single);
        assert_eq!(verifier.verify(&batch), single);
        assert!(verifier.verify(&[]).is_empty());
    }
}
