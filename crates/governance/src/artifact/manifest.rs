//! The manifest: every file of a run with its length and digest, signed, written last.

use federation_proto::keys::{Artifact, Signature, VerifyingKey};
use federation_proto::signing::Domain;
use federation_proto::{Digest, FederationId, SecretKey, SigningContext};
use serde::{Deserialize, Serialize};

use super::json::{self, Document, text};

/// `manifest.json`: what belongs to the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`Document::SCHEMA`].
    pub schema: String,
    /// [`Document::VERSION`].
    pub schema_version: u32,
    /// The federation.
    #[serde(with = "text")]
    pub federation_id: FederationId,
    /// What was run.
    pub scenario: ScenarioRecord,
    /// The ledger that came of it.
    pub ledger: LedgerHead,
    /// Every other file of the run (but this one's signature), in the order of the paths.
    pub files: Vec<FileRecord>,
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioRecord {
    /// Its name.
    pub name: String,
    /// The seed that decided everything.
    #[serde(with = "text")]
    pub seed: u64,
    /// Digest of the scenario file.
    #[serde(with = "text")]
    pub digest: Digest,
}

/// Size and root of the history tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerHead {
    /// Blocks.
    #[serde(with = "text")]
    pub size: u64,
    /// RFC 6962 root over their headers, hexadecimal.
    #[serde(with = "text")]
    pub root: Digest,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Path from the root of the artifacts, with `/`.
    pub path: String,
    /// Bytes.
    #[serde(with = "text")]
    pub length: u64,
    /// BLAKE3 of the bytes, as `b3sum` prints it.
    #[serde(with = "text")]
    pub blake3: Digest,
}

impl Document for Manifest {
    const SCHEMA: &'static str = "prism-federation/manifest";
    const VERSION: u32 = 1;
    const MAX_BYTES: usize = 16 << 20;
}

impl ScenarioRecord {
    /// The text that the genesis of such a run has as its `instance`: no two records have the same one,
    /// because digest and seed, which stand last, have no spaces in them.
    pub fn instance(&self) -> String {
        let Self { name, seed, digest } = self;
        format!("scenario={name} digest={digest} seed={seed}")
    }
}

impl FileRecord {
    /// The record of a file.
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        Self { path: path.to_owned(), length: bytes.len() as u64, blake3: Digest::of_blob(bytes) }
    }
}

impl Manifest {
    /// Puts a manifest together; the records are sorted here.
    pub fn new(
        federation_id: FederationId,
        scenario: ScenarioRecord,
        ledger: LedgerHead,
        mut files: Vec<FileRecord>,
    ) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let (schema, schema_version) = (Self::SCHEMA.to_owned(), Self::VERSION);
        Self { schema, schema_version, federation_id, scenario, ledger, files }
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        json::render(self)
    }
}

/// The detached signature file of a manifest: 128 hexadecimal characters and a newline.
pub fn sign(text: &[u8], key: &SecretKey<Artifact>, context: &SigningContext) -> String {
    format!("{}\n", key.sign_raw(&context.preimage(Domain::Manifest, text)))
}

/// The signature in a signature file, if it has exactly the form that [`sign`] writes.
pub fn parse_signature(file: &[u8]) -> Option<Signature> {
    let text = core::str::from_utf8(file).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

/// Whether the artifact key signed exactly these bytes, for this federation and configuration.
pub fn verify(
    text: &[u8],
    signature: &Signature,
    key: &VerifyingKey<Artifact>,
    context: &SigningContext,
) -> bool {
    let preimage = context.preimage(Domain::Manifest, text);
    signature.has_reduced_s() && key.verify_raw(&preimage, signature)
}
