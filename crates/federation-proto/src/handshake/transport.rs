//! How a session's channel is secured, as the ledger records it for the audit.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::counters::FederatedEpoch;
use crate::digest::{Digest, HashDomain};
use crate::keys::{PublicKey, Transport};

/// What carries the session's frames. The order is that of strength: a session never moves to a weaker kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportKind {
    /// No network: both ends live in one simulated world.
    InProcess,
    /// Zenoh routers over QUIC with mutual TLS.
    Zenoh,
    /// A direct QUIC connection with mutual TLS.
    Quic,
}

/// The channel of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportRecord {
    /// What carries it.
    pub kind: TransportKind,
    /// TLS protocol version as on the wire, 0x0304 for 1.3 [RFC 8446 §4.2.1]; 0 in process.
    pub tls_version: u16,
    /// TLS cipher suite number [RFC 8446 §B.4]; 0 in process.
    pub cipher_suite: u16,
    /// Hashes of both certificates: the node's, the federation's.
    pub certificate_hashes: [Digest; 2],
    /// Last epoch for which the channel's certificates are good.
    pub not_after_epoch: FederatedEpoch,
}

/// Why a channel is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TransportError {
    /// In process there is no TLS.
    #[error(
        "an in-process channel has no TLS, its record says version {tls_version:#06x}, cipher suite {cipher_suite:#06x}"
    )]
    TlsInProcess {
        /// Version recorded.
        tls_version: u16,
        /// Cipher suite recorded.
        cipher_suite: u16,
    },
    /// Older than TLS 1.3.
    #[error("TLS version {got:#06x} is below 0x0304 (TLS 1.3)")]
    TlsVersion {
        /// Version recorded.
        got: u16,
    },
    /// Not a suite of TLS 1.3.
    #[error("cipher suite {got:#06x} is none of TLS 1.3 (0x1301 to 0x1303)")]
    CipherSuite {
        /// Suite recorded.
        got: u16,
    },
}

impl TransportRecord {
    /// A channel without a network.
    pub const fn in_process(
        certificate_hashes: [Digest; 2],
        not_after_epoch: FederatedEpoch,
    ) -> Self {
        Self {
            kind: TransportKind::InProcess,
            tls_version: 0,
            cipher_suite: 0,
            certificate_hashes,
            not_after_epoch,
        }
    }

    /// Whether the record describes a channel that this protocol permits: no TLS in process, else TLS 1.3
    /// with one of its full-strength suites (0x1301 AES-128-GCM, 0x1302 AES-256-GCM, 0x1303 ChaCha20-Poly1305).
    pub const fn check(&self) -> Result<(), TransportError> {
        let Self { tls_version, cipher_suite, .. } = *self;
        match self.kind {
            TransportKind::InProcess if tls_version == 0 && cipher_suite == 0 => Ok(()),
            TransportKind::InProcess => {
                Err(TransportError::TlsInProcess { tls_version, cipher_suite })
            }
            _ if tls_version < 0x0304 => Err(TransportError::TlsVersion { got: tls_version }),
            _ if cipher_suite < 0x1301 || cipher_suite > 0x1303 => {
                Err(TransportError::CipherSuite { got: cipher_suite })
            }
            _ => Ok(()),
        }
    }
}

/// The hash that stands for a transport certificate: of its key, since certificates rotate around it.
pub fn certificate_hash(key: &PublicKey<Transport>) -> Digest {
    Digest::of(HashDomain::TransportCertificate, key.as_bytes())
}
