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
        #[allow(unused_mut)]
        let mut widths = vec![Width::One];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                widths.push(Width::Four);
            }
            if is_x86_feature_detected!("avx512f") {
                widths.push(Width::Eight);
            }
        }
        widths
    }

    /// The widest that this processor can run.
    pub fn best() -> Width {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Width::Eight;
            }
            if is_x86_feature_detected!("avx2") {
                return Width::Four;
            }
        }
        Width::One
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

/// As `keccak256_many`, at a width that must be available; for measurements and tests.
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
    let (mut inputs, mut hashes) = (inputs, hashes);
    #[cfg(target_arch = "x86_64")]
    {
        if width == Width::Eight && is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has avx512f.
            let done = unsafe { eight_lanes(inputs, hashes) };
            (inputs, hashes) = (&inputs[done..], &mut hashes[done..]);
        }
        if width != Width::One && is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has avx2.
            let done = unsafe { four_lanes(inputs, hashes) };
            (inputs, hashes) = (&inputs[done..], &mut hashes[done..]);
        }
    }
    let _ = width;
    hash_groups::<1>(inputs, hashes);
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

/// Hash whole groups of `N`, and say how many inputs that were.
#[inline(always)]
fn hash_groups<const N: usize>(inputs: &[&[u8]], hashes: &mut [Hash]) -> usize {
    let (groups, _) = inputs.as_chunks::<N>();
    let (found, _) = hashes.as_chunks_mut::<N>();
    for (group, hashes) in groups.iter().zip(found) {
        hash_group(group, hashes);
    }
    groups.len() * N
}

#[inline(always)]
fn hash_group<const N: usize>(group: &[&[u8]; N], hashes: &mut [Hash; N]) {
    let mut state: [Lane<N>; 25] = [[0; N]; 25];
    let whole: [&[[u8; RATE]]; N] = group.map(|input| input.as_chunks::<RATE>().0);
    for block in 0..whole[0].len() {
        absorb(&mut state, whole.map(|blocks| &blocks[block]));
        permute(&mut state);
    }
    let last = group.map(|input| {
        let rest = input.as_chunks::<RATE>().1;
        let mut block = [0; RATE];
        block[..rest.len()].copy_from_slice(rest);
        pad(&mut block, rest.len());
        block
    });
    absorb(&mut state, last.each_ref());
    permute(&mut state);
    for (lane, hash) in hashes.iter_mut().enumerate() {
        *hash = squeeze(&state, lane);
    }
}
