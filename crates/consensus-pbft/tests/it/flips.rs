//! Every field of every message, altered: the replica refuses it and nothing changes.

use consensus_pbft::{
    Checkpoint, CheckpointStatement, Commit, ConsensusMessage, Input, PrePrepare, Prepare,
    Proposal, Rejection,
};
use federation_proto::codec::Canonical;
use federation_proto::{
    Batch, Digest, Height, LedgerBlockId, LogicalTime, SequenceNumber, Signature, Signed,
    SignedBody, View,
};
use ledger::LogHash;

use crate::federation::{batch, committee_of, consensus_key, genesis, id};
use crate::world::World;

/// One honest message of each kind, sent to replica 1 of a world in which nothing happened yet.
fn honest() -> Vec<ConsensusMessage> {
    let mut world = World::new(4);
    for number in 0..3 {
        world.request(number);
    }
    world.run();
    let mut kinds: Vec<ConsensusMessage> = Vec::new();
    for sender in [0, 2] {
        for message in &world.nodes[sender].sent {
            if kinds.iter().all(|kind| kind.kind() != message.kind()) {
                kinds.push(message.clone());
            }
        }
    }
    assert_eq!(kinds.len(), 4, "PRE-PREPARE, PREPARE, COMMIT, CHECKPOINT");
    kinds
}

fn flip_digest(digest: Digest) -> Digest {
    let mut bytes = *digest.as_bytes();
    bytes[31] ^= 1;
    Digest::from_bytes(bytes)
}

fn flip_signature(signature: &Signature, byte: usize) -> Signature {
    let mut bytes = signature.to_bytes();
    bytes[byte] ^= 1;
    Signature::from_bytes(&bytes)
}

/// The same body with each half of the signature flipped.
fn resigned<B: SignedBody + Copy>(signed: &Signed<B>) -> Vec<Signed<B>> {
    [0, 31, 32, 63]
        .map(|byte| Signed::from_parts(*signed.claimed(), flip_signature(signed.signature(), byte)))
        .into()
}

macro_rules! slot_flips {
    ($signed:expr, $body:ident) => {{
        let (body, signature) = (*$signed.claimed(), *$signed.signature());
        let bodies = [
            $body { view: body.view.next(), ..body },
            $body { view: View::new(u64::MAX), ..body },
            $body { sequence: body.sequence.next(), ..body },
            $body { sequence: SequenceNumber::ZERO, ..body },
            $body { sequence: SequenceNumber::new(u64::MAX), ..body },
            $body { digest: flip_digest(body.digest), ..body },
            $body { replica: id(0), ..body },
            $body { replica: id(1), ..body },
            $body { replica: id(3), ..body },
            $body { replica: id(4), ..body },
            $body { replica: id(65535), ..body },
        ];
        let other = bodies.into_iter().filter(|other| *other != body);
        let mut flips: Vec<_> = other.map(|b| Signed::from_parts(b, signature)).collect();
        flips.extend(resigned(&$signed));
        flips
    }};
}

fn checkpoint_flips(signed: &Signed<Checkpoint>) -> Vec<Signed<Checkpoint>> {
    let (body, signature) = (*signed.claimed(), *signed.signature());
    let s = body.statement;
    let mut root = *s.log_root.as_bytes();
    root[0] ^= 1;
    let statements = [
        CheckpointStatement { sequence: s.sequence.next(), ..s },
        CheckpointStatement { sequence: SequenceNumber::ZERO, ..s },
        CheckpointStatement { height: Height::new(s.height.get() + 1), ..s },
        CheckpointStatement {
            header_hash: LedgerBlockId::new(flip_digest(s.header_hash.digest())),
            ..s
        },
        CheckpointStatement { log_size: s.log_size + 1, ..s },
        CheckpointStatement { log_size: 0, ..s },
        CheckpointStatement { log_root: LogHash::from_bytes(root), ..s },
        CheckpointStatement { state_root: flip_digest(s.state_root), ..s },
    ];
    let mut bodies: Vec<_> = statements.map(|statement| Checkpoint { statement, ..body }).into();
    for replica in [0, 1, 2, 3, 4, 65535].map(id) {
        if replica != body.replica {
            bodies.push(Checkpoint { replica, ..body });
        }
    }
    let note_signature = flip_signature(&body.note_signature, 7);
    bodies.push(Checkpoint { note_signature, ..body });
    let mut flips: Vec<_> =
        bodies.into_iter().map(|body| Signed::from_parts(body, signature)).collect();
    flips.extend(resigned(signed));
    flips
}

