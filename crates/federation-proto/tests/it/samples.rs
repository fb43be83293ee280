//! A few fixed values of every canonical type, behind one interface, so that a test can visit them all.

use federation_proto::batch::{Batch, BatchItem, Lane, Request};
use federation_proto::codec::{Canonical, CodecError};
use federation_proto::entry::{
    AggregatedUpdate, AggregationRule, AlignmentRecord, ApplySignoff, EpochCut, EpochOpened,
    LedgerEntry,
};
use federation_proto::envelope::{Envelope, PayloadKind};
use federation_proto::genesis::{Configuration, FederationKind, Genesis};
use federation_proto::handshake::{
    FederationAccept, FederationHello, SessionStatement, TransportRecord,
};
use federation_proto::keys::{Admission, GovernanceNote, Identity};
use federation_proto::signing::{Endorsement, SignedBody};
use federation_proto::update::{BlobReceipt, MetaUpdate, ProofSlot, UpdateCommitment};
use federation_proto::{Cycle, Endorsed, Generation, LaneSequence, LogicalTime, Signed};

use serde::de::DeserializeOwned;

use crate::fixture;

/// What became of some bytes.
pub(crate) enum Outcome {
    /// Refused by the codec.
    Refused(CodecError),
    /// They are a value.
    Decoded {
        /// That value, encoded again.
        reencoded: Vec<u8>,
        /// Whether its signatures verify; `None` for a type that carries none of its own.
        verifies: Option<bool>,
    },
}

/// Reads bytes as one canonical type.
pub(crate) type Reader = Box<dyn Fn(&[u8]) -> Outcome>;

/// A canonical type with some of its values.
pub(crate) struct Sample {
    /// [`Canonical::NAME`].
    pub(crate) name: &'static str,
    /// [`Canonical::MAX_BYTES`].
    pub(crate) max_bytes: usize,
    /// The canonical bytes of its values, each of them signed properly where it is signed.
    pub(crate) encodings: Vec<Vec<u8>>,
    /// Reads bytes as this type.
    pub(crate) read: Reader,
}

fn sample<T: Canonical + DeserializeOwned>(
    values: impl IntoIterator<Item = T>,
    verify: impl Fn(T) -> Option<bool> + 'static,
) -> Sample {
    let read = move |bytes: &[u8]| match T::from_canonical(bytes) {
        Err(error) => Outcome::Refused(error),
        Ok(value) => Outcome::Decoded { reencoded: value.to_canonical(), verifies: verify(value) },
    };
    Sample {
        name: T::NAME,
        max_bytes: T::MAX_BYTES,
        encodings: values.into_iter().map(|v| v.to_canonical()).collect(),
        read: Box::new(read),
    }
}

fn plain<T: Canonical + DeserializeOwned>(values: impl IntoIterator<Item = T>) -> Sample {
    sample(values, |_| None)
}

fn signed<T>(values: impl IntoIterator<Item = T>, signer: &str) -> Sample
where
    T: SignedBody<Role = Identity>,
    Signed<T>: Canonical + DeserializeOwned,
{
    let key = fixture::secret::<Identity>(signer);
    let verifier = key.public().check().expect("a good key");
    let context = fixture::context();
    let values: Vec<_> =
        values.into_iter().map(|body| Signed::sign(body, &key, &context)).collect();
    sample(values, move |value: Signed<T>| Some(value.verify(&verifier, &context).is_ok()))
}

fn endorsed_accepts() -> Sample {
    let keys = fixture::GOVERNORS.map(|governor| {
        let key = fixture::public::<Admission>(governor);
        key.check().expect("a good key")
    });
    let values = accepts().map(fixture::endorsed);
    sample(values, move |value: Endorsed<FederationAccept>| {
        Some(value.verify(&keys, 2, &fixture::context()).is_ok())
    })
}

fn hellos() -> [FederationHello; 2] {
    let other = FederationHello { nonce: [8; 32], ..fixture::hello() };
    [fixture::hello(), other]
}

fn accepts() -> [FederationAccept; 2] {
    hellos().map(|hello| FederationAccept::answer(&hello, fixture::terms()))
}

fn statements() -> [SessionStatement; 2] {
    let in_process = SessionStatement {
        transport: TransportRecord::in_process(
            fixture::terms().certificate_hashes,
            fixture::epoch(50),
        ),
        ..fixture::statement()
    };
    [fixture::statement(), in_process]
}

/// One request in each lane.
fn requests() -> [Request; 5] {
    let lanes = [Lane::Control, Lane::Update, Lane::Consensus, Lane::Governance, Lane::Bulk];
    lanes.map(|lane| Request { lane, sequence: LaneSequence::new(200), ..fixture::request() })
}

