//! Lies about what was run and what came of it, beside an honest ledger.

use federation_proto::keys::LogCheckpoint;
use federation_proto::{Digest, FederatedEpoch};
use governance::artifact::{
    ANCHOR, ArtifactSet, EVALUATION, Evaluation, MANIFEST, Manifest, epoch_anchor_path,
};
use governance::audit::Check;
use ledger::{Anchor, Note, NoteSigner};
use simulator::keys::KeyRing;

use super::{honest, refused, resigned};

/// The honest run, said to be of another scenario or seed.
fn with_manifest(lie: impl FnOnce(&mut Manifest)) -> ArtifactSet {
    let mut set = honest();
    let mut manifest: Manifest = serde_json::from_slice(&set[MANIFEST]).expect("manifest.json");
    lie(&mut manifest);
    set.insert(MANIFEST.into(), manifest.to_text().into_bytes());
    resigned(set)
}

#[test]
fn another_scenario_or_seed() {
    let seed = with_manifest(|manifest| manifest.scenario.seed += 1);
    refused(seed, Check::Manifest, MANIFEST);
    let name = with_manifest(|manifest| manifest.scenario.name = "larger".into());
    refused(name, Check::Manifest, MANIFEST);
    let digest = with_manifest(|manifest| manifest.scenario.digest = Digest::ZERO);
    refused(digest, Check::Manifest, MANIFEST);
}

#[test]
fn figures_after_more_epochs_than_were_applied() {
    let mut set = honest();
    let mut evaluation: Evaluation =
        serde_json::from_slice(&set[EVALUATION]).expect("evaluation.json");
    evaluation.epochs += 1;
    set.insert(EVALUATION.into(), evaluation.to_text().into_bytes());
    refused(resigned(set), Check::EvaluationAttested, EVALUATION);
}

#[test]
fn a_strangers_signature_under_an_anchor() {
    let mut set = honest();
    let anchor = Anchor::parse(&set[ANCHOR]).expect("an anchor");
    let text = anchor.note().text().to_owned();
    let origin = text.lines().next().expect("an origin").to_owned();
    let key = KeyRing::published().key::<LogCheckpoint>("stranger");
    let line = NoteSigner::new(&origin, key).expect("a signer").sign(&text).expect("a line");
    let note = Note::new(text, vec![line]).expect("a note").to_text();
    let bent = [set[ANCHOR].as_slice(), note.lines().last().expect("a line").as_bytes(), b"\n"];
    let bent = bent.concat();
    set.insert(epoch_anchor_path(FederatedEpoch::new(2)), bent.clone());
    set.insert(ANCHOR.into(), bent);
    refused(resigned(set), Check::RosterEpoch, ANCHOR);
}

#[test]
fn a_table_that_does_not_follow_from_its_own_costs() {
    let bent = |bend: fn(&mut Evaluation)| {
        let mut set = honest();
        let mut evaluation: Evaluation =
            serde_json::from_slice(&set[EVALUATION]).expect("evaluation.json");
        bend(&mut evaluation);
        set.insert(EVALUATION.into(), evaluation.to_text().into_bytes());
        refused(resigned(set), Check::EvaluationAttested, EVALUATION);
    };
    bent(|table| table.sentence = "The federated genome is perfect.".into());
    bent(|table| table.rows.last_mut().expect("rows").cost_permille += 1);
    bent(|table| table.rows.swap(0, 1));
    bent(|table| table.rows.truncate(1));
    bent(|table| table.rows[1].families.clear());
}