fn flips(message: &ConsensusMessage) -> Vec<ConsensusMessage> {
    match message {
        ConsensusMessage::Proposal(proposal) => {
            let batch = &proposal.batch;
            let mut flips: Vec<_> = slot_flips!(proposal.pre_prepare, PrePrepare)
                .into_iter()
                .map(|pre_prepare| Proposal { pre_prepare, batch: batch.clone() })
                .collect();
            let (mut later, mut fewer, mut twice) = (batch.clone(), batch.clone(), batch.clone());
            later.batch_time = LogicalTime::new(batch.batch_time.get() + 1);
            fewer.items.pop();
            twice.items.extend(batch.items.clone());
            for batch in [later, fewer, twice] {
                let pre_prepare = proposal.pre_prepare.clone();
                flips.push(Proposal { pre_prepare, batch });
            }
            flips.into_iter().map(ConsensusMessage::Proposal).collect()
        }
        ConsensusMessage::Prepare(signed) => {
            slot_flips!(signed, Prepare).into_iter().map(ConsensusMessage::Prepare).collect()
        }
        ConsensusMessage::Commit(signed) => {
            slot_flips!(signed, Commit).into_iter().map(ConsensusMessage::Commit).collect()
        }
        ConsensusMessage::Checkpoint(signed) => {
            checkpoint_flips(signed).into_iter().map(ConsensusMessage::Checkpoint).collect()
        }
        other => panic!("{} has tests of its own", other.kind()),
    }
}

/// Replica 1 refuses each with a typed reason and is exactly as before.
fn assert_refused(messages: impl IntoIterator<Item = ConsensusMessage>) -> usize {
    let mut world = World::new(4);
    let before = format!("{:?}", world.nodes[1].replica);
    let mut count = 0;
    for message in messages {
        world.input(1, Input::Message(message.clone()));
        count += 1;
        let node = &world.nodes[1];
        assert_eq!(node.rejections.len(), count, "accepted: {message:?}");
        assert_eq!(format!("{:?}", node.replica), before, "changed by {message:?}");
        assert!(world.queue.is_empty(), "an effect of {message:?}");
    }
    count
}

#[test]
fn trap_11_every_flipped_field_of_every_message_is_refused_and_changes_nothing() {
    let mut total = 0;
    for message in honest() {
        total += assert_refused(flips(&message));
    }
    assert!(total >= 4 * 14, "{total} flips");
    // The oracle itself: the honest ones are accepted.
    let mut world = World::new(4);
    for message in honest() {
        world.input(1, Input::Message(message));
    }
    assert_eq!(world.nodes[1].rejections, []);
}

/// Every single byte of every message: it does not decode, or is refused.
#[test]
fn trap_11_every_flipped_byte_is_refused() {
    for message in honest() {
        let bytes = message.to_canonical();
        let mutants = (0..bytes.len()).filter_map(|position| {
            let mut bytes = bytes.clone();
            bytes[position] ^= 1;
            ConsensusMessage::from_canonical(&bytes).ok()
        });
        assert!(assert_refused(mutants) > 0);
    }
}

