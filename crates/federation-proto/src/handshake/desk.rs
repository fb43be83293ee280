//! A governor's admission desk: the coordinator's half of the handshake, without a coordinator. Every desk
//! answers alone and all answer the same, so that m of their endorsements make one accept.

use std::collections::BTreeMap;

use thiserror::Error;

use super::accept::{AcceptTerms, FederationAccept};
use super::admission::AdmissionRules;
use super::attestation::AttestationLevel;
use super::hello::{ChannelBinding, FederationHello};
use super::negotiation::{FederationRefusal, Incompatibility, IncompatibilityReport};
use super::session::HandshakeError;
use super::transport::certificate_hash;
use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::ids::SessionId;
use crate::keys::{Admission, NodeFingerprint, PublicKey, SecretKey, Transport};
use crate::signing::{Endorsed, SignatureError, Signed};

/// Hellos that a desk answers one node around one epoch.
const MAX_HELLOS: usize = 16;

/// What a desk sees when a hello comes in.
#[derive(Clone, Debug)]
pub struct DeskView<'a> {
    /// The rules of joining.
    pub rules: AdmissionRules<'a>,
    /// The current epoch.
    pub epoch: FederatedEpoch,
    /// The certificate of the federation's end of the channel.
    pub federation_certificate: Digest,
    /// The node's last session on the ledger, zeros before its first.
    pub last_session: SessionId,
    /// The channel that the hello came in.
    pub channel: HelloChannel,
    /// What the caller itself verified about the node's machine.
    pub proven: AttestationLevel,
}

/// What a desk's own end of the channel knows about the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelloChannel {
    /// Relayed or in process: only signatures say who speaks. A hello bound to a channel does not come this way.
    Relayed,
    /// A direct connection with mutual TLS.
    Direct {
        /// Key of the peer's certificate.
        tls_public_key: PublicKey<Transport>,
        /// Keying material exported from TLS, if the channel has an exporter.
        exporter: Option<[u8; 32]>,
    },
}

/// A desk's memory: which hellos it answered, so that a nonce is good for one hello.
#[derive(Debug, Default)]
pub struct AdmissionDesk {
    epoch: FederatedEpoch,
    answered: BTreeMap<NodeFingerprint, BTreeMap<[u8; 32], Answered>>,
}

#[derive(Clone, Debug)]
struct Answered {
    hello_hash: Digest,
    epoch: FederatedEpoch,
}

/// Why a desk does not accept a hello.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HelloRefusal {
    /// The node is not in the roster. No answer goes out: strangers are told nothing.
    #[error("node {0} is not in the roster")]
    UnknownNode(NodeFingerprint),
    /// The hello's signature fails. No answer goes out.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The node used this nonce for another hello.
    #[error("node {node} used its nonce for hello {first} and again for {again}")]
    NonceReused {
        /// The node.
        node: NodeFingerprint,
        /// The hello first answered.
        first: Digest,
        /// The second one.
        again: Digest,
    },
    /// The node says hello too often around one epoch.
    #[error("node {node} said {MAX_HELLOS} different hellos around epoch {epoch}")]
    TooManyHellos {
        /// The node.
        node: NodeFingerprint,
        /// The current epoch.
        epoch: FederatedEpoch,
    },
    /// It was said in another channel: relayed by somebody in between.
    #[error("hello of node {node} is bound to another channel by its {what}")]
    OtherChannel {
        /// The node.
        node: NodeFingerprint,
        /// What differs.
        what: &'static str,
    },
    /// No desk may accept now.
    #[error(transparent)]
    Mandate(HandshakeError),
    /// They cannot work together; the signed refusal goes to the node.
    #[error("{}", .0.claimed().report)]
    Incompatible(Box<Signed<FederationRefusal>>),
}

