//! The messages that can change state, as typed records: typehash, then one 32-byte word a field (EIP-712 encodeData).

use crate::quantities::{Address, Hash};
use crate::reasons::Reason;

const WORD: usize = 32;

/// Reads words in order and gathers what their padding may not hold.
struct Words<'a> {
    bytes: &'a [u8],
    stray: u64,
}

impl<'a> Words<'a> {
    #[inline(always)]
    fn quarters(&mut self) -> [u64; 4] {
        let (word, rest) = self.bytes.split_first_chunk::<WORD>().expect("the length was checked");
        self.bytes = rest;
        let quarter = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&word[8 * at..8 * at + 8]);
            u64::from_be_bytes(bytes)
        };
        [quarter(0), quarter(1), quarter(2), quarter(3)]
    }

    #[inline(always)]
    fn number<const BITS: u32>(&mut self) -> u64 {
        let [a, b, c, d] = self.quarters();
        self.stray |= a | b | c;
        if BITS < 64 {
            self.stray |= d >> (BITS & 63);
        }
        d
    }

    fn word(&mut self) -> &'a [u8; WORD] {
        let (word, rest) = self.bytes.split_first_chunk::<WORD>().expect("the length was checked");
        self.bytes = rest;
        word
    }

    #[inline(always)]
    fn uint8(&mut self) -> u8 {
        self.number::<8>() as u8
    }

    #[inline(always)]
    fn uint16(&mut self) -> u16 {
        self.number::<16>() as u16
    }

    #[inline(always)]
    fn uint24(&mut self) -> u32 {
        self.number::<24>() as u32
    }

    #[inline(always)]
    fn uint32(&mut self) -> u32 {
        self.number::<32>() as u32
    }

    #[inline(always)]
    fn uint40(&mut self) -> u64 {
        self.number::<40>()
    }

    #[inline(always)]
    fn uint48(&mut self) -> u64 {
        self.number::<48>()
    }

    #[inline(always)]
    fn uint64(&mut self) -> u64 {
        self.number::<64>()
    }

    #[inline(always)]
    fn uint96(&mut self) -> u128 {
        let [a, b, c, d] = self.quarters();
        self.stray |= a | b | (c >> 32);
        u128::from(c & 0xFFFF_FFFF) << 64 | u128::from(d)
    }

    #[inline(always)]
    fn bool(&mut self) -> bool {
        self.number::<1>() == 1
    }

    fn address(&mut self) -> Address {
        let word = self.word();
        self.stray |= u64::from(word[..12] != [0; 12]);
        let mut address = [0; 20];
        address.copy_from_slice(&word[12..]);
        address
    }

    fn bytes32(&mut self) -> Hash {
        *self.word()
    }
}

/// A field's word, for encoding.
trait Word {
    fn word(&self) -> [u8; WORD];
}

macro_rules! number_word {
    ($($number:ty),*) => {
        $(impl Word for $number {
            fn word(&self) -> [u8; WORD] {
                let bytes = self.to_be_bytes();
                let mut word = [0; WORD];
                word[WORD - bytes.len()..].copy_from_slice(&bytes);
                word
            }
        })*
    };
}

number_word!(u8, u16, u32, u64, u128);

impl Word for bool {
    fn word(&self) -> [u8; WORD] {
        u8::from(*self).word()
    }
}

impl Word for Address {
    fn word(&self) -> [u8; WORD] {
        let mut word = [0; WORD];
        word[12..].copy_from_slice(self);
        word
    }
}

impl Word for Hash {
    fn word(&self) -> [u8; WORD] {
        *self
    }
}

const fn unhex(hex: &str) -> Hash {
    const fn digit(character: u8) -> u8 {
        if character <= b'9' { character - b'0' } else { character - b'a' + 10 }
    }
    let bytes = hex.as_bytes();
    let mut hash = [0; 32];
    let mut at = 0;
    while at < 32 {
        hash[at] = digit(bytes[2 * at]) << 4 | digit(bytes[2 * at + 1]);
        at += 1;
    }
    hash
}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident $typehash:literal { $($field:ident: $type:ty, $atom:ident;)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $(pub $field: $type,)*
        }

        impl $name {
            /// keccak256 of the EIP-712 encodeType.
            pub const TYPEHASH: Hash = unhex($typehash);
            /// Bytes of the encoded record.
            pub const LENGTH: usize = WORD $(+ { let _ = stringify!($field); WORD })*;

            #[inline(always)]
            fn decode(bytes: &[u8]) -> Result<Record, Reason> {
                if bytes.len() != Self::LENGTH {
                    return Err(Reason::RecordLengthWrong);
                }
                let mut words = Words { bytes: &bytes[WORD..], stray: 0 };
                $(let $field = words.$atom();)*
                if words.stray != 0 {
                    return Err(Reason::WordNotCanonical);
                }
                Ok(Record::$name($name { $($field),* }))
            }

            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&Self::TYPEHASH);
                $(out.extend_from_slice(&Word::word(&self.$field));)*
            }
        }

        impl From<$name> for Record {
            fn from(record: $name) -> Record {
                Record::$name(record)
            }
        })*

        /// One record of any type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Record {
            $($name($name),)*
        }

        impl Record {
            /// Name, typehash and EIP-712 fields of each type, each field followed by a comma.
            pub const TYPES: &'static [(&'static str, Hash, &'static str)] = &[
                $((stringify!($name), $name::TYPEHASH,
                   concat!($(stringify!($atom), " ", stringify!($field), ","),*)),)*
            ];

            /// The typed record. Refused for an unknown type, a wrong length or a non-canonical word.
            #[inline]
            pub fn decode(bytes: &[u8]) -> Result<Record, Reason> {
                let Some(typehash) = bytes.first_chunk::<WORD>() else {
                    return Err(Reason::TypeUnknown);
                };
                $(if *typehash == $name::TYPEHASH {
                    return $name::decode(bytes);
                })*
                Err(Reason::TypeUnknown)
            }

            /// typehash ‖ words.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Record::$name(record) => record.encode(out),)*
                }
            }
        }
    };
}

