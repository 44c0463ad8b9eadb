//! Check a file of envelopes against the results beside them, cold and warm:
//! `separator b32 · (length u32 · envelope · from node u8 · reason u8 (0: none) · length u32 · message) each`.

use penstock_protocol::envelope::{Envelope, domain_separator, reopen};
use penstock_protocol::quantities::Address;
use penstock_protocol::reasons::Reason;
use penstock_protocol::signing::Verifier;

fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let bytes = std::fs::read(path).expect("a readable file");
    let (separator, mut rest) = bytes.split_first_chunk::<32>().expect("a separator");
    let vault = std::array::from_fn(|at| at as u8);
    assert_eq!(domain_separator(31337, &vault), *separator, "the separator of chain 31337");
    let (mut envelopes, mut expected) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let envelope = take(&mut rest);
        let (&[from_node, reason], after) = rest.split_first_chunk().expect("flags");
        rest = after;
        let message = take(&mut rest);
        envelopes.push((envelope, from_node == 1));
        expected.push(match reason {
            0 => Ok(message.to_vec()),
            _ => Err(Reason::ALL[usize::from(reason) - 1]),
        });
    }
    let mut verifier = Verifier::new(*separator, 2);
    let mut cold = Verifier::new(*separator, 2);
    assert!(cold.verify(&envelopes) == expected, "all at once");
    for round in 0..2 {
        for (at, envelope) in envelopes.iter().enumerate() {
            let found = verifier.verify(&[*envelope]).remove(0);
            assert_eq!(found, expected[at], "envelope {at} in round {round}");
            if let Ok(message) = found {
                let signatures = Envelope::unpack(envelope.0).expect("an envelope").signatures;
                let signers: Vec<Address> =
                    signatures.iter().map(|bytes| *bytes.first_chunk().expect("a signer")).collect();
                assert_eq!(reopen(envelope.0, &signers), Ok(message), "envelope {at} reopened");
            }
        }
    }
    println!("{} envelopes agree", envelopes.len());
}

fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, after) = rest.split_first_chunk().expect("a length");
    let (taken, after) = after.split_at(u32::from_be_bytes(*length) as usize);
    *rest = after;
    taken
}
