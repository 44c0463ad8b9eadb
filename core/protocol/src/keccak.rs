//! Keccak-256 as Ethereum uses it (not NIST SHA3-256).
//!
//! The permutation is written once, over `N` independent states side by side. `N` = 1 is the plain hash; the wider
//! ones live in `keccak_lanes`, where the compiler turns them into vector code.

pub use crate::keccak_lanes::{keccak256_many, keccak256_rows};
pub use crate::quantities::Hash;

/// Bytes absorbed by one permutation.
pub(crate) const RATE: usize = 136;
const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808A,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808B,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008A,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000A,
    0x0000_0000_8000_808B,
    0x8000_0000_0000_008B,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800A,
    0x8000_0000_8000_000A,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// The same word of `N` states.
pub(crate) type Lane<const N: usize> = [u64; N];

/// Keccak-256 of the parts one after the other.
pub fn keccak256(parts: &[&[u8]]) -> Hash {
    let mut state = [[0]; 25];
    let mut block = [0; RATE];
    let mut filled = 0;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(RATE - filled));
            block[filled..filled + now.len()].copy_from_slice(now);
            filled += now.len();
            rest = later;
            if filled == RATE {
                absorb(&mut state, [&block]);
                permute(&mut state);
                filled = 0;
            }
        }
    }
    block[filled..].fill(0);
    pad(&mut block, filled);
    absorb(&mut state, [&block]);
    permute(&mut state);
    squeeze(&state, 0)
}

/// Close the last block, whose first `filled` bytes are taken and whose others are zero.
#[inline(always)]
pub(crate) fn pad(block: &mut [u8; RATE], filled: usize) {
    block[filled] ^= 0x01;
    block[RATE - 1] ^= 0x80;
}

/// Mix one block into each of the `N` states.
#[inline(always)]
pub(crate) fn absorb<const N: usize>(state: &mut [Lane<N>; 25], blocks: [&[u8; RATE]; N]) {
    for (lane, block) in blocks.into_iter().enumerate() {
        let (words, _) = block.as_chunks::<8>();
        for (word, bytes) in state.iter_mut().zip(words) {
            word[lane] ^= u64::from_le_bytes(*bytes);
        }
    }
}

/// The hash that one of the states gives.
#[inline(always)]
pub(crate) fn squeeze<const N: usize>(state: &[Lane<N>; 25], lane: usize) -> Hash {
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(8).zip(state) {
        bytes.copy_from_slice(&word[lane].to_le_bytes());
    }
    hash
}

/// Keccak-f[1600] on `N` states.
#[inline(always)]
pub(crate) fn permute<const N: usize>(state: &mut [Lane<N>; 25]) {
    for &[one, two] in ROUNDS.as_chunks().0 {
        // One body for each lane: the loop over lanes is what becomes vector code.
        for lane in 0..N {
            round(state, lane, one);
            round(state, lane, two);
        }
    }
}

/// One round of one state: theta, rho and pi row by row, chi, iota.
#[inline(always)]
fn round<const N: usize>(s: &mut [Lane<N>; 25], i: usize, constant: u64) {
    let c0 = s[0][i] ^ s[5][i] ^ s[10][i] ^ s[15][i] ^ s[20][i];
    let c1 = s[1][i] ^ s[6][i] ^ s[11][i] ^ s[16][i] ^ s[21][i];
    let c2 = s[2][i] ^ s[7][i] ^ s[12][i] ^ s[17][i] ^ s[22][i];
    let c3 = s[3][i] ^ s[8][i] ^ s[13][i] ^ s[18][i] ^ s[23][i];
    let c4 = s[4][i] ^ s[9][i] ^ s[14][i] ^ s[19][i] ^ s[24][i];
    let d0 = c4 ^ c1.rotate_left(1);
    let d1 = c0 ^ c2.rotate_left(1);
    let d2 = c1 ^ c3.rotate_left(1);
    let d3 = c2 ^ c4.rotate_left(1);
    let d4 = c3 ^ c0.rotate_left(1);
    let r0 = [
        s[0][i] ^ d0,
        (s[6][i] ^ d1).rotate_left(44),
        (s[12][i] ^ d2).rotate_left(43),
        (s[18][i] ^ d3).rotate_left(21),
        (s[24][i] ^ d4).rotate_left(14),
    ];
    let r1 = [
        (s[3][i] ^ d3).rotate_left(28),
        (s[9][i] ^ d4).rotate_left(20),
        (s[10][i] ^ d0).rotate_left(3),
        (s[16][i] ^ d1).rotate_left(45),
        (s[22][i] ^ d2).rotate_left(61),
    ];
    let r2 = [
        (s[1][i] ^ d1).rotate_left(1),
        (s[7][i] ^ d2).rotate_left(6),
        (s[13][i] ^ d3).rotate_left(25),
        (s[19][i] ^ d4).rotate_left(8),
        (s[20][i] ^ d0).rotate_left(18),
    ];
    let r3 = [
        (s[4][i] ^ d4).rotate_left(27),
        (s[5][i] ^ d0).rotate_left(36),
        (s[11][i] ^ d1).rotate_left(10),
        (s[17][i] ^ d2).rotate_left(15),
        (s[23][i] ^ d3).rotate_left(56),
    ];
    let r4 = [
        (s[2][i] ^ d2).rotate_left(62),
        (s[8][i] ^ d3).rotate_left(55),
        (s[14][i] ^ d4).rotate_left(39),
        (s[15][i] ^ d0).rotate_left(41),
        (s[21][i] ^ d1).rotate_left(2),
    ];
    chi(s, i, 0, r0);
    chi(s, i, 5, r1);
    chi(s, i, 10, r2);
    chi(s, i, 15, r3);
    chi(s, i, 20, r4);
    s[0][i] ^= constant;
}

#[inline(always)]
fn chi<const N: usize>(s: &mut [Lane<N>; 25], i: usize, at: usize, r: [u64; 5]) {
    s[at][i] = r[0] ^ (!r[1] & r[2]);
    s[at + 1][i] = r[1] ^ (!r[2] & r[3]);
    s[at + 2][i] = r[2] ^ (!r[3] & r[4]);
    s[at + 3][i] = r[3] ^ (!r[4] & r[0]);
    s[at + 4][i] = r[4] ^ (!r[0] & r[1]);
}
