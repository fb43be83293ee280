//! Every operation of seeded workloads fails once, in every way, and what comes back is judged by an oracle that
//! knows only what was appended and what was acknowledged.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::super::{Mark, Recovered, SafetyLog, SafetyLogError, read};
use super::world::{Fault, Random, World};
use super::{ID, all};

type Record = Vec<u8>;

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(usize),
    Sync,
    Cut,
    Reopen,
}

fn workload(seed: u64) -> Vec<Step> {
    let mut random = Random(seed);
    let mut steps: Vec<Step> = (0..24)
        .map(|_| match random.below(12) {
            0..5 => Step::Append(random.below(1500)),
            5..9 => Step::Sync,
            9..11 => Step::Cut,
            _ => Step::Reopen,
        })
        .collect();
    // One group in each workload is longer than a step of the file.
    steps.insert(random.below(steps.len()), Step::Append(66_000));
    steps
}

fn kept(record: &[u8]) -> bool {
    record.first().is_some_and(|byte| byte % 3 == 0)
}

/// What may be there, written down by someone who sees calls and their results only.
#[derive(Default)]
struct Oracle {
    acknowledged: Vec<Record>,
    appended: Vec<Record>,
    floor: Option<Mark>,
}

impl Oracle {
    fn with_appended(&self) -> Vec<Record> {
        [self.acknowledged.as_slice(), &self.appended].concat()
    }

    fn after(&self, step: Step) -> Vec<Record> {
        let mut records = self.with_appended();
        if matches!(step, Step::Cut) {
            records.retain(|record| kept(record));
        }
        records
    }

    fn acknowledge(&mut self, records: Vec<Record>, mark: Mark) {
        if let Some(floor) = self.floor {
            assert!(mark.group() >= floor.group());
        }
        *self = Self { acknowledged: records, appended: Vec::new(), floor: Some(mark) };
    }
}

/// What the faults of a run led to, so that the test knows they did something.
#[derive(Default)]
struct Seen {
    runs: u64,
    torn: u64,
    unacknowledged: u64,
    half_created: u64,
    failures: BTreeSet<String>,
}

struct Run<'s> {
    world: World,
    oracle: Oracle,
    seen: &'s mut Seen,
}

