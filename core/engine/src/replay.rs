//! Executing a journal again: records in, nothing out but the state.
//!
//! ```text
//! frame  length u32 · body
//! body   sequence u64 · time u64 · signers u8 · signer b20 each · envelope
//! ```

use penstock_protocol::envelope::Envelope;
use penstock_protocol::keccak::{Hash, keccak256_many};
use penstock_protocol::quantities::{Address, MAX_ENVELOPE, MAX_SEQUENCE};
use penstock_protocol::records::Record;
use penstock_protocol::wire::{Command, Member};

use crate::{Engine, foresight, transition};

/// Records that are read and hashed together before they are applied.
const TOGETHER: usize = 512;
const HEAD: usize = 17;
const MOST: usize = HEAD + 255 * 20 + MAX_ENVELOPE;

/// A record of a journal, its envelope taken apart.
struct Journalled<'a> {
    sequence: u64,
    time: u64,
    signers: &'a [Address],
    envelope: Envelope<'a>,
}

impl Engine {
    /// Execute journalled records one after the other; the last sequence executed, or the last before where there are
    /// none. No signature is checked and nothing that was done is kept.
    ///
    /// Err names the sequence that is no record, does not follow the one before it, or goes back in time. Records
    /// before it may have been applied: the engine is then of no use.
    pub fn replay(&mut self, mut records: &[u8]) -> Result<u64, String> {
        let (mut group, mut hashes) = (Vec::with_capacity(TOGETHER), Vec::new());
        while !records.is_empty() {
            group.clear();
            while group.len() < TOGETHER && !records.is_empty() {
                let record = self.next_record(&mut records)?;
                self.reached = Some((record.sequence, record.time));
                group.push(record);
            }
            hash_records(&group, &mut hashes);
            self.open(&group, &hashes)?;
            self.apply_and_forget(group.len());
        }
        Ok(self.reached.map_or(0, |(sequence, _)| sequence))
    }

    /// Take one record off the front of `bytes`.
    fn next_record<'a>(&self, bytes: &mut &'a [u8]) -> Result<Journalled<'a>, String> {
        let broken = || match self.reached {
            Some((sequence, _)) => format!("replay: no whole record after sequence {sequence}"),
            None => "replay: no whole record at the beginning".into(),
        };
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (body, after) = rest.split_at_checked(length).filter(|_| length <= MOST).ok_or_else(broken)?;
        *bytes = after;
        let (sequence, body) = body.split_first_chunk::<8>().ok_or_else(broken)?;
        let (time, body) = body.split_first_chunk::<8>().ok_or_else(broken)?;
        let (count, body) = body.split_first().ok_or_else(broken)?;
        let (sequence, time) = (u64::from_be_bytes(*sequence), u64::from_be_bytes(*time));
        self.check_order(sequence, time)?;
        let (signers, envelope) = body
            .split_at_checked(20 * usize::from(*count))
            .ok_or_else(|| format!("replay: sequence {sequence}: its signers are cut off"))?;
        let envelope =
            Envelope::unpack(envelope).map_err(|reason| format!("replay: sequence {sequence}: {}", reason.name()))?;
        Ok(Journalled { sequence, time, signers: signers.as_chunks().0, envelope })
    }

    fn check_order(&self, sequence: u64, time: u64) -> Result<(), String> {
        if !(1..=MAX_SEQUENCE).contains(&sequence) {
            return Err(format!("replay: sequence {sequence} is not from 1 to {MAX_SEQUENCE}"));
        }
        match self.reached {
            Some((last, _)) if sequence != last + 1 => Err(format!("replay: sequence {sequence} comes after {last}")),
            Some((_, before)) if time < before => {
                Err(format!("replay: sequence {sequence} goes back in time, from {before} to {time}"))
            }
            _ => Ok(()),
        }
    }

    /// Decode a group into the memory at hand; `hashes` are of each record followed by its members.
    fn open(&mut self, group: &[Journalled<'_>], hashes: &[Hash]) -> Result<(), String> {
        let mut hashes = hashes.iter();
        if self.batch.len() < group.len() {
            self.batch.resize_with(group.len(), Command::default);
        }
        for (command, Journalled { sequence, time, signers, envelope }) in self.batch.iter_mut().zip(group) {
            let mut member = |record: &[u8]| -> Result<Member, String> {
                let record = Record::decode(record)
                    .map_err(|reason| format!("replay: sequence {sequence}: {}", reason.name()))?;
                Ok(Member { record, record_hash: *hashes.next().expect("every record was hashed") })
            };
            (command.sequence, command.time) = (*sequence, *time);
            let message = &mut command.message;
            message.signers.clear();
            message.signers.extend_from_slice(signers);
            message.members.clear();
            message.head = member(envelope.record)?;
            for record in &envelope.members {
                message.members.push(member(record)?);
            }
        }
        Ok(())
    }

    fn apply_and_forget(&mut self, count: usize) {
        let batch = std::mem::take(&mut self.batch);
        for at in 0..count {
            foresight::touch(&self.state, &batch[..count], at);
            let Command { sequence, time, message } = &batch[at];
            self.output.clear();
            transition::apply(&mut self.state, &mut self.scratch, *sequence, *time, message, &mut self.output);
        }
        self.batch = batch;
    }
}

/// The hash of every record of a group, each followed by its members'.
fn hash_records(group: &[Journalled<'_>], hashes: &mut Vec<Hash>) {
    let mut records = Vec::with_capacity(group.len());
    for Journalled { envelope, .. } in group {
        records.push(envelope.record);
        records.extend_from_slice(&envelope.members);
    }
    *hashes = keccak256_many(&records);
}
