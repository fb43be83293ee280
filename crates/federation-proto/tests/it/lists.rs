//! Lists have their limits wherever they stand: alone, in an entry, in a request.
//!
//! A drawn value with one item of a list is made longer, item by item the same, up to its limit and one beyond.

use std::collections::BTreeSet;

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::entry::LedgerEntry;
use federation_proto::handshake::FederationHello;
use federation_proto::{Request, Signed, limits};

use crate::fixture;
use crate::survey::{self, Survey};
use crate::trace::{Kind, Leaf, varint};
use crate::wire_types::{Drawn, Reading};

/// Every list by the name of its field, with the most items that it may have.
pub(crate) const LIMITS: [(&str, usize); 14] = [
    ("capabilities", 64),
    ("endorsements", 128),
    ("governors", 128),
    ("incoming", 128),
    ("items", 4096),
    ("participants", 16384),
    ("readers", 256),
    ("receipts", 128),
    ("report", 80),
    ("signatures", 128),
    ("supported_capabilities", 64),
    ("validators", 128),
    ("witnesses", 128),
    ("wrapped_keys", 256),
];

/// Lists that only the size of their message limits: an item takes little more in memory than on the wire.
const BY_SIZE: [&str; 5] = ["absent", "aligned", "delta", "discarded", "included"];

/// A list in a drawn value: its field, and the value with as many of its first item as wanted.
struct List<'a> {
    field: String,
    before: &'a [u8],
    item: &'a [u8],
    after: &'a [u8],
}

impl List<'_> {
    fn of(&self, items: usize) -> Vec<u8> {
        [self.before, &varint(items as u128), &self.item.repeat(items), self.after].concat()
    }

    /// The last name of its path.
    fn name(&self) -> &str {
        self.field.rsplit(['.', ']']).next().unwrap_or_default()
    }
}

fn lists(drawn: &Drawn) -> Vec<List<'_>> {
    let (bytes, leaves) = (&drawn.canonical, &drawn.trace.leaves);
    let list = |(at, leaf): (usize, &Leaf)| {
        let path = leaf.path.strip_suffix(".len").or((leaf.path == "len").then_some(""))?;
        let (items, first) = (format!("{path}["), format!("{path}[0]"));
        let behind = &leaves[at + 1..];
        let end = |prefix: &str| {
            let inside = behind.iter().take_while(|leaf| leaf.path.starts_with(prefix));
            inside.last().map(|leaf| leaf.range.end)
        };
        let (item, end) = (leaf.range.end..end(&first)?, end(&items)?);
        let field = leaf.field().strip_suffix(".len").unwrap_or_default().to_owned();
        let before = &bytes[..leaf.range.start];
        Some(List { field, before, item: &bytes[item], after: &bytes[end..] })
    };
    let lengths = leaves.iter().enumerate().filter(|(_, leaf)| leaf.kind == Kind::Length);
    lengths.filter_map(list).collect()
}

/// For each list of a type the drawn value whose item is shortest, so that many of them fit its limit of bytes.
fn shortest(survey: &Survey) -> Vec<List<'_>> {
    let mut shortest: Vec<List<'_>> = Vec::new();
    for list in survey.covering.iter().flat_map(|(_, drawn)| lists(drawn)) {
        match shortest.iter_mut().find(|known| known.field == list.field) {
            Some(known) if known.item.len() <= list.item.len() => {}
            Some(known) => *known = list,
            None => shortest.push(list),
        }
    }
    shortest
}

#[test]
fn every_list_has_its_limit_wherever_it_stands() {
    let mut seen = BTreeSet::new();
    for survey in survey::all() {
        let wire = &survey.wire;
        for list in shortest(survey) {
            let (name, field) = (list.name(), &list.field);
            seen.insert((wire.name, field.clone()));
            if BY_SIZE.contains(&name) {
                continue;
            }
            let limit = LIMITS.iter().find(|(known, _)| *known == name);
            let (_, limit) = limit.unwrap_or_else(|| panic!("{}: a limit for {field}", wire.name));
            let (full, longer) = (list.of(*limit), list.of(limit + 1));
            match (wire.read)(&full) {
                Reading::Value { reencoded, .. } => assert_eq!(reencoded, full),
                Reading::Refused(error) => panic!("{field} of {limit} items: {error}"),
            }
            let Reading::Refused(CodecError::Malformed { .. }) = (wire.read)(&longer) else {
                panic!("{}: {field} may have more than {limit} items", wire.name)
            };
        }
    }
    for nested in [
        ("LedgerEntry", "SessionOpened.hello.body.supported_capabilities"),
        ("Signed<Request>", "body.entry.SessionOpened.hello.body.supported_capabilities"),
        ("Signed<Request>", "body.entry.SessionOpened.accept.endorsements"),
        ("Signed<Request>", "body.entry.UpdateCommitment.receipts"),
        ("Signed<Request>", "body.entry.RosterChanged.outgoing.body.configuration.participants"),
        ("Signed<MetaUpdate>", "body.payload.Sealed.wrapped_keys"),
        ("Batch", "items"),
    ] {
        assert!(seen.contains(&(nested.0, nested.1.to_owned())), "{nested:?} was not seen");
    }
}

/// The case by hand: a type's own limits are checked on whole messages, and a hello in a request is none.
#[test]
fn a_request_smuggles_no_longer_hello() {
    let request = |number: usize| {
        let offered = (0..number).map(|i| format!("c{i:02}@1.0").parse().expect("a capability"));
        let hello =
            FederationHello { supported_capabilities: offered.collect(), ..fixture::hello() };
        let session = fixture::session(hello, fixture::accept(), fixture::statement());
        let entry = LedgerEntry::SessionOpened(Box::new(session));
        let request = Request { entry, ..fixture::request() };
        Signed::sign(request, &fixture::secret("site-1"), &fixture::context()).to_canonical()
    };
    assert!(Signed::<Request>::from_canonical(&request(limits::CAPABILITIES)).is_ok());
    let refused = Signed::<Request>::from_canonical(&request(limits::CAPABILITIES + 1));
    assert!(matches!(refused, Err(CodecError::Malformed { what: "Signed<Request>", .. })));
}

/// A refusal without a reason tells an operator nothing, and is no refusal.
#[test]
fn a_report_has_a_reason() {
    let survey = survey::find("FederationRefusal").expect("a canonical type");
    let list = shortest(survey).into_iter().find(|list| list.name() == "report");
    let list = list.expect("reasons");
    assert!(matches!((survey.wire.read)(&list.of(1)), Reading::Value { .. }));
    let none = (survey.wire.read)(&list.of(0));
    assert!(matches!(none, Reading::Refused(CodecError::Malformed { .. })));
}
