//! `digests.json`: plain BLAKE3, every digest domain, and keys that everybody can derive.

use federation_proto::keys::{Consensus, Identity, KeyRole};
use federation_proto::{Digest, HashDomain, SecretKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{TEST, hex, json};
use crate::{domains, outside};

/// Lengths around the borders of BLAKE3's blocks (64 bytes) and chunks (1,024 bytes).
const LENGTHS: [usize; 13] = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 4097, 7169];

/// The bytes 0, 1, …, 250, 0, 1, … that BLAKE3's own test vectors use.
fn pattern(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

fn synthetic<R: KeyRole>(label: &str, owner: &str) -> Value {
    let parts: [&[u8]; 3] = [label.as_bytes(), R::NAME.as_bytes(), owner.as_bytes()];
    let seed = Digest::of_parts(HashDomain::SyntheticKey, &parts);
    let key = SecretKey::<R>::synthetic(label, owner);
    let same = SecretKey::<R>::from_seed(Zeroizing::new(*seed.as_bytes()));
    assert_eq!(key.public(), same.public());
    json!({
        "label": label, "role": R::NAME, "owner": owner,
        "seed": seed.to_string(), "key": key.public().to_string(),
    })
}

#[test]
fn vectors_of_digests() {
    let blobs: Vec<Value> = LENGTHS
        .iter()
        .map(|&length| {
            let digest = Digest::of_blob(&pattern(length)).to_string();
            json!({ "length": length, "digest": digest })
        })
        .collect();
    let mut digests = Vec::<Value>::new();
    for (domain, name) in domains::digest() {
        let long = pattern(1500);
        let lists: [&[&[u8]]; 3] = [&[b""], &[name.as_bytes()], &[b"ab", b"", &long[..]]];
        for parts in lists.iter().take(if domain == HashDomain::Genesis { 3 } else { 2 }) {
            let digest = Digest::of_parts(domain, parts).to_string();
            let parts: Vec<String> = parts.iter().map(|part| hex(part)).collect();
            digests.push(json!({
                "domain": name, "context": domain.context(), "parts": parts, "digest": digest,
            }));
        }
    }
    let keys =
        [synthetic::<Identity>("a label", "site-1"), synthetic::<Consensus>("a label", "site-1")];
    let file = json!({ "blobs": blobs, "digests": digests, "synthetic_keys": keys });
    outside::approve("vectors/digests.json", &json::file(&file), TEST);
}
