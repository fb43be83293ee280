//! Both halves of the handshake driven by arbitrary operations, with their laws checked after each.
//!
//! The bytes are a program: whatever they are, they run. A fuzz target and a property test share this file, so
//! it needs nothing of the other tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use federation_proto::codec::Canonical;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord, Roster,
    SiteRole, Thresholds, ValidatorRecord,
};
use federation_proto::handshake::{
    AdmissionDesk, AdmissionRules, Attestation, AttestationDemand, AttestationLevel, Authority,
    Capability, ChannelBinding, Demands, DeskView, FederationAccept, FederationHello,
    FederationRefusal, HelloRefusal, NodeHandshake, NodeOutput, Requirements, SessionOpened,
    SoftwareVersion, TransportKind, TransportRecord, WireVersions, certificate_hash,
};
use federation_proto::keys::{Admission, DecryptionKey, Identity, KeyRole, Transport};
use federation_proto::signing::Endorsement;
use federation_proto::{
    Digest, FederatedEpoch, LedgerBlockId, Name, PublicKey, SecretKey, SessionId, Signed,
    SigningContext, VerifyingKey,
};

const SITES: [&str; 2] = ["site-0", "site-1"];
const DESKS: [&str; 3] = ["desk-0", "desk-1", "desk-2"];
const NEEDED: usize = 2;
const SESSION_EPOCHS: u64 = 3;
/// Hellos that a desk remembers of one node.
const MAX_HELLOS: usize = 16;

fn secret<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("operations", owner)
}

fn public<R: KeyRole>(owner: &str) -> PublicKey<R> {
    secret(owner).public()
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a good name")
}

/// The federation that every program runs in.
struct Federation {
    roster: Roster,
    context: SigningContext,
    required: Vec<Capability>,
    policy_hash: Digest,
    admission_keys: Vec<VerifyingKey<Admission>>,
}

fn federation() -> &'static Federation {
    static FEDERATION: OnceLock<Federation> = OnceLock::new();
    FEDERATION.get_or_init(|| {
        let policy_hash = Digest::of_blob(b"policy");
        let validator = |number: u8| {
            let owner = format!("validator-{number}");
            ValidatorRecord {
                name: name(&owner),
                fingerprint: public(&owner),
                consensus_key: public(&owner),
                log_key: public(&owner),
                encryption_key: DecryptionKey::synthetic("operations", &owner).public(),
                organisation: name("grid"),
                region: name("north"),
            }
        };
        let participant = |owner: &str| ParticipantRecord {
            name: name(owner),
            fingerprint: public(owner),
            organisation: name("plants"),
            region: name("west"),
            role: SiteRole::Edge,
        };
        let governor = |owner: &str| GovernorRecord {
            name: name(owner),
            organisation: name(&format!("org-{owner}")),
            document_key: public(owner),
            admission_key: public(owner),
            note_key: public(owner),
        };
        let configuration = Configuration {
            number: 0,
            validators: (0..4).map(validator).collect(),
            participants: SITES.map(participant).into(),
            governors: DESKS.map(governor).into(),
            witnesses: Vec::new(),
            readers: Vec::new(),
            thresholds: Thresholds { document: 2, admission: 2, apply: 2 },
            mandate: Mandate {
                first_epoch: FederatedEpoch::ZERO,
                last_epoch: FederatedEpoch::new(1_000),
            },
            policy_hash,
            artifact_key: public("artifacts"),
        };
        let genesis = Genesis {
            kind: FederationKind::Synthetic,
            instance: "operations".into(),
            log_origin: name("operations.example"),
            schema_digest: Digest::ZERO,
            initial_state_hash: Digest::ZERO,
            configuration,
        };
        let roster = genesis.configuration.clone().validate().expect("a good roster");
        Federation {
            admission_keys: roster.admission_keys(),
            context: genesis.signing_context(),
            roster,
            required: vec!["coloring@1.0".parse().expect("a capability")],
            policy_hash,
        }
    })
}

