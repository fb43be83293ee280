//! The root of trust: which governors found federations that this verifier believes in.
//!
//! It is compiled in or given by the caller, never read from artifacts: whoever writes artifacts would
//! otherwise choose who must have signed them.

use std::collections::BTreeSet;

use federation_proto::Name;
use federation_proto::keys::{Document, KeyError, PublicKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Largest root-of-trust file in bytes.
pub const MAX_TRUST_BYTES: usize = 64 << 10;

/// The label from which the keys of synthetic federations are derived.
pub const SYNTHETIC_LABEL: &str = "prism synthetic m5 v1";

const SYNTHETIC_M5: &str = include_str!("../trust/synthetic-m5.toml");

/// Whether keys mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustKind {
    /// Published keys: artifacts prove consistency, not authorship.
    Synthetic,
    /// Keys that real organisations hold.
    Live,
}

/// A governor whose endorsement of a genesis counts.
#[derive(Clone, Debug)]
pub struct TrustedGovernor {
    /// Readable name.
    pub name: Name,
    /// Organisation; at most one governor of an organisation counts.
    pub organisation: Name,
    /// Checked document key.
    pub document: VerifyingKey<Document>,
}

/// A checked root of trust.
#[derive(Clone, Debug)]
pub struct RootOfTrust {
    kind: TrustKind,
    label: String,
    governors: Vec<TrustedGovernor>,
    document_threshold: u16,
}

/// Why a root of trust cannot be used. The verifier then cannot decide anything.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrustError {
    /// Too long.
    #[error("root of trust: {length} bytes, the limit is {MAX_TRUST_BYTES}")]
    TooLarge {
        /// Bytes given.
        length: usize,
    },
    /// Not TOML of this shape.
    #[error("root of trust: {0}")]
    Malformed(String),
    /// Another format version.
    #[error("root of trust: schema_version {0} is not supported (1 is)")]
    Version(u32),
    /// A key is no key.
    #[error(
        "root of trust: document key of {governor}: {key:?} is not 64 lowercase hexadecimal characters"
    )]
    KeyText {
        /// Whose key.
        governor: Name,
        /// The text.
        key: String,
    },
    /// A key is unusable.
    #[error("root of trust: document key of {governor}: {cause}")]
    WeakKey {
        /// Whose key.
        governor: Name,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// One name or key stands twice.
    #[error("root of trust: {0} stands twice")]
    Repeated(String),
    /// The threshold demands nothing, or more than there is.
    #[error(
        "root of trust: document_threshold {needed} must be between 1 and {organisations} organisations"
    )]
    Threshold {
        /// The threshold.
        needed: u16,
        /// Distinct organisations.
        organisations: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustFile {
    schema_version: u32,
    kind: TrustKind,
    label: String,
    document_threshold: u16,
    governors: Vec<GovernorLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GovernorLine {
    name: Name,
    organisation: Name,
    document_key: String,
}

impl RootOfTrust {
    /// The root of every synthetic M5 federation, compiled into the verifier.
    ///
    /// # Errors
    /// None in a build whose tests pass.
    pub fn synthetic() -> Result<Self, TrustError> {
        Self::parse(SYNTHETIC_M5.as_bytes())
    }

    /// Parses and checks a root-of-trust file.
    ///
    /// # Errors
    /// Any variant of [`TrustError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        if bytes.len() > MAX_TRUST_BYTES {
            return Err(TrustError::TooLarge { length: bytes.len() });
        }
        let source = core::str::from_utf8(bytes)
            .map_err(|_| TrustError::Malformed("not UTF-8 text".to_owned()))?;
        let file: TrustFile = toml::from_str(source).map_err(|cause| {
            let shown = cause.to_string();
            let place = shown.lines().next().unwrap_or_default();
            TrustError::Malformed(format!("{place}: {}", cause.message()))
        })?;
        if file.schema_version != 1 {
            return Err(TrustError::Version(file.schema_version));
        }
        let governors =
            file.governors.into_iter().map(check_governor).collect::<Result<Vec<_>, _>>()?;
        check_distinct(&governors)?;
        let organisations: BTreeSet<_> = governors.iter().map(|g| &g.organisation).collect();
        let (needed, organisations) = (file.document_threshold, organisations.len());
        if needed == 0 || usize::from(needed) > organisations {
            return Err(TrustError::Threshold { needed, organisations });
        }
        let TrustFile { kind, label, document_threshold, .. } = file;
        Ok(Self { kind, label, governors, document_threshold })
    }

    /// Synthetic or live.
    pub fn kind(&self) -> TrustKind {
        self.kind
    }

    /// What a verdict under this root is worth: the first line of whatever rests on it.
    pub fn statement(&self) -> String {
        match self.kind {
            TrustKind::Synthetic => {
                "Root of trust: SYNTHETIC (published keys): proves consistency, not authorship"
                    .to_owned()
            }
            TrustKind::Live => format!("Root of trust: LIVE ({})", self.label),
        }
    }

    /// What it is called.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The governors.
    pub fn governors(&self) -> &[TrustedGovernor] {
        &self.governors
    }

    /// Organisations that must have endorsed a genesis.
    pub fn document_threshold(&self) -> usize {
        usize::from(self.document_threshold)
    }

    /// The governor with this document key.
    pub fn governor(&self, key: &PublicKey<Document>) -> Option<&TrustedGovernor> {
        self.governors.iter().find(|governor| governor.document.public() == *key)
    }
}

