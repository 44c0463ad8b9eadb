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
    fn int32(&mut self) -> i32 {
        let [a, b, c, d] = self.quarters();
        let number = d as i32;
        let sign = i64::from(number >> 31) as u64;
        self.stray |= (a ^ sign) | (b ^ sign) | (c ^ sign) | (d ^ i64::from(number) as u64);
        number
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

impl Word for i32 {
    fn word(&self) -> [u8; WORD] {
        let mut word = [if *self < 0 { 0xFF } else { 0 }; WORD];
        word[WORD - 4..].copy_from_slice(&self.to_be_bytes());
        word
    }
}

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
    PlaceOrder "e165d8c9fdc147ac61d86b6da7cce5648b64196a44eccb4b89cfd061e1fb7776" {
        subaccount: u32, uint24; slot: u16, uint16; nonce: u64, uint64; deadline: u64, uint64; market: u32, uint24;
        side: u8, uint8; price: u64, uint40; size: u64, uint48; fill_guard: u64, uint48; time_in_force: u8, uint8;
        post_only: bool, bool; reduce_only: bool, bool; max_fee_ppm: u32, uint24; builder: u32, uint24;
        builder_fee_ppm: u32, uint24;
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
    /// Set a market's index and mark (price units) and premium (1e-9), signed by k of n oracle keys.
    PublishPrice "92d1269af27e57eb7cd4e6ba5ec7083c7c9a51b3a953f1ca145c91e81bf27211" {
        market: u32, uint24; published_at: u64, uint64; index_price: u64, uint40; mark_price: u64, uint40;
        premium: i32, int32;
    }
    /// The guardian opens a market, lets it only reduce positions, or halts it.
    SetMarketStatus "ddae3649af70403e00e6514b4c91d57ad8cc72703ba088e8442cfe3edb537d58" {
        market: u32, uint24; nonce: u64, uint64; status: u8, uint8;
    }
    /// The governor gives a perpetual an end, `expiry` (s).
    DelistMarket "f834389428610577a781bd0c213484fcb5dd1229a78b963c98179bdb83752742" {
        market: u32, uint24; nonce: u64, uint64; expiry: u64, uint40;
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
    /// Poke: list what a template foresees. Refused for any other expiry (s), strike (price units) or option type.
    ListMarket "a146800eebe521bfacaf53ed382dd5ae518c52b50d013e999c2bebd2f8187e98" {
        template: u16, uint16; expiry: u64, uint40; strike: u64, uint40; option_type: u8, uint8;
    }
    /// Poke: fix a market's settlement price, the mean index of its last 30 minutes. Refused before its expiry.
    ExpireMarket "2c7c4124c4b3bcd8a246947da09ff9ffc88ded574f01cd2737f2b7f2857ef261" { market: u32, uint24; }
    /// Poke: turn a position in an expired market into cash. Refused where there is none.
    ExpirePosition "ccc18138b93d8e37df6d7edca83e451cd9a230f4bb7ff36ef1ccb36da9ce167c" {
        subaccount: u32, uint24; market: u32, uint24;
    }
    /// Poke: end a halt or a reduce-only order of the guardian whose time is over.
    ReopenMarket "5d09cd4faa024aa978a1253f0308059d572ca4a3d55e99c951609cf76d7c3b85" { market: u32, uint24; }
    /// Poke: say on the record that a market's price is too old. Refused while it is fresh, or already said.
    MarkStale "972e7b1c99d64f10e3ce4c2e3ffb7e00023e33972740cda7bfd54d8ece3d0bc6" { market: u32, uint24; }
    /// Poke: move what a market has gathered for a builder into its subaccount. Refused when that is nothing.
    PayBuilder "052cca84d6fa6deb6017172f8cc4e97a2bd6a09d87c92a921e28f299ae2be3a6" {
        market: u32, uint24; subaccount: u32, uint24;
    }
}
