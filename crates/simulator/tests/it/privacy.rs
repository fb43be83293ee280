//! A site's workload leaves it in no form: not in an artifact, not in a frame, not in anything printed.
//!
//! A site holds its graph parsed, without comments, from 0 and sorted, so the search looks for the graph in
//! whatever form a careless line of code would write it: edges, arcs and adjacency lists, from 0 and from 1,
//! as bytes, as little-endian integers, as postcard, as decimal text, and each of these in hex and base64.

mod search;

use std::collections::BTreeMap;

use federation_proto::Signed;
use federation_proto::codec::Canonical;
use federation_proto::update::{MetaUpdate, SealedPayload};
use meta_core::delta::decompress;
use meta_core::workload::coloring::dimacs;
use simulator::scenario::Scenario;
use simulator::{FederationSimulator, SimulationRun};

use crate::small::SMALL;
use search::{Needles, WINDOW, disguises, encodings};

const BLOBS: &str = "mec/M5/ledger/blobs/";

/// A private graph of a site, unlike every other site's, with a canary in its comment.
fn private_graph(site: usize) -> String {
    let word = format!("canary-{site}-7f3a91c2-never-leaves-its-site");
    let hub = 28 + site;
    let ring = (1..36).map(|vertex| (vertex, vertex + 1));
    let chords = (1..33).map(|vertex| (vertex, vertex + 3));
    let spokes = (1..=9).map(|spoke| (spoke * 2, hub));
    let mut lines: Vec<String> =
        ring.chain(chords).chain(spokes).map(|(a, b)| format!("e {a} {b}")).collect();
    lines.sort_unstable();
    lines.dedup();
    format!("c {word}\np edge 36 {}\n{}\n", lines.len(), lines.join("\n"))
}

/// The small scenario on private files, the files, and everything printed about the run.
fn private_run() -> (BTreeMap<String, Vec<u8>>, SimulationRun, String) {
    let mut text = SMALL.to_owned();
    let mut files = BTreeMap::new();
    let instances: Vec<&str> =
        SMALL.lines().filter(|line| line.starts_with("instances = ")).collect();
    for (site, line) in instances.iter().enumerate() {
        let path = format!("site-{site}.col");
        let named = format!("instances = [{{ kind = \"dimacs\", path = \"{path}\" }}]");
        text = text.replacen(line, &named, 1);
        files.insert(path, private_graph(site).into_bytes());
    }
    assert_eq!(files.len(), 5);
    let scenario = Scenario::parse(text.as_bytes()).expect("the small scenario on named files");
    let simulator = FederationSimulator::new(scenario, 3, &files).expect("private graphs");
    let mut printed = String::new();
    let run = simulator.tapped().run(&mut |step| printed.push_str(&format!("{step:?}\n")));
    let run = run.expect("a run without faults");
    printed.push_str(&format!("{:?}\n{}\n", run.epochs, run.refusals.join("\n")));
    printed.push_str(&format!("{:?}\n{}\n", run.evaluation, run.evaluation.sentence));
    (files, run, printed)
}

/// Everything that others see.
fn seen(run: &SimulationRun, printed: String) -> Vec<(String, Vec<u8>)> {
    let mut seen: Vec<(String, Vec<u8>)> = run.artifacts.clone().into_iter().collect();
    // Most frames go to several receivers; each is searched once.
    let distinct: BTreeMap<&[u8], usize> =
        run.tapped.iter().enumerate().map(|(i, frame)| (frame.as_slice(), i)).collect();
    assert!(distinct.len() > 100, "the tap holds the run's frames");
    seen.extend(distinct.into_iter().map(|(frame, i)| (format!("frame {i}"), frame.to_vec())));
    seen.push(("what was printed".into(), printed.into_bytes()));
    let mut decompressed = 0;
    for (path, bytes) in run.artifacts.iter().filter(|(path, _)| path.starts_with(BLOBS)) {
        if let Ok(update) = Signed::<MetaUpdate>::from_canonical(bytes) {
            let frame = match &update.claimed().payload {
                SealedPayload::Clear(frame) => Some(frame),
                SealedPayload::Sealed(_) => None,
            };
            let frame = frame.expect("a federation in clear");
            let payload = decompress(frame, 1 << 20).expect("a payload that the run accepted");
            seen.push((format!("{path} decompressed"), payload));
            decompressed += 1;
        }
    }
    assert_eq!(decompressed, 10, "five sites, two epochs");
    seen
}

#[test]
fn no_form_of_a_private_workload_leaves_its_site() {
    let (files, run, printed) = private_run();
    let mut forms = Vec::new();
    for text in files.values() {
        let graph = dimacs::parse(text).expect("a graph that the site parsed");
        forms.extend(encodings(&graph));
        forms.push(("the file".to_owned(), text.clone()));
    }
    let needles = Needles::new(forms.iter().flat_map(|(name, bytes)| disguises(name, bytes)));
    let seen = seen(&run, printed);
    for (place, bytes) in &seen {
        assert_eq!(needles.find(bytes), None, "in {place}");
    }

    // The search is worth something: a piece of any form, anywhere in what others see, is found.
    let (_, host) = seen.iter().max_by_key(|(_, bytes)| bytes.len()).expect("artifacts");
    let host = host.get(..1024).expect("the longest is long");
    let mut planted = 0;
    for (name, bytes) in &forms {
        // A piece whose start no needle is aligned to, as a leak would have it.
        let start = bytes.len() / 3 + 1;
        let piece = bytes.get(start..start + 2 * WINDOW + 8).expect("forms are long");
        for (disguise, bytes) in disguises(name, piece).into_iter().chain([raw(name, piece)]) {
            for at in [0, 501, host.len()] {
                let leak = [&host[..at], &bytes, &host[at..]].concat();
                assert!(needles.find(&leak).is_some(), "{disguise} at {at} is not found");
                planted += 1;
            }
        }
    }
    assert!(planted > 1000, "{planted} leaks were tried");
}

fn raw(name: &str, piece: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), piece.to_vec())
}
