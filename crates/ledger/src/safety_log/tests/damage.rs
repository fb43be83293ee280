//! Logs that were changed, cut short, spliced or exchanged while nobody had them open.

use super::super::page::{self, PAGE};
use super::super::{Mark, PageFault, Recovered, STEP_BYTES, SafetyLog, SafetyLogError, read};
use super::world::World;
use super::{ID, OTHER, all, write};

/// What a reader makes of these bytes. A writer must see the same.
fn judge(bytes: &[u8], expected: Option<Mark>) -> Result<Recovered, SafetyLogError> {
    let world = World::with_log(bytes);
    let found = read(&world, ID, expected);
    assert_eq!(world.log(), bytes[..bytes.len() - bytes.len() % PAGE], "reading writes nothing");
    found
}

/// A log of five groups, one of them of three pages, and its bytes after each of them.
fn history() -> (Vec<Vec<u8>>, Vec<Mark>) {
    let world = World::new(0);
    let mut log = SafetyLog::create(world.clone(), ID).expect("new");
    let (mut files, mut marks) = (vec![world.log()], vec![log.mark()]);
    for (number, length) in [(1, 10), (2, 100), (3, 1000), (4, 1), (5, 413)] {
        log.append(&[number; 3]).expect("fits");
        marks.push(write(&mut log, &vec![number; length]));
        files.push(world.log());
    }
    (files, marks)
}

const USED: usize = 8 * PAGE;

#[test]
fn no_flipped_bit_changes_or_hides_a_record() {
    let (files, marks) = history();
    let mut bytes = files[5].clone();
    let whole = judge(&bytes, None).expect("whole");
    assert_eq!(bytes[USED - PAGE..USED - PAGE + 8], *b"prismgrp");
    assert_eq!(bytes[USED], 0);
    let mut refused = 0;
    for at in (0..USED).chain([USED, USED + 300, bytes.len() - 1]) {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            // Even without a mark.
            match judge(&bytes, None) {
                Ok(found) => {
                    assert!(at >= USED, "byte {at} is read by nobody");
                    assert_eq!((found.records, found.mark), (whole.records.clone(), marks[5]));
                    assert_eq!(found.torn_pages, ((at - USED) / PAGE) as u64 + 1);
                }
                Err(SafetyLogError::Io { .. }) => panic!("byte {at}"),
                Err(_) => refused += 1,
            }
            bytes[at] ^= 1 << bit;
        }
    }
    assert_eq!(refused, USED * 8);
}

#[test]
fn every_truncation_is_refused() {
    let (files, marks) = history();
    let bytes = &files[5];
    for length in (0..bytes.len()).step_by(97).chain((0..bytes.len()).step_by(PAGE)) {
        let error = judge(&bytes[..length], None).expect_err("shorter");
        assert!(matches!(error, SafetyLogError::Length { length: l } if l == length as u64));
    }
    // Whole steps are cut off: a group that no longer fits, then one that is gone.
    let world = World::with_log(bytes);
    let (mut log, _) = SafetyLog::open(world.clone(), ID, Some(marks[5])).expect("opens");
    let mark = write(&mut log, &vec![6; 60_000]);
    let end = write(&mut log, &vec![7; 60_000]);
    let long = world.log();
    assert_eq!(long.len() as u64, 3 * STEP_BYTES);
    let step = STEP_BYTES as usize;
    let claim = judge(&long[..step], None);
    let fault = PageFault::Claim { length: 60_008 };
    assert!(
        matches!(claim, Err(SafetyLogError::Corrupt { page: 8, fault: f }) if f == fault),
        "{claim:?}"
    );
    let claim = judge(&long[..2 * step], Some(mark));
    assert!(matches!(
        claim,
        Err(SafetyLogError::Corrupt { fault: PageFault::Claim { length: 60_008 }, .. })
    ));
    assert_eq!(judge(&long, Some(end)).expect("whole").mark, end);
    // Bytes at the end are no less wrong.
    let longer = [long.as_slice(), &[0; PAGE]].concat();
    assert!(matches!(judge(&longer, None), Err(SafetyLogError::Length { .. })));
}

