//! The deterministic state machine, native. `src/penstock/spec` says what it means; this says it fast.
//!
//! ```text
//! apply(state, sequence, time, message)
//!   for each member:           one, or a bundle's 1 to 64
//!     decide  → events         reads; may refuse
//!     evolve  ← events         writes; never refuses
//!     record  → ledger entry   for each event that moves money, keys or prices
//! ```

#![deny(unsafe_code)]

mod authority;
mod drafts;
mod evolve;
mod evolve_markets;
mod expiry;
mod foresight;
mod ledger;
mod liquidation;
mod matching;
mod moment;
mod money;
mod orders;
mod prefetch;
mod prices;
mod replay;
mod sessions;
mod snapshot;
mod status;
mod transition;

use penstock_protocol::quantities::Hash;
use penstock_protocol::terms::Genesis;
use penstock_protocol::wire::{Command, Message, Output};
use penstock_state::{State, Unfit};

use moment::Scratch;

/// A state, and the memory it is decided in.
pub struct Engine {
    state: State,
    scratch: Scratch,
    batch: Vec<Command>,
    output: Output,
    /// Sequence and time of the last command, where this engine executed one or began at genesis.
    reached: Option<(u64, u64)>,
}

impl Engine {
    /// The engine before the first command. Err names a term out of range.
    pub fn new(genesis: &[u8]) -> Result<Engine, String> {
        Ok(Engine::at(State::new(Genesis::decode(genesis)?), Some((0, 0))))
    }

    /// The engine at the state that `save` gave, under the same genesis.
    ///
    /// Err says where and why when the bytes are not exactly such a saved form, or the genesis is none.
    pub fn load(genesis: &[u8], saved: &[u8]) -> Result<Engine, String> {
        Ok(Engine::at(State::load(Genesis::decode(genesis)?, saved)?, None))
    }

    fn at(state: State, reached: Option<(u64, u64)>) -> Engine {
        Engine { state, scratch: Scratch::default(), batch: Vec::new(), output: Output::default(), reached }
    }

    /// Everything `apply` can read, as bytes: one state has one saved form. See `docs/reference/state.md`.
    pub fn save(&self) -> Vec<u8> {
        self.state.save()
    }

    /// Advance the state by one sequenced command; what it did is appended to `out`.
    ///
    /// Total: a refusal is an event. `sequence` counts from 1, stays below 2^58, and `time` (venue µs) never decreases:
    /// the caller's duty.
    pub fn apply(&mut self, sequence: u64, time: u64, message: &Message, out: &mut Output) {
        self.reached = Some((sequence, time));
        transition::apply(&mut self.state, &mut self.scratch, sequence, time, message, out);
    }

    /// Apply every command of a batch and append an applied frame for each to `out`; returns how many there were.
    ///
    /// Err when the bytes are not exactly a batch; then nothing was applied.
    pub fn apply_batch(&mut self, commands: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
        let count = self.read(commands)?;
        let batch = std::mem::take(&mut self.batch);
        for at in 0..count {
            foresight::touch(&self.state, &batch[..count], at);
            let Command { sequence, time, message } = &batch[at];
            self.output.clear();
            transition::apply(&mut self.state, &mut self.scratch, *sequence, *time, message, &mut self.output);
            self.output.frame(out);
            self.reached = Some((*sequence, *time));
        }
        self.batch = batch;
        Ok(count)
    }

    /// A digest of everything `apply` can read.
    pub fn engine_root(&self) -> Hash {
        self.state.engine_root()
    }

    /// One account packed, or None if it was never credited.
    pub fn account_view(&self, subaccount: u32) -> Option<Vec<u8>> {
        self.state.account_view(subaccount)
    }

    /// One market packed, or None if it is not listed.
    pub fn market_view(&self, market: u32) -> Option<Vec<u8>> {
        self.state.market_view(market)
    }

    /// Every listed market packed, ascending.
    pub fn market_views(&self) -> Vec<u8> {
        self.state.market_views()
    }

    /// What one account would be had it just bought `change` size units (sold, if negative) at `price`, packed; None for
    /// an unknown subaccount or market. Err for a fill that no width holds.
    pub fn what_if(&self, subaccount: u32, market: u32, change: i64, price: u64) -> Result<Option<Vec<u8>>, Unfit> {
        self.state.what_if(subaccount, market, change, price)
    }

    /// Every account with what of it the public books are made of, packed.
    pub fn resting(&self) -> Vec<u8> {
        self.state.resting()
    }

    /// The highest nonce each slot has seen, 0 where none; None for a subaccount that was never credited.
    pub fn guard_nonces(&self, subaccount: u32, slots: &[u16]) -> Option<Vec<u64>> {
        let account = self.state.accounts.get(subaccount as usize)?;
        Some(slots.iter().map(|&slot| self.state.slot(account, slot).guard).collect())
    }

    /// Every leaf of the settlement tree, as `SettlementTree::from_state` takes them.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::snapshot(&self.state)
    }

    /// Everything `apply` can read, for those who build trees beside it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Decode a batch into the memory at hand.
    fn read(&mut self, mut commands: &[u8]) -> Result<usize, String> {
        let mut count = 0;
        while !commands.is_empty() {
            if count == self.batch.len() {
                self.batch.push(Command::default());
            }
            self.batch[count].read(&mut commands)?;
            count += 1;
        }
        Ok(count)
    }
}
