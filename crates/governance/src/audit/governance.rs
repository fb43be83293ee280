//! `META-GOVERNANCE-LOG.md`: its notes, their signatures, their chain, and that none is missing.

use std::collections::BTreeSet;

use federation_proto::keys::GovernanceNote;
use ledger::{NoteError, NoteKey};

use super::LoadedArtifacts;
use super::checks::Check;
use super::ground::Ground;
use super::report::{Place, Results};
use crate::artifact::GOVERNANCE_LOG;
use crate::artifact::replay::Replay;
use crate::governance_log::{self, LogEntry, LogError, note_keys};
use crate::note;

/// Checks the log against the replayed ledger and, by itself, as a chain of notes.
pub(super) fn check_log(
    set: &LoadedArtifacts,
    ground: &Ground,
    replay: &Replay,
    found: &mut Results,
) {
    let place = Place::file(GOVERNANCE_LOG);
    let Some(bytes) = set.files.get(GOVERNANCE_LOG) else {
        found.fail(Check::IncompleteRun, &place, "the file", "none");
        found.fail(Check::GovCoverage, &place, "a FEDERATED_APPLY for every epoch", "none");
        found.block(&[Check::GovChain], "there is no log");
        return;
    };
    compare_rendering(bytes, ground, replay, found);
    match governance_log::parse(bytes) {
        Ok(log) => {
            check_chain(&log.entries, ground, found);
            check_coverage(&applied_by_notes(&log.entries), replay, found);
        }
        Err(cause) => {
            let place = match &cause {
                LogError::Line { line, .. } | LogError::Note { line, .. } => {
                    Place::at(GOVERNANCE_LOG, format!("line {line}"))
                }
                _ => place,
            };
            found.fail(Check::GovChain, &place, "a governance log", cause);
            // Even a bent log shows which epochs it claims; what is missing from it is named as such.
            check_coverage(&applied_by_lines(bytes), replay, found);
        }
    }
}

/// Genesis and ledger determine every byte of the log.
fn compare_rendering(bytes: &[u8], ground: &Ground, replay: &Replay, found: &mut Results) {
    let signoffs = replay.epochs.iter().map(|epoch| &epoch.signoff);
    let rendered = match governance_log::render(&ground.genesis, signoffs) {
        Ok(rendered) => rendered,
        Err(cause) => {
            let place = Place::file(GOVERNANCE_LOG);
            found.fail(Check::GovChain, &place, "sign-offs that can be rendered", cause);
            return;
        }
    };
    if rendered.as_bytes() == bytes {
        found.pass(Check::GovChain);
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let (mut ours, mut theirs) = (rendered.split('\n'), text.split('\n'));
    for line in 1..=rendered.len().saturating_add(1) {
        let (expected, got) = (ours.next(), theirs.next());
        if expected != got || expected.is_none() {
            let place = Place::at(GOVERNANCE_LOG, format!("line {line}"));
            let show =
                |line: Option<&str>| line.map_or("the end".to_owned(), |line| format!("{line:?}"));
            found.fail(Check::GovChain, &place, show(expected), show(got));
            return;
        }
    }
}

/// Every note names the one before it and is signed by the threshold of organisations.
fn check_chain(entries: &[LogEntry], ground: &Ground, found: &mut Results) {
    let configuration = &ground.genesis.claimed().configuration;
    let keys = match note_keys(&configuration.governors) {
        Ok(keys) => keys,
        Err(cause) => {
            let place = Place::file(GOVERNANCE_LOG);
            found.fail(Check::WeakKey, &place, "usable note keys", cause);
            return;
        }
    };
    let needed = usize::from(configuration.thresholds.apply);
    let mut previous = note::first_previous(ground.context.federation_id);
    for (number, entry) in (1u64..).zip(entries) {
        let place = Place::at(GOVERNANCE_LOG, format!("line {}", entry.line));
        found.same(Check::GovChain, &place, &number, &entry.number);
        let stated = field(entry, "previous_note: ");
        found.same(Check::GovChain, &place, &format!("previous_note {previous}"), &{
            format!("previous_note {stated}")
        });
        previous = note::note_hash(entry.note.text());
        check_signatures(entry, &keys, needed, ground, &place, found);
    }
}

fn field<'e>(entry: &'e LogEntry, name: &str) -> &'e str {
    entry.note.text().lines().find_map(|line| line.strip_prefix(name)).unwrap_or("none")
}

fn check_signatures(
    entry: &LogEntry,
    keys: &[NoteKey<GovernanceNote>],
    needed: usize,
    ground: &Ground,
    place: &Place,
    found: &mut Results,
) {
    let signers = match entry.note.verified_by(keys) {
        Ok(signers) => {
            found.pass(Check::SigStrict);
            signers
        }
        Err(cause) => {
            if let NoteError::BadSignature { .. } = &cause {
                found.fail(Check::SigStrict, place, "governors' signatures", &cause);
            }
            found.fail(Check::GovQuorum, place, "governors' signatures", cause);
            return;
        }
    };
    let strangers = entry.note.signatures().len().saturating_sub(signers.len());
    found.same(Check::RosterEpoch, place, &"0 unknown signers".to_owned(), &{
        format!("{strangers} unknown signers")
    });
    let governors = &ground.genesis.claimed().configuration.governors;
    let organisations: BTreeSet<_> = governors
        .iter()
        .filter(|governor| signers.contains(&governor.note_key))
        .map(|governor| &governor.organisation)
        .collect();
    let got = organisations.len();
    found.holds(Check::GovQuorum, place, got >= needed, format!("{needed} organisations"), got);
}

/// Epochs that the notes of a well-formed log apply.
fn applied_by_notes(entries: &[LogEntry]) -> BTreeSet<u64> {
    entries
        .iter()
        .filter(|entry| field(entry, "action: ") == "FEDERATED_APPLY")
        .filter(|entry| field(entry, "federated_epoch: ") == entry.epoch.to_string())
        .map(|entry| entry.epoch)
        .collect()
}

/// Epochs that a log claims to apply, read line by line without regard to its form.
fn applied_by_lines(bytes: &[u8]) -> BTreeSet<u64> {
    let text = String::from_utf8_lossy(bytes);
    let mut applying = false;
    let mut epochs = BTreeSet::new();
    for line in text.lines() {
        if let Some(action) = line.strip_prefix("action: ") {
            applying = action == "FEDERATED_APPLY";
        } else if let Some(epoch) = line.strip_prefix("federated_epoch: ").filter(|_| applying) {
            epochs.extend(epoch.parse::<u64>().ok());
            applying = false;
        }
    }
    epochs
}

/// Every epoch that the ledger applied has its FEDERATED_APPLY, and no other is claimed.
fn check_coverage(signed: &BTreeSet<u64>, replay: &Replay, found: &mut Results) {
    let applied: BTreeSet<u64> =
        replay.epochs.iter().map(|epoch| epoch.aggregated.federated_epoch.get()).collect();
    for epoch in applied.union(signed) {
        let place = Place::at(GOVERNANCE_LOG, format!("epoch {epoch}"));
        let show = |set: &BTreeSet<u64>| match set.contains(epoch) {
            true => "FEDERATED_APPLY".to_owned(),
            false => "none".to_owned(),
        };
        found.same(Check::GovCoverage, &place, &show(&applied), &show(signed));
    }
    if applied.is_empty() {
        let place = Place::file(GOVERNANCE_LOG);
        found.fail(Check::GovCoverage, &place, "at least one applied epoch", "none");
    }
}
