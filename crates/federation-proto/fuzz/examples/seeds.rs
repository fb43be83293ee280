//! Writes the seed corpus: every message of the golden vectors, and a few streams, programs and files.
//!
//! ```text
//! cargo run --example seeds -- corpus
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use federation_proto::keys::{DecryptionKey, Identity, KeyFile};
use federation_proto::link::LinkFrame;
use federation_proto::{Lane, SecretKey};
use federation_proto_fuzz::{decode, frames, handshake, sealed};

/// The golden vectors hold a value of every canonical type.
const MESSAGES: &str = include_str!("../../vectors/messages.json");

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = PathBuf::from(std::env::args_os().nth(1).ok_or("where to? (a directory)")?);
    let samples = samples()?;
    let mut types: Vec<&str> = samples.iter().map(|(name, _)| name.as_str()).collect();
    types.dedup();
    if types.len() != decode::TYPES.len() {
        return Err(format!(
            "{} types have vectors, {} are fuzzed",
            types.len(),
            decode::TYPES.len()
        )
        .into());
    }
    for (index, (name, bytes)) in samples.iter().enumerate() {
        let input = decode::input(name, bytes);
        let input = input.ok_or_else(|| format!("{name} is no target's type"))?;
        write(&corpus.join("decode"), &format!("message{index:03}"), &input)?;
        // The same bytes as bodies of frames, one after another, cut where it hurts.
        let mut stream = vec![0, 1, 2, 3, 4, 5, 6, 255];
        debug_assert_eq!(stream.len(), frames::SIZES);
        for lane in Lane::ALL {
            LinkFrame { lane, body: bytes }.write_to_stream(&mut stream)?;
        }
        write(&corpus.join("frames"), &format!("message{index:03}"), &stream)?;
        if name == "Sealed" {
            write(&corpus.join("sealed"), &format!("message{index:03}"), bytes)?;
        }
    }
    let spoilt = [&[9; sealed::SPOILING], b"a payload".as_slice()].concat();
    write(&corpus.join("sealed"), "spoilt", &spoilt)?;
    let keys = [
        KeyFile::of_signing(&SecretKey::<Identity>::synthetic("fuzz", "site")),
        KeyFile::of_decryption(&DecryptionKey::synthetic("fuzz", "reader")),
    ];
    for (number, key) in keys.iter().enumerate() {
        write(&corpus.join("key_file"), &format!("key{number}"), key.to_text().as_bytes())?;
    }
    let straight = handshake::straight();
    for length in 1..=straight.len() {
        write(
            &corpus.join("handshake"),
            &format!("straight{length}"),
            &straight[..length].concat(),
        )?;
    }
    for (name, ahead) in [("in-order", 0u64), ("gaps", 3), ("jumps", 64)] {
        let operation = |what: u8| [&[what], ahead.to_le_bytes().as_slice()].concat();
        let operations: Vec<u8> =
            (0..48u8).flat_map(|n| operation(1 + n % 3 + (n % 2) * 4)).collect();
        write(&corpus.join("replay_window"), name, &operations)?;
    }
    Ok(())
}

/// Name and bytes of every message in the vectors.
fn samples() -> Result<Vec<(String, Vec<u8>)>, Box<dyn Error>> {
    let vectors: serde_json::Value = serde_json::from_str(MESSAGES)?;
    let messages = vectors["messages"].as_array().ok_or("vectors without messages")?;
    let sample = |message: &serde_json::Value| {
        let bytes = data_encoding::HEXLOWER.decode(message["bytes"].as_str()?.as_bytes()).ok()?;
        Some((message["type"].as_str()?.to_owned(), bytes))
    };
    messages
        .iter()
        .map(|message| sample(message).ok_or("a message without type or bytes".into()))
        .collect()
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    Ok(fs::write(directory.join(name), bytes)?)
}