fn updates() -> [MetaUpdate; 2] {
    let next = MetaUpdate { cycle: Cycle::new(12), ..fixture::meta_update() };
    [fixture::meta_update(), next]
}

fn receipts() -> [BlobReceipt; 2] {
    let empty = BlobReceipt { blob_len: 0, ..fixture::blob_receipt() };
    [fixture::blob_receipt(), empty]
}

fn envelopes() -> [Envelope; 2] {
    let update =
        Envelope { kind: PayloadKind::MetaUpdate, payload: Vec::new(), ..fixture::envelope() };
    [fixture::envelope(), update]
}

/// One aggregate under each rule.
fn aggregates() -> [AggregatedUpdate; 4] {
    let rules = [
        AggregationRule::Mean,
        AggregationRule::Median,
        AggregationRule::TrimmedMean { trim: 1 },
        AggregationRule::NnmTrimmedMean { trim: 300 },
    ];
    rules.map(fixture::aggregated)
}

/// One entry of each kind.
fn entries() -> [LedgerEntry; 6] {
    let session = fixture::session(fixture::hello(), fixture::accept(), fixture::statement());
    let [aggregate, ..] = aggregates();
    let note = fixture::secret::<GovernanceNote>("governor-a");
    [
        LedgerEntry::SessionOpened(Box::new(session)),
        LedgerEntry::EpochOpened(EpochOpened {
            federated_epoch: fixture::epoch(4),
            generation: Generation::ZERO,
            base_state_hash: fixture::digest("state 3"),
            config_digest: fixture::configuration().digest(),
            policy_hash: fixture::digest("policy"),
        }),
        LedgerEntry::UpdateCommitment(Box::new(fixture::commitment())),
        LedgerEntry::EpochCut(EpochCut {
            federated_epoch: fixture::epoch(4),
            generation: Generation::ZERO,
            included: vec![fixture::update_ref(1), fixture::update_ref(2)],
            absent: fixture::absences(),
        }),
        LedgerEntry::AggregatedUpdate(Box::new(aggregate.clone())),
        LedgerEntry::ApplySignoff(ApplySignoff {
            federated_epoch: fixture::epoch(4),
            generation: Generation::ZERO,
            aggregated_hash: aggregate.hash(),
            new_state_hash: aggregate.new_state_hash,
            pin: fixture::pin(),
            signatures: vec![Endorsement {
                key: note.public(),
                signature: note.sign_raw(b"note text\n"),
            }],
        }),
    ]
}

fn batch_items() -> [BatchItem; 2] {
    let site = fixture::secret::<Identity>("site-1");
    let request = Signed::sign(fixture::request(), &site, &fixture::context());
    let [_, epoch_opened, ..] = entries();
    [BatchItem::Request(request), BatchItem::Derived(epoch_opened)]
}

fn batches() -> [Batch; 2] {
    let batch_time = LogicalTime::new(1_700);
    let batch = |items| Batch { batch_time, items };
    [batch(batch_items().into()), batch(Vec::new())]
}

fn geneses() -> [Genesis; 2] {
    let live = Genesis { kind: FederationKind::Live, ..fixture::genesis() };
    [fixture::genesis(), live]
}

fn configurations() -> [Configuration; 2] {
    let next = Configuration { number: 1, ..fixture::configuration() };
    [fixture::configuration(), next]
}

fn alignments() -> [AlignmentRecord; 2] {
    [fixture::alignment(), AlignmentRecord::default()]
}

fn commitments() -> [UpdateCommitment; 2] {
    let bare = UpdateCommitment { receipts: Vec::new(), ..fixture::commitment() };
    [fixture::commitment(), bare]
}

/// The types that have fixed values. `wire_types::all` is the complete list; the others have drawn values.
pub(crate) fn all() -> Vec<Sample> {
    vec![
        plain(hellos()),
        signed(hellos(), "site-1"),
        plain(accepts()),
        endorsed_accepts(),
        plain(statements()),
        plain(entries()),
        plain(alignments()),
        plain(aggregates()),
        plain(requests()),
        signed(requests(), "site-1"),
        plain(batch_items()),
        plain(batches()),
        plain([ProofSlot::None]),
        plain(updates()),
        signed(updates(), "site-1"),
        plain(receipts()),
        signed(receipts(), "validator-2"),
        plain(commitments()),
        plain(envelopes()),
        signed(envelopes(), "site-1"),
        plain(configurations()),
        plain(geneses()),
    ]
}
