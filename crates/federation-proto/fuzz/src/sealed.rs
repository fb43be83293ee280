//! A sealed payload opens to what was sealed, or not at all; anybody's bytes are refused without a panic.

use federation_proto::codec::Canonical;
use federation_proto::keys::DecryptionKey;
use federation_proto::seal::{SealBinding, Sealed};
use federation_proto::{
    Cycle, Digest, FederatedEpoch, FederationId, Generation, SecretKey, SessionId,
};

/// Bytes of the input that say how the payload is spoilt: a position and a mask.
pub const SPOILING: usize = 5;

fn binding() -> SealBinding {
    SealBinding {
        federation_id: FederationId::new(Digest::ZERO),
        session_id: SessionId::new(Digest::ZERO),
        node_fingerprint: SecretKey::synthetic("fuzz", "site").public(),
        federated_epoch: FederatedEpoch::new(1),
        generation: Generation::ZERO,
        cycle: Cycle::new(1),
        update_hash: Digest::ZERO,
    }
}

/// Opens the input as a sealed payload; then seals it, spoils a byte as its head says, and opens that.
pub fn check(input: &[u8]) {
    let reader = DecryptionKey::synthetic("fuzz", "reader");
    if let Ok(sealed) = Sealed::from_canonical(input) {
        assert!(sealed.open(&reader, &binding()).is_err(), "nobody sealed this");
    }
    let Some((head, plaintext)) = input.split_first_chunk::<SPOILING>() else { return };
    let other = DecryptionKey::synthetic("fuzz", "other");
    let readers = [reader.recipient(), other.recipient()];
    let Ok(sealed) = Sealed::seal(plaintext, &readers, &binding(), [7; 32].into()) else { return };
    let opened = sealed.open(&reader, &binding()).map(|opened| opened.plaintext);
    assert_eq!(opened.as_deref(), Ok(plaintext));
    let [a, b, c, d, mask] = *head;
    let mut bytes = sealed.to_canonical();
    let length = bytes.len();
    let at = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(0) % length;
    if let (Some(byte), true) = (bytes.get_mut(at), mask != 0) {
        *byte ^= mask;
        if let Ok(spoilt) = Sealed::from_canonical(&bytes) {
            assert!(spoilt.open(&reader, &binding()).is_err(), "byte {at} is not covered");
        }
    }
}
