//! What a caller sees, and the bytes of the format.

mod damage;
mod faults;
#[cfg(unix)]
mod file;
mod world;

use std::fmt::Write as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use federation_proto::Digest;
use federation_proto::codec::Canonical;

use super::*;
use world::World;

const ID: Digest = Digest::from_bytes([7; 32]);
const OTHER: Digest = Digest::from_bytes([8; 32]);

fn all(records: &Records) -> Vec<Vec<u8>> {
    records.iter().map(<[u8]>::to_vec).collect()
}

/// Appends one record and syncs.
fn write<P: Place>(log: &mut SafetyLog<P>, record: &[u8]) -> Mark {
    log.append(record).expect("fits");
    log.sync().expect("syncs")
}

/// The rows of 16 bytes that are not zero.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, part) in bytes.chunks(16).enumerate().filter(|(_, part)| *part != [0; 16]) {
        let hex = data_encoding::HEXLOWER.encode(part);
        writeln!(text, "{:05x} {hex}", row * 16).expect("a string");
    }
    text
}

#[test]
fn the_format_is_pinned() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    log.append(b"PREPARE 1").expect("fits");
    log.append(b"").expect("fits");
    log.append(&[0xaa; 430]).expect("fits");
    let mark = log.sync().expect("syncs");
    assert_eq!(dump(&world.log()), include_str!("tests/appended.txt"));
    assert_eq!(data_encoding::HEXLOWER.encode(&mark.to_canonical()), format!("01{}", mark.chain()));
    log.cut(|record| record.len() == 9).expect("cuts");
    assert_eq!(dump(&world.log()), include_str!("tests/cut.txt"));
}

#[test]
fn a_mark_is_canonical() {
    let mark = Mark::new(u64::MAX, Digest::from_bytes([255; 32]));
    let bytes = mark.to_canonical();
    assert_eq!(bytes.len(), Mark::MAX_BYTES);
    assert_eq!(Mark::from_canonical(&bytes), Ok(mark));
}

#[test]
fn what_was_acknowledged_comes_back_in_order() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    let origin = log.mark();
    assert_eq!(log.sync().expect("nothing to do"), origin);
    log.append(b"one").expect("fits");
    log.append(b"two").expect("fits");
    assert_eq!(log.mark(), origin, "not durable yet");
    let operations = world.operations();
    let first = log.sync().expect("syncs");
    assert_eq!(world.operations() - operations, 2, "one write, one sync");
    let second = write(&mut log, b"three");
    assert_eq!((origin.group(), first.group(), second.group()), (0, 1, 2));
    drop(log);
    let (log, found) = SafetyLog::open(world.clone(), ID, Some(second)).expect("opens");
    assert_eq!(all(&found.records), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    assert_eq!((found.mark, found.torn_pages), (second, 0));
    assert_eq!(log.mark(), second);
    assert_eq!(read(&world, ID, Some(first)).expect("reads"), found);
}

#[test]
fn what_was_appended_and_not_synced_is_not_there() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    write(&mut log, b"vote");
    let bytes = world.log();
    log.append(b"unsaid").expect("fits");
    drop(log);
    assert_eq!(world.log(), bytes);
}

#[test]
fn a_cut_syncs_and_keeps_what_it_is_told() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    let before = write(&mut log, b"1 old");
    log.append(b"2 evidence").expect("fits");
    log.append(b"3 old").expect("fits");
    log.append(b"4 new").expect("fits");
    let cut = log.cut(|record| !record.ends_with(b"old")).expect("cuts");
    assert_eq!(cut.group(), before.group() + 2, "one for the sync, one for what is kept");
    let after = write(&mut log, b"5 new");
    let found = read(&world, ID, Some(after)).expect("reads");
    assert_eq!(all(&found.records), [&b"2 evidence"[..], b"4 new", b"5 new"]);
    // Nothing kept, twice: two logs, two marks.
    let first = log.cut(|_| false).expect("cuts");
    let second = log.cut(|_| true).expect("cuts");
    assert_eq!(second.group(), first.group() + 1);
    assert_eq!(read(&world, ID, Some(second)).expect("reads").records.iter().count(), 0);
    assert!(read(&world, ID, Some(first)).is_ok());
}

#[test]
fn a_cut_makes_the_file_short_again() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    write(&mut log, &vec![1; 200_000]);
    assert_eq!(world.log().len() as u64, 4 * STEP_BYTES);
    log.cut(|_| false).expect("cuts");
    assert_eq!(world.log().len() as u64, STEP_BYTES);
}

#[test]
fn a_cut_copies_nothing_damaged() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    write(&mut log, b"vote");
    let mut bytes = world.log();
    bytes[page::PAGE + 72] ^= 1;
    drop(log);
    // The same log, damaged while it is open: the damage is in the shared bytes of another world.
    let whole = World::with_log(&world.log());
    let (mut log, _) = SafetyLog::open(whole.clone(), ID, None).expect("opens");
    whole.damage(page::PAGE + 72);
    assert_eq!(whole.log(), bytes);
    let refused = log.cut(|_| true).expect_err("damaged");
    let fault = PageFault::Checksum;
    assert!(matches!(refused, SafetyLogError::Corrupt { page: 1, fault: f } if f == fault));
    assert!(matches!(log.sync(), Err(SafetyLogError::Poisoned)));
    assert_eq!(whole.log(), bytes, "the log is still the old file");
}

