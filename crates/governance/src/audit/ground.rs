//! What everything else stands on: the documents, the genesis under the root of trust, roster and rules.

use std::collections::BTreeSet;

use consensus_pbft::Committee;
use federation_proto::Digest;
use federation_proto::codec::Canonical;
use federation_proto::genesis::{FederationKind, Genesis, Roster, RosterError};
use federation_proto::signing::{Endorsed, SignedBody, SigningContext};

use super::checks::Check;
use super::report::{Place, Results};
use super::terms::Terms;
use super::{AuditOptions, LoadedArtifacts};
use crate::artifact::json::{self, Document, JsonProblem};
use crate::artifact::{
    EVALUATION, Evaluation, FederatedPlan, GENESIS, GenesisDocument, MANIFEST, Manifest, PLAN,
    POLICY,
};
use crate::machine::{Rules, RulesError};
use crate::policy::Policy;
use crate::trust::{RootOfTrust, TrustKind};

/// The readable documents, as far as they can be read. Nothing in them is believed.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) manifest: Option<Manifest>,
    pub(super) genesis: Option<GenesisDocument>,
    pub(super) plan: Option<FederatedPlan>,
    /// The plan as plain JSON, for what has another shape than a plan.
    pub(super) plan_value: Option<serde_json::Value>,
    pub(super) evaluation: Option<Evaluation>,
    pub(super) policy: Option<Policy>,
}

/// Who founded the federation, and what follows from the founding document alone.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) genesis: Endorsed<Genesis>,
    pub(super) context: SigningContext,
    pub(super) roster: Option<Roster>,
    pub(super) committee: Option<Committee>,
    pub(super) rules: Option<Rules>,
    /// Whether the root of trust says that no real key is involved.
    pub(super) synthetic: bool,
}

impl Ground {
    /// What the founders agreed on, for the head of the report.
    pub(super) fn terms(&self) -> Terms {
        let policy = self.rules.as_ref().map(|rules| &rules.policy);
        Terms::new(&self.genesis.claimed().configuration, policy)
    }
}

pub(super) fn read_documents(set: &LoadedArtifacts, found: &mut Results) -> Documents {
    let plan_value = set.files.get(PLAN).filter(|bytes| bytes.len() <= FederatedPlan::MAX_BYTES);
    Documents {
        manifest: read(set, MANIFEST, found),
        genesis: read(set, GENESIS, found),
        plan: read(set, PLAN, found),
        plan_value: plan_value.and_then(|bytes| serde_json::from_slice(bytes).ok()),
        evaluation: read(set, EVALUATION, found),
        policy: read_policy(set, found),
    }
}

pub(super) fn read<T: Document>(
    set: &LoadedArtifacts,
    path: &str,
    found: &mut Results,
) -> Option<T> {
    let Some(bytes) = set.files.get(path) else {
        found.fail(Check::IncompleteRun, &Place::file(path), "the file", "none");
        return None;
    };
    found.pass(Check::IncompleteRun);
    let reading = json::read::<T>(bytes);
    match reading.problem {
        None => {
            for check in [Check::Encoding, Check::Schema, Check::SchemaVersion, Check::Size] {
                found.pass(check);
            }
        }
        Some(problem) => report_problem(path, problem, found),
    }
    reading.value
}

fn report_problem(path: &str, problem: JsonProblem, found: &mut Results) {
    let line = |line: usize| Place::at(path, format!("line {line}"));
    match problem {
        JsonProblem::TooLarge { length, limit } => {
            found.fail(Check::Size, &Place::file(path), format!("at most {limit} bytes"), length);
        }
        JsonProblem::Encoding { line: at, reason, .. } => {
            report_number(path, at, &reason, found);
            found.fail(Check::Encoding, &line(at), "one canonical JSON text", reason);
        }
        JsonProblem::Shape { line: at, reason, .. } => {
            report_number(path, at, &reason, found);
            found.fail(Check::Schema, &line(at), "the shape of the document", reason);
        }
        JsonProblem::Schema { expected, found: named } => {
            found.fail(Check::Schema, &Place::at(path, "/schema"), expected, named);
        }
        JsonProblem::Version { expected, found: named } => {
            found.fail(Check::SchemaVersion, &Place::at(path, "/schema_version"), expected, named);
        }
        JsonProblem::NotCanonical { line: at, expected, found: spelt } => {
            found.fail(Check::Encoding, &line(at), expected, spelt);
        }
    }
}

