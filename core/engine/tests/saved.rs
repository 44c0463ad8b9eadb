//! A saved state comes back whole, and nothing else comes back at all.
//!
//! The exhaustive run: `cargo test --release -p penstock-engine --test saved -- --ignored`

#![forbid(unsafe_code)]

mod small_venue;

use penstock_engine::Engine;
use penstock_protocol::terms::Genesis;
use penstock_state::State;
use small_venue::{SmallVenue, genesis};

fn read(body: &[u8]) -> Result<State, String> {
    State::read(Genesis::decode(&genesis()).expect("a genesis"), body)
}

/// The saved form of a small venue after so many random commands.
fn saved(seed: u64, commands: usize) -> Vec<u8> {
    let mut venue = SmallVenue::open(seed);
    venue.run(commands);
    venue.engine.save()
}

/// The saved form of a small venue that has grown to about so many bytes.
fn saved_of(seed: u64, bytes: usize) -> Vec<u8> {
    let mut venue = SmallVenue::open(seed);
    while venue.engine.save().len() < bytes {
        venue.run(20);
    }
    venue.engine.save()
}

#[test]
fn a_loaded_engine_goes_on_as_if_it_had_never_been_saved() {
    for seed in 1..=20 {
        let mut venue = SmallVenue::open(seed);
        for _ in 0..8 {
            venue.run(150);
            let saved = venue.engine.save();
            let mut loaded = Engine::load(&genesis(), &saved).expect("it was saved");
            assert_eq!(loaded.save(), saved);
            assert_eq!(loaded.engine_root(), venue.engine.engine_root());
            assert_eq!(loaded.snapshot(), venue.engine.snapshot());
            let (commands, expected) = venue.run(150);
            let mut found = Vec::new();
            loaded.apply_batch(&commands, &mut found).expect("a batch");
            assert_eq!(found, expected, "seed {seed}");
            assert_eq!(loaded.save(), venue.engine.save());
        }
        let markets = &venue.engine.state().markets;
        assert!(markets[2].expired() && markets.iter().any(|market| !market.builders.is_empty()), "seed {seed}");
    }
}

#[test]
fn every_flipped_bit_of_a_saved_state_is_refused() {
    refuse_flips(&mut saved_of(3, 8_192), 1);
}

#[test]
#[ignore = "half a million hashes of 64 KiB: a minute of a release build"]
fn every_flipped_bit_of_64_kib_is_refused() {
    refuse_flips(&mut saved_of(3, 65_536), 1);
}

#[test]
fn flips_all_over_64_kib_are_refused() {
    refuse_flips(&mut saved_of(3, 65_536), 997);
}

fn refuse_flips(saved: &mut [u8], step: usize) {
    for bit in (0..8 * saved.len()).step_by(step) {
        saved[bit / 8] ^= 1 << (bit % 8);
        assert!(Engine::load(&genesis(), saved).is_err(), "bit {bit}");
        saved[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(Engine::load(&genesis(), saved).is_ok());
}

#[test]
fn without_its_hash_a_flipped_state_is_refused_or_is_what_it_says() {
    let whole = saved(5, 60);
    let mut body = whole[..whole.len() - 32].to_vec();
    let mut taken = 0;
    for bit in 0..8 * body.len() {
        body[bit / 8] ^= 1 << (bit % 8);
        if let Ok(state) = read(&body) {
            let again = state.save();
            assert_eq!(&again[..again.len() - 32], body, "bit {bit}");
            taken += 1;
        }
        body[bit / 8] ^= 1 << (bit % 8);
    }
    // Hashes, nonces, cash and times may be any; what holds the state together may not.
    assert!(taken > 0 && taken < 7 * body.len(), "{taken}");
}

#[test]
fn a_saved_state_cut_off_anywhere_is_refused() {
    let whole = saved(5, 200);
    for length in 0..whole.len() {
        assert!(Engine::load(&genesis(), &whole[..length]).is_err(), "{length}");
    }
    let body = &whole[..whole.len() - 32];
    for length in 0..body.len() {
        assert!(read(&body[..length]).is_err(), "{length}");
    }
    assert!(read(&[body, &[0]].concat()).is_err_and(|why| why.contains("1 bytes too many")));
    assert!(read(body).is_ok());
}

#[test]
fn scrambled_bytes_never_panic() {
    let whole = saved(7, 300);
    let body = &whole[..whole.len() - 32];
    let mut dice: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..20_000 {
        let mut scrambled = body.to_vec();
        for _ in 0..3 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (dice >> 33) as usize % scrambled.len();
            scrambled[at] = (dice >> 20) as u8;
        }
        if let Ok(state) = read(&scrambled) {
            let again = state.save();
            assert_eq!(&again[..again.len() - 32], scrambled);
        }
    }
}

#[test]
fn a_count_beyond_what_is_left_is_refused_before_anything_is_made() {
    let whole = saved(5, 1);
    let body = &whole[..whole.len() - 32];
    // The number of accounts follows the markets: the last place where the count stands before subaccount 0, owner 0.
    let venue = SmallVenue::open(5);
    let count = venue.engine.state().accounts.len() as u8;
    let at = body.windows(4).position(|found| found == [1, count, 0, 0]).expect("the count of accounts");
    for huge in [&[3, 0x7F, 0xFF, 0xFF][..], &[8, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], &[1, 0xFF]] {
        let hostile = [&body[..at], huge, &body[at + 2..]].concat();
        assert!(read(&hostile).is_err_and(|why| why.contains("number of accounts")));
    }
}

#[test]
fn another_genesis_refuses_it() {
    let whole = saved(5, 50);
    let mut other = genesis();
    let last = other.len() - 1;
    other[last] ^= 1;
    assert!(Engine::load(&other, &whole).is_err_and(|why| why.contains("ruleset")));
    assert!(Engine::load(&other[..last], &whole).is_err());
}
