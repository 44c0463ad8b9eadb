//! `verify`, which runs before sequencing and knows no state: form, signatures, bundles.
//!
//! A signature names its signer. It is that signer's when one of the two parities of R recovers the named address,
//! which is what verifying it against the signer's key says; so a key that was recovered once is kept, and its later
//! signatures are verified, which is faster. What is kept never shows in a result.

use std::collections::{BTreeMap, VecDeque};

use rayon::ThreadPool;
use rayon::prelude::*;
use secp256k1::ecdsa::{self, RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};

use crate::envelope::{Envelope, SECP256K1_EIP712, SIGNATURE, UNSIGNED, pack_message};
use crate::keccak::{keccak256, keccak256_many, keccak256_rows};
use crate::quantities::{Address, Hash, MAX_BUNDLE, MAX_ORACLES};
use crate::reasons::Reason;
use crate::records::{Bundle, Record};

/// Keys kept; the one learned first is forgotten first.
pub const MAX_KEYS: usize = 65_536;

const BUNDLE_LEAF: u8 = 0x00;
const BUNDLE_NODE: u8 = 0x01;
const INDEPENDENT: u8 = 0;
/// n, the order of the curve.
const CURVE_ORDER: Hash = *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\
\xba\xae\xdc\xe6\xaf\x48\xa0\x3b\xbf\xd2\x5e\x8c\xd0\x36\x41\x41";
const HALF_ORDER: Hash = *b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
\x5d\x57\x6e\x73\x57\xa4\x50\x1d\xdf\xe9\x2f\x46\x68\x1b\x20\xa0";
/// p - n: where r is less, R may have x = r + n, which verifying admits and recovering by parity does not.
const AMBIGUOUS: Hash = *b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\
\x45\x51\x23\x19\x50\xb7\x5f\xc4\x40\x2d\xa1\x72\x2f\xc9\xba\xee";

type Key = (Address, PublicKey);

/// Checks envelopes for one EIP-712 domain, on threads of its own.
pub struct Verifier {
    separator: Hash,
    threads: ThreadPool,
    keys: Keys,
}

impl Verifier {
    /// A verifier that knows no keys yet, on so many threads; 0: one a core. Panics when they cannot be started.
    pub fn new(separator: Hash, threads: usize) -> Verifier {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Verifier { separator, threads: threads.expect("threads to verify on"), keys: Keys::default() }
    }

    /// How many envelopes it checks at once.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Check everything that needs no state of each envelope; true admits the records that only the node itself may
    /// submit. A message that passed comes as it crosses the seam.
    pub fn verify(&mut self, envelopes: &[(&[u8], bool)]) -> Vec<Result<Vec<u8>, Reason>> {
        let (separator, keys) = (&self.separator, &self.keys);
        let check = |(envelope, from_node): &(&[u8], bool)| {
            let mut learned = Vec::new();
            let message = verify(separator, envelope, *from_node, keys, &mut learned);
            (message, learned)
        };
        let checked: Vec<_> = match envelopes {
            [only] => vec![check(only)],
            many => self.threads.install(|| many.par_iter().map(check).collect()),
        };
        let mut messages = Vec::with_capacity(checked.len());
        for (message, learned) in checked {
            learned.into_iter().for_each(|key| self.keys.learn(key));
            messages.push(message);
        }
        messages
    }
}

/// The keys of signers seen before.
#[derive(Default)]
struct Keys {
    by_address: BTreeMap<Address, PublicKey>,
    by_age: VecDeque<Address>,
}

impl Keys {
    fn learn(&mut self, (address, key): Key) {
        if self.by_address.insert(address, key).is_some() {
            return;
        }
        self.by_age.push_back(address);
        let oldest = if self.by_age.len() > MAX_KEYS { self.by_age.pop_front() } else { None };
        oldest.map(|address| self.by_address.remove(&address));
    }
}

