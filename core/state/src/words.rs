//! The 32-byte words that a state is written in: whole for the digest, short for the saved form; and short ones read.
//!
//! A short word is its length, u8, and the number in the fewest bytes of two's complement; none for 0.

use std::ops::RangeInclusive;

use penstock_protocol::quantities::{Address, Hash};

const WORD: usize = 32;

/// Where a state is written, word by word.
pub(crate) trait Words {
    /// A number.
    fn word(&mut self, value: impl Into<i128>);

    /// A word as it is.
    fn hash(&mut self, word: &Hash);

    fn count(&mut self, count: usize) {
        self.word(count as u64);
    }

    fn address(&mut self, address: &Address) {
        let mut word = [0; WORD];
        word[12..].copy_from_slice(address);
        self.hash(&word);
    }
}

/// Words of 32 bytes, one after the other.
pub(crate) struct Whole(pub Vec<u8>);

impl Words for Whole {
    #[inline]
    fn word(&mut self, value: impl Into<i128>) {
        let value = value.into();
        self.0.extend_from_slice(&(value >> 127).to_be_bytes());
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    fn hash(&mut self, word: &Hash) {
        self.0.extend_from_slice(word);
    }
}

/// Words each behind its length.
pub(crate) struct Short(pub Vec<u8>);

impl Words for Short {
    #[inline]
    fn word(&mut self, value: impl Into<i128>) {
        let value = value.into();
        let magnitude = if value < 0 { !value } else { value };
        let length = if value == 0 { 0 } else { (128 - magnitude.leading_zeros() as usize) / 8 + 1 };
        self.0.push(length as u8);
        self.0.extend_from_slice(&value.to_be_bytes()[16 - length..]);
    }

    #[inline]
    fn hash(&mut self, word: &Hash) {
        let sign = if word[0] < 0x80 { 0 } else { 0xFF };
        let different = word.iter().position(|&byte| byte != sign);
        // The first byte that counts must show the sign; 0 has none that counts, -1 has one.
        let first = match different {
            None => WORD - usize::from(sign != 0),
            Some(at) => at - usize::from((word[at] ^ sign) >= 0x80),
        };
        self.0.push((WORD - first) as u8);
        self.0.extend_from_slice(&word[first..]);
    }
}

/// A cursor over short words; what is not one, or not in its range, is refused with the byte where it stands.
pub(crate) struct ShortWords<'a> {
    bytes: &'a [u8],
    at: usize,
    last: usize,
}

