//! Hashes a second on one core, by width: `cargo run --release -p penstock-protocol --example keccak_rates [--json]`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

use std::time::Instant;

use penstock_protocol::keccak::keccak256;
use penstock_protocol::keccak_lanes::{Width, keccak256_many_at};

const ROUNDS: usize = 200;
const INPUTS: usize = 4096;

fn main() {
    for length in [129, 448] {
        let bytes: Vec<u8> = (0..length * INPUTS).map(|at| (at * 31 % 251) as u8).collect();
        let inputs: Vec<&[u8]> = bytes.chunks_exact(length).collect();
        let started = Instant::now();
        let mut sum = 0u64;
        for _ in 0..ROUNDS {
            sum += inputs.iter().map(|input| u64::from(keccak256(&[input])[0])).sum::<u64>();
        }
        report("plain", length, started, sum);
        for width in Width::available() {
            let started = Instant::now();
            let mut sum = 0u64;
            for _ in 0..ROUNDS {
                sum += keccak256_many_at(width, &inputs).iter().map(|hash| u64::from(hash[0])).sum::<u64>();
            }
            report(&format!("{width:?}"), length, started, sum);
        }
    }
}

fn report(name: &str, length: usize, started: Instant, sum: u64) {
    let rate = (ROUNDS * INPUTS) as f64 / started.elapsed().as_secs_f64() / 1e6;
    if std::env::args().any(|argument| argument == "--json") {
        println!("{{\"width\": \"{name}\", \"length\": {length}, \"rate\": {rate:.3}}}");
    } else {
        println!("{name:>6} {length} bytes: {rate:.2} M hashes/s (check {sum})");
    }
}
