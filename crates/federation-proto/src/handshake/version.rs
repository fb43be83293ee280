//! Versions of software, wire and capabilities, and when two of them work together [semver.org 2.0.0].

use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::name::{Name, NameError};

/// A software version; compatible when the major number is equal (and, before 1.0, the minor one too).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SoftwareVersion {
    /// Incompatible changes.
    pub major: u16,
    /// Compatible additions.
    pub minor: u16,
    /// Fixes.
    pub patch: u16,
}

impl SoftwareVersion {
    /// The version this crate was built as.
    pub const CURRENT: Self = Self { major: 0, minor: 1, patch: 0 };

    /// Semantic-versioning compatibility [semver.org 2.0.0 §4, §8].
    pub const fn is_compatible_with(&self, other: &Self) -> bool {
        self.major == other.major && (self.major > 0 || self.minor == other.minor)
    }
}

impl fmt::Display for SoftwareVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The range of wire formats a node reads and writes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireVersions {
    /// Oldest.
    pub oldest: u8,
    /// Newest.
    pub newest: u8,
}

impl WireVersions {
    /// What this crate reads and writes.
    pub const CURRENT: Self = Self { oldest: 1, newest: 1 };

    /// Whether a version lies in the range.
    pub const fn contains(&self, version: u8) -> bool {
        self.oldest <= version && version <= self.newest
    }

    /// The newest version that both ranges contain. There is one choice, so nobody can talk it down.
    pub fn newest_common(&self, other: &Self) -> Option<u8> {
        let newest = self.newest.min(other.newest);
        (self.contains(newest) && other.contains(newest)).then_some(newest)
    }
}

impl fmt::Display for WireVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.oldest, self.newest)
    }
}

/// Version of a capability: a capability has no fixes, only additions and breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CapabilityVersion {
    /// Incompatible changes.
    pub major: u16,
    /// Compatible additions.
    pub minor: u16,
}

impl CapabilityVersion {
    /// Whether a node that offers this version serves one that needs `needed`: same major number and no
    /// older (before 1.0 every minor number is a break) [semver.org 2.0.0 §4, §7, §8].
    pub const fn serves(&self, needed: &Self) -> bool {
        self.major == needed.major
            && if self.major == 0 { self.minor == needed.minor } else { self.minor >= needed.minor }
    }
}

impl fmt::Display for CapabilityVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Something a node can do, as `name@major.minor` in texts.
///
/// Ordered by name first, so that a sorted list without repeated names is canonical.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    /// What.
    pub name: Name,
    /// In which version.
    pub version: CapabilityVersion,
}

/// Why a text is no capability.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CapabilityError {
    /// Its name is refused.
    #[error("capability {text:?}: {cause}")]
    Name {
        /// The text.
        text: String,
        /// What is wrong with the name.
        cause: NameError,
    },
    /// No version of the form `major.minor`.
    #[error("capability {text:?}: expected name@major.minor, such as coloring@1.0")]
    Version {
        /// The text.
        text: String,
    },
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let unversioned = || CapabilityError::Version { text: text.to_owned() };
        let (name, version) = text.split_once('@').ok_or_else(unversioned)?;
        let (major, minor) = version.split_once('.').ok_or_else(unversioned)?;
        let parse = |number: &str| number.parse().ok();
        let (Some(major), Some(minor)) = (parse(major), parse(minor)) else {
            return Err(unversioned());
        };
        let name = Name::new(name)
            .map_err(|cause| CapabilityError::Name { text: text.to_owned(), cause })?;
        let capability = Self { name, version: CapabilityVersion { major, minor } };
        // `+1` and `01` parse as numbers too; a capability has one text.
        if capability.to_string() == text { Ok(capability) } else { Err(unversioned()) }
    }
}

/// The wire's form of a capability; texts such as a policy file hold `name@major.minor`.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Capability")]
struct Fields {
    name: Name,
    version: CapabilityVersion,
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            Fields { name: self.name.clone(), version: self.version }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            let Fields { name, version } = Fields::deserialize(deserializer)?;
            Ok(Self { name, version })
        }
    }
}