/// One envelope, in the order in which reasons are listed; keys that had to be recovered go to `learned`.
fn verify(
    separator: &Hash,
    envelope: &[u8],
    from_node: bool,
    keys: &Keys,
    learned: &mut Vec<Key>,
) -> Result<Vec<u8>, Reason> {
    let envelope = Envelope::unpack(envelope)?;
    if envelope.scheme != UNSIGNED && envelope.scheme != SECP256K1_EIP712 {
        return Err(Reason::SchemeUnknown);
    }
    if envelope.separator != separator {
        return Err(Reason::DomainWrong);
    }
    let record = Record::decode(envelope.record)?;
    if matches!(record, Record::CreditDeposit(_)) && !from_node {
        return Err(Reason::CommandNotForClients);
    }
    check_signature_count(&record, &envelope)?;
    let record_hash = keccak256(&[envelope.record]);
    let mut signers = Vec::with_capacity(envelope.signatures.len());
    if !envelope.signatures.is_empty() {
        let digest = keccak256(&[b"\x19\x01", separator, &record_hash]);
        for signature in envelope.signatures {
            signers.push(check_signature(digest, signature, keys, learned)?);
        }
    }
    if !signers.is_sorted_by(|a, b| a < b) {
        return Err(Reason::SignersNotAscending);
    }
    let member_hashes = check_members(&record, &envelope.members)?;
    pack_message(&envelope, &signers, &record_hash, &member_hashes)
}

fn check_signature_count(record: &Record, envelope: &Envelope<'_>) -> Result<(), Reason> {
    let wanted = match record {
        Record::Liquidate(_)
        | Record::AccrueFunding(_)
        | Record::SweepFees(_)
        | Record::RemoveDeadOrder(_)
        | Record::ListMarket(_)
        | Record::ExpireMarket(_)
        | Record::ExpirePosition(_)
        | Record::ReopenMarket(_)
        | Record::MarkStale(_)
        | Record::PayBuilder(_)
        | Record::CreditDeposit(_) => 0..=0,
        Record::PublishPrice(_) => 1..=MAX_ORACLES,
        _ => 1..=1,
    };
    let signed = *wanted.end() != 0;
    if !wanted.contains(&envelope.signatures.len()) || (envelope.scheme != UNSIGNED) != signed {
        return Err(Reason::SignatureCountWrong);
    }
    Ok(())
}

/// The signer a signature names, if it is that signer's.
fn check_signature(
    digest: Hash,
    signature: &[u8; SIGNATURE],
    keys: &Keys,
    learned: &mut Vec<Key>,
) -> Result<Address, Reason> {
    let (signer, rest) = split::<20, 65>(signature);
    let (r, rest) = split::<32, 33>(rest);
    let (s, &[v]) = split::<32, 1>(rest);
    let zero = [0; 32];
    if *r == zero || *r >= CURVE_ORDER || *s == zero || *s > HALF_ORDER || !matches!(v, 27 | 28) {
        return Err(Reason::SignatureMalformed);
    }
    let compact = &signature[20..84];
    let digest = Message::from_digest(digest);
    let known = keys.by_address.get(signer).filter(|_| *r >= AMBIGUOUS);
    if let Some(key) = known {
        let signature = ecdsa::Signature::from_compact(compact).map_err(|_| Reason::SignatureMalformed)?;
        return ecdsa::verify(&signature, digest, key).map(|()| *signer).map_err(|_| Reason::SignatureWrong);
    }
    let parities = if v == 27 { [RecoveryId::Zero, RecoveryId::One] } else { [RecoveryId::One, RecoveryId::Zero] };
    let recovered = parities.into_iter().find_map(|parity| {
        let key = RecoverableSignature::from_compact(compact, parity).ok()?.recover(digest).ok()?;
        (address_of(&key) == *signer).then_some(key)
    });
    learned.push((*signer, recovered.ok_or(Reason::SignatureWrong)?));
    Ok(*signer)
}

/// The first A bytes and the B after them.
fn split<const A: usize, const B: usize>(bytes: &[u8]) -> (&[u8; A], &[u8; B]) {
    let (first, rest) = bytes.split_first_chunk().expect("a signature's parts are of stated lengths");
    (first, rest.first_chunk().expect("a signature's parts are of stated lengths"))
}

