//! Reads `length u32 · genesis` and then command frames from stdin; writes for every command its applied frame, and at
//! the end the engine root. For comparing the core with the spec.

#![forbid(unsafe_code)]

use std::io::{Error, Read, Write, stdin, stdout};

use penstock_engine::Engine;

fn main() -> Result<(), Error> {
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes)?;
    let (length, rest) = bytes.split_first_chunk().ok_or(Error::other("no genesis"))?;
    let length = u32::from_be_bytes(*length) as usize;
    let (genesis, commands) = rest.split_at_checked(length).ok_or(Error::other("genesis ends too early"))?;
    let mut engine = Engine::new(genesis).map_err(Error::other)?;
    let mut out = Vec::new();
    engine.apply_batch(commands, &mut out).map_err(Error::other)?;
    out.extend_from_slice(&engine.engine_root());
    stdout().write_all(&out)
}
