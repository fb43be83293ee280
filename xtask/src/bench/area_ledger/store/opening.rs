//! A million entries: open after a crash, read everything, and what quick repair costs a commit.
//!
//! A crash leaves a copy of the file while it is open. It is in the system's cache when it is opened.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use federation_proto::codec::Canonical as _;
use federation_proto::{BatchItem, Digest, Height};
use ledger::durable::DurableLedger;
use ledger::store::redb::RedbStore;

use super::plain::Plain;
use super::subject::{Authors, Chain, ledger_id};
use super::{Folder, refused, rows};
use crate::bench::cpu::Mark;
use crate::bench::{BenchError, Row};

const ENTRIES: u64 = 1_000_000;
/// Entries of a block, and the bar to verify them all: what a busy ledger has; and many more blocks, whose own
/// work nothing is promised about.
const WIDTHS: [(u64, Option<f64>); 2] = [(256, Some(VERIFY_BAR)), (4, None)];
/// Blocks of one commit.
const GROUP: usize = 1024;

/// Milliseconds from opening the file to the first block.
const OPEN_BAR: f64 = 20.0;
/// Seconds of CPU time to read and check everything.
const VERIFY_BAR: f64 = 4.0;

/// Rounds of opening ours, of the peer's repair, and of committing.
const OPENINGS: usize = 5;
const REPAIRS: usize = 1;
const COMMITS: usize = 41;

pub(super) fn measure(folder: &Folder) -> Result<Vec<Row>, BenchError> {
    let mut found = Vec::new();
    for (width, verify_bar) in WIDTHS {
        let subject = Subject::new(folder, width)?;
        found.extend(subject.open_after_a_crash(folder)?);
        found.extend(subject.verify(folder, verify_bar)?);
        found.extend(subject.quick_repair()?);
    }
    Ok(found)
}

/// A ledger and the same rows in plain redb, both open.
struct Subject {
    name: String,
    blocks: u64,
    paths: [PathBuf; 2],
    _ledger: DurableLedger<RedbStore>,
    plain: Plain,
}

impl Subject {
    fn new(folder: &Folder, width: u64) -> Result<Self, BenchError> {
        let paths = ["ledger", "plain"].map(|name| folder.fresh(name));
        let store = RedbStore::create(&paths[0]).map_err(refused)?;
        let mut ledger = DurableLedger::create(store, ledger_id()).map_err(refused)?;
        let plain = Plain::create(&paths[1])?;
        let (authors, mut chain) = (Authors::new()?, Chain::new());
        let blocks = ENTRIES.div_ceil(width);
        let (mut group, mut first) = (Vec::new(), 1);
        for block in 0..blocks {
            let numbers = block * width..ENTRIES.min((block + 1) * width);
            let items: Vec<BatchItem> = numbers.map(|number| authors.unsigned(number)).collect();
            let block = chain.block(items)?;
            ledger.append(&block).map_err(refused)?;
            group.push(block.to_canonical());
            if group.len() == GROUP || first + group.len() as u64 > blocks {
                ledger.commit().map_err(refused)?;
                plain.commit(first, &group, false)?;
                first += group.len() as u64;
                group.clear();
            }
        }
        let name = format!("{ENTRIES} entries in {blocks} blocks");
        Ok(Self { name, blocks, paths, _ledger: ledger, plain })
    }

    /// Until a block is read: for ours, with its place in the tree checked up to the root.
    fn open_after_a_crash(&self, folder: &Folder) -> Result<Vec<Row>, BenchError> {
        let middle = self.blocks / 2;
        let ours = |path: &Path| {
            let ledger = opened(path)?;
            ledger.block(Height::new(middle)).map_err(refused)?;
            Ok(ledger)
        };
        let theirs = |path: &Path| {
            let plain = Plain::open(path)?;
            plain.row(middle)?;
            Ok(plain)
        };
        let ours = crashed(folder, &self.paths[0], OPENINGS, ours)?;
        let theirs = crashed(folder, &self.paths[1], REPAIRS, theirs)?;
        let name = format!("open after a crash, {}", self.name);
        let peer: [(&str, &[f64]); 1] = [("plain redb, full repair", &theirs)];
        Ok(rows(&name, ("ms", Some(OPEN_BAR)), &ours, &peer))
    }

    /// In CPU time: one thread works, and the file is in the system's cache.
    fn verify(&self, folder: &Folder, bar: Option<f64>) -> Result<Vec<Row>, BenchError> {
        let mut ledger = opened(&folder.crash_image(&self.paths[0])?)?;
        let mark = Mark::now();
        let found = ledger.verify().map_err(refused)?;
        let ours = mark.elapsed_ms() / 1e3;
        if (found.blocks, found.entries) != (self.blocks, ENTRIES) {
            return Err(refused(format!("{found:?} in {}", self.name)));
        }
        let mark = Mark::now();
        let read = self.plain.each_row(|row| {
            black_box(Digest::of_blob(row));
        })?;
        let theirs = mark.elapsed_ms() / 1e3;
        if read != self.blocks {
            return Err(refused(format!("{read} rows of {}", self.blocks)));
        }
        let name = format!("verify {}, CPU", self.name);
        let peer: [(&str, &[f64]); 1] = [("plain redb, read and BLAKE3 once", &[theirs])];
        Ok(rows(&name, ("s", bar), &[ours], &peer))
    }

    /// The same small commit with and without, on the plain store.
    fn quick_repair(&self) -> Result<Vec<Row>, BenchError> {
        let mut times: [Vec<f64>; 2] = Default::default();
        for (round, number) in (0..COMMITS).zip(self.blocks + 1..) {
            for (times, quick_repair) in times.iter_mut().zip([true, false]) {
                let start = Instant::now();
                self.plain.commit(number, &[round.to_le_bytes()], quick_repair)?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        let [with, without] = &times;
        let peer: [(&str, &[f64]); 1] = [("one phase, no quick repair", without)];
        let name = format!("plain redb, commit with quick repair, {}", self.name);
        Ok(rows(&name, ("ms", None), with, &peer))
    }
}

fn opened(path: &Path) -> Result<DurableLedger<RedbStore>, BenchError> {
    let store = RedbStore::open(path).map_err(refused)?;
    DurableLedger::open(store, ledger_id(), None).map_err(refused)
}

/// Milliseconds that `open` takes on what a crash left, round by round. What opening changes, it changes in a copy.
fn crashed<T>(
    folder: &Folder,
    open_file: &Path,
    rounds: usize,
    open: impl Fn(&Path) -> Result<T, BenchError>,
) -> Result<Vec<f64>, BenchError> {
    let round = |_| {
        let image = folder.crash_image(open_file)?;
        let start = Instant::now();
        let store = open(&image)?;
        let time = start.elapsed().as_secs_f64() * 1e3;
        // Closing is no part of it.
        drop(store);
        Ok(time)
    };
    (0..rounds).map(round).collect()
}
