//! The envelope a message travels in, taken apart.
//!
//! ```text
//! envelope   separator b32 · scheme u8 · signatures u8 · signature each · length u16 · record · members u8
//!            · (length u16 · record) each
//! signature  signer b20 · r b32 · s b32 · v u8
//! ```

use crate::keccak::{keccak256, keccak256_many};
use crate::quantities::{Address, Hash, MAX_ENVELOPE};
use crate::reasons::Reason;
use crate::records::Record;

pub const UNSIGNED: u8 = 0;
pub const SECP256K1_EIP712: u8 = 1;
/// Bytes of a signature.
pub const SIGNATURE: usize = 85;

const TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";

/// The parts of an envelope, still where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub separator: &'a Hash,
    pub scheme: u8,
    pub signatures: &'a [[u8; SIGNATURE]],
    pub record: &'a [u8],
    pub members: Vec<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    /// Take the bytes apart. Refused when they are too many, or not exactly as many as they state.
    pub fn unpack(bytes: &'a [u8]) -> Result<Envelope<'a>, Reason> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(Reason::MessageTooLarge);
        }
        Envelope::split(bytes).ok_or(Reason::MessageTruncated)
    }

    fn split(bytes: &'a [u8]) -> Option<Envelope<'a>> {
        let (separator, rest) = bytes.split_first_chunk()?;
        let (&[scheme, count], rest) = rest.split_first_chunk()?;
        let (signatures, rest) = rest.split_at_checked(usize::from(count) * SIGNATURE)?;
        let (record, rest) = take_record(rest)?;
        let (&count, mut rest) = rest.split_first()?;
        let mut members = Vec::with_capacity(count.into());
        for _ in 0..count {
            let (member, after) = take_record(rest)?;
            members.push(member);
            rest = after;
        }
        let signatures = signatures.as_chunks().0;
        rest.is_empty().then_some(Envelope { separator, scheme, signatures, record, members })
    }
}

/// A record behind its length, and what follows it.
fn take_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// keccak256 of the EIP-712 domain of one chain's vault.
pub fn domain_separator(chain_id: u64, vault: &Address) -> Hash {
    let mut words = [[0; 32]; 2];
    words[0][24..].copy_from_slice(&chain_id.to_be_bytes());
    words[1][12..].copy_from_slice(vault);
    keccak256(&[&keccak256(&[TYPE]), &keccak256(&[b"Penstock"]), &keccak256(&[b"1"]), words.as_flattened()])
}

/// The message in an envelope that was verified once, as it crosses the seam, with the signers that were found then.
/// No signature is checked. Refused only when the bytes never were an envelope.
pub fn reopen(envelope: &[u8], signers: &[Address]) -> Result<Vec<u8>, Reason> {
    let parts = Envelope::unpack(envelope)?;
    Record::decode(parts.record)?;
    for member in &parts.members {
        Record::decode(member)?;
    }
    let members = keccak256_many(&parts.members);
    pack_message(&parts, signers, &keccak256(&[parts.record]), &members)
}

/// The message's bytes: signers, the record behind its hash, the members behind theirs.
pub(crate) fn pack_message(
    envelope: &Envelope<'_>,
    signers: &[Address],
    record_hash: &Hash,
    member_hashes: &[Hash],
) -> Result<Vec<u8>, Reason> {
    let count = u8::try_from(signers.len()).map_err(|_| Reason::SignatureCountWrong)?;
    let records = envelope.record.len() + envelope.members.iter().map(|member| 34 + member.len()).sum::<usize>();
    let mut message = Vec::with_capacity(36 + 20 * signers.len() + records);
    message.push(count);
    message.extend_from_slice(signers.as_flattened());
    push_hashed(&mut message, record_hash, envelope.record);
    message.push(envelope.members.len() as u8);
    for (member, hash) in envelope.members.iter().zip(member_hashes) {
        push_hashed(&mut message, hash, member);
    }
    Ok(message)
}

fn push_hashed(message: &mut Vec<u8>, hash: &Hash, record: &[u8]) {
    message.extend_from_slice(hash);
    message.extend_from_slice(&(record.len() as u16).to_be_bytes());
    message.extend_from_slice(record);
}
