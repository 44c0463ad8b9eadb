//! Placeholder.

pub mod keccak;
pub mod keccak_lanes;
