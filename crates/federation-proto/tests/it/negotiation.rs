//! Versions and capabilities: semantic versioning, one answer to every hello, every reason at once.

use federation_proto::codec::Canonical;
use federation_proto::handshake::{
    Attestation, AttestationDemand, AttestationLevel, Capability, CapabilityVersion,
    FederationHello, FederationRefusal, Incompatibility, IncompatibilityReport, Negotiated,
    Requirements, SoftwareVersion, WireVersions,
};
use proptest::prelude::*;

use crate::fixture::{self, capabilities};

fn negotiate(hello: &FederationHello) -> Result<Negotiated, IncompatibilityReport> {
    let required = fixture::required();
    let requirements = fixture::requirements(&required);
    requirements.negotiate(hello, fixture::epoch(3), AttestationLevel::None)
}

fn refusal(hello: &FederationHello) -> Vec<Incompatibility> {
    negotiate(hello).expect_err("incompatible").reasons().to_vec()
}

#[test]
fn the_federation_speaks_its_own_versions_of_what_is_offered() {
    let negotiated = negotiate(&fixture::hello()).expect("compatible");
    // The site offers coloring@1.4 and aggregate@1.0 beside what is required.
    assert_eq!(negotiated.capabilities, capabilities(&["coloring@1.2", "zstd@1.0"]));
    assert_eq!((negotiated.wire_version, negotiated.attested), (1, AttestationLevel::None));
}

#[test]
fn optional_capabilities_are_taken_where_they_serve() {
    let (required, optional) = (
        capabilities(&["zstd@1.0"]),
        capabilities(&["absent@1.0", "aggregate@1.0", "coloring@1.9", "zstd@1.0"]),
    );
    let requirements = Requirements { optional: &optional, ..fixture::requirements(&required) };
    let negotiated =
        requirements.negotiate(&fixture::hello(), fixture::epoch(3), AttestationLevel::None);
    let taken = negotiated.expect("compatible").capabilities;
    assert_eq!(taken, capabilities(&["aggregate@1.0", "zstd@1.0"]));
}

#[test]
fn a_hello_for_another_federation_or_committee_is_refused() {
    let other = fixture::other_federation().federation_id;
    let hello = FederationHello { federation_id: other, ..fixture::hello() };
    let expected = fixture::genesis().federation_id();
    assert_eq!(refusal(&hello), [Incompatibility::Federation { expected, got: other }]);

    let mut smaller = fixture::configuration();
    smaller.validators.pop();
    let got = smaller.validator_set_hash();
    let hello = FederationHello { validator_set_hash: got, ..fixture::hello() };
    let expected = fixture::configuration().validator_set_hash();
    assert_eq!(refusal(&hello), [Incompatibility::ValidatorSet { expected, got }]);
}

#[test]
fn a_hello_counts_around_its_epoch_only() {
    for (said, good) in [(0, false), (1, false), (2, true), (3, true), (4, true), (5, false)] {
        let hello = FederationHello { federated_epoch: fixture::epoch(said), ..fixture::hello() };
        assert_eq!(negotiate(&hello).is_ok(), good, "{said}");
    }
    let hello = FederationHello { federated_epoch: fixture::epoch(u64::MAX), ..fixture::hello() };
    let (current, got) = (fixture::epoch(3), fixture::epoch(u64::MAX));
    assert_eq!(refusal(&hello), [Incompatibility::Epoch { current, got }]);
}

#[test]
fn a_missing_or_broken_capability_is_named() {
    for missing in fixture::required() {
        let mut hello = fixture::hello();
        hello.supported_capabilities.retain(|offered| offered.name != missing.name);
        assert_eq!(refusal(&hello), [Incompatibility::MissingCapability(missing)]);
    }
    for version in ["1.1", "2.2", "0.2"] {
        let mut hello = fixture::hello();
        let offered: Capability = format!("coloring@{version}").parse().expect("a capability");
        hello.supported_capabilities[1] = offered.clone();
        let required = fixture::required()[0].clone();
        let expected = Incompatibility::CapabilityVersion { required, offered: offered.version };
        assert_eq!(refusal(&hello), [expected]);
    }
}

