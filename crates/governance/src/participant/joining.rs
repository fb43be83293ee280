//! A site on its way in: the node's half of the handshake, bound to what the site follows.

use std::collections::BTreeMap;

use federation_proto::handshake::{
    Attestation, Authority, ChannelBinding, Demands, Established, FederationAccept,
    FederationHello, FederationRefusal, IncompatibilityReport, NodeHandshake, NodeOutput,
    SessionOpened, SoftwareVersion, TransportKind, WireVersions,
};
use federation_proto::keys::{Admission, Identity, Transport, VerifyingKey};
use federation_proto::signing::Endorsement;
use federation_proto::{
    Digest, FederatedEpoch, LedgerBlockId, PublicKey, Request, SecretKey, SessionId, Signed,
};

use super::Membership;
use crate::executor::Executor;
use crate::governor::federation_certificate;
use crate::machine::Rules;

/// A handshake under way, or the session it led to.
#[derive(Debug)]
pub(super) struct Joining {
    handshake: NodeHandshake,
    /// The request that publishes the session, once it is signed.
    request: Option<Box<Signed<Request>>>,
    /// Reasons that governors gave, by hello.
    refusals: BTreeMap<Digest, IncompatibilityReport>,
}

impl Joining {
    /// Says hello.
    pub(super) fn greet(
        executor: &Executor,
        identity: &SecretKey<Identity>,
        transport: PublicKey<Transport>,
        nonce: [u8; 32],
    ) -> Self {
        let rules = executor.rules();
        let capabilities = rules.policy.document().admission.required_capabilities.clone();
        let hello = FederationHello {
            federation_id: rules.federation_id(),
            node_fingerprint: identity.public(),
            software_version: SoftwareVersion::CURRENT,
            wire_versions: WireVersions::CURRENT,
            supported_capabilities: capabilities.clone(),
            federated_epoch: executor.state().epoch(),
            previous_session: executor.state().last_session_of(&identity.public()),
            tls_public_key: transport,
            channel_binding: ChannelBinding::None,
            validator_set_hash: rules.roster.configuration().validator_set_hash(),
            ledger_size: executor.ledger().head().height.get(),
            nonce,
            attestation: Attestation::None,
        };
        let demands = Demands {
            capabilities,
            policy_hash: rules.policy.digest(),
            federation_certificate: federation_certificate(rules),
            kind: TransportKind::InProcess,
            tls: [0, 0],
        };
        Self {
            handshake: NodeHandshake::greet(hello, demands, identity, &rules.context),
            request: None,
            refusals: BTreeMap::new(),
        }
    }

    /// The hello to send (again).
    pub(super) fn hello(&self) -> Option<&Signed<FederationHello>> {
        self.handshake.hello()
    }

    /// The request to send (again).
    pub(super) fn request(&self) -> Option<&Signed<Request>> {
        self.request.as_deref().filter(|_| self.handshake.pending().is_some())
    }

    pub(super) fn publish(&mut self, request: Signed<Request>) {
        self.request = Some(Box::new(request));
    }

    /// The session, once the ledger has it.
    pub(super) fn membership(&self) -> Option<Membership> {
        let Established { ledger_block_id, terms, .. } = self.handshake.established()?;
        Some(Membership { session_id: terms.session_id, ledger_block_id: *ledger_block_id })
    }

    /// Why a governor refused the hello that is out.
    pub(super) fn refusal(&self) -> Option<&IncompatibilityReport> {
        self.refusals.get(&self.hello()?.claimed().hash())
    }

    /// One governor's accept. What does not fit is dropped: it may be another's, an old one, or a forgery.
    pub(super) fn handle_accept(
        &mut self,
        rules: &Rules,
        identity: &SecretKey<Identity>,
        accept: FederationAccept,
        endorsement: Endorsement<Admission>,
    ) -> Option<SessionOpened> {
        let keys = rules.roster.admission_keys();
        let authority = authority(rules, &keys);
        match self.handshake.handle_accept(accept, endorsement, &authority, identity) {
            Ok(NodeOutput::Publish(opened)) => Some(*opened),
            _ => None,
        }
    }

    /// One governor's refusal, kept for the operator.
    pub(super) fn handle_refusal(&mut self, rules: &Rules, refusal: Signed<FederationRefusal>) {
        let keys = rules.roster.admission_keys();
        let hello_hash = refusal.claimed().hello_hash;
        let output = self.handshake.handle_refusal(refusal, &authority(rules, &keys));
        if let Ok(NodeOutput::Refused(report)) = output {
            self.refusals.insert(hello_hash, report);
        }
    }

    /// The ledger's last session of this node.
    pub(super) fn handle_opened(&mut self, session_id: SessionId, block: LedgerBlockId) {
        if let Ok(NodeOutput::Established | NodeOutput::Expired) =
            self.handshake.handle_opened(session_id, block)
        {
            self.request = None;
        }
    }

    /// The epoch that the ledger is in.
    pub(super) fn handle_epoch(&mut self, epoch: FederatedEpoch) {
        if self.handshake.handle_epoch(epoch) == NodeOutput::Expired {
            self.request = None;
        }
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        self.handshake.phase() == "expired"
    }
}

fn authority<'a>(rules: &'a Rules, keys: &'a [VerifyingKey<Admission>]) -> Authority<'a> {
    Authority {
        context: &rules.context,
        admission_keys: keys,
        needed: usize::from(rules.roster.configuration().thresholds.admission),
    }
}
