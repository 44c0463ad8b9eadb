//! Envelopes signed by keys made from numbers.

use penstock_protocol::envelope::{SECP256K1_EIP712, SIGNATURE, UNSIGNED};
use penstock_protocol::keccak::{Hash, keccak256};
use penstock_protocol::quantities::Address;
use penstock_protocol::records::{Bundle, PlaceOrder, Record};
use penstock_protocol::signing::{address_of, bundle_root};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, PublicKey, SecretKey};

pub const SEPARATOR: Hash = [0xd0; 32];

/// Whoever holds the key made from a number.
pub struct Signer {
    secret: SecretKey,
    pub address: Address,
}

impl Signer {
    pub fn new(number: u64) -> Signer {
        let secret = SecretKey::from_secret_bytes(keccak256(&[&number.to_be_bytes()])).expect("a secret");
        Signer { address: address_of(&PublicKey::from_secret_key(&secret)), secret }
    }

    pub fn sign(&self, record: &[u8]) -> [u8; SIGNATURE] {
        let digest = keccak256(&[b"\x19\x01", &SEPARATOR, &keccak256(&[record])]);
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &self.secret);
        let (parity, compact) = signature.serialize_compact();
        let mut packed = [0; SIGNATURE];
        packed[..20].copy_from_slice(&self.address);
        packed[20..84].copy_from_slice(&compact);
        packed[84] = 27 + parity.to_u8();
        packed
    }
}

pub fn encoded(record: impl Into<Record>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.into().encode(&mut bytes);
    bytes
}

pub fn order(nonce: u64) -> PlaceOrder {
    PlaceOrder {
        subaccount: 7,
        slot: 16,
        nonce,
        deadline: u64::MAX,
        market: 1,
        side: 0,
        price: 1000,
        size: 5,
        fill_guard: 0,
        time_in_force: 0,
        post_only: false,
        reduce_only: false,
        max_fee_ppm: 500,
        builder: 0,
        builder_fee_ppm: 0,
    }
}

pub fn envelope(record: &[u8], signatures: &[[u8; SIGNATURE]], members: &[Vec<u8>]) -> Vec<u8> {
    let scheme = if signatures.is_empty() { UNSIGNED } else { SECP256K1_EIP712 };
    let mut packed = SEPARATOR.to_vec();
    packed.extend([scheme, signatures.len() as u8]);
    packed.extend(signatures.as_flattened());
    packed.extend((record.len() as u16).to_be_bytes());
    packed.extend(record);
    packed.push(members.len() as u8);
    for member in members {
        packed.extend((member.len() as u16).to_be_bytes());
        packed.extend(member);
    }
    packed
}

/// One signed order.
pub fn signed_order(signer: &Signer, nonce: u64) -> Vec<u8> {
    let record = encoded(order(nonce));
    envelope(&record, &[signer.sign(&record)], &[])
}

/// The record of an independent bundle of these members.
pub fn bundle_of(members: &[Vec<u8>]) -> Bundle {
    let hashes: Vec<Hash> = members.iter().map(|member| keccak256(&[member])).collect();
    Bundle { root: bundle_root(&hashes), count: members.len() as u8, mode: 0, subaccount: 7, deadline: u64::MAX }
}

/// One signed bundle of orders.
pub fn signed_bundle(signer: &Signer, nonce: u64, count: u64) -> Vec<u8> {
    let members: Vec<Vec<u8>> = (0..count).map(|member| encoded(order(nonce + member))).collect();
    let record = encoded(bundle_of(&members));
    envelope(&record, &[signer.sign(&record)], &members)
}