#[test]
fn trap_10_votes_of_another_configuration_or_federation_are_refused() {
    for foreign in [genesis(4, "elsewhere", 0), genesis(4, "here", 1)] {
        let context = *committee_of(foreign).context();
        let sequence = SequenceNumber::new(1);
        let batch: Batch = batch(&context, &[1]);
        let (view, digest) = (View::ZERO, batch.digest(&context, sequence));
        let pre_prepare = PrePrepare { view, sequence, digest, replica: id(0) };
        let pre_prepare = Signed::sign(pre_prepare, &consensus_key(0), &context);
        let prepare = Prepare { view, sequence, digest, replica: id(2) };
        let prepare = Signed::sign(prepare, &consensus_key(2), &context);
        let commit = Commit { view, sequence, digest, replica: id(2) };
        let commit = Signed::sign(commit, &consensus_key(2), &context);
        let statement = CheckpointStatement {
            sequence,
            height: Height::ZERO,
            header_hash: LedgerBlockId::new(Digest::ZERO),
            log_size: 0,
            log_root: LogHash::EMPTY_ROOT,
            state_root: Digest::ZERO,
            next: None,
        };
        let note_signature = crate::federation::log_key(2).sign_raw(b"test.log\n");
        let checkpoint = Checkpoint { statement, replica: id(2), note_signature };
        let checkpoint = Signed::sign(checkpoint, &consensus_key(2), &context);
        assert_refused([
            ConsensusMessage::Proposal(Proposal { pre_prepare, batch }),
            ConsensusMessage::Prepare(prepare),
            ConsensusMessage::Commit(commit),
            ConsensusMessage::Checkpoint(checkpoint),
        ]);
    }
}

#[test]
fn reasons_are_typed_and_carry_the_values_that_disagreed() {
    let world = World::new(4);
    let context = *world.committee.context();
    let body = Prepare {
        view: View::ZERO,
        sequence: SequenceNumber::new(1),
        digest: Digest::ZERO,
        replica: id(2),
    };
    let sign = |body: Prepare, by: usize| {
        ConsensusMessage::Prepare(Signed::sign(body, &consensus_key(by), &context))
    };
    let propose = |replica: usize, digest| {
        let (view, sequence) = (body.view, body.sequence);
        let body = PrePrepare { view, sequence, digest, replica: id(replica) };
        let pre_prepare = Signed::sign(body, &consensus_key(replica), &context);
        let batch = batch(&context, &[1]);
        ConsensusMessage::Proposal(Proposal { pre_prepare, batch })
    };
    let (low, limit) = (SequenceNumber::ZERO, SequenceNumber::new(8));
    let beyond = SequenceNumber::new(9);
    let computed = world.digest_of(&[1], 1);
    let cases = [
        (
            sign(Prepare { replica: id(4), ..body }, 2),
            Rejection::UnknownReplica { replica: id(4), size: 4 },
        ),
        (sign(Prepare { replica: id(1), ..body }, 1), Rejection::FromSelf { replica: id(1) }),
        (
            sign(Prepare { view: View::new(3), ..body }, 2),
            Rejection::WrongView { found: View::new(3), own: View::ZERO },
        ),
        (
            sign(Prepare { sequence: low, ..body }, 2),
            Rejection::BelowWatermark { sequence: low, low },
        ),
        (
            sign(Prepare { sequence: beyond, ..body }, 2),
            Rejection::AboveWatermark { sequence: beyond, limit },
        ),
        (
            sign(Prepare { replica: id(0), ..body }, 0),
            Rejection::PrepareByPrimary { replica: id(0) },
        ),
        (propose(2, computed), Rejection::NotPrimary { replica: id(2), primary: id(0) }),
        (propose(0, Digest::ZERO), Rejection::DigestMismatch { claimed: Digest::ZERO, computed }),
    ];
    for (message, expected) in cases {
        let mut world = World::new(4);
        world.input(1, Input::Message(message));
        assert_eq!(world.nodes[1].rejections, [expected]);
    }
}
