//! A node's half of the handshake, phase by phase: each phase is a struct that holds only what it may touch.
//!
//! ```text
//! Greeting ── m equal accepts ──▶ Publishing ── its block is ordered ──▶ Established ── last epoch over ──▶ Expired
//! ```
//!
//! The driver's law: one `handle_*`, then send what it returns, then the next. Bytes to send again after a
//! silence are those of [`NodeHandshake::pending`].

mod refusal;

use std::collections::BTreeMap;

use super::accept::{AnswerError, FederationAccept};
use super::attestation::AttestationLevel;
use super::hello::FederationHello;
use super::negotiation::{FederationRefusal, IncompatibilityReport, check_order};
use super::resumption::{SessionResumption, SessionTerms};
use super::session::{SessionOpened, SessionStatement};
use super::transport::{TransportKind, TransportRecord};
use super::version::Capability;
use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::ids::{LedgerBlockId, SessionId};
use crate::keys::{Admission, Identity, PublicKey, SecretKey, Transport, VerifyingKey};
use crate::signing::{Endorsed, Endorsement, SignatureError, Signed, SigningContext};

pub use refusal::{AcceptRefusal, PhaseError};

/// What a node insists on, whatever governance says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demands {
    /// Capabilities that the session must have, in strictly increasing order of names.
    pub capabilities: Vec<Capability>,
    /// The policy it is ready to follow.
    pub policy_hash: Digest,
    /// The certificate of the federation's end, as the channel showed it.
    pub federation_certificate: Digest,
    /// The channel, as the node will record it.
    pub kind: TransportKind,
    /// TLS version and cipher suite of the channel; zeros in process.
    pub tls: [u16; 2],
}

/// Whose accepts count.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// What signatures are bound to.
    pub context: &'a SigningContext,
    /// The admission keys of the roster.
    pub admission_keys: &'a [VerifyingKey<Admission>],
    /// How many of them must agree.
    pub needed: usize,
}

/// What the driver must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum NodeOutput {
    /// Nothing.
    Nothing,
    /// Publish this on the ledger.
    Publish(Box<SessionOpened>),
    /// The session stands; envelopes may be sent in it.
    Established,
    /// A governor refuses; the reasons are for the operator.
    Refused(IncompatibilityReport),
    /// The session is over: greet again.
    Expired,
}

/// A node on its way into a federation.
#[derive(Debug)]
pub struct NodeHandshake {
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Greeting(Box<Greeting>),
    Publishing(Box<SessionOpened>),
    Established(Box<Established>),
    Expired,
}

/// It said hello and collects endorsements.
#[derive(Debug)]
struct Greeting {
    hello: Signed<FederationHello>,
    hello_hash: Digest,
    demands: Demands,
    /// One accept a governor: whoever changes its mind replaces its own word only.
    accepts: BTreeMap<PublicKey<Admission>, (FederationAccept, Endorsement<Admission>)>,
}

/// A session that stands on the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// The block that opened it, named in every envelope.
    pub ledger_block_id: LedgerBlockId,
    /// The session's wire format.
    pub wire_version: u8,
    /// The session's capabilities.
    pub capabilities: Vec<Capability>,
    /// Its id, node, last epoch and present channel.
    pub terms: SessionTerms,
    /// A move to another channel that is signed and not ordered yet, to be published (again).
    pub resuming: Option<Signed<SessionResumption>>,
}

impl NodeHandshake {
    /// Begins: the hello is signed and ready to be sent.
    pub fn greet(
        hello: FederationHello,
        demands: Demands,
        identity: &SecretKey<Identity>,
        context: &SigningContext,
    ) -> Self {
        let hello_hash = hello.hash();
        let hello = Signed::sign(hello, identity, context);
        let greeting = Greeting { hello, hello_hash, demands, accepts: BTreeMap::new() };
        Self { phase: Phase::Greeting(Box::new(greeting)) }
    }

    /// The hello to send (again), while no accept is complete.
    pub fn hello(&self) -> Option<&Signed<FederationHello>> {
        match &self.phase {
            Phase::Greeting(greeting) => Some(&greeting.hello),
            _ => None,
        }
    }

    /// The entry to publish (again), until its block is seen.
    pub fn pending(&self) -> Option<&SessionOpened> {
        match &self.phase {
            Phase::Publishing(opened) => Some(opened),
            _ => None,
        }
    }