impl Federation {
    fn rules(&self) -> AdmissionRules<'_> {
        AdmissionRules {
            roster: &self.roster,
            context: &self.context,
            requirements: Requirements {
                federation_id: self.context.federation_id,
                validator_set_hash: self.roster.configuration().validator_set_hash(),
                software_version: SoftwareVersion::CURRENT,
                wire_versions: WireVersions::CURRENT,
                required: &self.required,
                optional: &[],
                attestation: AttestationDemand::None,
            },
            policy_hash: self.policy_hash,
            session_epochs: SESSION_EPOCHS,
        }
    }

    fn authority(&self) -> Authority<'_> {
        Authority { context: &self.context, admission_keys: &self.admission_keys, needed: NEEDED }
    }

    fn certificate(&self) -> Digest {
        certificate_hash(&public::<Transport>("federation"))
    }
}

/// A program, read byte by byte; zeros when it is over.
struct Program<'a>(std::slice::Iter<'a, u8>);

impl Program<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn choice(&mut self, among: usize) -> usize {
        usize::from(self.next()) % among.max(1)
    }
}

/// Everything said so far, to be said again.
#[derive(Default)]
struct Record {
    hellos: Vec<Signed<FederationHello>>,
    accepts: Vec<(FederationAccept, Endorsement<Admission>)>,
    refusals: Vec<Signed<FederationRefusal>>,
    /// What each site published, by session.
    published: BTreeMap<SessionId, SessionOpened>,
}

struct World {
    nodes: [Option<NodeHandshake>; 2],
    desks: [AdmissionDesk; 3],
    record: Record,
    epoch: FederatedEpoch,
}

/// Runs a program and says in which phase it leaves the first site. Panics where a law breaks.
pub(crate) fn run(bytes: &[u8]) -> Option<&'static str> {
    let mut world = World {
        nodes: [None, None],
        desks: [AdmissionDesk::default(), AdmissionDesk::default(), AdmissionDesk::default()],
        record: Record::default(),
        epoch: FederatedEpoch::new(1),
    };
    let mut program = Program(bytes.iter());
    while program.0.len() > 0 {
        let (operation, site) = (program.next(), program.choice(SITES.len()));
        match operation % 8 {
            0 => world.greet(site, &mut program),
            1 => world.hello_to_desk(&mut program),
            2 | 3 => world.accept_to_node(site, &mut program),
            4 => world.refusal_to_node(site, &mut program),
            5 => world.block_to_node(site, &mut program),
            6 => world.epoch_passes(site, &mut program),
            _ => world.resume(site, &mut program),
        }
        world.check();
    }
    world.nodes[0].as_ref().map(NodeHandshake::phase)
}

impl World {
    fn greet(&mut self, site: usize, program: &mut Program<'_>) {
        let federation = federation();
        let identity = secret::<Identity>(SITES[site]);
        let mut capabilities = federation.required.clone();
        if program.next() % 4 == 0 {
            capabilities.clear();
        }
        let hello = FederationHello {
            federation_id: federation.context.federation_id,
            node_fingerprint: identity.public(),
            software_version: SoftwareVersion::CURRENT,
            wire_versions: WireVersions::CURRENT,
            supported_capabilities: capabilities,
            federated_epoch: self.epoch,
            tls_public_key: public(SITES[site]),
            channel_binding: ChannelBinding::None,
            validator_set_hash: federation.roster.configuration().validator_set_hash(),
            ledger_size: u64::from(program.next() % 2),
            nonce: [program.next() % 32; 32],
            attestation: Attestation::None,
        };
        let demands = Demands {
            capabilities: federation.required.clone(),
            policy_hash: federation.policy_hash,
            federation_certificate: federation.certificate(),
            kind: TransportKind::Quic,
            tls: [0x0304, 0x1301],
        };
        let node = NodeHandshake::greet(hello, demands, &identity, &federation.context);
        self.record.hellos.extend(node.hello().cloned());
        self.nodes[site] = Some(node);
    }

