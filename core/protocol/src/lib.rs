//! What is said, byte for byte: messages, events, ledger entries, terms, views. Everything else reads this crate.

pub mod entries;
pub mod envelope;
pub mod events;
pub mod instruments;
pub mod keccak;
pub mod keccak_lanes;
pub mod leaves;
pub mod packed;
pub mod quantities;
pub mod reasons;
pub mod records;
pub mod signing;
pub mod terms;
pub mod views;
pub mod wide;
pub mod wire;