    /// The session, once it stands.
    pub fn established(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Established(established) => Some(established),
            _ => None,
        }
    }

    /// The phase, for messages.
    pub const fn phase(&self) -> &'static str {
        match &self.phase {
            Phase::Greeting(_) => "greeting",
            Phase::Publishing(_) => "publishing",
            Phase::Established(_) => "established",
            Phase::Expired => "expired",
        }
    }

    fn unexpected(&self, input: &'static str) -> PhaseError {
        PhaseError::Unexpected { input, phase: self.phase() }
    }

    /// One governor's accept. With the m-th equal one the node signs the session.
    pub fn handle_accept(
        &mut self,
        accept: FederationAccept,
        endorsement: Endorsement<Admission>,
        authority: &Authority<'_>,
        identity: &SecretKey<Identity>,
    ) -> Result<NodeOutput, AcceptRefusal> {
        let unexpected = self.unexpected("accept");
        let Phase::Greeting(greeting) = &mut self.phase else {
            return Err(unexpected.into());
        };
        greeting.check_accept(&accept)?;
        let single = Endorsed::from_parts(accept, vec![endorsement.clone()]);
        let accept = single.verify(authority.admission_keys, 1, authority.context)?.clone();
        // A governor's newer word counts; a recording of an older one does not take it back.
        let newest = greeting.accepts.get(&endorsement.key).map(|(known, _)| known.epoch);
        if newest.is_some_and(|newest| newest > accept.epoch) {
            return Ok(NodeOutput::Nothing);
        }
        greeting.accepts.insert(endorsement.key, (accept.clone(), endorsement));
        let agreeing: Vec<_> = greeting
            .accepts
            .values()
            .filter(|(other, _)| *other == accept)
            .map(|(_, endorsement)| endorsement.clone())
            .collect();
        if agreeing.len() < authority.needed.max(1) {
            return Ok(NodeOutput::Nothing);
        }
        let statement = SessionStatement {
            session_id: accept.session_id,
            node_fingerprint: identity.public(),
            transport: greeting.demands.channel(&accept),
        };
        let opened = SessionOpened {
            hello: greeting.hello.clone(),
            accept: Endorsed::from_parts(accept, agreeing),
            statement: Signed::sign(statement, identity, authority.context),
        };
        self.phase = Phase::Publishing(Box::new(opened.clone()));
        Ok(NodeOutput::Publish(Box::new(opened)))
    }

    /// One governor's refusal. It ends nothing: m others may still accept.
    pub fn handle_refusal(
        &self,
        refusal: Signed<FederationRefusal>,
        authority: &Authority<'_>,
    ) -> Result<NodeOutput, AcceptRefusal> {
        let Phase::Greeting(greeting) = &self.phase else {
            return Err(self.unexpected("refusal").into());
        };
        let (expected, got) = (greeting.hello_hash, refusal.claimed().hello_hash);
        if got != expected {
            return Err(AnswerError::OtherHello { expected, got }.into());
        }
        let mut last =
            SignatureError::BelowThreshold { what: "FederationRefusal", valid: 0, needed: 1 };
        for key in authority.admission_keys {
            match refusal.clone().verify(key, authority.context) {
                Ok(refusal) => return Ok(NodeOutput::Refused(refusal.into_body().report)),
                Err(cause) => last = cause,
            }
        }
        Err(last.into())
    }

    /// The ledger shows the node's last session. If it is the published one, envelopes name its block from here
    /// on. If it is neither that nor the one that the hello follows, as when a node greeted twice, the handshake
    /// can never be ordered, or the session was replaced: greet again.
    pub fn handle_opened(
        &mut self,
        session_id: SessionId,
        ledger_block_id: LedgerBlockId,
    ) -> Result<NodeOutput, PhaseError> {
        let (follows, own) = match &self.phase {
            Phase::Greeting(greeting) => (greeting.hello.claimed().previous_session, None),
            Phase::Publishing(opened) => {
                let accept = opened.accept.claimed();
                (opened.hello.claimed().previous_session, Some(accept.session_id))
            }
            Phase::Established(established) => (established.terms.session_id, None),
            Phase::Expired => return Err(self.unexpected("session block")),
        };
        if session_id == follows {
            return Ok(NodeOutput::Nothing);
        }
        let Phase::Publishing(opened) = &self.phase else {
            self.phase = Phase::Expired;
            return Ok(NodeOutput::Expired);
        };
        if own != Some(session_id) {
            self.phase = Phase::Expired;
            return Ok(NodeOutput::Expired);
        }
        let accept = opened.accept.claimed();
        let statement = opened.statement.claimed();
        let established = Established {
            ledger_block_id,
            wire_version: accept.wire_version,
            capabilities: accept.capabilities.clone(),
            terms: SessionTerms {
                session_id,
                node_fingerprint: statement.node_fingerprint,
                not_after_epoch: accept.not_after_epoch,
                resumptions: 0,
                transport: statement.transport.kind,
                federation_certificate: accept.certificate_hashes[1],
            },
            resuming: None,
        };
        self.phase = Phase::Established(Box::new(established));
        Ok(NodeOutput::Established)
    }

    /// A new epoch began. A session may be over with it, and so may a handshake: hello and accept are good
    /// around their epoch only.
    pub fn handle_epoch(&mut self, current: FederatedEpoch) -> NodeOutput {
        let not_after = match &self.phase {
            Phase::Greeting(greeting) => greeting.hello.claimed().federated_epoch.next(),
            Phase::Publishing(opened) => opened.accept.claimed().epoch.next(),
            Phase::Established(established) => established.terms.not_after_epoch,
            Phase::Expired => return NodeOutput::Nothing,
        };
        if current <= not_after {
            return NodeOutput::Nothing;
        }
        self.phase = Phase::Expired;
        NodeOutput::Expired
    }

    /// Asks for the session's move to another channel; what it returns is to be published. Until
    /// [`handle_resumed`](Self::handle_resumed) the session stays where it was, and a later attempt takes the
    /// same number: only one of them can be ordered.
    pub fn resume(
        &mut self,
        tls_public_key: PublicKey<Transport>,
        transport: TransportRecord,
        current: FederatedEpoch,
        identity: &SecretKey<Identity>,
        context: &SigningContext,
    ) -> Result<Signed<SessionResumption>, PhaseError> {
        let unexpected = self.unexpected("resumption");
        let Phase::Established(established) = &mut self.phase else {
            return Err(unexpected);
        };
        let terms = established.terms;
        let resumption = SessionResumption {
            session_id: terms.session_id,
            node_fingerprint: terms.node_fingerprint,
            federated_epoch: current,
            number: terms.resumptions.saturating_add(1),
            tls_public_key,
            transport,
        };
        terms.resume(&resumption, current)?;
        let signed = Signed::sign(resumption, identity, context);
        established.resuming = Some(signed.clone());
        Ok(signed)
    }

    /// The ledger shows a resumption of this session in `current`: the session is in its channel now.
    pub fn handle_resumed(
        &mut self,
        resumption: &SessionResumption,
        current: FederatedEpoch,
    ) -> Result<NodeOutput, PhaseError> {
        let unexpected = self.unexpected("ordered resumption");
        let Phase::Established(established) = &mut self.phase else {
            return Err(unexpected);
        };
        established.terms = established.terms.resume(resumption, current)?;
        established.resuming = None;
        Ok(NodeOutput::Established)
    }
}