/// A number that does not fit its type is refused by the parser; it is an attack on arithmetic all the same.
fn report_number(path: &str, line: usize, reason: &str, found: &mut Results) {
    let numeric =
        ["out of range", "floating point", "invalid value: integer", "too large", "too small"];
    if numeric.iter().any(|sign| reason.contains(sign)) {
        let place = Place::at(path, format!("line {line}"));
        found.fail(Check::Numeric, &place, "an integer within its range", reason);
    }
}

fn read_policy(set: &LoadedArtifacts, found: &mut Results) -> Option<Policy> {
    let place = Place::file(POLICY);
    let Some(bytes) = set.files.get(POLICY) else {
        found.fail(Check::IncompleteRun, &place, "the file", "none");
        return None;
    };
    found.pass(Check::IncompleteRun);
    match Policy::parse(bytes) {
        Ok(policy) => Some(policy),
        Err(cause) => {
            found.fail(Check::Schema, &place, "a policy", cause);
            None
        }
    }
}

/// Establishes genesis, roster, committee and rules, each as far as it goes.
pub(super) fn establish(
    documents: &Documents,
    trust: &RootOfTrust,
    options: &AuditOptions,
    found: &mut Results,
) -> Option<Ground> {
    let document = documents.genesis.as_ref()?;
    let genesis = decode_genesis(document, found)?;
    let body = genesis.claimed().clone();
    let context = body.signing_context();
    check_endorsements(&genesis, &context, trust, found);
    check_kind(&body, trust, options, found);
    let roster = check_roster(&body, found);
    let committee = roster.as_ref().and_then(|roster| {
        let place = Place::at(GENESIS, "/configuration/validators");
        match Committee::new(roster, context, &body.log_origin) {
            Ok(committee) => Some(committee),
            Err(cause) => {
                found.fail(Check::RosterEpoch, &place, "a committee", cause);
                None
            }
        }
    });
    let rules = establish_rules(&body, documents, options, found);
    let synthetic = trust.kind() == TrustKind::Synthetic;
    Some(Ground { genesis, context, roster, committee, rules, synthetic })
}

fn decode_genesis(document: &GenesisDocument, found: &mut Results) -> Option<Endorsed<Genesis>> {
    match document.decode() {
        Err(cause) => {
            let place = Place::at(GENESIS, "/canonical");
            found.fail(Check::Encoding, &place, "canonical bytes of a genesis", cause);
            None
        }
        Ok(genesis) => {
            let (ours, theirs) = (GenesisDocument::of(&genesis).to_text(), document.to_text());
            let differing = (1..).zip(ours.lines().zip(theirs.lines())).find(|(_, (a, b))| a != b);
            match differing {
                None => found.pass(Check::Schema),
                Some((line, (ours, theirs))) => {
                    let place = Place::at(GENESIS, format!("line {line}"));
                    found.fail(Check::Schema, &place, ours.trim(), theirs.trim());
                }
            }
            Some(genesis)
        }
    }
}