    /// Some hello said so far, whole or with a byte flipped, to some desk.
    fn hello_to_desk(&mut self, program: &mut Program<'_>) {
        let federation = federation();
        let which = program.choice(self.record.hellos.len());
        let Some(hello) = self.record.hellos.get(which) else { return };
        let Some(hello) = spoilt(hello, program) else { return };
        let claimed = hello.claimed().clone();
        let desk = program.choice(DESKS.len());
        let view = DeskView {
            rules: federation.rules(),
            epoch: self.epoch,
            federation_certificate: federation.certificate(),
            proven: AttestationLevel::None,
        };
        let key = secret::<Admission>(DESKS[desk]);
        match self.desks[desk].handle_hello(hello, &view, &key) {
            Ok(accept) => {
                // Law: a desk answers what a site really said, around the epoch in which it said it.
                assert!(self.record.hellos.iter().any(|said| *said.claimed() == claimed));
                assert!(claimed.federated_epoch.get().abs_diff(self.epoch.get()) <= 1);
                let endorsement = accept.endorsements()[0].clone();
                self.record.accepts.push((accept.claimed().clone(), endorsement));
            }
            Err(HelloRefusal::Incompatible(refusal)) => self.record.refusals.push(*refusal),
            Err(_) => {}
        }
    }

    /// Some accept given so far, whole or with a byte flipped, to some node.
    fn accept_to_node(&mut self, site: usize, program: &mut Program<'_>) {
        let federation = federation();
        let which = program.choice(self.record.accepts.len());
        let Some((accept, endorsement)) = self.record.accepts.get(which).cloned() else { return };
        let Some(accept) = spoilt(&accept, program) else { return };
        let Some(node) = &mut self.nodes[site] else { return };
        let said = node.hello().map(|hello| hello.claimed().hash());
        let identity = secret::<Identity>(SITES[site]);
        let output =
            node.handle_accept(accept.clone(), endorsement, &federation.authority(), &identity);
        let Ok(output) = output else { return };
        // Law: a node counts only genuine answers to the hello that is out.
        assert_eq!(Some(accept.hello_hash), said);
        assert!(self.record.accepts.iter().any(|(given, _)| *given == accept));
        if let NodeOutput::Publish(opened) = output {
            self.publish(*opened);
        }
    }

    /// Law: what is published is signed by m different desks and good for the ledger, and no session is
    /// published for two different hellos.
    fn publish(&mut self, opened: SessionOpened) {
        let federation = federation();
        let accept = opened.accept.claimed();
        let keys: BTreeSet<_> = opened.accept.endorsements().iter().map(|e| e.key).collect();
        assert!(keys.len() >= NEEDED);
        assert_eq!(opened.verify(&federation.rules(), accept.epoch), Ok(()));
        let late = FederatedEpoch::new(accept.not_after_epoch.get() + 1);
        assert!(opened.verify(&federation.rules(), late).is_err());
        if let Some(earlier) = self.record.published.get(&accept.session_id) {
            assert_eq!(earlier.hello, opened.hello);
        }
        self.record.published.insert(accept.session_id, opened);
    }

    fn refusal_to_node(&mut self, site: usize, program: &mut Program<'_>) {
        let which = program.choice(self.record.refusals.len());
        let Some(refusal) = self.record.refusals.get(which).cloned() else { return };
        let Some(refusal) = spoilt(&refusal, program) else { return };
        let Some(node) = &self.nodes[site] else { return };
        let phase = node.phase();
        let body = refusal.claimed().clone();
        if let Ok(NodeOutput::Refused(_)) = node.handle_refusal(refusal, &federation().authority())
        {
            assert!(self.record.refusals.iter().any(|given| *given.claimed() == body));
        }
        assert_eq!(node.phase(), phase, "a refusal ends nothing");
    }