impl Demands {
    /// The channel as the session statement records it.
    fn channel(&self, accept: &FederationAccept) -> TransportRecord {
        let [tls_version, cipher_suite] = self.tls;
        TransportRecord {
            kind: self.kind,
            tls_version,
            cipher_suite,
            certificate_hashes: accept.certificate_hashes,
            not_after_epoch: accept.not_after_epoch,
        }
    }
}

impl Greeting {
    /// Whether an accept gives this node what it asked for, over the channel it speaks in.
    fn check_accept(&self, accept: &FederationAccept) -> Result<(), AcceptRefusal> {
        let (hello, demands) = (self.hello.claimed(), &self.demands);
        accept.check_answers(hello)?;
        let downgrade = |what| Err(AcceptRefusal::Downgrade { what });
        if !hello.wire_versions.contains(accept.wire_version) {
            return downgrade("wire version");
        }
        let serves = |list: &[Capability], needed: &Capability| {
            list.iter().any(|c| c.name == needed.name && c.version.serves(&needed.version))
        };
        let taken = &accept.capabilities;
        if check_order(taken).is_err()
            || !taken.iter().all(|needed| serves(&hello.supported_capabilities, needed))
            || !demands.capabilities.iter().all(|needed| serves(taken, needed))
        {
            return downgrade("capabilities");
        }
        let (offered, attested) = (hello.attestation.level(), accept.attested);
        if attested != AttestationLevel::None && attested != offered {
            return downgrade("attestation");
        }
        let (expected, got) = (demands.federation_certificate, accept.certificate_hashes[1]);
        if got != expected {
            return Err(AcceptRefusal::FederationCertificate { expected, got });
        }
        let (expected, got) = (demands.policy_hash, accept.policy_hash);
        if got != expected {
            return Err(AcceptRefusal::Policy { expected, got });
        }
        let (said, got) = (hello.federated_epoch, accept.epoch);
        let not_after = accept.not_after_epoch;
        if got.get().abs_diff(said.get()) > 1 || not_after < got {
            return Err(AcceptRefusal::Epoch { said, got, not_after });
        }
        Ok(demands.channel(accept).check()?)
    }
}
