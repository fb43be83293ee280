//! Durable entries: verified strictly on two threads, made into blocks, appended and committed to a file.
//!
//! While a batch is committed, the next one is verified. That is the host's work: the crate has no threads.

use std::hint::black_box;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use federation_proto::codec::Canonical as _;
use federation_proto::{BatchItem, Digest, Request, Signed};
use ledger::block::BlockFile;
use ledger::durable::DurableLedger;
use ledger::store::Store;
use ledger::store::memory::MemoryStore;
use ledger::store::redb::RedbStore;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::plain::Plain;
use super::subject::{Authors, Chain, FULL, entry_bytes, ledger_id};
use super::{Folder, refused, rows};
use crate::bench::cpu::Mark;
use crate::bench::{BenchError, Row};

/// Threads that verify.
const THREADS: usize = 2;
/// Blocks of one round.
const BLOCKS: u64 = 16;
/// Entries of one round.
const ENTRIES: u64 = BLOCKS * FULL;
const ROUNDS: usize = 5;

/// Microseconds a durable entry: 40,000 a second.
const DURABLE_BAR: f64 = 25.0;
/// The same in CPU time, of which two cores have twice as much.
const CPU_BAR: f64 = 2.0 * DURABLE_BAR;

type Requests = Vec<Signed<Request>>;

pub(super) fn measure(folder: &Folder) -> Result<Vec<Row>, BenchError> {
    let subject = Subject::new()?;
    let mut times: [Vec<f64>; 8] = Default::default();
    for _ in 0..ROUNDS {
        let round = subject.round(folder)?;
        times.iter_mut().zip(round).for_each(|(times, time)| times.push(time));
    }
    let [durable, durable_cpu, verified, verified_cpu, by_entry, by_block, own, hashed] = &times;
    let bytes = entry_bytes(&subject.authors);
    let name = format!("verified and durable entry of {bytes} B, {}", folder.file_system());
    let peers: [(&str, &[f64]); 3] = [
        ("verify_strict alone, 2 threads", verified),
        ("plain redb, a row an entry, as many a commit", by_entry),
        ("plain redb, a row a block, as many a commit", by_block),
    ];
    let mut found = rows(&name, ("µs", Some(DURABLE_BAR)), durable, &peers);
    // Unlike the time on the wall, it does not wait for whatever else the cores have to do.
    let peer: [(&str, &[f64]); 1] = [("verify_strict alone, CPU", verified_cpu)];
    let name = "verified and durable entry, CPU";
    found.extend(rows(name, ("µs", Some(CPU_BAR)), durable_cpu, &peer));
    let peer: [(&str, &[f64]); 1] = [("encode and BLAKE3 once", hashed)];
    found.extend(rows("append and commit in memory, an entry", ("µs", None), own, &peer));
    Ok(found)
}

struct Subject {
    authors: Authors,
    pool: ThreadPool,
    requests: Vec<Requests>,
    blocks: Vec<BlockFile>,
    /// The canonical bytes of every entry, block by block.
    entries: Vec<Vec<Vec<u8>>>,
    /// The canonical bytes of every block.
    files: Vec<Vec<u8>>,
}

impl Subject {
    fn new() -> Result<Self, BenchError> {
        let authors = Authors::new()?;
        let pool = ThreadPoolBuilder::new().num_threads(THREADS).build().map_err(refused)?;
        let signed = |block: u64| -> Requests {
            let numbers = block * FULL..(block + 1) * FULL;
            numbers.into_par_iter().map(|number| authors.signed(number)).collect()
        };
        let requests: Vec<Requests> = pool.install(|| (0..BLOCKS).map(signed).collect());
        let mut chain = Chain::new();
        let item = |request: &Signed<Request>| BatchItem::Request(request.clone());
        let blocks = requests.iter().map(|batch| chain.block(batch.iter().map(item).collect()));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        let entries = |block: &BlockFile| -> Vec<Vec<u8>> {
            block.batch.items.iter().map(BatchItem::to_canonical).collect()
        };
        let entries = blocks.iter().map(entries).collect();
        let files = blocks.iter().map(BlockFile::to_canonical).collect();
        Ok(Self { authors, pool, requests, blocks, entries, files })
    }

    /// Microseconds an entry, in the order in which [`measure`] reads them.
    fn round(&self, folder: &Folder) -> Result<[f64; 8], BenchError> {
        let an_entry = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / ENTRIES as f64;
        let cpu_of_an_entry = |mark: Mark| mark.elapsed_ms() * 1e3 / ENTRIES as f64;
        let requests = self.requests.clone();
        let ledger = new_ledger(RedbStore::create(&folder.fresh("ledger")).map_err(refused)?)?;
        let (start, mark) = (Instant::now(), Mark::now());
        self.pipeline(ledger, requests)?;
        let (durable, durable_cpu) = (an_entry(start), cpu_of_an_entry(mark));

        let requests = self.requests.clone();
        let (start, mark) = (Instant::now(), Mark::now());
        for batch in requests {
            black_box(self.verify(batch)?);
        }
        let (verified, verified_cpu) = (an_entry(start), cpu_of_an_entry(mark));

        let by_entry = plain_commits(&folder.fresh("by-entry"), &self.entries)?;
        let files: Vec<[&[u8]; 1]> = self.files.iter().map(|file| [file.as_slice()]).collect();
        let by_block = plain_commits(&folder.fresh("by-block"), &files)?;

        let mut ledger = new_ledger(MemoryStore::new())?;
        let start = Instant::now();
        for block in &self.blocks {
            ledger.append(block).map_err(refused)?;
            ledger.commit().map_err(refused)?;
        }
        let own = an_entry(start);
        let start = Instant::now();
        for block in &self.blocks {
            black_box(Digest::of_blob(&block.batch.to_canonical()));
        }
        let hashed = an_entry(start);
        Ok([durable, durable_cpu, verified, verified_cpu, by_entry, by_block, own, hashed])
    }

    /// Every batch verified, made into a block, appended and committed; the next one is verified meanwhile.
    fn pipeline(
        &self,
        mut ledger: DurableLedger<RedbStore>,
        requests: Vec<Requests>,
    ) -> Result<(), BenchError> {
        let (ready, batches) = mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for batch in requests {
                    if ready.send(self.verify(batch)).is_err() {
                        break;
                    }
                }
            });
            let mut chain = Chain::new();
            for batch in batches {
                ledger.append(&chain.block(batch?)?).map_err(refused)?;
                ledger.commit().map_err(refused)?;
            }
            Ok(())
        })
    }

    fn verify(&self, batch: Requests) -> Result<Vec<BatchItem>, BenchError> {
        let verified =
            || batch.into_par_iter().map(|request| self.authors.verified(request)).collect();
        self.pool.install(verified)
    }
}

fn new_ledger<S: Store>(store: S) -> Result<DurableLedger<S>, BenchError> {
    DurableLedger::create(store, ledger_id()).map_err(refused)
}

/// Microseconds an entry to commit groups of rows.
fn plain_commits<G: AsRef<[R]>, R: AsRef<[u8]>>(
    path: &Path,
    groups: &[G],
) -> Result<f64, BenchError> {
    let plain = Plain::create(path)?;
    let start = Instant::now();
    for (block, group) in (0..).zip(groups) {
        plain.commit(block * FULL, group.as_ref(), false)?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / ENTRIES as f64)
}