fn check_governor(line: GovernorLine) -> Result<TrustedGovernor, TrustError> {
    let GovernorLine { name, organisation, document_key } = line;
    let Ok(key) = document_key.parse::<PublicKey<Document>>() else {
        return Err(TrustError::KeyText { governor: name, key: document_key });
    };
    match key.check() {
        Ok(document) => Ok(TrustedGovernor { name, organisation, document }),
        Err(cause) => Err(TrustError::WeakKey { governor: name, cause }),
    }
}

fn check_distinct(governors: &[TrustedGovernor]) -> Result<(), TrustError> {
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for governor in governors {
        if !names.insert(&governor.name) {
            return Err(TrustError::Repeated(governor.name.to_string()));
        }
        let key = governor.document.public();
        if !keys.insert(key) {
            return Err(TrustError::Repeated(key.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use federation_proto::SecretKey;

    /// The file as the label determines it.
    fn derived() -> String {
        let mut text = format!(
            "# Root of trust of synthetic M5 federations. Everybody can derive these keys from the label,\n\
             # so what they sign proves consistency, never authorship.\n\
             schema_version = 1\n\
             kind = \"synthetic\"\n\
             label = \"{SYNTHETIC_LABEL}\"\n\
             document_threshold = 2\n"
        );
        for letter in ["a", "b", "c"] {
            let name = format!("governor-{letter}");
            let key = SecretKey::<Document>::synthetic(SYNTHETIC_LABEL, &name).public();
            text.push_str(&format!(
                "\n[[governors]]\nname = \"{name}\"\norganisation = \"org-gov-{letter}\"\n\
                 document_key = \"{key}\"\n"
            ));
        }
        text
    }

    #[test]
    fn the_compiled_root_is_the_one_its_label_determines() {
        assert_eq!(SYNTHETIC_M5, derived(), "write this into trust/synthetic-m5.toml");
        let root = RootOfTrust::synthetic().expect("the shipped root");
        assert_eq!((root.kind(), root.document_threshold()), (TrustKind::Synthetic, 2));
        assert_eq!(root.governors().len(), 3);
    }

    #[test]
    fn malformed_roots_are_typed_errors() {
        let text = derived();
        let parse = |text: String| RootOfTrust::parse(text.as_bytes()).expect_err("refused");
        assert!(matches!(parse("kind = 1".into()), TrustError::Malformed(_)));
        let version = text.replace("schema_version = 1", "schema_version = 2");
        assert_eq!(parse(version), TrustError::Version(2));
        for needed in [0, 4] {
            let threshold = text.replace("threshold = 2", &format!("threshold = {needed}"));
            let expected = TrustError::Threshold { needed, organisations: 3 };
            assert_eq!(parse(threshold), expected);
        }
        let repeated = text.replace("governor-b", "governor-a");
        assert_eq!(parse(repeated), TrustError::Repeated("governor-a".into()));
        let key = SecretKey::<Document>::synthetic(SYNTHETIC_LABEL, "governor-a").public();
        let weak = text.replace(&key.to_string(), &format!("01{}", "00".repeat(31)));
        assert!(matches!(parse(weak), TrustError::WeakKey { cause: KeyError::SmallOrder, .. }));
        let short = text.replace(&key.to_string(), "ab");
        assert!(matches!(parse(short), TrustError::KeyText { .. }));
    }
}
