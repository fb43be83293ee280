//! `META-GOVERNANCE-LOG.md`: the governance entries of the ledger, for people, and every one verifiable.
//!
//! The log is a rendering, not a source: genesis and ledger determine every byte. Section 0 is the founding
//! document with the governors' verifier keys in the form that signed-note tools read; each further section
//! holds one C2SP note, which such a tool verifies with the keys of section 0.
//!
//! ```text
//! ## 0001 FEDERATED_APPLY epoch 1
//!
//! ~~~text
//! prism-federation governance note v1
//! action: FEDERATED_APPLY
//! …
//!
//! — governor-a base64(key id ‖ signature)
//! ~~~
//! ```

use core::fmt::Write as _;

use federation_proto::entry::ApplySignoff;
use federation_proto::genesis::{Genesis, GovernorRecord};
use federation_proto::keys::GovernanceNote;
use federation_proto::signing::Endorsed;
use federation_proto::{FederatedEpoch, FederationId};
use ledger::{Note, NoteError, NoteKey, NoteKeyError};
use thiserror::Error;

use crate::note;

/// Largest log in bytes.
pub const MAX_LOG_BYTES: usize = 16 << 20;

const TITLE: &str = "# META-GOVERNANCE-LOG";
const FENCE_OPEN: &str = "~~~text";
const FENCE_CLOSE: &str = "~~~";

/// Why a log cannot be rendered or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// Longer than [`MAX_LOG_BYTES`].
    #[error("{length} bytes, the limit is {MAX_LOG_BYTES}")]
    TooLarge {
        /// Bytes given.
        length: usize,
    },
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    NotText,
    /// A line is not what the format demands there.
    #[error("line {line}: expected {expected}, found {found:?}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What must stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A section's note is malformed.
    #[error("line {line}: {cause}")]
    Note {
        /// Line of the section's heading, from 1.
        line: usize,
        /// What is wrong.
        cause: NoteError,
    },
    /// A sign-off is by a key that no governor of the genesis has.
    #[error("sign-off of epoch {epoch}: key {key} is no governor's note key")]
    UnknownKey {
        /// Epoch of the sign-off.
        epoch: FederatedEpoch,
        /// Hexadecimal key.
        key: String,
    },
    /// A governor's name or key makes no note key.
    #[error(transparent)]
    NoteKey(#[from] NoteKeyError),
    /// A sign-off makes no note.
    #[error("sign-off of epoch {epoch}: {cause}")]
    Rendering {
        /// Epoch of the sign-off.
        epoch: FederatedEpoch,
        /// What is wrong.
        cause: NoteError,
    },
}

/// A section with a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Number in the heading.
    pub number: u64,
    /// Epoch in the heading.
    pub epoch: u64,
    /// Line of the heading, from 1.
    pub line: usize,
    /// The note. Its signatures prove nothing until they are checked.
    pub note: Note,
}

/// A log as it was read. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GovernanceLog {
    /// The lines of the founding section.
    pub genesis: Vec<String>,
    /// The notes, in their order.
    pub entries: Vec<LogEntry>,
}

/// The note keys of the governors of a genesis, by which the log's notes are verified.
///
/// # Errors
/// [`LogError::NoteKey`].
pub fn note_keys(governors: &[GovernorRecord]) -> Result<Vec<NoteKey<GovernanceNote>>, LogError> {
    let key = |record: &GovernorRecord| NoteKey::new(record.name.as_str(), record.note_key);
    Ok(governors.iter().map(key).collect::<Result<_, _>>()?)
}

/// The C2SP note of a sign-off: the text that the governors signed, and a line for each signature.
///
/// # Errors
/// [`LogError::UnknownKey`] or [`LogError::Rendering`].
pub fn signoff_note(
    federation: FederationId,
    keys: &[NoteKey<GovernanceNote>],
    signoff: &ApplySignoff,
) -> Result<Note, LogError> {
    let epoch = signoff.federated_epoch;
    let mut lines = Vec::with_capacity(signoff.signatures.len());
    for endorsement in &signoff.signatures {
        let key = keys.iter().find(|key| key.public() == endorsement.key);
        let unknown = || LogError::UnknownKey { epoch, key: endorsement.key.to_string() };
        lines.push(key.ok_or_else(unknown)?.line(&endorsement.signature));
    }
    Note::new(note::apply_text(federation, signoff), lines)
        .map_err(|cause| LogError::Rendering { epoch, cause })
}