/// The 20-byte Ethereum address of a public key.
pub fn address_of(key: &PublicKey) -> Address {
    let hash = keccak256(&[&key.serialize_uncompressed()[1..]]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    address
}

/// The hashes of a bundle's members, once they are what was signed; none of another record.
fn check_members(record: &Record, encoded: &[&[u8]]) -> Result<Vec<Hash>, Reason> {
    let Record::Bundle(bundle) = record else {
        return if encoded.is_empty() { Ok(Vec::new()) } else { Err(Reason::BundleCountWrong) };
    };
    let count = usize::from(bundle.count);
    if !(1..=MAX_BUNDLE).contains(&count) || count != encoded.len() {
        return Err(Reason::BundleCountWrong);
    }
    if bundle.mode != INDEPENDENT {
        return Err(Reason::BundleModeUnknown);
    }
    check_member_records(bundle, encoded)?;
    let hashes = keccak256_many(encoded);
    if bundle_root(&hashes) != bundle.root {
        return Err(Reason::BundleRootWrong);
    }
    Ok(hashes)
}

/// All must be records, then all must be slot commands of the bundle's subaccount.
fn check_member_records(bundle: &Bundle, encoded: &[&[u8]]) -> Result<(), Reason> {
    let mut fits = true;
    for member in encoded {
        fits &= slot_subaccount(&Record::decode(member)?) == Some(bundle.subaccount);
    }
    if fits { Ok(()) } else { Err(Reason::BundleMemberRefused) }
}

/// The subaccount of a command that takes a slot's nonce.
fn slot_subaccount(record: &Record) -> Option<u32> {
    match record {
        Record::PlaceOrder(order) => Some(order.subaccount),
        Record::CancelOrder(cancel) => Some(cancel.subaccount),
        Record::CancelAll(cancel) => Some(cancel.subaccount),
        Record::Withdraw(withdraw) => Some(withdraw.subaccount),
        Record::GrantSession(grant) => Some(grant.subaccount),
        Record::RevokeSession(revoke) => Some(revoke.subaccount),
        _ => None,
    }
}

/// Binary Merkle root of struct hashes: leaf keccak(0x00 ‖ h), node keccak(0x01 ‖ l ‖ r), zero-padded.
pub fn bundle_root(hashes: &[Hash]) -> Hash {
    let mut rows = Vec::with_capacity(hashes.len() * 65);
    for hash in hashes {
        rows.push(BUNDLE_LEAF);
        rows.extend_from_slice(hash);
    }
    let mut level = keccak256_rows(&rows, 33);
    while level.len() > 1 {
        level.resize(level.len().next_multiple_of(2), [0; 32]);
        rows.clear();
        for pair in level.as_chunks::<2>().0 {
            rows.push(BUNDLE_NODE);
            rows.extend_from_slice(pair.as_flattened());
        }
        level = keccak256_rows(&rows, 65);
    }
    level.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex<const LENGTH: usize>(hex: &str) -> [u8; LENGTH] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
    }

    /// The key was made for this digest so that R has x = n + 2 (r = 2, s = 1): nobody knows its secret.
    #[test]
    fn a_signature_that_no_parity_recovers_is_wrong_for_a_known_key_too() {
        let digest = [0x11; 32];
        let key = unhex("0399d6556506d6b28163e8caf7a46c68dce09407226b3232d37668082ced84fee2");
        let key = PublicKey::from_byte_array_compressed(key).expect("a key");
        let signer = unhex("992ce285e697380221a901db9b28ccfcd7c95403");
        assert_eq!(address_of(&key), signer);
        let mut signature = [0; SIGNATURE];
        signature[..20].copy_from_slice(&signer);
        (signature[51], signature[83], signature[84]) = (2, 1, 27);
        let plain = ecdsa::Signature::from_compact(&signature[20..84]).expect("two numbers");
        assert_eq!(ecdsa::verify(&plain, Message::from_digest(digest), &key), Ok(()));
        let mut keys = Keys::default();
        let check = |keys: &Keys| check_signature(digest, &signature, keys, &mut Vec::new());
        assert_eq!(check(&keys), Err(Reason::SignatureWrong));
        keys.learn((signer, key));
        assert_eq!(check(&keys), Err(Reason::SignatureWrong));
    }

    #[test]
    fn no_number_of_threads_means_one_a_core() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(Verifier::new([0; 32], 0).threads(), cores);
        assert_eq!(Verifier::new([0; 32], 3).threads(), 3);
    }

    #[test]
    fn the_key_learned_first_is_forgotten_first() {
        let key = PublicKey::from_secret_key(&secp256k1::SecretKey::from_secret_bytes([1; 32]).expect("a secret"));
        let address = |number: usize| -> Address {
            let mut address = [0; 20];
            address[..8].copy_from_slice(&number.to_le_bytes());
            address
        };
        let mut keys = Keys::default();
        (0..MAX_KEYS + 3).for_each(|number| keys.learn((address(number), key)));
        keys.learn((address(MAX_KEYS), key));
        assert_eq!((keys.by_address.len(), keys.by_age.len()), (MAX_KEYS, MAX_KEYS));
        assert!(!keys.by_address.contains_key(&address(2)));
        assert!(keys.by_address.contains_key(&address(3)));
    }
}
