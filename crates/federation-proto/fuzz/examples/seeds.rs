//! Writes the seed corpus: every sample of the crate's own tests, and a few streams and operations.
//!
//! ```text
//! cargo run --example seeds -- corpus
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use federation_proto::Lane;
use federation_proto::link::LinkFrame;
use federation_proto_fuzz::{decode, frames};

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../../tests/it/fixture.rs"]
mod fixture;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/samples.rs"]
mod samples;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = PathBuf::from(std::env::args_os().nth(1).ok_or("where to? (a directory)")?);
    let samples = samples::all();
    if samples.len() != decode::TYPES.len() {
        return Err(format!("{} samples, {} types", samples.len(), decode::TYPES.len()).into());
    }
    for (index, sample) in samples.iter().enumerate() {
        for (number, bytes) in sample.encodings.iter().enumerate() {
            let input = decode::input(sample.name, bytes);
            let input = input.ok_or_else(|| format!("{} is no target's type", sample.name))?;
            write(&corpus.join("decode"), &format!("type{index:02}-{number}"), &input)?;
        }
        // The same bytes as bodies of frames, one after another, cut where it hurts.
        let mut stream = vec![0, 1, 2, 3, 4, 5, 6, 255];
        debug_assert_eq!(stream.len(), frames::SIZES);
        for (lane, body) in Lane::ALL.iter().zip(sample.encodings.iter().cycle()) {
            LinkFrame { lane: *lane, body }.write_to_stream(&mut stream)?;
        }
        write(&corpus.join("frames"), &format!("type{index:02}"), &stream)?;
    }
    for (name, ahead) in [("in-order", 0u64), ("gaps", 3), ("jumps", 64)] {
        let operation = |what: u8| [&[what], ahead.to_le_bytes().as_slice()].concat();
        let operations: Vec<u8> =
            (0..48u8).flat_map(|n| operation(1 + n % 3 + (n % 2) * 4)).collect();
        write(&corpus.join("replay_window"), name, &operations)?;
    }
    Ok(())
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    Ok(fs::write(directory.join(name), bytes)?)
}
