//! Signed orders a second, against libsecp256k1 alone on as many threads:
//! `cargo run --release -p penstock-protocol --example signing_rates`; with `--json`, libsecp256k1 alone,
//! measured once for each line of input, a number of threads.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

#[path = "../tests/sealed/mod.rs"]
#[allow(dead_code)]
mod sealed;

use std::hint::black_box;
use std::time::Instant;

use penstock_protocol::keccak::keccak256;
use penstock_protocol::signing::Verifier;
use rayon::prelude::*;
use sealed::{SEPARATOR, Signer, signed_bundle, signed_order};
use secp256k1::{Message, PublicKey, SecretKey, ecdsa};

const SIGNERS: u64 = 1000;
const ORDERS: u64 = 20_000;
const BUNDLES: u64 = 4_000;

fn main() {
    let raw: Vec<_> = (0..ORDERS).map(raw_signature).collect();
    if std::env::args().any(|argument| argument == "--json") {
        for line in std::io::stdin().lines() {
            let threads = line.expect("a line").trim().parse().expect("a number of threads");
            println!("{{\"threads\": {threads}, \"libsecp256k1\": {:.0}}}", verify_alone(threads, &raw));
        }
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let signers: Vec<Signer> = (0..SIGNERS).map(Signer::new).collect();
    let signer = |at: u64| &signers[(at * 7 % SIGNERS) as usize];
    let known: Vec<Vec<u8>> = signers.iter().map(|signer| signed_order(signer, 1)).collect();
    let orders: Vec<Vec<u8>> = (0..ORDERS).map(|nonce| signed_order(signer(nonce), 2 + nonce)).collect();
    let bundles: Vec<Vec<u8>> = (0..BUNDLES).map(|nonce| signed_bundle(signer(nonce), 2 + 10 * nonce, 10)).collect();
    for threads in [1, cores] {
        for _ in 0..3 {
            let plain = verify_alone(threads, &raw);
            let cold = rate(SIGNERS, || check(&mut Verifier::new(SEPARATOR, threads), &known));
            let mut verifier = Verifier::new(SEPARATOR, threads);
            check(&mut verifier, &known);
            let warm = rate(ORDERS, || check(&mut verifier, &orders));
            let bundled = rate(BUNDLES, || check(&mut verifier, &bundles));
            println!(
                "{threads} threads: libsecp256k1 {plain:.0}/s, orders {warm:.0}/s ({:.3} of it), \
                 of new signers {cold:.0}/s, bundles of 10 {bundled:.0}/s ({:.3}; {:.0} orders/s)",
                warm / plain,
                bundled / plain,
                10.0 * bundled
            );
        }
    }
}

fn verify_alone(threads: usize, raw: &[(ecdsa::Signature, Message, PublicKey)]) -> f64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    rate(ORDERS, || {
        let valid = pool.install(|| raw.par_iter().all(|(s, m, k)| ecdsa::verify(s, *m, k).is_ok()));
        assert!(black_box(valid));
    })
}

fn raw_signature(nonce: u64) -> (ecdsa::Signature, Message, PublicKey) {
    let secret = SecretKey::from_secret_bytes(keccak256(&[&(nonce % SIGNERS).to_be_bytes()])).expect("a secret");
    let message = Message::from_digest(keccak256(&[&nonce.to_le_bytes()]));
    (ecdsa::sign(message, &secret), message, PublicKey::from_secret_key(&secret))
}

fn check(verifier: &mut Verifier, envelopes: &[Vec<u8>]) {
    for batch in envelopes.chunks(1000) {
        let batch: Vec<(&[u8], bool)> = batch.iter().map(|envelope| (envelope.as_slice(), false)).collect();
        assert!(verifier.verify(&batch).iter().all(Result::is_ok));
    }
}

fn rate(count: u64, run: impl FnOnce()) -> f64 {
    let started = Instant::now();
    run();
    count as f64 / started.elapsed().as_secs_f64()
}
