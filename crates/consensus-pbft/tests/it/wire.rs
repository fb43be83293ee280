//! The wire format, byte by byte, from the layout and not from the encoder: a change here is a protocol change.

use consensus_pbft::{
    Checkpoint, CheckpointStatement, Commit, ConsensusMessage, PrePrepare, Prepare, Proposal,
};
use federation_proto::codec::Canonical;
use federation_proto::signing::Domain;
use federation_proto::{
    Batch, Digest, Height, LedgerBlockId, LogicalTime, SequenceNumber, Signature, Signed,
    SignedBody, View,
};
use ledger::LogHash;

use crate::federation::id;

const DIGEST: [u8; 32] = [0xD1; 32];
const SIGNATURE: [u8; 64] = [0x51; 64];

/// Counters are LEB128: view 1, sequence 300 = AC 02; then the digest; replica 2.
fn slot_body() -> Vec<u8> {
    [&[0x01, 0xAC, 0x02][..], &DIGEST, &[0x02]].concat()
}

fn signed<B: SignedBody>(body: B) -> Signed<B> {
    Signed::from_parts(body, Signature::from_bytes(&SIGNATURE))
}

macro_rules! slot {
    ($body:ident) => {
        $body {
            view: View::new(1),
            sequence: SequenceNumber::new(300),
            digest: Digest::from_bytes(DIGEST),
            replica: id(2),
        }
    };
}

#[test]
fn messages_have_exactly_this_layout() {
    let batch = Batch { batch_time: LogicalTime::new(7), items: Vec::new() };
    let proposal = Proposal { pre_prepare: signed(slot!(PrePrepare)), batch };
    let statement = CheckpointStatement {
        sequence: SequenceNumber::new(300),
        height: Height::new(299),
        header_hash: LedgerBlockId::new(Digest::from_bytes([0xAA; 32])),
        log_size: 299,
        log_root: LogHash::from_bytes([0xBB; 32]),
        state_root: Digest::from_bytes([0xCC; 32]),
        next: None,
    };
    let checkpoint = signed(Checkpoint {
        statement,
        replica: id(2),
        note_signature: Signature::from_bytes(&[0x52; 64]),
    });
    let statement =
        [&[0xAC, 0x02, 0xAB, 0x02][..], &[0xAA; 32], &[0xAB, 0x02], &[0xBB; 32], &[0xCC; 32]]
            .concat();
    let cases = [
        (
            ConsensusMessage::Proposal(proposal),
            [&[0][..], &slot_body(), &SIGNATURE, &[7, 0]].concat(),
        ),
        (
            ConsensusMessage::Prepare(signed(slot!(Prepare))),
            [&[1][..], &slot_body(), &SIGNATURE].concat(),
        ),
        (
            ConsensusMessage::Commit(signed(slot!(Commit))),
            [&[2][..], &slot_body(), &SIGNATURE].concat(),
        ),
        (
            ConsensusMessage::Checkpoint(checkpoint),
            [&[3][..], &statement, &[2], &[0x52; 64], &SIGNATURE].concat(),
        ),
    ];
    for (message, bytes) in cases {
        assert_eq!(message.to_canonical(), bytes, "{}", message.kind());
        assert_eq!(ConsensusMessage::from_canonical(&bytes), Ok(message));
    }
}

#[test]
fn every_vote_has_a_domain_of_its_own() {
    let domains = [PrePrepare::DOMAIN, Prepare::DOMAIN, Commit::DOMAIN, Checkpoint::DOMAIN];
    let expected = [Domain::PrePrepare, Domain::Prepare, Domain::Commit, Domain::Checkpoint];
    assert_eq!(domains, expected);
}
