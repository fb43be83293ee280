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
use crate::small::scenario_with;

/// Files up to this many bytes have every byte flipped; of larger ones a sample.
const SMALL_FILE: usize = 1200;
/// Flipped bytes of a large file.
const SAMPLE: u64 = 12;

/// A run of one epoch, so that thousands of audits stay quick.
fn brief() -> ArtifactSet {
    let scenario = scenario_with("").with_epochs(1).expect("one epoch");
    crate::small::run(scenario, 5).expect("a run without faults").artifacts
}

/// A lie about one file is refused with exit 1, and some finding names the file.
fn refused_and_named(path: &str, bent: Vec<u8>, honest: &ArtifactSet) {
    let mut set = honest.clone();
    set.insert(path.to_owned(), bent);
    let report = report(set);
    assert_eq!(report.exit_code(), 1, "{path}\n{report}");
    let named = report.findings().iter().any(|finding| finding.file == path);
    assert!(named, "no finding names {path}\n{report}");
}

#[test]
fn a_flip_anywhere_is_refused_and_the_file_named() {
    let honest = brief();
    let mut stream = Stream::new("test/flips", &[]);
    let mut flips: Vec<(&String, usize, u8)> = Vec::new();
    for (path, bytes) in &honest {
        let positions: Vec<usize> = if bytes.len() <= SMALL_FILE {
            (0..bytes.len()).collect()
        } else {
            (0..SAMPLE).map(|_| stream.uniform_below(bytes.len() as u64) as usize).collect()
        };
        flips.extend(positions.into_iter().map(|at| (path, at, 1u8 << stream.uniform_below(8))));
    }
    assert!(flips.len() > 3000, "{} flips", flips.len());
    flips.into_par_iter().for_each(|(path, at, bit)| {
        let mut bent = honest[path].clone();
        bent[at] ^= bit;
        refused_and_named(path, bent, &honest);
    });
}

#[test]
fn a_byte_appended_or_cut_or_a_file_emptied_is_refused() {
    let honest = brief();
    honest.par_iter().for_each(|(path, bytes)| {
        let longer = [bytes.as_slice(), b"\n"].concat();
        let shorter = bytes[..bytes.len() - 1].to_vec();
        for bent in [longer, shorter, Vec::new()] {
            refused_and_named(path, bent, &honest);
        }
    });
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