impl Run<'_> {
    fn failed(&mut self, error: &SafetyLogError) {
        let SafetyLogError::Io { during, cause } = error else { panic!("a fault gave {error:?}") };
        let full = cause.kind() == ErrorKind::StorageFull;
        self.seen.failures.insert(format!("{during}{}", if full { ", full" } else { "" }));
        if full {
            self.world.set_capacity(usize::MAX);
        }
        self.world.reboot();
    }

    /// Opens until no fault is left, and holds what comes back against `allowed`.
    fn open(&mut self, allowed: &[Vec<Record>]) -> SafetyLog<World> {
        loop {
            match SafetyLog::open(self.world.clone(), ID, self.oracle.floor) {
                Ok((log, Recovered { records, mark, torn_pages })) => {
                    let records = all(&records);
                    assert!(allowed.contains(&records), "{} records", records.len());
                    assert_eq!(log.mark(), mark);
                    self.seen.torn += u64::from(torn_pages > 0);
                    self.seen.unacknowledged += u64::from(records != self.oracle.acknowledged);
                    self.oracle.acknowledge(records, mark);
                    return log;
                }
                Err(SafetyLogError::Missing) if self.oracle.floor.is_none() => {
                    self.seen.half_created += 1;
                    return self.create();
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn create(&mut self) -> SafetyLog<World> {
        match SafetyLog::create(self.world.clone(), ID) {
            Ok(log) => {
                self.oracle.acknowledge(Vec::new(), log.mark());
                log
            }
            Err(error) => {
                self.failed(&error);
                self.open(&[Vec::new()])
            }
        }
    }

    fn step(&mut self, log: SafetyLog<World>, step: Step, random: &mut Random) -> SafetyLog<World> {
        let mut log = log;
        let outcome = match step {
            Step::Append(length) => {
                let record: Record = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
                log.append(&record).expect("memory only");
                self.oracle.appended.push(record);
                return log;
            }
            Step::Reopen => {
                drop(log);
                self.oracle.appended.clear();
                let allowed = [self.oracle.acknowledged.clone()];
                return self.open(&allowed);
            }
            Step::Sync => log.sync(),
            Step::Cut => log.cut(kept),
        };
        let after = self.oracle.after(step);
        match outcome {
            Ok(mark) => {
                assert_eq!(mark, log.mark());
                self.oracle.acknowledge(after, mark);
                log
            }
            Err(error) => {
                assert!(matches!(log.append(b"x"), Err(SafetyLogError::Poisoned)));
                assert!(matches!(log.sync(), Err(SafetyLogError::Poisoned)));
                assert!(matches!(log.cut(kept), Err(SafetyLogError::Poisoned)));
                drop(log);
                self.failed(&error);
                let allowed =
                    [self.oracle.acknowledged.clone(), self.oracle.with_appended(), after];
                self.open(&allowed)
            }
        }
    }
}

/// Plays a workload in a world with its faults, loses power at the end, and returns the operations it took.
fn play(seed: u64, world: World, seen: &mut Seen) -> u64 {
    let mut random = Random(seed ^ 0xda7a);
    let mut run = Run { world, oracle: Oracle::default(), seen };
    let mut log = run.create();
    for step in workload(seed) {
        log = run.step(log, step, &mut random);
    }
    drop(log);
    run.oracle.appended.clear();
    run.world.lose_power();
    let allowed = [run.oracle.acknowledged.clone()];
    drop(run.open(&allowed));
    run.world.end_faults();
    let audited = read(&run.world, ID, run.oracle.floor).expect("reads");
    assert_eq!(all(&audited.records), allowed[0]);
    run.seen.runs += 1;
    run.world.operations()
}

#[test]
fn no_fault_loses_or_changes_a_record() {
    let mut seen = Seen::default();
    for seed in 0..8 {
        let operations = play(seed, World::new(seed), &mut seen);
        for at in 0..operations {
            for (salt, fault) in [(1, Fault::Crash), (2, Fault::Crash), (3, Fault::Error)] {
                let world = World::new(seed ^ (at << 8) ^ (salt << 32));
                world.fault_at(at, fault);
                play(seed, world, &mut seen);
            }
        }
    }
    assert!(seen.runs > 2_000, "{}", seen.runs);
    assert!(seen.torn > 50, "{}", seen.torn);
    assert!(seen.unacknowledged > 50, "{}", seen.unacknowledged);
    assert!(seen.half_created > 10, "{}", seen.half_created);
    let expected = [
        "blanking",
        "creating",
        "cutting",
        "growing",
        "looking for",
        "measuring",
        "naming",
        "opening",
        "reading",
        "syncing",
        "writing",
    ];
    assert_eq!(seen.failures.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn faults_during_recovery_lose_nothing_either() {
    let mut seen = Seen::default();
    for seed in 100..104 {
        let operations = play(seed, World::new(seed), &mut seen);
        for at in 0..operations {
            let mut random = Random(seed ^ (at << 8));
            let world = World::new(random.next());
            let mut next = at;
            for _ in 0..3 {
                let fault = if random.below(2) == 0 { Fault::Crash } else { Fault::Error };
                world.fault_at(next, fault);
                next += 1 + random.below(12) as u64;
            }
            play(seed, world, &mut seen);
        }
    }
    assert!(seen.torn > 20, "{}", seen.torn);
}

#[test]
fn a_full_disk_loses_nothing() {
    let mut seen = Seen::default();
    for seed in 200..203 {
        for capacity in 0..400 {
            let world = World::new(capacity as u64);
            world.set_capacity(capacity);
            play(seed, world, &mut seen);
        }
    }
    let failures: Vec<_> = seen.failures.iter().map(String::as_str).collect();
    assert_eq!(failures, ["blanking, full"], "room is found before a record is written");
}
