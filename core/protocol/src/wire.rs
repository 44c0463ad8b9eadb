//! What crosses the seam to the venue, in bytes: messages in; events and written ledger entries out.
//!
//! ```text
//! message  signers u8 · signer b20 each · hashed record · members u8 · hashed record each
//! hashed record  record hash b32 · length u16 · record
//! command  sequence u64 · time u64 · length u32 · message
//! applied  length u32 · events u16 · (kind u8 · fields) each · entries u16 · (length u32 · written) each
//! ```

use crate::events::Event;
use crate::quantities::{Address, Hash, MAX_SEQUENCE};
use crate::records::{Liquidate, Record};

/// One record of a message, with its struct hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub record: Record,
    pub record_hash: Hash,
}

/// A verified message: the record, who signed it (ascending), and a bundle's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub head: Member,
    pub signers: Vec<Address>,
    pub members: Vec<Member>,
}

impl Message {
    /// The typed message. Err when the bytes are not exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Message, String> {
        let mut message = Message::default();
        message.read(bytes)?;
        Ok(message)
    }

    /// Become the message that the bytes are, in the memory at hand. Err as in `decode`.
    #[inline]
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut reader = Reader { bytes };
        self.signers.clear();
        self.members.clear();
        for _ in 0..reader.byte()? {
            self.signers.push(*reader.array()?);
        }
        self.head = reader.member()?;
        for _ in 0..reader.byte()? {
            self.members.push(reader.member()?);
        }
        if !reader.bytes.is_empty() {
            return Err(format!("{} bytes too many", reader.bytes.len()));
        }
        Ok(())
    }

    /// The message as it crosses the seam.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.signers.len() as u8);
        self.signers.iter().for_each(|signer| out.extend_from_slice(signer));
        self.head.encode(out);
        out.push(self.members.len() as u8);
        self.members.iter().for_each(|member| member.encode(out));
    }
}

impl Default for Message {
    /// A message that does nothing: memory for `read`.
    fn default() -> Message {
        let record = Record::Liquidate(Liquidate { subaccount: 0 });
        Message { head: Member { record, record_hash: [0; 32] }, signers: Vec::new(), members: Vec::new() }
    }
}

impl Member {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut record = Vec::new();
        self.record.encode(&mut record);
        out.extend_from_slice(&self.record_hash);
        out.extend_from_slice(&(record.len() as u16).to_be_bytes());
        out.extend_from_slice(&record);
    }
}

/// One sequenced command of a batch. The bytes of a batch are decoded as a whole before anything is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub sequence: u64,
    pub time: u64,
    pub message: Message,
}

impl Command {
    /// Take one command off the front of `bytes`. Err when they do not start with a whole one.
    pub fn decode(bytes: &mut &[u8]) -> Result<Command, String> {
        let mut command = Command::default();
        command.read(bytes)?;
        Ok(command)
    }

    /// Become the command at the front of `bytes`, in the memory at hand. Err as in `decode`.
    #[inline]
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<(), String> {
        let mut reader = Reader { bytes };
        self.sequence = u64::from_be_bytes(*reader.array()?);
        if self.sequence > MAX_SEQUENCE {
            return Err(format!("sequence {} is above {MAX_SEQUENCE}", self.sequence));
        }
        self.time = u64::from_be_bytes(*reader.array()?);
        let length = u32::from_be_bytes(*reader.array()?);
        self.message.read(reader.take(length as usize)?)?;
        *bytes = reader.bytes;
        Ok(())
    }
}

/// A cursor over bytes of the venue's making; running past the end is an error of whoever wrote them.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else {
            return Err(format!("{} bytes end before byte {count}", self.bytes.len()));
        };
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], String> {
        let Some((taken, rest)) = self.bytes.split_first_chunk() else {
            return Err(format!("{} bytes end before byte {N}", self.bytes.len()));
        };
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    fn member(&mut self) -> Result<Member, String> {
        let record_hash = *self.array()?;
        let length = u16::from_be_bytes(*self.array()?);
        let record = Record::decode(self.take(length.into())?).map_err(|reason| reason.name().to_string())?;
        Ok(Member { record, record_hash })
    }
}

/// What one command did, as bytes: events in order, and the ledger entries they wrote with the leaf versions left.
#[derive(Clone, Debug, Default)]
pub struct Output {
    pub events: Vec<u8>,
    pub event_count: u16,
    pub entries: Vec<u8>,
    pub entry_count: u16,
}

impl Output {
    /// Forget the last command, keep the memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.entries.clear();
        self.event_count = 0;
        self.entry_count = 0;
    }

    /// Append an event.
    #[inline]
    pub fn event(&mut self, event: &Event) {
        event.encode(&mut self.events);
        self.event_count += 1;
    }

    /// Append an entry that `write` writes.
    #[inline]
    pub fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.entries.len();
        self.entries.extend_from_slice(&[0; 4]);
        write(&mut self.entries);
        let length = (self.entries.len() - at - 4) as u32;
        self.entries[at..at + 4].copy_from_slice(&length.to_be_bytes());
        self.entry_count += 1;
    }

    /// Append the whole frame to `out`.
    pub fn frame(&self, out: &mut Vec<u8>) {
        let length = (self.events.len() + self.entries.len() + 4) as u32;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.event_count.to_be_bytes());
        out.extend_from_slice(&self.events);
        out.extend_from_slice(&self.entry_count.to_be_bytes());
        out.extend_from_slice(&self.entries);
    }
}
