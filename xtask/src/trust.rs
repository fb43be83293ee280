//! The root of trust: compiled in, or a file that the caller obtained elsewhere.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use governance::trust::{MAX_TRUST_BYTES, RootOfTrust};

use crate::failure::Failure;

/// Reads the root of trust that was named, or takes the synthetic one.
pub(crate) fn root_of_trust(named: Option<&Path>) -> Result<RootOfTrust, Failure> {
    let Some(path) = named else { return Ok(RootOfTrust::synthetic()?) };
    RootOfTrust::parse(&read(path)?)
        .map_err(|cause| Failure::TrustFile { path: path.to_path_buf(), reason: cause.to_string() })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unusable = |reason: String| Failure::TrustFile { path: path.to_path_buf(), reason };
    let found = fs::metadata(path).map_err(|cause| unusable(cause.to_string()))?;
    if !found.is_file() {
        return Err(unusable("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the parser sees an oversized file as such.
    File::open(path)
        .and_then(|file| file.take(MAX_TRUST_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|cause| unusable(cause.to_string()))?;
    Ok(bytes)
}