#[test]
fn create_is_explicit_and_open_never_creates() {
    let world = World::new(0);
    let mark = Mark::origin(&ID);
    assert!(matches!(SafetyLog::open(world.clone(), ID, None), Err(SafetyLogError::Missing)));
    let lost = SafetyLog::open(world.clone(), ID, Some(mark)).map(|_| ());
    assert!(matches!(lost, Err(SafetyLogError::Lost { expected }) if expected == mark));
    assert!(matches!(read(&world, ID, Some(mark)), Err(SafetyLogError::Lost { .. })));
    drop(SafetyLog::create(world.clone(), ID).expect("new"));
    let bytes = world.log();
    for id in [ID, OTHER] {
        let refused = SafetyLog::create(world.clone(), id).map(|_| ());
        assert!(matches!(refused, Err(SafetyLogError::Exists)));
    }
    assert_eq!(world.log(), bytes);
    assert!(SafetyLog::open(world, ID, Some(mark)).is_ok());
}

#[test]
fn a_creator_that_comes_second_sees_it() {
    /// Where another creates a log just before one gets the draft.
    struct Contested(World);
    impl Place for Contested {
        type File = world::WorldFile;

        fn open(&self, access: Access) -> io::Result<Option<Self::File>> {
            self.0.open(access)
        }

        fn draft(&self) -> io::Result<Self::File> {
            let mut log = SafetyLog::create(self.0.clone(), ID).expect("new");
            write(&mut log, b"vote");
            self.0.draft()
        }

        fn publish(&self) -> io::Result<()> {
            self.0.publish()
        }
    }
    let world = World::new(0);
    let second = SafetyLog::create(Contested(world.clone()), ID).map(|_| ());
    assert!(matches!(second, Err(SafetyLogError::Exists)));
    assert_eq!(all(&read(&world, ID, None).expect("the first").records), [b"vote"]);
}

#[test]
fn limits_refuse_before_anything_is_kept() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    let longest = vec![1; MAX_RECORD_BYTES];
    let refused = log.append(&[longest.as_slice(), &[1]].concat());
    let (length, limit) = (MAX_RECORD_BYTES + 1, MAX_RECORD_BYTES);
    assert!(
        matches!(refused, Err(SafetyLogError::RecordTooLarge { length: l, limit: m }) if (l, m) == (length, limit))
    );
    let mut fitting = 0;
    let refused = loop {
        match log.append(&longest) {
            Ok(()) => fitting += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(fitting, MAX_GROUP_BYTES / (MAX_RECORD_BYTES + 8));
    assert!(matches!(refused, SafetyLogError::GroupTooLarge { limit: MAX_GROUP_BYTES, .. }));
    // A refusal is no failure.
    let mark = log.sync().expect("syncs");
    let found = read(&world, ID, Some(mark)).expect("reads");
    assert_eq!(found.records.iter().count(), fitting);
    assert!(found.records.iter().all(|record| record == longest));
}

/// A file so long that only its length matters.
struct Endless(u64);

impl Disk for Endless {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        assert!(offset + bytes.len() as u64 <= self.0, "beyond the end");
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        assert!(length <= MAX_FILE_BYTES);
        self.0 = length;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Place for Endless {
    type File = Self;

    fn open(&self, _: Access) -> io::Result<Option<Self>> {
        Ok(Some(Self(self.0)))
    }

    fn draft(&self) -> io::Result<Self> {
        Ok(Self(0))
    }

    fn publish(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_log_says_so_before_it_writes() {
    let longer = read(&Endless(MAX_FILE_BYTES + STEP_BYTES), ID, None);
    assert!(matches!(longer, Err(SafetyLogError::TooLarge { limit: MAX_FILE_BYTES, .. })));
    let limit = MAX_FILE_BYTES / page::PAGE as u64;
    let recovered =
        Recovered { records: Records::default(), mark: Mark::origin(&ID), torn_pages: 0 };
    let found = scan::Scan { recovered, length: MAX_FILE_BYTES, end: limit - 3, last: None };
    let (segment, _) = Segment::resume(Endless(MAX_FILE_BYTES), found).expect("resumes");
    let place = Endless(MAX_FILE_BYTES);
    let mut log = SafetyLog { place, id: ID, segment, group: Records::default(), poisoned: false };
    write(&mut log, &[0; 2 * page::PAYLOAD - 8]);
    let full = |refused| matches!(refused, Err(SafetyLogError::Full { pages, limit: l }) if pages == limit + 1 && l == limit);
    assert!(full(log.append(&[0; page::PAYLOAD - 7])));
    write(&mut log, &[0; page::PAYLOAD - 8]);
    assert!(full(log.append(&[])));
}

#[test]
fn a_cut_that_unwinds_poisons() {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    let mark = write(&mut log, b"vote");
    let cut = AssertUnwindSafe(|| log.cut(|_| panic!("a bug of the caller")).map(|_| ()));
    assert!(catch_unwind(cut).is_err());
    assert!(matches!(log.append(b"more"), Err(SafetyLogError::Poisoned)));
    drop(log);
    let (_, found) = SafetyLog::open(world, ID, Some(mark)).expect("opens");
    assert_eq!(all(&found.records), [b"vote"]);
}