#[test]
fn an_older_copy_is_refused_by_every_later_mark() {
    let (files, marks) = history();
    for (age, file) in files.iter().enumerate() {
        for (at, mark) in marks.iter().enumerate() {
            match judge(file, Some(*mark)) {
                Ok(found) => assert!(at <= age && found.mark == marks[age]),
                Err(SafetyLogError::Shortened { expected, found }) => {
                    assert!(at > age && expected == *mark && found == marks[age]);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_lost_page_is_corruption_or_a_shorter_log_that_a_mark_refuses() {
    let (files, marks) = history();
    for page in 0..8 {
        for side in [0..PAGE, 0..8, PAGE - 16..PAGE] {
            let mut bytes = files[5].clone();
            bytes[page * PAGE..][side].fill(0);
            let error = judge(&bytes, Some(marks[5])).expect_err("a group is gone");
            let shortened = matches!(error, SafetyLogError::Shortened { .. });
            // Only the last group looks like one that was never finished.
            assert_eq!(shortened, page == 7, "{page}: {error}");
        }
    }
}

#[test]
fn pages_verify_in_their_own_place_only() {
    let (files, _) = history();
    let other = {
        let world = World::new(0);
        let mut log = SafetyLog::create(world.clone(), OTHER).expect("new");
        for (number, length) in [(1, 10), (2, 100), (3, 1000), (4, 1), (5, 413)] {
            log.append(&[number; 3]).expect("fits");
            write(&mut log, &vec![number; length]);
        }
        world.log()
    };
    let page = |file: &[u8], number: usize| file[number * PAGE..][..PAGE].to_vec();
    for to in 1..10 {
        for from in 1..8 {
            for (file, same) in [(&files[5], from == to), (&other, false)] {
                if same {
                    continue;
                }
                let mut bytes = files[5].clone();
                bytes[to * PAGE..][..PAGE].copy_from_slice(&page(file, from));
                let error = judge(&bytes, None).expect_err("spliced");
                assert!(matches!(error, SafetyLogError::Corrupt { .. }), "{from} to {to}: {error}");
            }
        }
    }
    let foreign = judge(&other, None).expect_err("foreign");
    let SafetyLogError::Foreign { expected, found } = foreign else { panic!("{foreign}") };
    assert_eq!((expected, found), (ID, OTHER));
}

#[test]
fn two_attempts_at_one_group_do_not_mix() {
    let (files, _) = history();
    let attempt = |byte: u8| {
        let world = World::with_log(&files[2]);
        let (mut log, _) = SafetyLog::open(world.clone(), ID, None).expect("opens");
        write(&mut log, &[byte; 1000]);
        world.log()
    };
    let (mut bytes, second) = (attempt(1), attempt(2));
    bytes[4 * PAGE..5 * PAGE].copy_from_slice(&second[4 * PAGE..5 * PAGE]);
    let error = judge(&bytes, None).expect_err("mixed");
    assert!(matches!(error, SafetyLogError::Corrupt { page: 4, fault: PageFault::Mixed }));
    // Nor where the group is not whole.
    bytes[3 * PAGE..4 * PAGE].fill(0);
    let error = judge(&bytes, None).expect_err("mixed");
    assert!(matches!(error, SafetyLogError::Corrupt { page: 5, fault: PageFault::Mixed }));
}

#[test]
fn an_unfinished_group_is_dropped_and_its_place_cleaned() {
    let (files, marks) = history();
    let before = judge(&files[2], None).expect("whole");
    // Group 3 has the pages 3 to 5. Every set of them but the whole one may survive a crash.
    for survivors in 0..7 {
        let mut bytes = files[2].clone();
        let mut touched = 0;
        for page in (3..6).filter(|page| survivors >> (page - 3) & 1 == 1) {
            bytes[page * PAGE..][..PAGE].copy_from_slice(&files[3][page * PAGE..][..PAGE]);
            touched = page as u64 - 2;
        }
        let found = judge(&bytes, Some(marks[2])).expect("only torn");
        let expected = Recovered { torn_pages: touched, ..before.clone() };
        assert_eq!(found, expected);
        let refused = judge(&bytes, Some(marks[3]));
        assert!(matches!(refused, Err(SafetyLogError::Shortened { .. })));
        let world = World::with_log(&bytes);
        let (log, found) = SafetyLog::open(world.clone(), ID, Some(marks[2])).expect("opens");
        assert_eq!(found, expected);
        assert_eq!(log.mark(), marks[2]);
        assert_eq!(world.log(), files[2], "cleaned");
        // A page behind the group that was being written is no part of it.
        if touched > 0 {
            bytes[6 * PAGE + 40] = 1;
            let stray = judge(&bytes, None).expect_err("stray");
            assert!(matches!(stray, SafetyLogError::Corrupt { page: 6, fault: PageFault::Stray }));
        }
    }
}

#[test]
fn a_valid_group_after_a_gap_is_corruption() {
    let (files, _) = history();
    let mut bytes = files[5].clone();
    bytes[2 * PAGE..6 * PAGE].fill(0);
    let error = judge(&bytes, None).expect_err("a gap");
    assert!(matches!(error, SafetyLogError::Corrupt { page: 6, fault: PageFault::Checksum }));
}

#[test]
fn marks_of_another_history_are_refused() {
    let (files, marks) = history();
    let world = World::with_log(&files[2]);
    let (mut log, _) = SafetyLog::open(world.clone(), ID, None).expect("opens");
    let fork = write(&mut log, b"another vote");
    assert_eq!(fork.group(), marks[3].group());
    let refused = judge(&world.log(), Some(marks[3])).expect_err("forked");
    let SafetyLogError::Forked { expected, found } = refused else { panic!("{refused}") };
    assert_eq!((expected, found), (marks[3], fork));
    let refused = judge(&files[5], Some(fork)).expect_err("forked");
    assert!(matches!(refused, SafetyLogError::Forked { .. }));
}

#[test]
fn marks_outlive_cuts() {
    let (files, marks) = history();
    let world = World::with_log(&files[5]);
    let (mut log, _) = SafetyLog::open(world.clone(), ID, Some(marks[5])).expect("opens");
    let cut = log.cut(|record| record[0] == 5).expect("cuts");
    assert_eq!(cut.group(), 6);
    let found = judge(&world.log(), Some(cut)).expect("whole");
    assert_eq!(all(&found.records), [vec![5; 3], vec![5; 413]]);
    for mark in &marks {
        assert_eq!(judge(&world.log(), Some(*mark)).expect("superseded").mark, cut);
    }
    // The mark at the cut is compared, not only counted.
    let forked = World::with_log(&files[4]);
    let (mut log, _) = SafetyLog::open(forked, ID, None).expect("opens");
    let other = write(&mut log, b"another vote");
    assert_eq!(other.group(), 5);
    assert!(matches!(judge(&world.log(), Some(other)), Err(SafetyLogError::Forked { .. })));
    // The file from before the cut lacks nothing that the mark before it stands for, but what came since.
    assert!(judge(&files[5], Some(marks[5])).is_ok());
    assert!(matches!(judge(&files[5], Some(cut)), Err(SafetyLogError::Shortened { .. })));
}

#[test]
fn valid_checksums_do_not_make_a_second_form() {
    // Somebody who knows the format changes a byte of a group and makes the checksum right again.
    let (files, marks) = history();
    let befores = [0, 1, 2, 2, 2, 3, 4].map(|group: usize| marks[group]);
    for (page, before) in (1..).zip(befores) {
        for at in 0..PAGE - 16 {
            let mut bytes = files[5].clone();
            bytes[page * PAGE + at] ^= 1;
            let (body, sum) = bytes[page * PAGE..][..PAGE].split_at_mut(PAGE - 16);
            sum.copy_from_slice(
                &blake3::keyed_hash(before.chain().as_bytes(), body).as_bytes()[..16],
            );
            let error = judge(&bytes, Some(marks[5])).expect_err("another form");
            assert!(!matches!(error, SafetyLogError::Io { .. }), "page {page}, byte {at}: {error}");
        }
    }
}

#[test]
fn a_group_holds_whole_records() {
    let (files, marks) = history();
    for payload in [&[0; 7][..], &[9; 20], &[&[3, 0, 0, 0, 0, 0, 0, 0][..], b"ab"].concat()] {
        let mut bytes = files[2].clone();
        let group = page::group(&marks[2], payload);
        bytes[3 * PAGE..][..group.len()].copy_from_slice(&group);
        let error = judge(&bytes, None).expect_err("half a record");
        let fault = PageFault::Content;
        assert!(matches!(error, SafetyLogError::Corrupt { page: 3, fault: f } if f == fault));
    }
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let (files, _) = history();
    let mut bytes = files[0].clone();
    bytes[0] = b'P';
    assert!(matches!(judge(&bytes, None), Err(SafetyLogError::NotALog)));
    let mut bytes = files[0].clone();
    bytes[8] = 2;
    assert!(matches!(judge(&bytes, None), Err(SafetyLogError::Version { found: 2 })));
    let header = page::header(&ID, &Mark::new(0, OTHER));
    let mut bytes = files[0].clone();
    bytes[..PAGE].copy_from_slice(&header);
    let error = judge(&bytes, None).expect_err("a beginning that is none");
    assert!(matches!(error, SafetyLogError::Corrupt { page: 0, fault: PageFault::Checksum }));
    let zeros = vec![0; STEP_BYTES as usize];
    assert!(matches!(judge(&zeros, None), Err(SafetyLogError::NotALog)));
    assert!(matches!(judge(&[], None), Err(SafetyLogError::Length { length: 0 })));
}