/// The trust border: only governors of the verifier's own root count, one an organisation.
fn check_endorsements(
    genesis: &Endorsed<Genesis>,
    context: &SigningContext,
    trust: &RootOfTrust,
    found: &mut Results,
) {
    let whole = Place::at(GENESIS, "/endorsements");
    let preimage = context.preimage(Genesis::DOMAIN, &genesis.claimed().to_canonical());
    let mut organisations = BTreeSet::new();
    let mut previous = None;
    for (index, endorsement) in genesis.endorsements().iter().enumerate() {
        let place = whole.below(index);
        let ordered = previous.is_none_or(|previous| previous < endorsement.key);
        found.holds(Check::GovQuorum, &place, ordered, "keys in increasing order", endorsement.key);
        previous = Some(endorsement.key);
        let Some(governor) = trust.governor(&endorsement.key) else {
            let expected = "the document key of a governor of the root of trust";
            found.fail(Check::RosterEpoch, &place.below("document_key"), expected, endorsement.key);
            continue;
        };
        found.pass(Check::RosterEpoch);
        let place = place.below("signature");
        if !endorsement.signature.has_reduced_s() {
            found.fail(Check::SigCanonical, &place, "a reduced scalar", endorsement.signature);
            continue;
        }
        let valid = governor.document.verify_raw(&preimage, &endorsement.signature);
        let expected = format!("a signature of the genesis by {}", governor.name);
        if found.holds(Check::SigStrict, &place, valid, expected, endorsement.signature) {
            organisations.insert(governor.organisation.clone());
        }
    }
    let (needed, got) = (trust.document_threshold(), organisations.len());
    let expected = format!("{needed} organisations of the root of trust");
    found.holds(Check::GovQuorum, &whole, got >= needed, expected, got);
    if got < needed {
        let founded = "a federation that the root of trust founded";
        found.fail(Check::RosterEpoch, &Place::file(GENESIS), founded, "another governor set");
    }
}

fn check_kind(body: &Genesis, trust: &RootOfTrust, options: &AuditOptions, found: &mut Results) {
    let place = Place::at(GENESIS, "/kind");
    let (expected, kind) = match trust.kind() {
        TrustKind::Synthetic => ("synthetic", FederationKind::Synthetic),
        TrustKind::Live => ("live", FederationKind::Live),
    };
    let named = match body.kind {
        FederationKind::Synthetic => "synthetic",
        FederationKind::Live => "live",
    };
    found.holds(Check::RosterEpoch, &place, body.kind == kind, expected, named);
    if options.require_live && trust.kind() != TrustKind::Live {
        found.fail(Check::RosterEpoch, &place, "a live root of trust", "a synthetic one");
    }
}

fn check_roster(body: &Genesis, found: &mut Results) -> Option<Roster> {
    let place = Place::at(GENESIS, "/configuration");
    match body.configuration.clone().validate() {
        Ok(roster) => {
            found.pass(Check::WeakKey);
            found.pass(Check::RosterEpoch);
            Some(roster)
        }
        Err(cause @ (RosterError::WeakKey { .. } | RosterError::SharedKey { .. })) => {
            found.fail(Check::WeakKey, &place, "usable keys with one job each", cause);
            None
        }
        Err(cause) => {
            found.fail(Check::RosterEpoch, &place, "a usable roster", cause);
            None
        }
    }
}

fn establish_rules(
    body: &Genesis,
    documents: &Documents,
    options: &AuditOptions,
    found: &mut Results,
) -> Option<Rules> {
    let pinned = body.configuration.policy_hash;
    let policy = documents.policy.clone()?;
    if !found.same(Check::PolicyPinned, &Place::file(POLICY), &pinned, &policy.digest()) {
        return None;
    }
    let digest = |schema: &meta_core::genome::GenomeSchema| Digest::from_bytes(schema.digest());
    let schema = options.schemas.iter().find(|schema| digest(schema) == body.schema_digest);
    let Some(schema) = schema else {
        let place = Place::at(GENESIS, "/schema_digest");
        let known = "a genome schema that this verifier knows";
        found.fail(Check::StateRecomputed, &place, known, body.schema_digest);
        return None;
    };
    match Rules::new(body, policy, schema.clone()) {
        Ok(rules) => Some(rules),
        // Reported with the roster.
        Err(RulesError::Roster(_)) => None,
        Err(cause) => {
            let place = Place::at(GENESIS, "/initial_state_hash");
            found.fail(Check::StateRecomputed, &place, "the schema's initial state", cause);
            None
        }
    }
}
