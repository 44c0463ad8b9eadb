//! Every width gives the plain hash, and the plain hash gives known answers.

use penstock_protocol::keccak::{keccak256, keccak256_many, keccak256_rows};
use penstock_protocol::keccak_lanes::{Width, keccak256_many_at};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that follow from a seed (xorshift64*).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut word = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(|| {
        word ^= word >> 12;
        word ^= word << 25;
        word ^= word >> 27;
        (word.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8
    })
    .take(length)
    .collect()
}

#[test]
fn known_answers() {
    let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
    assert_eq!(hex(&keccak256(&[])), empty);
    assert_eq!(hex(&keccak256(&[b"", b""])), empty);
    let word = "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45";
    assert_eq!(hex(&keccak256(&[b"abc"])), word);
    assert_eq!(hex(&keccak256(&[b"a", b"", b"bc"])), word);
}

#[test]
fn parts_hash_like_their_join() {
    for length in 0..600 {
        let input = noise(length, length as usize);
        let at = input.len() / 3;
        assert_eq!(keccak256(&[&input[..at], &input[at..]]), keccak256(&[&input]), "{length} bytes");
    }
}

#[test]
fn every_width_gives_the_plain_hash_at_every_length() {
    for length in 0..600 {
        let inputs: Vec<Vec<u8>> = (0..19).map(|lane| noise(1 + lane + 100 * length, length as usize)).collect();
        let slices: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let plain: Vec<_> = slices.iter().map(|input| keccak256(&[input])).collect();
        for width in Width::available() {
            assert_eq!(keccak256_many_at(width, &slices), plain, "{width:?}, {length} bytes");
        }
        if length > 0 {
            assert_eq!(keccak256_rows(&inputs.concat(), length as usize), plain);
        }
    }
}

#[test]
fn inputs_of_different_lengths_keep_their_places() {
    let inputs: Vec<Vec<u8>> = (0..300).map(|seed| noise(seed, (seed * seed % 599) as usize)).collect();
    let slices: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let plain: Vec<_> = slices.iter().map(|input| keccak256(&[input])).collect();
    assert_eq!(keccak256_many(&slices), plain);
    assert!(keccak256_many(&[]).is_empty());
}
