//! Keccak-256 as Ethereum uses it (not NIST SHA3-256).
//!
//! The permutation is written once, over `N` independent states side by side. `N` = 1 is the plain hash; the wider
//! ones live in `keccak_lanes`, where the compiler turns them into vector code.

pub use crate::keccak_lanes::{keccak256_many, keccak256_rows};

/// A hash, 32 bytes.
pub type Hash = [u8; 32];

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

#[inline(always)]
fn xor<const N: usize>(a: Lane<N>, b: Lane<N>) -> Lane<N> {
    std::array::from_fn(|i| a[i] ^ b[i])
}

#[inline(always)]
fn rotate<const N: usize, const BY: u32>(a: Lane<N>) -> Lane<N> {
    a.map(|word| word.rotate_left(BY))
}

#[inline(always)]
fn xor_and_not<const N: usize>(a: Lane<N>, b: Lane<N>, c: Lane<N>) -> Lane<N> {
    std::array::from_fn(|i| a[i] ^ (!b[i] & c[i]))
}

/// Keccak-f[1600] on `N` states.
#[inline(always)]
pub(crate) fn permute<const N: usize>(state: &mut [Lane<N>; 25]) {
    for constant in ROUNDS {
        round(state, constant);
    }
}

/// One round: theta, rho and pi row by row, chi, iota.
#[inline(always)]
fn round<const N: usize>(s: &mut [Lane<N>; 25], constant: u64) {
    let c: [Lane<N>; 5] =
        std::array::from_fn(|x| xor(xor(xor(s[x], s[x + 5]), xor(s[x + 10], s[x + 15])), s[x + 20]));
    let d: [Lane<N>; 5] = std::array::from_fn(|x| xor(c[(x + 4) % 5], rotate::<N, 1>(c[(x + 1) % 5])));
    let rows = [
        [
            xor(s[0], d[0]),
            rotate::<N, 44>(xor(s[6], d[1])),
            rotate::<N, 43>(xor(s[12], d[2])),
            rotate::<N, 21>(xor(s[18], d[3])),
            rotate::<N, 14>(xor(s[24], d[4])),
        ],
        [
            rotate::<N, 28>(xor(s[3], d[3])),
            rotate::<N, 20>(xor(s[9], d[4])),
            rotate::<N, 3>(xor(s[10], d[0])),
            rotate::<N, 45>(xor(s[16], d[1])),
            rotate::<N, 61>(xor(s[22], d[2])),
        ],
        [
            rotate::<N, 1>(xor(s[1], d[1])),
            rotate::<N, 6>(xor(s[7], d[2])),
            rotate::<N, 25>(xor(s[13], d[3])),
            rotate::<N, 8>(xor(s[19], d[4])),
            rotate::<N, 18>(xor(s[20], d[0])),
        ],
        [
            rotate::<N, 27>(xor(s[4], d[4])),
            rotate::<N, 36>(xor(s[5], d[0])),
            rotate::<N, 10>(xor(s[11], d[1])),
            rotate::<N, 15>(xor(s[17], d[2])),
            rotate::<N, 56>(xor(s[23], d[3])),
        ],
        [
            rotate::<N, 62>(xor(s[2], d[2])),
            rotate::<N, 55>(xor(s[8], d[3])),
            rotate::<N, 39>(xor(s[14], d[4])),
            rotate::<N, 41>(xor(s[15], d[0])),
            rotate::<N, 2>(xor(s[21], d[1])),
        ],
    ];
    for (y, row) in rows.iter().enumerate() {
        for x in 0..5 {
            s[5 * y + x] = xor_and_not(row[x], row[(x + 1) % 5], row[(x + 2) % 5]);
        }
    }
    s[0] = s[0].map(|word| word ^ constant);
}
