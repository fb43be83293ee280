//! `ledger import`, `export` and `migrate`: between flat files and stores.

use std::fs;
use std::path::Path;

use federation_proto::Digest;
use federation_proto::codec::Canonical as _;
use governance::artifact::AnchorExtra;
use ledger::durable::{self, DurableError, DurableLedger, Holder, Imported};
use ledger::export::parse_block_path;
use ledger::store::StoreError;
use ledger::store::redb::RedbStore;
use meta_core::meta_state::MetaState;

use super::LedgerError;
use super::facts::Facts;
use super::ground::Ground;
use super::proof;
use super::source::{self, Source};
use crate::cli::{ExportArgs, Format, ImportArgs, MigrateArgs};
use crate::failure::Failure;
use crate::publish;
use crate::workspace;

/// Takes a run into a store. All of it is checked first, so a store never holds half of a bad run.
pub(super) fn import(args: &ImportArgs) -> Result<(), Failure> {
    let ground = Ground::establish(&args.trust, args.artifacts.as_deref())?;
    let source = Source::of_artifacts(args.artifacts.as_deref(), &ground, None)?;
    for (path, anchor) in &source.anchors {
        proof::check(path, anchor, None, &ground.keys)?;
    }
    let of_store =
        |cause: DurableError| LedgerError::Durable { path: workspace::shown(&args.store), cause };
    let mut ledger = open_or_create(&args.store, &ground).map_err(of_store)?;
    let taken = take_in(&mut ledger, &source).map_err(of_store)?;
    let mut facts = Facts::default();
    facts.say("ledger", ledger.ledger_id());
    facts.say("from", &source.place);
    facts.say("store", workspace::shown(&args.store));
    facts.say("new blocks", taken.blocks);
    facts.say("blobs", taken.blobs);
    facts.say("anchors", source.anchors.len());
    facts.say("size", ledger.size());
    facts.say("root", ledger.root().map_err(of_store)?);
    facts.show("import", Some(&ground.trust), Format::Human)
}

fn open_or_create(path: &Path, ground: &Ground) -> Result<DurableLedger<RedbStore>, DurableError> {
    let id = ground.keys.ledger_id();
    match RedbStore::open(path) {
        Err(StoreError::Missing) => {
            let created = DurableLedger::create(source::create(path)?, id);
            created.inspect_err(|_| drop(fs::remove_file(path)))
        }
        opened => DurableLedger::open(opened?, id, None),
    }
}

/// Blocks that the store began after are left out: it never had them. Blobs are held by the epoch of the head, since
/// only a replay knows whose they are, and the states that anchors name by their anchors too.
fn take_in(
    ledger: &mut DurableLedger<RedbStore>,
    source: &Source,
) -> Result<Imported, DurableError> {
    let base = ledger.base().height;
    let mut files = Vec::new();
    source.ledger.export::<DurableError>(|path, bytes| {
        if parse_block_path(path).is_none_or(|height| height > base) {
            files.push((path.to_owned(), bytes.to_vec()));
        }
        Ok(())
    })?;
    let taken = ledger.import(files, Holder::Epoch(source.ledger.head().epoch))?;
    let states = states(source)?;
    for (_, anchor) in &source.anchors {
        let extra = AnchorExtra::from_canonical(anchor.extra().unwrap_or_default()).ok();
        let Some(extra) = extra.filter(|extra| extra.header.height > base) else { continue };
        ledger.keep_anchor(anchor)?;
        for (_, blob) in states.iter().filter(|(state, _)| *state == extra.parts.meta_state) {
            ledger.hold_blob(blob, Holder::Anchor(extra.header.height))?;
        }
    }
    ledger.commit()?;
    Ok(taken)
}

/// Hashes of the meta states among the blobs, with the blobs' digests.
fn states(source: &Source) -> Result<Vec<(Digest, Digest)>, DurableError> {
    let mut states = Vec::new();
    for digest in source.ledger.blobs()? {
        if let Ok(state) = MetaState::from_canonical(&source.ledger.blob(&digest)?) {
            states.push((state.hash(), digest));
        }
    }
    Ok(states)
}

/// Writes every block and blob; the directory appears whole or not at all.
pub(super) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let of_store =
        |cause: DurableError| LedgerError::Durable { path: workspace::shown(&args.store), cause };
    let store = RedbStore::open_read_only(&args.store).map_err(|cause| of_store(cause.into()))?;
    let ledger = DurableLedger::open_any(store).map_err(of_store)?;
    let mut files = 0_u64;
    publish::whole_directory(&args.out, |write| {
        ledger
            .export(|path, bytes| {
                files += 1;
                write(path, bytes).map_err(Exported::Write)
            })
            .map_err(|cause| match cause {
                Exported::Write(cause) => Failure::from(cause),
                Exported::Read(cause) => of_store(cause).into(),
            })
    })?;
    let mut facts = Facts::default();
    facts.say("ledger", ledger.ledger_id());
    facts.say("store", workspace::shown(&args.store));
    facts.say("size", ledger.size());
    facts.say("files", files);
    facts.say("written", workspace::shown(&args.out));
    facts.show("export", None, Format::Human)
}

/// Which side of an export failed.
enum Exported {
    Read(DurableError),
    Write(publish::PublishError),
}

impl From<DurableError> for Exported {
    fn from(cause: DurableError) -> Self {
        Self::Read(cause)
    }
}

pub(super) fn migrate(args: &MigrateArgs) -> Result<(), Failure> {
    let of_store =
        |cause: DurableError| LedgerError::Durable { path: workspace::shown(&args.store), cause };
    let store = RedbStore::open(&args.store).map_err(|cause| of_store(cause.into()))?;
    let (ledger, migrated) = durable::migrate(store).map_err(of_store)?;
    let mut facts = Facts::default();
    facts.say("ledger", ledger.ledger_id());
    facts.say("store", workspace::shown(&args.store));
    facts.say("format before", migrated.from);
    facts.say("format", migrated.to);
    facts.say("blocks read", migrated.blocks);
    facts.show("migrate", None, Format::Human)
}
