//! `auditor/verify_note.sh`: one line of a note under openssl.

use data_encoding::BASE64;

use crate::world::{ORIGIN, World, script, validator, witness};

/// The note and the key of the documentation of golang.org/x/mod/sumdb/note.
const PUBLISHED: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR\
    Zb6KE6RyyBwJnAM=\n";
const PUBLISHED_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn verify(world: &World, note: &str, key: &str) -> (bool, String) {
    world.run("sh", &[&script("verify_note.sh"), note, key])
}

/// The script refuses `note` for a reason that holds `reason`.
fn refuses(world: &World, note: &[u8], key: &str, reason: &str) {
    world.write("changed", note);
    let (accepted, printed) = verify(world, "changed", key);
    assert!(!accepted && printed.contains(reason), "expected {reason:?}: {printed}");
}

#[test]
fn openssl_accepts_notes_and_cosignatures() {
    let world = World::new();
    world.write("published", PUBLISHED.as_bytes());
    let (accepted, printed) = verify(&world, "published", PUBLISHED_KEY);
    assert!(accepted, "{printed}");
    assert_eq!(printed, "published: signed by PeterNeumann+c74f20a3");
    // The message holds the name as it is, whatever a shell makes of backslashes.
    world.write(r"a\101", PUBLISHED.as_bytes());
    let (_, printed) = verify(&world, r"a\101", PUBLISHED_KEY);
    assert_eq!(printed, r"a\101: signed by PeterNeumann+c74f20a3");
    for key in &world.keys[..3] {
        let (accepted, printed) = verify(&world, "export/checkpoint", key);
        assert!(accepted, "{printed}");
    }
    for key in &world.witnesses {
        let (accepted, printed) = verify(&world, "meta_M5.cosigned", key);
        assert!(accepted && printed.ends_with(" at 1800000000"), "{printed}");
    }
}

#[test]
fn openssl_refuses_a_changed_text() {
    let world = World::new();
    let note = world.text("export/checkpoint");
    let key = &world.keys[1];
    let unverified = "does not verify";
    refuses(&world, note.replace("\n300\n", "\n301\n").as_bytes(), key, unverified);
    refuses(&world, note.replacen(ORIGIN, "example.org/other", 1).as_bytes(), key, unverified);
    refuses(&world, format!("\n{note}").as_bytes(), key, unverified);
    let cosigned = world.text("meta_M5.cosigned").replace("\n300\n", "\n301\n");
    refuses(&world, cosigned.as_bytes(), &world.witnesses[0], unverified);
    // Bytes that a tool of lines might swallow.
    refuses(&world, note.replace("\n300\n", "\n300\0\n").as_bytes(), key, "");
    refuses(&world, note.replace("\n300\n", "\n300\r\n").as_bytes(), key, unverified);
    refuses(&world, note.trim_end().as_bytes(), key, "not text of whole lines");
    refuses(&world, note.replace("\n\n", "\n").as_bytes(), key, "no empty line");
    refuses(&world, b"", key, "");
}

#[test]
fn openssl_refuses_a_changed_signature() {
    let world = World::new();
    for (name, key) in
        [("export/checkpoint", &world.keys[0]), ("meta_M5.cosigned", &world.witnesses[0])]
    {
        let note = world.text(name);
        let (text, lines) = note.split_once("\n\n").expect("two parts");
        let (first, rest) = lines.split_once('\n').expect("lines");
        let (start, encoded) = first.rsplit_once(' ').expect("a line");
        let blob = BASE64.decode(encoded.as_bytes()).expect("base64");
        let rebuilt =
            |blob: &[u8]| format!("{text}\n\n{start} {}\n{rest}", BASE64.encode(blob)).into_bytes();
        assert_eq!(rebuilt(&blob), note.as_bytes());
        for position in [6, 11, 20, 43, blob.len() - 1] {
            let mut changed = blob.clone();
            changed[position] ^= 1;
            refuses(&world, &rebuilt(&changed), key, "does not verify");
        }
        // For a cosignature, a time that no number of awk holds.
        let mut far = blob.clone();
        far[4] ^= 1;
        refuses(&world, &rebuilt(&far), key, "");
        let mut other_id = blob.clone();
        other_id[0] ^= 1;
        refuses(&world, &rebuilt(&other_id), key, "has no line of key");
        refuses(&world, &rebuilt(&blob[..blob.len() - 1]), key, "64 bytes");
        refuses(&world, &rebuilt(&[&blob[..], &[0]].concat()), key, "64 bytes");
        let unpadded = note.replacen(encoded, encoded.trim_end_matches('='), 1);
        refuses(&world, unpadded.as_bytes(), key, "base64");
        for spaced in [format!(" {encoded}"), format!("{encoded} "), format!("\t{encoded}")] {
            refuses(&world, note.replacen(encoded, &spaced, 1).as_bytes(), key, "base64");
        }
        let twice = format!("{note}{first}\n");
        refuses(&world, twice.as_bytes(), key, "two lines of key");
    }
}

#[test]
fn openssl_refuses_other_keys_and_other_names() {
    let world = World::new();
    let note = world.text("export/checkpoint");
    let absent = &world.keys[3];
    refuses(&world, note.as_bytes(), absent, "has no line of key");
    let stranger = validator("stranger").verifier().expect("a key").to_string();
    refuses(&world, note.as_bytes(), &stranger, "has no line of key");
    refuses(&world, note.as_bytes(), &world.witnesses[0], "has no line of key");
    // The name is part of the id: neither the key nor the line can be renamed.
    let key = &world.keys[0];
    let renamed = key.replacen(ORIGIN, "example.org/other", 1);
    refuses(&world, note.as_bytes(), &renamed, "has id");
    let moved = note.replace(&format!("\u{2014} {ORIGIN}"), "\u{2014} example.org/other");
    refuses(&world, moved.as_bytes(), key, "has no line of key");
    refuses(&world, moved.as_bytes(), &renamed, "has id");
    let mut wrong_bytes = key.clone().into_bytes();
    *wrong_bytes.last_mut().expect("a byte") ^= 1;
    let wrong_bytes = String::from_utf8(wrong_bytes).expect("text");
    refuses(&world, note.as_bytes(), &wrong_bytes, "");
    for wrong in ["", "name", "name+00000000", "name+00000000+", "name+00000000+AAAA"] {
        refuses(&world, note.as_bytes(), wrong, "");
    }
    // A witness key that claims to be a log key has another id.
    let as_log = witness("w1").verifier().expect("a key").to_string().replace("+B", "+A");
    refuses(&world, world.text("meta_M5.cosigned").as_bytes(), &as_log, "has id");
    let (accepted, printed) = verify(&world, "absent", key);
    assert!(!accepted && printed.contains("cannot read absent"), "{printed}");
}