    /// A block that opened some published session, shown to some node.
    fn block_to_node(&mut self, site: usize, program: &mut Program<'_>) {
        let sessions: Vec<SessionId> = self.record.published.keys().copied().collect();
        let Some(session) = sessions.get(program.choice(sessions.len())).copied() else { return };
        let Some(node) = &mut self.nodes[site] else { return };
        let waiting = node.pending().map(|opened| opened.accept.claimed().session_id);
        let block = LedgerBlockId::new(session.digest());
        if node.handle_opened(session, block).is_ok() {
            assert_eq!(waiting, Some(session), "only its own session establishes a node");
        }
    }

    fn epoch_passes(&mut self, site: usize, program: &mut Program<'_>) {
        self.epoch = FederatedEpoch::new(self.epoch.get() + u64::from(program.next() % 3));
        let Some(node) = &mut self.nodes[site] else { return };
        // Law: a session is over exactly when its last epoch is.
        let end = node.established().map(|established| established.terms.not_after_epoch);
        let output = node.handle_epoch(self.epoch);
        if let Some(end) = end {
            assert_eq!(output == NodeOutput::Expired, self.epoch > end);
            assert_eq!(node.established().is_none(), self.epoch > end);
        }
    }

    fn resume(&mut self, site: usize, program: &mut Program<'_>) {
        let federation = federation();
        let Some(node) = &mut self.nodes[site] else { return };
        let before = node.established().map(|established| established.terms);
        let kinds = [TransportKind::InProcess, TransportKind::Zenoh, TransportKind::Quic];
        let transport = TransportRecord {
            kind: kinds[program.choice(kinds.len())],
            tls_version: [0, 0x0303, 0x0304][program.choice(3)],
            cipher_suite: 0x1300 + u16::from(program.next() % 5),
            certificate_hashes: [Digest::ZERO; 2],
            not_after_epoch: FederatedEpoch::new(u64::from(program.next() % 8)),
        };
        let identity = secret::<Identity>(SITES[site]);
        let moved = node.resume(transport, self.epoch, &identity, &federation.context);
        let after = node.established().map(|established| established.terms);
        match (moved, before, after) {
            (Ok(resumption), Some(before), Some(after)) => {
                // Law: one move a number, never to something weaker, never after the end.
                let resumption = resumption.claimed();
                assert_eq!(after.resumptions, before.resumptions + 1);
                assert!(after.transport >= before.transport);
                assert!(self.epoch <= before.not_after_epoch);
                assert!(resumption.transport.not_after_epoch <= before.not_after_epoch);
                assert_eq!(before.resume(resumption, self.epoch), Ok(after));
                assert!(after.resume(resumption, self.epoch).is_err(), "a replay");
            }
            (Ok(_), ..) => panic!("a session moved that was not established"),
            (Err(_), before, after) => assert_eq!(before, after, "a refusal changes nothing"),
        }
    }

    /// Laws that hold at any time.
    fn check(&self) {
        for desk in &self.desks {
            assert!(desk.remembered() <= MAX_HELLOS * SITES.len());
        }
        for (site, node) in self.nodes.iter().enumerate() {
            let Some(established) = node.as_ref().and_then(NodeHandshake::established) else {
                continue;
            };
            let terms = &established.terms;
            assert_eq!(terms.node_fingerprint, public(SITES[site]));
            assert!(self.record.published.contains_key(&terms.session_id));
        }
    }
}

/// The value itself, or what its bytes say with one bit flipped, if they say anything.
fn spoilt<T>(value: &T, program: &mut Program<'_>) -> Option<T>
where
    T: Canonical + Clone + for<'de> serde::Deserialize<'de>,
{
    if program.next() % 4 != 0 {
        return Some(value.clone());
    }
    let mut bytes = value.to_canonical();
    let at = usize::from(u16::from_le_bytes([program.next(), program.next()])) % bytes.len();
    *bytes.get_mut(at)? ^= 1 << (program.next() % 8);
    T::from_canonical(&bytes).ok()
}
