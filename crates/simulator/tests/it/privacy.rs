//! A site's workload leaves it in no form: not in an artifact, not in a frame, not in a refusal.

use std::collections::BTreeMap;

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use federation_proto::Signed;
use federation_proto::codec::Canonical;
use federation_proto::update::{MetaUpdate, SealedPayload};
use meta_core::delta::decompress;
use simulator::FederationSimulator;
use simulator::scenario::Scenario;

use crate::small::SMALL;

const BLOBS: &str = "mec/M5/ledger/blobs/";

/// A private graph per site, with a canary in its comment and a canary among its edges.
fn canary_graph(site: usize) -> (String, Vec<Vec<u8>>) {
    let word = format!("canary-{site}-7f3a91c2");
    let hub = 20 + site;
    let spokes: Vec<usize> = (1..=9).map(|spoke| spoke * 2).collect();
    let ring: Vec<(usize, usize)> = (1..30).map(|vertex| (vertex, vertex + 1)).collect();
    let chords = (1..28).map(|vertex| (vertex, vertex + 3));
    let edges: Vec<(usize, usize)> = ring
        .iter()
        .copied()
        .chain(chords)
        .chain(spokes.iter().map(|spoke| (*spoke, hub + 8)))
        .collect();
    let mut lines: Vec<String> = edges.iter().map(|(a, b)| format!("e {a} {b}")).collect();
    lines.sort_unstable();
    lines.dedup();
    let text = format!("c {word}\np edge 32 {}\n{}\n", lines.len(), lines.join("\n"));
    // What must never be seen: the word, and any run of five consecutive edge lines or of edges as bytes.
    let mut canaries = vec![word.into_bytes()];
    canaries.extend(lines.windows(5).map(|window| window.join("\n").into_bytes()));
    let bytes = edges.iter().flat_map(|(a, b)| [*a as u8, *b as u8]).collect::<Vec<u8>>();
    canaries.extend(bytes.windows(16).map(<[u8]>::to_vec));
    (text, canaries)
}

/// Base64 of the canary at each of the three alignments, without the characters its neighbours decide.
fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    let aligned = (0..3).map(|skip| {
        let whole = bytes.get(skip..).unwrap_or_default();
        BASE64_NOPAD.encode(&whole[..whole.len() / 3 * 3]).into_bytes()
    });
    aligned.filter(|form| form.len() >= 12).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// Every form of the canaries, short enough in number for a linear search.
fn forms(canaries: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let forms = canaries.iter().flat_map(|canary| {
        let mut forms = vec![canary.clone(), HEXLOWER.encode(canary).into_bytes()];
        forms.extend(base64(canary));
        forms
    });
    forms.collect()
}

#[test]
fn no_canary_of_a_private_workload_leaves_its_site() {
    let mut text = SMALL.to_owned();
    let mut files = BTreeMap::new();
    let mut canaries = Vec::new();
    let instances: Vec<&str> =
        SMALL.lines().filter(|line| line.starts_with("instances = ")).collect();
    for (site, line) in instances.iter().enumerate() {
        let (graph, of_site) = canary_graph(site);
        let path = format!("site-{site}.col");
        let named = format!("instances = [{{ kind = \"dimacs\", path = \"{path}\" }}]");
        text = text.replacen(line, &named, 1);
        files.insert(path, graph.into_bytes());
        canaries.extend(of_site);
    }
    assert_eq!(files.len(), 5);
    let scenario = Scenario::parse(text.as_bytes()).expect("the small scenario on named files");
    let simulator = FederationSimulator::new(scenario, 3, &files).expect("private graphs");
    let run = simulator.tapped().run(&mut |_| {}).expect("a run without faults");

    let mut seen: Vec<(String, Vec<u8>)> = run.artifacts.clone().into_iter().collect();
    seen.extend(
        run.tapped.iter().enumerate().map(|(i, frame)| (format!("frame {i}"), frame.clone())),
    );
    seen.push(("refusals".into(), run.refusals.join("\n").into_bytes()));
    let mut decompressed = 0;
    for (path, bytes) in &run.artifacts {
        if !path.starts_with(BLOBS) {
            continue;
        }
        if let Ok(update) = Signed::<MetaUpdate>::from_canonical(bytes) {
            let SealedPayload::Clear(frame) = &update.claimed().payload;
            let payload = decompress(frame, 1 << 20).expect("a payload that the run accepted");
            seen.push((format!("{path} decompressed"), payload));
            decompressed += 1;
        }
    }
    assert_eq!(decompressed, 10, "five sites, two epochs");
    assert!(run.tapped.len() > 100, "the tap holds the run's frames");

    let forms = forms(&canaries);
    let planted: Vec<u8> = files.values().flatten().copied().collect();
    assert!(forms.iter().any(|form| contains(&planted, form)), "the search finds what was planted");
    for (place, bytes) in &seen {
        for form in &forms {
            assert!(!contains(bytes, form), "{place} holds {:?}", String::from_utf8_lossy(form));
        }
    }
}