impl<'a> ShortWords<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> ShortWords<'a> {
        ShortWords { bytes, at, last: at }
    }

    /// The refusal at the last word read.
    #[cold]
    pub fn wrong(&self, why: impl std::fmt::Display) -> String {
        format!("saved state, byte {}: {why}", self.last)
    }

    /// The next word's bytes, the fewest there are.
    #[inline]
    fn short(&mut self) -> Result<&'a [u8], String> {
        self.last = self.at;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((&length, rest)) = rest.split_first() else {
            return Err(self.wrong("no word"));
        };
        let length = usize::from(length);
        let Some(short) = rest.get(..length).filter(|_| length <= WORD) else {
            return Err(self.wrong("no word"));
        };
        let longer = match short {
            [0] => true,
            [0, second, ..] => *second < 0x80,
            [0xFF, second, ..] => *second >= 0x80,
            _ => false,
        };
        if longer {
            return Err(self.wrong("a word longer than it has to be"));
        }
        self.at += 1 + length;
        Ok(short)
    }

    /// The next word whole, 32 bytes.
    #[inline]
    pub fn hash(&mut self) -> Result<Hash, String> {
        let short = self.short()?;
        let sign = if short.first().is_some_and(|&first| first >= 0x80) { 0xFF } else { 0 };
        let mut word = [sign; WORD];
        word[WORD - short.len()..].copy_from_slice(short);
        Ok(word)
    }

    /// The next word, a number of the range; the type holds all of it.
    #[inline]
    pub fn number<T: TryFrom<i128>>(&mut self, what: &str, range: RangeInclusive<i128>) -> Result<T, String> {
        let short = self.short()?;
        if short.len() > size_of::<i128>() {
            return Err(self.wrong(format_args!("{what} has {} bytes", short.len())));
        }
        let negative = short.first().is_some_and(|&first| first >= 0x80);
        let number = short.iter().fold(-i128::from(negative), |number, &byte| number << 8 | i128::from(byte));
        match T::try_from(number) {
            Ok(found) if range.contains(&number) => Ok(found),
            _ => Err(self.wrong(format_args!("{what} is {number}, wants {} to {}", range.start(), range.end()))),
        }
    }

    /// The next word, 0 or 1.
    #[inline]
    pub fn flag(&mut self, what: &str) -> Result<bool, String> {
        Ok(self.number::<u8>(what, 0..=1)? == 1)
    }

    /// The next word, 20 bytes.
    pub fn address(&mut self, what: &str) -> Result<Address, String> {
        let word = self.hash()?;
        match word.split_first_chunk::<12>() {
            Some(([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], rest)) => {
                let mut address = [0; 20];
                address.copy_from_slice(rest);
                Ok(address)
            }
            _ => Err(self.wrong(format_args!("{what} is no address"))),
        }
    }

    /// The next word, which can only be one.
    pub fn expect(&mut self, what: &str, wanted: &Hash) -> Result<(), String> {
        let found = self.hash()?;
        if found == *wanted { Ok(()) } else { Err(self.wrong(format_args!("{what} is not this genesis'"))) }
    }

    /// The next word, a count of things of so many words each that can still follow.
    pub fn count(&mut self, what: &str, most: usize, words_each: usize) -> Result<usize, String> {
        self.number(what, 0..=most.min(self.count_limit(words_each)) as i128)
    }

    /// How many things of so many words fit behind the next word.
    #[inline]
    pub fn count_limit(&self, words_each: usize) -> usize {
        (self.bytes.len() - self.at).saturating_sub(1) / words_each
    }

    /// The next word, a key of an ascending list: at least `first`, below `limit`.
    #[inline]
    pub fn key<T: TryFrom<i128>>(&mut self, what: &str, first: i128, limit: i128) -> Result<T, String> {
        self.number(what, first..=limit - 1)
    }

    /// Err when anything follows.
    pub fn finish(&mut self) -> Result<(), String> {
        self.last = self.at;
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(self.wrong(format_args!("{left} bytes too many"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Short, ShortWords, Whole, Words};

    #[test]
    fn a_number_and_its_whole_word_are_the_same_short_word_and_come_back() {
        let edges = [0, 1, 127, 128, 255, 256, 1 << 64, i128::MAX];
        for value in edges.into_iter().flat_map(|edge| [edge, -edge, -edge - 1, edge.saturating_sub(1)]) {
            let (mut whole, mut short, mut from_whole) = (Whole(vec![]), Short(vec![]), Short(vec![]));
            whole.word(value);
            short.word(value);
            let mut word = [0; 32];
            word.copy_from_slice(&whole.0);
            from_whole.hash(&word);
            assert_eq!(short.0, from_whole.0, "{value}");
            let read = ShortWords::new(&short.0, 0).number::<i128>("value", i128::MIN..=i128::MAX);
            assert_eq!(read, Ok(value));
            assert_eq!(ShortWords::new(&short.0, 0).hash(), Ok(word));
        }
    }

    #[test]
    fn a_hash_keeps_its_leading_bytes() {
        for first in [0, 1, 0x7F, 0x80, 0xFE, 0xFF] {
            for second in [0, 0x7F, 0x80, 0xFF] {
                let mut word = [0x55; 32];
                (word[0], word[1]) = (first, second);
                let mut short = Short(vec![]);
                short.hash(&word);
                assert_eq!(ShortWords::new(&short.0, 0).hash(), Ok(word));
            }
        }
    }
}