records! {
    /// Ask for up to `size` at `price` or better; on an occupied slot, replace what is there.
    PlaceOrder "88aa081e246eb7dc6812d3f23fc00bf2a71de3489618386341642dd995fb25fa" {
        subaccount: u32, uint24; slot: u16, uint16; nonce: u64, uint64; deadline: u64, uint64; market: u32, uint24;
        side: u8, uint8; price: u64, uint40; size: u64, uint48; fill_guard: u64, uint48; time_in_force: u8, uint8;
        post_only: bool, bool; reduce_only: bool, bool; max_fee_ppm: u32, uint24;
    }
    /// Take the slot's order out of the book.
    CancelOrder "fcc53a25977a8cfea327a623552f546d0c573d332420eae66cbfe3c24c0e7575" {
        subaccount: u32, uint24; slot: u16, uint16; nonce: u64, uint64; deadline: u64, uint64;
    }
    /// Kill every order of the subaccount placed before this command's sequence.
    CancelAll "c7bbe28a0d6b565b2ce13d90bcfea271c515392a38f5cbe06ba2cebe911f7d5b" {
        subaccount: u32, uint24; slot: u16, uint16; nonce: u64, uint64; deadline: u64, uint64;
    }
    /// Move `amount` (1e-6 USDC) from cash to the leaf's cumulative `withdrawn`, claimable on L1 by proof.
    Withdraw "030a4f55f5a7dbd834ca9aa55e8c4dbd9e2cbd44824cafc7effb7b0f266cc263" {
        subaccount: u32, uint24; slot: u16, uint16; nonce: u64, uint64; deadline: u64, uint64; amount: u128, uint96;
    }
    /// Let `key` sign for the subaccount within scopes, slots, underlyings and kinds until `expiry` (s).
    GrantSession "7a74fcf07e6375ecc5f20ecdd3024f339dc1cbb40fa2c5d6195215ad0b693e9a" {
        subaccount: u32, uint24; slot: u16, uint16; nonce: u64, uint64; deadline: u64, uint64; key: Address, address;
        expiry: u64, uint40; slot_first: u16, uint16; slot_last: u16, uint16; scopes: u32, uint32;
        underlyings: u64, uint64; kinds: u8, uint8;
    }
    /// End a session key from this command's sequence on, its resting orders included.
    RevokeSession "af14590d0a21494bd51d042bbe00fe218a15039580aeb481bd1ea79e2e21cfd1" {
        subaccount: u32, uint24; slot: u16, uint16; nonce: u64, uint64; deadline: u64, uint64; key: Address, address;
    }
    /// One signature over up to 64 records, by the binary Merkle root of their struct hashes.
    Bundle "2c77a0500460740172c861aaeb1e5ef2ab84a5ec37391570a53e086664b4884b" {
        root: Hash, bytes32; count: u8, uint8; mode: u8, uint8; subaccount: u32, uint24; deadline: u64, uint64;
    }
    /// Set a market's index and mark (price units), signed by k of n oracle keys.
    PublishPrice "540257064e470662685fde15c27af18eb5ed409a66e796fa8b595d15d784cc00" {
        market: u32, uint24; published_at: u64, uint64; index_price: u64, uint40; mark_price: u64, uint40;
    }
    /// Credit the Vault's deposit number `deposit`, read at L1 block `l1_block`.
    CreditDeposit "72f9d3ac0c69d7f724a43d8e4cacdfabb413700b6c431792849bbbbcb6caba8f" {
        deposit: u64, uint64; subaccount: u32, uint24; owner: Address, address; amount: u128, uint96;
        l1_block: u64, uint64;
    }
    /// Poke: cancel the subaccount's orders, then close through the book. Refused unless below maintenance.
    Liquidate "dd42c1075c7a1ec9c138921af58088aeda978751eca3474a1c1c14ac064a5b38" { subaccount: u32, uint24; }
    /// Poke: move the market's funding index by what its committed samples say. Refused unless due.
    AccrueFunding "403851afd84a2e15ad11839345c420c2e3ed853bbc9016e67a24b9aabdc4a3ba" { market: u32, uint24; }
    /// Poke: move the market's gathered fees and whole dust to subaccount 0. Refused unless there are any.
    SweepFees "a6d4e744e89bcd090a958e53b9b587b59a80c81577040d374b8d72650ef4a855" { market: u32, uint24; }
    /// Poke: take a dead order out of the book. Refused while it is alive.
    RemoveDeadOrder "2f6fdc219600633ba4854595d6ad75ff6e498f48fe00cb0fef7d58b3a3ff2e6b" {
        subaccount: u32, uint24; slot: u16, uint16;
    }
}
