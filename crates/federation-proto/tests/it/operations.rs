//! Both halves of the handshake driven by arbitrary operations, with their laws checked after each.
//!
//! The bytes are a program: whatever they are, they run. A fuzz target and a property test share this file, so
//! it needs nothing of the other tests.

// By path, so that it is found from the fuzz workspace too.
#[path = "operations/federation.rs"]
mod federation;

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::codec::Canonical;
use federation_proto::handshake::{
    AdmissionDesk, Attestation, AttestationLevel, ChannelBinding, Demands, DeskView,
    FederationAccept, FederationHello, FederationRefusal, HandshakeError, HelloChannel,
    HelloRefusal, NodeHandshake, NodeOutput, SessionOpened, SessionResumption, SessionTerms,
    SoftwareVersion, TransportKind, TransportRecord, WireVersions, certificate_hash,
};
use federation_proto::keys::{Admission, Identity, Transport};
use federation_proto::signing::Endorsement;
use federation_proto::{Digest, FederatedEpoch, LedgerBlockId, SessionId, Signed};

use federation::{DESKS, EXPORTED, NEEDED, NO_SESSION, SITES, federation, public, secret};

/// Hellos that a desk remembers of one node.
const MAX_HELLOS: usize = 16;

/// A program that gets all the way: hello, two desks, two accepts, the block; a move that is lost, another that
/// is ordered, the lost one found again; the end.
pub(crate) const STRAIGHT: [&[u8]; 12] = [
    &[0, 0, 1, 0, 7, 0, 0],
    &[1, 0, 0, 1, 0, 0],
    &[1, 0, 0, 1, 1, 1],
    &[2, 0, 0, 1],
    &[2, 0, 1, 1],
    &[5, 0, 0],
    &[7, 0, 2, 2, 1, 4, 0, 0],
    &[7, 0, 2, 2, 1, 3, 1, 0],
    &[8, 0, 1],
    &[8, 0, 0],
    &[6, 0, 2],
    &[6, 0, 2],
];

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
    /// The moves that each site signed.
    moves: [Vec<Signed<SessionResumption>>; 2],
}

/// What was ordered. It knows what no single message shows: what came before.
struct Ledger {
    /// Every session, and how it stands.
    sessions: BTreeMap<SessionId, SessionTerms>,
    /// The last session of each site.
    last: [SessionId; 2],
}

struct World {
    nodes: [Option<NodeHandshake>; 2],
    desks: [AdmissionDesk; 3],
    record: Record,
    ledger: Ledger,
    epoch: FederatedEpoch,
}