impl AdmissionDesk {
    /// Answers a hello with this desk's endorsement of the one accept it deserves.
    ///
    /// A hello that comes twice gets the same answer twice while the epoch lasts: the answer may have been
    /// lost, and a recording of it is worth nothing without the node's key.
    pub fn handle_hello(
        &mut self,
        hello: Signed<FederationHello>,
        view: &DeskView<'_>,
        key: &SecretKey<Admission>,
    ) -> Result<Endorsed<FederationAccept>, HelloRefusal> {
        let DeskView { rules, epoch, .. } = view;
        let node = hello.claimed().node_fingerprint;
        let participant = rules.roster.participant(&node).ok_or(HelloRefusal::UnknownNode(node))?;
        let hello = hello.verify(&participant.identity, rules.context)?;
        rules.check_mandate(*epoch).map_err(HelloRefusal::Mandate)?;
        view.channel.check(&hello)?;
        self.remember(&hello, *epoch)?;
        let negotiated = rules.requirements.negotiate(&hello, *epoch, view.proven);
        let (expected, got) = (view.last_session, hello.previous_session);
        let negotiated = if got == expected {
            negotiated
        } else {
            let reason = Incompatibility::PreviousSession { expected, got };
            Err(match negotiated {
                Ok(_) => reason.into(),
                Err(report) => report.with(reason),
            })
        };
        let negotiated = negotiated.map_err(|report| refuse(&hello, *epoch, report, key, view))?;
        let terms = AcceptTerms {
            epoch: *epoch,
            policy_hash: rules.policy_hash,
            negotiated,
            not_after_epoch: rules.expiry(*epoch),
            certificate_hashes: [
                certificate_hash(&hello.tls_public_key),
                view.federation_certificate,
            ],
        };
        let accept = FederationAccept::answer(&hello, terms);
        Ok(Endorsed::sign(accept, [key], rules.context))
    }

    /// Hellos remembered, over all nodes.
    pub fn remembered(&self) -> usize {
        self.answered.values().map(BTreeMap::len).sum()
    }

    /// Bounded: nodes of the roster only, `MAX_HELLOS` each, and only around the current epoch, because a
    /// hello of another epoch is refused without any memory of it.
    fn remember(
        &mut self,
        hello: &FederationHello,
        epoch: FederatedEpoch,
    ) -> Result<(), HelloRefusal> {
        if epoch != self.epoch {
            self.epoch = epoch;
            for hellos in self.answered.values_mut() {
                hellos.retain(|_, answered| answered.epoch.get().abs_diff(epoch.get()) <= 1);
            }
            self.answered.retain(|_, hellos| !hellos.is_empty());
        }
        if hello.federated_epoch.get().abs_diff(epoch.get()) > 1 {
            return Ok(());
        }
        let node = hello.node_fingerprint;
        let hellos = self.answered.entry(node).or_default();
        let again = hello.hash();
        match hellos.get(&hello.nonce) {
            Some(Answered { hello_hash: first, .. }) if *first != again => {
                Err(HelloRefusal::NonceReused { node, first: *first, again })
            }
            Some(_) => Ok(()),
            None if hellos.len() >= MAX_HELLOS => Err(HelloRefusal::TooManyHellos { node, epoch }),
            None => {
                let answered = Answered { hello_hash: again, epoch: hello.federated_epoch };
                hellos.insert(hello.nonce, answered);
                Ok(())
            }
        }
    }
}

impl HelloChannel {
    fn check(&self, hello: &FederationHello) -> Result<(), HelloRefusal> {
        let (key, exported) = match self {
            Self::Relayed => (None, None),
            Self::Direct { tls_public_key, exporter } => (Some(tls_public_key), *exporter),
        };
        let node = hello.node_fingerprint;
        if key.is_some_and(|key| *key != hello.tls_public_key) {
            return Err(HelloRefusal::OtherChannel { node, what: "certificate key" });
        }
        let bound = match hello.channel_binding {
            ChannelBinding::None => None,
            ChannelBinding::TlsExporter(material) => Some(material),
        };
        if bound != exported {
            return Err(HelloRefusal::OtherChannel { node, what: "exporter" });
        }
        Ok(())
    }
}

fn refuse(
    hello: &FederationHello,
    epoch: FederatedEpoch,
    report: IncompatibilityReport,
    key: &SecretKey<Admission>,
    view: &DeskView<'_>,
) -> HelloRefusal {
    let refusal = FederationRefusal { hello_hash: hello.hash(), epoch, report };
    HelloRefusal::Incompatible(Box::new(Signed::sign(refusal, key, view.rules.context)))
}