/// Renders the log of a federation.
///
/// # Errors
/// [`LogError::NoteKey`], [`LogError::UnknownKey`] or [`LogError::Rendering`].
pub fn render<'a>(
    genesis: &Endorsed<Genesis>,
    signoffs: impl IntoIterator<Item = &'a ApplySignoff>,
) -> Result<String, LogError> {
    let body = genesis.claimed();
    let federation = body.federation_id();
    let keys = note_keys(&body.configuration.governors)?;
    let mut log = format!(
        "{TITLE}\n\n\
         Governance entries of the ledger of one federation, rendered from it: do not edit. Every note\n\
         verifies with C2SP signed-note tools under the verifier keys of section 0000.\n\n\
         ## 0000 GENESIS\n\n{FENCE_OPEN}\n"
    );
    for line in genesis_lines(genesis, &keys) {
        log.push_str(&line);
        log.push('\n');
    }
    log.push_str(FENCE_CLOSE);
    log.push('\n');
    for (number, signoff) in (1u64..).zip(signoffs) {
        let note = signoff_note(federation, &keys, signoff)?.to_text();
        let epoch = signoff.federated_epoch;
        // Writing to a String cannot fail.
        let _ = write!(
            log,
            "\n## {number:04} FEDERATED_APPLY epoch {epoch}\n\n{FENCE_OPEN}\n{note}{FENCE_CLOSE}\n"
        );
    }
    Ok(log)
}

fn genesis_lines(genesis: &Endorsed<Genesis>, keys: &[NoteKey<GovernanceNote>]) -> Vec<String> {
    let body = genesis.claimed();
    let configuration = &body.configuration;
    let mut lines = vec![
        format!("federation: {}", body.federation_id()),
        format!("configuration: {}", configuration.digest()),
        format!("policy: {}", configuration.policy_hash),
        format!("genome_schema: {}", body.schema_digest),
        format!("initial_state: {}", body.initial_state_hash),
        format!("apply_threshold: {}", configuration.thresholds.apply),
    ];
    for (governor, key) in configuration.governors.iter().zip(keys) {
        lines.push(format!("governor: {} of {}", governor.name, governor.organisation));
        lines.push(format!("verifier_key: {key}"));
    }
    for endorsement in genesis.endorsements() {
        lines.push(format!("endorsed_by: {} {}", endorsement.key, endorsement.signature));
    }
    lines
}

/// Reads a log strictly: title, preamble, section 0, then sections with one note each.
///
/// # Errors
/// The variants of [`LogError`] that concern form.
pub fn parse(bytes: &[u8]) -> Result<GovernanceLog, LogError> {
    if bytes.len() > MAX_LOG_BYTES {
        return Err(LogError::TooLarge { length: bytes.len() });
    }
    let text = core::str::from_utf8(bytes).map_err(|_| LogError::NotText)?;
    let mut lines = Lines { rest: text.split('\n').collect(), next: 0 };
    lines.expect(TITLE)?;
    lines.expect("")?;
    // Two lines of preamble for people; their wording is fixed by comparing with the rendering.
    lines.take();
    lines.take();
    lines.expect("")?;
    lines.expect("## 0000 GENESIS")?;
    let genesis = lines.fenced()?;
    let mut entries = Vec::new();
    loop {
        lines.expect("")?;
        if lines.at_end() {
            return Ok(GovernanceLog { genesis, entries });
        }
        let line = lines.next + 1;
        let (number, epoch) = lines.heading()?;
        let note = lines.fenced()?.join("\n") + "\n";
        let note = Note::parse(note.as_bytes()).map_err(|cause| LogError::Note { line, cause })?;
        entries.push(LogEntry { number, epoch, line, note });
    }
}

struct Lines<'a> {
    rest: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let line = self.rest.get(self.next).copied();
        self.next += 1;
        line
    }

    fn at_end(&self) -> bool {
        self.next >= self.rest.len()
    }

    fn refuse(&self, expected: &str, found: Option<&str>) -> LogError {
        LogError::Line {
            line: self.next,
            expected: expected.to_owned(),
            found: found.unwrap_or("the end").chars().take(120).collect(),
        }
    }

    fn expect(&mut self, expected: &str) -> Result<(), LogError> {
        match self.take() {
            Some(line) if line == expected => Ok(()),
            other => Err(self.refuse(&format!("{expected:?}"), other)),
        }
    }

    fn heading(&mut self) -> Result<(u64, u64), LogError> {
        let line = self.take();
        let parsed = line.and_then(|line| {
            let (number, epoch) =
                line.strip_prefix("## ")?.split_once(" FEDERATED_APPLY epoch ")?;
            let (number, epoch): (u64, u64) = (number.parse().ok()?, epoch.parse().ok()?);
            (line == format!("## {number:04} FEDERATED_APPLY epoch {epoch}"))
                .then_some((number, epoch))
        });
        parsed.ok_or_else(|| self.refuse("a section heading", line))
    }

    /// An empty line, then a fenced block.
    fn fenced(&mut self) -> Result<Vec<String>, LogError> {
        self.expect("")?;
        self.expect(FENCE_OPEN)?;
        let mut block = Vec::new();
        loop {
            match self.take() {
                Some(FENCE_CLOSE) => return Ok(block),
                Some(line) => block.push(line.to_owned()),
                None => return Err(self.refuse("the end of a fenced block", None)),
            }
        }
    }
}
