//! Packed layouts: fields of stated width one after the other, big-endian, two's complement. `packed!` makes a struct
//! with its layout, written once; tests compare the layouts with `schema/packed.txt`.

/// Writes fields into an array of `N` bytes. Too wide a value loses its high bits: the widths are those of the state.
pub struct Packer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Default for Packer<N> {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! widths {
    ($($(#[$doc:meta])* $name:ident($number:ty) $bytes:literal;)*) => {
        /// How many bytes a field of each width takes.
        #[allow(non_upper_case_globals)]
        pub mod width {
            $(pub const $name: usize = $bytes;)*
            pub const b20: usize = 20;
            pub const b32: usize = 32;
        }

        impl<const N: usize> Packer<N> {
            $($(#[$doc])*
            #[inline(always)]
            pub fn $name(&mut self, value: impl Into<$number>) -> &mut Self {
                let whole = <$number>::to_be_bytes(value.into());
                self.put(&whole[whole.len() - $bytes..])
            })*
        }
    };
}

widths! {
    /// One byte; flags, reasons and causes too.
    u8(u8) 1;
    u16(u16) 2;
    u24(u32) 3;
    u32(u32) 4;
    u40(u64) 5;
    u48(u64) 6;
    u56(u64) 7;
    u64(u64) 8;
    u72(u128) 9;
    u80(i128) 10;
    u88(u128) 11;
    u96(i128) 12;
    u128(u128) 16;
    i24(i32) 3;
    i32(i32) 4;
    i56(i64) 7;
    i64(i64) 8;
    i80(i128) 10;
    i96(i128) 12;
    i128(i128) 16;
}

impl<const N: usize> Packer<N> {
    /// Nothing written yet.
    #[inline(always)]
    pub fn new() -> Self {
        Packer { bytes: [0; N], at: 0 }
    }

    /// Bytes as they are.
    #[inline(always)]
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        self
    }

    /// An address.
    #[inline(always)]
    pub fn b20(&mut self, bytes: [u8; 20]) -> &mut Self {
        self.put(&bytes)
    }

    /// A hash.
    #[inline(always)]
    pub fn b32(&mut self, bytes: [u8; 32]) -> &mut Self {
        self.put(&bytes)
    }

    /// All fields, which must fill the array.
    #[inline(always)]
    pub fn finish(&self) -> [u8; N] {
        debug_assert_eq!(self.at, N);
        self.bytes
    }
}

/// A struct that packs: `Name = "name" { field: Type, width; … }`.
#[macro_export]
macro_rules! packed {
    ($(#[$doc:meta])* $name:ident = $form:literal { $($field:ident: $type:ty, $width:ident;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $(pub $field: $type,)*
        }

        impl $name {
            /// The form's name in `schema/packed.txt`.
            pub const NAME: &'static str = $form;
            /// The form's fields as `schema/packed.txt` lists them, each followed by a comma.
            pub const LAYOUT: &'static str = concat!($(stringify!($field), " ", stringify!($width), ", "),*);
            /// Packed bytes.
            pub const LENGTH: usize = 0 $(+ $crate::packed::width::$width)*;

            /// The packed form.
            #[inline(always)]
            pub fn pack(&self) -> [u8; Self::LENGTH] {
                let mut packer = $crate::packed::Packer::<{ Self::LENGTH }>::new();
                $(packer.$width(self.$field);)*
                packer.finish()
            }
        }
    };
}