/// Runs a program and says in which phase it leaves the first site. Panics where a law breaks.
pub(crate) fn run(bytes: &[u8]) -> Option<&'static str> {
    let mut world = World {
        nodes: [None, None],
        desks: [AdmissionDesk::default(), AdmissionDesk::default(), AdmissionDesk::default()],
        record: Record::default(),
        ledger: Ledger { sessions: BTreeMap::new(), last: [NO_SESSION; 2] },
        epoch: FederatedEpoch::new(1),
    };
    let mut program = Program(bytes.iter());
    while program.0.len() > 0 {
        let (operation, site) = (program.next(), program.choice(SITES.len()));
        match operation % 9 {
            0 => world.greet(site, &mut program),
            1 => world.hello_to_desk(&mut program),
            2 | 3 => world.accept_to_node(site, &mut program),
            4 => world.refusal_to_node(site, &mut program),
            5 => world.block_to_node(site, &mut program),
            6 => world.epoch_passes(site, &mut program),
            7 => world.resume(site, &mut program),
            _ => world.move_to_ledger(site, &mut program),
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
        if program.next().is_multiple_of(4) {
            capabilities.clear();
        }
        let (ledger_size, nonce) = (u64::from(program.next() % 2), [program.next() % 32; 32]);
        let channel_binding = match program.next() % 2 {
            0 => ChannelBinding::None,
            _ => ChannelBinding::TlsExporter(EXPORTED),
        };
        // A site that lost its memory may name none, and a confused one anything.
        let previous_session = match program.next() % 4 {
            1 => NO_SESSION,
            2 => SessionId::new(Digest::of_blob(b"another")),
            _ => self.ledger.last[site],
        };
        let hello = FederationHello {
            federation_id: federation.context.federation_id,
            node_fingerprint: identity.public(),
            software_version: SoftwareVersion::CURRENT,
            wire_versions: WireVersions::CURRENT,
            supported_capabilities: capabilities,
            federated_epoch: self.epoch,
            previous_session,
            tls_public_key: public(SITES[site]),
            channel_binding,
            validator_set_hash: federation.roster.configuration().validator_set_hash(),
            ledger_size,
            nonce,
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
        let (tls_public_key, exporter) = match program.next() % 4 {
            0 => (None, None),
            1 => (Some(claimed.tls_public_key), None),
            2 => (Some(public("somebody in between")), None),
            _ => (Some(claimed.tls_public_key), Some(EXPORTED)),
        };
        let channel = match tls_public_key {
            None => HelloChannel::Relayed,
            Some(tls_public_key) => HelloChannel::Direct { tls_public_key, exporter },
        };
        let bound = match claimed.channel_binding {
            ChannelBinding::None => None,
            ChannelBinding::TlsExporter(material) => Some(material),
        };
        let same_channel =
            bound == exporter && tls_public_key.is_none_or(|key| key == claimed.tls_public_key);
        let author = SITES.iter().position(|site| public(site) == claimed.node_fingerprint);
        let last_session = author.map_or(NO_SESSION, |author| self.ledger.last[author]);
        let view = DeskView {
            rules: federation.rules(),
            last_session,
            epoch: self.epoch,
            federation_certificate: federation.certificate(),
            channel,
            proven: AttestationLevel::None,
        };
        let key = secret::<Admission>(DESKS[desk]);
        match self.desks[desk].handle_hello(hello, &view, &key) {
            Ok(accept) => {
                // Law: a desk answers what a site really said, around the epoch in which it said it, in the
                // channel in which it said it, and after the session that it names.
                assert!(same_channel && claimed.previous_session == last_session);
                assert!(self.record.hellos.iter().any(|said| *said.claimed() == claimed));
                assert!(claimed.federated_epoch.get().abs_diff(self.epoch.get()) <= 1);
                let endorsement = accept.endorsements()[0].clone();
                self.record.accepts.push((accept.claimed().clone(), endorsement));
            }
            Err(HelloRefusal::Incompatible(refusal)) => self.record.refusals.push(*refusal),
            Err(HelloRefusal::OtherChannel { .. }) => assert!(!same_channel),
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
        let late = accept.epoch.next().next();
        let stale = HandshakeError::StaleAccept { current: late, got: accept.epoch };
        assert_eq!(opened.verify(&federation.rules(), late), Err(stale));
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

    /// Some session that the site published is ordered, if it may be, and its block is shown to the site.
    fn block_to_node(&mut self, site: usize, program: &mut Program<'_>) {
        let identity = public::<Identity>(SITES[site]);
        let its = self.record.published.values();
        let its: Vec<_> =
            its.filter(|opened| opened.hello.claimed().node_fingerprint == identity).collect();
        let Some(opened) = its.get(program.choice(its.len())) else { return };
        let session = opened.accept.claimed().session_id;
        let follows = opened.hello.claimed().previous_session == self.ledger.last[site];
        if follows && opened.verify(&federation().rules(), self.epoch).is_ok() {
            let earlier = self.ledger.sessions.insert(session, terms(opened));
            assert_eq!(earlier, None, "a session opens once");
            self.ledger.last[site] = session;
        }
        // The node sees the last session that the ledger has of it.
        let session = self.ledger.last[site];
        if session == NO_SESSION {
            return;
        }
        let Some(node) = &mut self.nodes[site] else { return };
        let phase = node.phase();
        let own = node.pending().map(|opened| opened.accept.claimed().session_id);
        let followed = match (node.hello(), node.pending(), node.established()) {
            (Some(hello), ..) => Some(hello.claimed().previous_session),
            (_, Some(opened), _) => Some(opened.hello.claimed().previous_session),
            (.., Some(established)) => Some(established.terms.session_id),
            _ => None,
        };
        let output = node.handle_opened(session, LedgerBlockId::new(session.digest()));
        // Law: its own session establishes a node, the one that it follows or stands in changes nothing, and
        // another one ends its hopes.
        match followed {
            None => assert!(output.is_err() && node.phase() == phase),
            Some(known) if known == session => {
                assert_eq!((output, node.phase()), (Ok(NodeOutput::Nothing), phase));
            }
            Some(_) if own == Some(session) => assert_eq!(output, Ok(NodeOutput::Established)),
            Some(_) => {
                assert_eq!((output, node.phase()), (Ok(NodeOutput::Expired), "expired"));
            }
        }
    }

    fn epoch_passes(&mut self, site: usize, program: &mut Program<'_>) {
        self.epoch = FederatedEpoch::new(self.epoch.get() + u64::from(program.next() % 3));
        let Some(node) = &mut self.nodes[site] else { return };
        // Law: a session is over exactly when its last epoch is, and a handshake one epoch after its word.
        let greeting = node.hello().map(|hello| hello.claimed().federated_epoch.next());
        let publishing = node.pending().map(|opened| opened.accept.claimed().epoch.next());
        let established = node.established().map(|session| session.terms.not_after_epoch);
        let end = greeting.or(publishing).or(established);
        let output = node.handle_epoch(self.epoch);
        let over = end.is_some_and(|end| self.epoch > end);
        assert_eq!(output == NodeOutput::Expired, over);
        assert_eq!(node.phase() == "expired", over || end.is_none());
    }

    /// A site asks for another channel. Nothing has moved yet.
    fn resume(&mut self, site: usize, program: &mut Program<'_>) {
        let federation = federation();
        let Some(node) = &mut self.nodes[site] else { return };
        let before = node.established().cloned();
        let kinds = [TransportKind::InProcess, TransportKind::Zenoh, TransportKind::Quic];
        let kind = kinds[program.choice(kinds.len())];
        let (tls_version, cipher_suite) =
            ([0, 0x0303, 0x0304][program.choice(3)], 0x1300 + u16::from(program.next() % 5));
        let not_after = (self.epoch.get() + u64::from(program.next() % 8)).saturating_sub(1);
        let key = [SITES[site], "a rotated key"][program.choice(2)];
        let own = [certificate_hash(&public::<Transport>(key)), federation.certificate()];
        let certificate_hashes = match program.next() % 4 {
            1 => [own[1], own[0]],
            2 => [own[0], Digest::ZERO],
            _ => own,
        };
        let transport = TransportRecord {
            kind,
            tls_version,
            cipher_suite,
            certificate_hashes,
            not_after_epoch: FederatedEpoch::new(not_after),
        };
        let identity = secret::<Identity>(SITES[site]);
        let moved = node.resume(public(key), transport, self.epoch, &identity, &federation.context);
        let after = node.established();
        match (moved, before, after) {
            (Ok(signed), Some(before), Some(after)) => {
                // Law: it would be the next move, to nothing weaker, before the end, over certificates that
                // are known; and until it is ordered the session stays where it was.
                let (terms, asked) = (before.terms, signed.claimed());
                assert_eq!(after.terms, terms);
                assert_eq!(after.resuming.as_ref(), Some(&signed));
                assert_eq!(asked.number, terms.resumptions + 1);
                assert!(asked.transport.kind >= terms.transport);
                assert_eq!(asked.transport.certificate_hashes, own);
                assert!(self.epoch <= asked.transport.not_after_epoch);
                assert!(asked.transport.not_after_epoch <= terms.not_after_epoch);
                self.record.moves[site].push(signed);
            }
            (Ok(_), ..) => panic!("a session moves that is not established"),
            (Err(_), before, after) => {
                assert_eq!(before.as_ref(), after, "a refusal changes nothing");
            }
        }
    }

    /// Some move that the site asked for is ordered, if it may be, and shown to the site. Moves that never
    /// come here are lost.
    fn move_to_ledger(&mut self, site: usize, program: &mut Program<'_>) {
        let moves = &self.record.moves[site];
        let Some(signed) = moves.get(program.choice(moves.len())) else { return };
        let asked = signed.claimed();
        let Some(terms) = self.ledger.sessions.get_mut(&asked.session_id) else { return };
        let before = *terms;
        let Ok(moved) = before.resume(asked, self.epoch) else { return };
        // Law: one move a number, so that of two with one number the second is never good again.
        assert_eq!(moved.resumptions, before.resumptions + 1);
        assert!(moves.iter().all(|other| {
            let other = other.claimed();
            other.number != asked.number || moved.resume(other, self.epoch).is_err()
        }));
        *terms = moved;
        let Some(node) = &mut self.nodes[site] else { return };
        let known = node.established().map(|established| established.terms);
        let output = node.handle_resumed(asked, self.epoch);
        // Law: who was in step with the ledger stays in step; nobody else moves.
        if known == Some(before) {
            assert_eq!(output, Ok(NodeOutput::Established));
            let established = node.established().expect("a session");
            assert_eq!((established.terms, &established.resuming), (moved, &None));
        } else {
            assert!(output.is_err());
            assert_eq!(node.established().map(|established| established.terms), known);
        }
        let after = node.established().cloned();
        assert!(node.handle_resumed(asked, self.epoch).is_err(), "a replay");
        assert_eq!(node.established(), after.as_ref());
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
            // A site that forgot its session and opened it again may lag behind, never run ahead.
            let ordered = self.ledger.sessions.get(&terms.session_id);
            assert!(ordered.is_some_and(|ordered| ordered.resumptions >= terms.resumptions));
        }
    }
}

/// How a session stands when it opens.
fn terms(opened: &SessionOpened) -> SessionTerms {
    let (accept, statement) = (opened.accept.claimed(), opened.statement.claimed());
    SessionTerms {
        session_id: accept.session_id,
        node_fingerprint: statement.node_fingerprint,
        not_after_epoch: accept.not_after_epoch,
        resumptions: 0,
        transport: statement.transport.kind,
        federation_certificate: federation().certificate(),
    }
}

/// The value itself, or what its bytes say with one bit flipped, if they say anything.
fn spoilt<T>(value: &T, program: &mut Program<'_>) -> Option<T>
where
    T: Canonical + Clone + for<'de> serde::Deserialize<'de>,
{
    if !program.next().is_multiple_of(4) {
        return Some(value.clone());
    }
    let mut bytes = value.to_canonical();
    let at = usize::from(u16::from_le_bytes([program.next(), program.next()])) % bytes.len();
    *bytes.get_mut(at)? ^= 1 << (program.next() % 8);
    T::from_canonical(&bytes).ok()
}
