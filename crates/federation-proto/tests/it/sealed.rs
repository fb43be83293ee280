//! Sealed updates: the author's signature and every receipt cover the exact encrypted bytes.

use federation_proto::codec::Canonical;
use federation_proto::keys::{DecryptionKey, Identity};
use federation_proto::seal::{OpenError, SealBinding, Sealed};
use federation_proto::update::{BlobReceipt, MetaUpdate, SealedPayload, UpdateCommitment};
use federation_proto::{Cycle, Digest, Signed};

use crate::fixture;

const PLAINTEXT: &[u8] = b"a compressed delta";

fn binding(update: &MetaUpdate) -> SealBinding {
    SealBinding::of_update(update, fixture::genesis().federation_id())
}

fn payload(update: &MetaUpdate) -> &Sealed {
    let sealed = match &update.payload {
        SealedPayload::Sealed(sealed) => Some(sealed),
        SealedPayload::Clear(_) => None,
    };
    sealed.expect("a sealed payload")
}

fn signed() -> Signed<MetaUpdate> {
    let site = fixture::secret::<Identity>("site-1");
    Signed::sign(fixture::sealed_update(), &site, &fixture::context())
}

#[test]
fn the_payload_opens_by_the_fields_of_its_update() {
    let update = fixture::sealed_update();
    let reader = fixture::reader("validator-1");
    let opened = payload(&update).open(&reader, &binding(&update)).expect("a reader");
    assert_eq!(opened.plaintext, PLAINTEXT);
    // Copied by another node, or into another cycle, under that node's own good signature.
    for copied in [
        MetaUpdate { node_fingerprint: fixture::public("site-2"), ..update.clone() },
        MetaUpdate { cycle: Cycle::new(12), ..update.clone() },
    ] {
        let refused = payload(&copied).open(&reader, &binding(&copied));
        assert_eq!(refused, Err(OpenError::Wrapped(reader.public())));
    }
    let stranger = DecryptionKey::synthetic("elsewhere", "validator-1");
    let refused = payload(&update).open(&stranger, &binding(&update));
    assert_eq!(refused, Err(OpenError::NotARecipient(stranger.public())));
}

#[test]
fn every_flipped_byte_breaks_the_signature_and_the_name_of_the_blob() {
    let (context, original) = (fixture::context(), signed().to_canonical());
    let author = fixture::public::<Identity>("site-1").check().expect("a good key");
    let receipt = BlobReceipt {
        blob: Digest::of_blob(&original),
        blob_len: u32::try_from(original.len()).expect("short"),
        ..fixture::blob_receipt()
    };
    let commitment = UpdateCommitment::new(signed().claimed(), &original, Vec::new());
    let mut bytes = original;
    for position in 0..bytes.len() {
        bytes[position] ^= 1;
        assert_ne!(Digest::of_blob(&bytes), receipt.blob, "byte {position}");
        if let Ok(altered) = Signed::<MetaUpdate>::from_canonical(&bytes) {
            let disagrees = commitment.check_matches(altered.claimed(), &bytes);
            assert!(disagrees.is_err(), "byte {position}");
            assert!(altered.verify(&author, &context).is_err(), "byte {position}");
        }
        bytes[position] ^= 1;
    }
}

#[test]
fn the_largest_sealed_delta_fits_a_meta_update() {
    // What zstd may add to bytes that it cannot compress: 1/256 and a few [zstd, ZSTD_COMPRESSBOUND].
    let most = federation_proto::limits::DELTA;
    let frame = vec![0; most + most / 256 + 64];
    let readers: Vec<_> = (0..federation_proto::limits::RECIPIENTS)
        .map(|number| DecryptionKey::synthetic("readers", &number.to_string()).recipient())
        .collect();
    let update = fixture::meta_update();
    let sealed = Sealed::seal(&frame, &readers, &binding(&update), [7; 32].into());
    let payload = SealedPayload::Sealed(sealed.expect("sealable"));
    let site = fixture::secret::<Identity>("site-1");
    let signed = Signed::sign(MetaUpdate { payload, ..update }, &site, &fixture::context());
    assert!(Signed::<MetaUpdate>::from_canonical(&signed.to_canonical()).is_ok());
}
