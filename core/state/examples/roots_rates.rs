//! Trade entries a second on one core, with a post-root after every one:
//! `cargo run --release -p penstock-state --example roots_rates [accounts]`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

#[path = "../tests/written/mod.rs"]
#[allow(dead_code)]
mod written;

use std::time::Instant;

use penstock_state::roots::SettlementTree;
use written::{Noise, empty_state, trade};

fn main() {
    let accounts = std::env::args().nth(1).map_or(10_000, |given| given.parse().expect("a number of accounts"));
    let mut noise = Noise(1);
    let warm: Vec<Vec<u8>> = (0..5 * accounts).map(|_| trade(&mut noise, accounts)).collect();
    let entries: Vec<Vec<u8>> = (0..100_000).map(|_| trade(&mut noise, accounts)).collect();
    let mut tree = SettlementTree::from_state(&empty_state()).expect("a state");
    for batch in warm.chunks(4000) {
        let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        tree.advance_batch(&batch).expect("written entries");
    }
    let started = Instant::now();
    let mut twin = tree.clone();
    println!("{accounts} accounts, cloned in {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    for size in [64, 256, 1024, 4096, 16384] {
        let mut tree = tree.clone();
        let started = Instant::now();
        for batch in entries.chunks(size) {
            let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            tree.advance_batch(&batch).expect("written entries");
        }
        report(&format!("batches of {size}"), entries.len(), started);
    }
    let started = Instant::now();
    for entry in &entries[..5000] {
        twin.advance(entry).expect("a written entry");
    }
    report("one at a time", 5000, started);
}

fn report(name: &str, entries: usize, started: Instant) {
    println!("{name:>16}: {:>8.0} trade entries/s", entries as f64 / started.elapsed().as_secs_f64());
}
