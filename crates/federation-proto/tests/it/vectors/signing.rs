//! `signing.json`: the preimage of every domain, signed under a published seed.

use federation_proto::keys::Identity;
use federation_proto::{Digest, FederationId, SecretKey, SigningContext};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{TEST, hex, json};
use crate::{domains, outside};

const SEED: [u8; 32] = *b"published seed of signing.json..";

#[test]
fn vectors_of_preimages() {
    let key = SecretKey::<Identity>::from_seed(Zeroizing::new(SEED));
    let verifier = key.public().check().expect("a good key");
    let context = SigningContext {
        federation_id: FederationId::new(Digest::of_blob(b"a federation")),
        config_digest: Digest::of_blob(b"a configuration"),
    };
    let mut preimages = Vec::<Value>::new();
    for (domain, name) in domains::signing() {
        for bytes in [b"".as_slice(), name.as_bytes()] {
            let preimage = context.preimage(domain, bytes);
            let signature = key.sign_raw(&preimage);
            assert!(verifier.verify_raw(&preimage, &signature));
            preimages.push(json!({
                "domain": domain as u16, "name": name, "bytes": hex(bytes),
                "preimage": hex(&preimage), "signature": hex(&signature.to_bytes()),
            }));
        }
    }
    let file = json!({
        "federation_id": context.federation_id.to_string(),
        "config_digest": context.config_digest.to_string(),
        "seed": hex(&SEED),
        "key": key.public().to_string(),
        "preimages": preimages,
    });
    outside::approve("vectors/signing.json", &json::file(&file), TEST);
}