#[test]
fn capabilities_have_one_order() {
    let mut swapped = fixture::hello();
    swapped.supported_capabilities.swap(0, 1);
    let out_of_order = swapped.supported_capabilities[1].name.clone();
    assert_eq!(refusal(&swapped), [Incompatibility::CapabilityOrder(out_of_order)]);
    // One name in two versions would leave it to the reader which one is meant.
    let mut twice = fixture::hello();
    twice.supported_capabilities = capabilities(&["coloring@1.2", "coloring@1.4", "zstd@1.0"]);
    let name = fixture::name("coloring");
    assert_eq!(refusal(&twice), [Incompatibility::CapabilityOrder(name)]);
    let mut many = fixture::hello();
    many.supported_capabilities = capabilities(
        &(0..65)
            .map(|i| format!("c{i:02}@1.0"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    assert_eq!(refusal(&many), [Incompatibility::TooManyCapabilities { got: 65 }]);
}

#[test]
fn unproven_evidence_proves_nothing() {
    let required = fixture::required();
    let quote =
        Attestation::TdxQuote(federation_proto::bounded::Bytes::new(vec![1]).expect("fits"));
    let hello = FederationHello { attestation: quote, ..fixture::hello() };
    let judge = |demanded, proven| {
        let requirements =
            Requirements { attestation: demanded, ..fixture::requirements(&required) };
        requirements.negotiate(&hello, fixture::epoch(3), proven).map(|good| good.attested)
    };
    let (none, tdx, snp) =
        (AttestationLevel::None, AttestationLevel::Tdx, AttestationLevel::SevSnp);
    assert_eq!(judge(AttestationDemand::Hardware, tdx), Ok(tdx));
    assert_eq!(judge(AttestationDemand::None, none), Ok(none));
    // A quote of another kind than the one offered cannot have been proven.
    for proven in [none, AttestationLevel::Software, snp] {
        let reason = Incompatibility::Attestation {
            demanded: AttestationDemand::Hardware,
            offered: tdx,
            proven,
        };
        assert_eq!(judge(AttestationDemand::Hardware, proven), Err(reason.into()));
    }
}

#[test]
fn every_reason_is_reported_at_once() {
    let hello = FederationHello {
        software_version: SoftwareVersion { major: 9, minor: 0, patch: 0 },
        wire_versions: WireVersions { oldest: 2, newest: 3 },
        supported_capabilities: capabilities(&["coloring@2.0"]),
        federated_epoch: fixture::epoch(9),
        validator_set_hash: fixture::digest("another"),
        ..fixture::hello()
    };
    let report = negotiate(&hello).expect_err("incompatible");
    insta::assert_snapshot!("incompatibility_report", report.to_string().replace("; ", "\n"));
    let refusal = FederationRefusal { hello_hash: hello.hash(), epoch: fixture::epoch(3), report };
    let bytes = refusal.to_canonical();
    assert_eq!(FederationRefusal::from_canonical(&bytes), Ok(refusal));
}

#[test]
fn the_largest_report_fits_into_its_message() {
    let name = "n".repeat(64);
    let required: Vec<Capability> = (0..64)
        .map(|i| format!("{i:02}{}@65535.65535", &name[2..]).parse().expect("a capability"))
        .collect();
    let requirements = fixture::requirements(&required);
    let report = requirements
        .negotiate(&fixture::hello(), fixture::epoch(3), AttestationLevel::None)
        .expect_err("nothing of it is offered");
    let refusal =
        FederationRefusal { hello_hash: fixture::hello().hash(), epoch: fixture::epoch(3), report };
    assert!(FederationRefusal::from_canonical(&refusal.to_canonical()).is_ok());
}

#[test]
fn versions_are_compatible_as_semantic_versioning_says() {
    let version = |(major, minor, patch)| SoftwareVersion { major, minor, patch };
    let table = [
        ((0, 1, 0), (0, 1, 9), true),
        ((0, 1, 0), (0, 2, 0), false),
        ((0, 1, 0), (1, 1, 0), false),
        ((1, 0, 0), (1, 9, 3), true),
        ((1, 9, 0), (2, 9, 0), false),
    ];
    for (ours, theirs, compatible) in table {
        let (a, b) = (version(ours), version(theirs));
        assert_eq!(a.is_compatible_with(&b), compatible, "{ours:?} {theirs:?}");
        assert_eq!(b.is_compatible_with(&a), compatible, "{theirs:?} {ours:?}");
    }
}

#[test]
fn the_current_version_is_the_one_of_the_package() {
    assert_eq!(SoftwareVersion::CURRENT.to_string(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_capability_has_one_text() {
    let good: Capability = "coloring@1.0".parse().expect("a capability");
    assert_eq!(good.to_string(), "coloring@1.0");
    let bad = [
        "coloring",
        "coloring@1",
        "coloring@1.0.0",
        "@1.0",
        "coloring@01.0",
        "coloring@+1.0",
        "Coloring@1.0",
        "coloring@1.65536",
        "coloring@1.0 ",
        "",
    ];
    for text in bad {
        let refusal = text.parse::<Capability>().expect_err(text).to_string();
        assert!(refusal.contains(text), "{refusal}");
    }
}

proptest! {
    /// The oracle is the `semver` crate: `^major.minor` as Cargo reads it.
    #[test]
    fn capabilities_serve_as_cargo_would_say(
        (major, minor) in (0u16..3, 0u16..4), (needed_major, needed_minor) in (0u16..3, 0u16..4),
    ) {
        let offered = CapabilityVersion { major, minor };
        let needed = CapabilityVersion { major: needed_major, minor: needed_minor };
        let request = semver::VersionReq::parse(&format!("^{needed}.0")).expect("a request");
        let version = semver::Version::new(major.into(), minor.into(), 0);
        prop_assert_eq!(offered.serves(&needed), request.matches(&version));
    }

    #[test]
    fn the_newest_common_wire_version_is_the_only_choice(a in 0u8..6, b in 0u8..6, c in 0u8..6, d in 0u8..6) {
        let ours = WireVersions { oldest: a.min(b), newest: a.max(b) };
        let theirs = WireVersions { oldest: c.min(d), newest: c.max(d) };
        let newest = (0..6).rev().find(|v| ours.contains(*v) && theirs.contains(*v));
        prop_assert_eq!(ours.newest_common(&theirs), newest);
        prop_assert_eq!(theirs.newest_common(&ours), newest);
    }
}
