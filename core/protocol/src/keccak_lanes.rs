//! Keccak-256 of many inputs at once: eight lanes with AVX-512, four with AVX2, else one.
//!
//! The width is chosen at run time and never shows in a result: the tests compare every width with the plain hash.
//! The only `unsafe` of the core is here, calling what was compiled for features the processor was asked for.
#![allow(unsafe_code)]

use crate::keccak::{Hash, Lane, RATE, absorb, pad, permute, squeeze};

/// How many inputs are hashed side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    One,
    Four,
    Eight,
}

impl Width {
    /// The widths this processor can run, narrowest first.
    pub fn available() -> Vec<Width> {
        [Width::One, Width::Four, Width::Eight].into_iter().filter(|width| width.runs_here()).collect()
    }

    /// The widest that this processor can run.
    pub fn best() -> Width {
        [Width::Eight, Width::Four].into_iter().find(|width| width.runs_here()).unwrap_or(Width::One)
    }

    #[cfg(target_arch = "x86_64")]
    fn runs_here(self) -> bool {
        match self {
            Width::One => true,
            Width::Four => is_x86_feature_detected!("avx2"),
            Width::Eight => is_x86_feature_detected!("avx512f"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn runs_here(self) -> bool {
        self == Width::One
    }
}

/// The hash of each input, whatever its length; inputs of about one length are the fastest.
pub fn keccak256_many(inputs: &[&[u8]]) -> Vec<Hash> {
    keccak256_many_at(Width::best(), inputs)
}

/// The hashes of `rows`, each `length` bytes long, one after the other without gaps.
pub fn keccak256_rows(rows: &[u8], length: usize) -> Vec<Hash> {
    let inputs: Vec<&[u8]> = rows.chunks_exact(length).collect();
    keccak256_many(&inputs)
}

/// As `keccak256_many`, at one width, or plainly where it does not run; for measurements and tests.
pub fn keccak256_many_at(width: Width, inputs: &[&[u8]]) -> Vec<Hash> {
    let mut hashes = vec![[0; 32]; inputs.len()];
    let same = inputs.windows(2).all(|pair| blocks_of(pair[0]) == blocks_of(pair[1]));
    if same {
        hash_in_order(width, inputs, &mut hashes);
        return hashes;
    }
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&index| blocks_of(inputs[index]));
    let sorted: Vec<&[u8]> = order.iter().map(|&index| inputs[index]).collect();
    let mut found = vec![[0; 32]; inputs.len()];
    let mut first = 0;
    for group in sorted.chunk_by(|a, b| blocks_of(a) == blocks_of(b)) {
        hash_in_order(width, group, &mut found[first..first + group.len()]);
        first += group.len();
    }
    for (index, hash) in order.into_iter().zip(found) {
        hashes[index] = hash;
    }
    hashes
}

fn blocks_of(input: &[u8]) -> usize {
    input.len() / RATE
}

/// Hash inputs that all take the same number of blocks.
fn hash_in_order(width: Width, inputs: &[&[u8]], hashes: &mut [Hash]) {
    let done = if width.runs_here() { hash_wide(width, inputs, hashes) } else { 0 };
    hash_groups::<1>(&inputs[done..], &mut hashes[done..]);
}

/// Hash as many as the width is worth, at a width that runs here, and say how many that were.
#[cfg(target_arch = "x86_64")]
fn hash_wide(width: Width, inputs: &[&[u8]], hashes: &mut [Hash]) -> usize {
    match width {
        Width::One => 0,
        // SAFETY: the processor has avx2.
        Width::Four => unsafe { four_lanes(inputs, hashes) },
        // SAFETY: the processor has avx512f.
        Width::Eight => unsafe { eight_lanes(inputs, hashes) },
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn hash_wide(_: Width, _: &[&[u8]], _: &mut [Hash]) -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn eight_lanes(inputs: &[&[u8]], hashes: &mut [Hash]) -> usize {
    hash_groups::<8>(inputs, hashes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn four_lanes(inputs: &[&[u8]], hashes: &mut [Hash]) -> usize {
    hash_groups::<4>(inputs, hashes)
}

/// Hash groups of `N`, a last one of two or more filled up with copies, and say how many inputs that were.
#[inline(always)]
fn hash_groups<const N: usize>(inputs: &[&[u8]], hashes: &mut [Hash]) -> usize {
    let (groups, rest) = inputs.as_chunks::<N>();
    let (found, unfound) = hashes.as_chunks_mut::<N>();
    for (group, hashes) in groups.iter().zip(found) {
        *hashes = hash_group(group);
    }
    if rest.len() < 2 {
        return groups.len() * N;
    }
    let filled = std::array::from_fn(|lane| rest[lane.min(rest.len() - 1)]);
    unfound.copy_from_slice(&hash_group::<N>(&filled)[..rest.len()]);
    inputs.len()
}

#[inline(always)]
fn hash_group<const N: usize>(group: &[&[u8]; N]) -> [Hash; N] {
    let mut state: [Lane<N>; 25] = [[0; N]; 25];
    let whole: [&[[u8; RATE]]; N] = group.map(|input| input.as_chunks::<RATE>().0);
    for block in 0..whole[0].len() {
        absorb(&mut state, whole.map(|blocks| &blocks[block]));
        permute(&mut state);
    }
    let mut last = [[0; RATE]; N];
    for (block, input) in last.iter_mut().zip(group) {
        let rest = input.as_chunks::<RATE>().1;
        block[..rest.len()].copy_from_slice(rest);
        pad(block, rest.len());
    }
    absorb(&mut state, last.each_ref());
    permute(&mut state);
    std::array::from_fn(|lane| squeeze(&state, lane))
}
