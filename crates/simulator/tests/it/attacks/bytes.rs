//! Every byte counts: flips, cuts, additions, odd encodings, files that do not belong.

use governance::artifact::{
    ArtifactSet, EVALUATION, LoadProblem, LoadProblemKind, LoadedArtifacts, MANIFEST,
    MANIFEST_SIGNATURE, PLAN,
};
use governance::audit::{Check, Verdict, audit};
use governance::trust::RootOfTrust;
use meta_core::rng::Stream;
use rayon::prelude::*;

use super::{honest, options, refused, report, resigned};

/// Files up to this size have every byte flipped; of larger ones a sample.
const SMALL_FILE: usize = 160;
/// Flipped bytes of a large file.
const SAMPLE: u64 = 4;

/// Every lie of a kind must be refused with exit 1, and some finding must name the file.
fn all_refused(lies: Vec<(String, ArtifactSet)>) {
    assert!(!lies.is_empty());
    lies.into_par_iter().for_each(|(path, set)| {
        let report = report(set);
        assert_eq!(report.exit_code(), 1, "{path}\n{report}");
        let named = report.findings().iter().any(|finding| finding.file == path);
        assert!(named, "no finding names {path}\n{report}");
    });
}

#[test]
fn a_flip_anywhere_is_refused_and_the_file_named() {
    let set = honest();
    let mut stream = Stream::new("test/flips", &[]);
    let mut lies = Vec::new();
    for (path, bytes) in &set {
        let length = bytes.len() as u64;
        let positions: Vec<u64> = if bytes.len() <= SMALL_FILE {
            (0..length).collect()
        } else {
            (0..SAMPLE).map(|_| stream.uniform_below(length)).collect()
        };
        for position in positions {
            let mut lie = set.clone();
            let bit = 1u8 << stream.uniform_below(8);
            if let Some(byte) = lie.get_mut(path).and_then(|file| file.get_mut(position as usize)) {
                *byte ^= bit;
            }
            lies.push((path.clone(), lie));
        }
    }
    assert!(lies.len() > 300, "{} flips", lies.len());
    all_refused(lies);
}

#[test]
fn a_byte_appended_or_cut_or_a_file_emptied_is_refused() {
    let set = honest();
    let mut lies = Vec::new();
    for (path, bytes) in &set {
        let longer = [bytes.as_slice(), b"\n"].concat();
        let shorter = bytes[..bytes.len() - 1].to_vec();
        for bent in [longer, shorter, Vec::new()] {
            let mut lie = set.clone();
            lie.insert(path.clone(), bent);
            lies.push((path.clone(), lie));
        }
    }
    all_refused(lies);
}

#[test]
fn a_file_added_or_missing_is_refused() {
    let mut added = honest();
    added.insert("mec/M5/notes.txt".into(), b"hello".to_vec());
    refused(added.clone(), Check::Unlisted, "mec/M5/notes.txt");
    // Listing it does not make it part of a run.
    refused(resigned(added), Check::Unlisted, "mec/M5/notes.txt");
    let mut missing = honest();
    missing.remove(EVALUATION);
    refused(missing, Check::IncompleteRun, EVALUATION);
    let mut unsigned = honest();
    unsigned.remove(MANIFEST_SIGNATURE);
    refused(unsigned, Check::IncompleteRun, MANIFEST_SIGNATURE);
}

#[test]
fn a_mixture_of_two_runs_is_refused() {
    let other = super::run_with(6, simulator::keys::KeyRing::published());
    let mut set = honest();
    set.insert(MANIFEST.into(), other[MANIFEST].clone());
    set.insert(MANIFEST_SIGNATURE.into(), other[MANIFEST_SIGNATURE].clone());
    refused(set, Check::IncompleteRun, "");
}

#[test]
fn odd_encodings_of_a_document_are_refused() {
    let text = String::from_utf8(honest()[PLAN].clone()).expect("text");
    let open = text.find('{').expect("an object") + 1;
    let (head, tail) = text.split_at(open);
    let deep = format!("{head}\"deep\": {}{}, {tail}", "[".repeat(5000), "]".repeat(5000));
    let odd = [
        (format!("\u{feff}{text}"), Check::Encoding),
        (format!("{text}{{}}\n"), Check::Encoding),
        (text.replacen("  ", "\t", 1), Check::Encoding),
        (format!("{head}\"consensus_passed\": true, {tail}"), Check::Encoding),
        (format!("{head}\"surprise\": 1, {tail}"), Check::Schema),
        (deep, Check::Schema),
        (text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1), Check::SchemaVersion),
        (text.replacen("\"consensus_passed\": true", "\"consensus_passed\": 1", 1), Check::Schema),
    ];
    for (bent, check) in odd {
        assert_ne!(bent, text);
        let mut set = honest();
        set.insert(PLAN.into(), bent.into_bytes());
        refused(resigned(set), check, PLAN);
    }
}

#[test]
fn what_the_edge_could_not_load_is_refused() {
    let cases = [
        (LoadProblemKind::Symlink, Check::Path),
        (LoadProblemKind::NotRegular, Check::Path),
        (LoadProblemKind::Path, Check::Path),
        (LoadProblemKind::TooLarge { length: 10 << 30 }, Check::Size),
        (LoadProblemKind::TooMany, Check::Size),
        (LoadProblemKind::Staging, Check::IncompleteRun),
    ];
    let trust = RootOfTrust::synthetic().expect("the compiled-in root of trust");
    for (kind, check) in cases {
        let mut loaded = LoadedArtifacts::from(honest());
        loaded.problems.push(LoadProblem { path: "mec/M5/odd".into(), kind: kind.clone() });
        let report = audit(&loaded, &trust, &options());
        assert_eq!(
            (report.exit_code(), report.verdict(check)),
            (1, Verdict::Fail),
            "{kind:?}\n{report}"
        );
    }
}
