//! One form on the wire, limits before memory, and questions that ask for too much.

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::limits;
use proptest::prelude::*;

use super::*;
use crate::block::BlockFile;
use crate::merkle::verify::consistency_path_length;

fn root(size: u64, of: u64) -> Question {
    Question::Root(RootQuestion { size, of })
}

fn header(height: u64, of: u64) -> Question {
    Question::Header(HeaderQuestion { height: Height::new(height), of })
}

fn blocks(first: u64, count: u16, of: u64) -> Question {
    Question::Blocks(BlocksRequest { first: Height::new(first), count, of })
}

/// A postcard length prefix.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

#[test]
fn the_forms_are_pinned() {
    assert_eq!(root(5, 300).to_canonical(), [0, 5, 0xac, 2]);
    assert_eq!(header(5, 300).to_canonical(), [1, 5, 0xac, 2]);
    assert_eq!(blocks(5, 128, 300).to_canonical(), [2, 5, 0x80, 1, 0xac, 2]);
    let hash = LogHash::EMPTY_ROOT;
    let answer = Answer::Root(RootAnswer { root: hash, proof: vec![hash] });
    let expected = [&[0][..], hash.as_bytes(), &[1], hash.as_bytes()].concat();
    assert_eq!(answer.to_canonical(), expected);
    let refusal = Answer::Refused(Refusal::Beyond { size: 300 });
    assert_eq!(refusal.to_canonical(), [3, 1, 0xac, 2]);
    let ledger = ledger(3, u64::MAX);
    let both = [header(2, 3), blocks(1, 9, 3)].map(|question| {
        let bytes = ask(&ledger, &question).to_canonical();
        Digest::of_blob(&bytes).short()
    });
    assert_eq!(both, ["aed273e0", "0e923256"]);
}

#[test]
fn the_longest_proof_fits_and_no_longer_one_is_read() {
    let hash = LogHash::EMPTY_ROOT;
    assert_eq!(consistency_path_length(3, u64::MAX), Ok(MAX_PROOF_HASHES));
    let answer = |count| Answer::Root(RootAnswer { root: hash, proof: vec![hash; count] });
    let most = answer(MAX_PROOF_HASHES);
    assert_eq!(Answer::from_canonical(&most.to_canonical()), Ok(most));
    let refused = Answer::from_canonical(&answer(MAX_PROOF_HASHES + 1).to_canonical());
    assert!(matches!(refused, Err(CodecError::Malformed { what: "Answer", .. })));
    let head = ask(&ledger(1, 2), &header(1, 1));
    let Answer::Header(mut head) = head else { panic!("a header") };
    head.path = vec![hash; MAX_PROOF_HASHES + 1];
    assert!(Answer::from_canonical(&Answer::Header(head).to_canonical()).is_err());
}

#[test]
fn no_more_blocks_are_read_than_may_be_asked_for() {
    let ledger = ledger(1, 2);
    let block = ledger.block(Height::new(1)).unwrap().to_canonical();
    let block = BlockBytes::new(block).unwrap();
    let answer = |count| {
        Answer::Blocks(BlocksAnswer { blocks: vec![block.clone(); count], proof: Vec::new() })
    };
    assert!(Answer::from_canonical(&answer(MAX_BLOCKS).to_canonical()).is_ok());
    assert!(Answer::from_canonical(&answer(MAX_BLOCKS + 1).to_canonical()).is_err());
}

#[test]
fn a_length_that_is_only_claimed_allocates_nothing() {
    // Were memory taken for it, these would abort the process.
    for claimed in [66, 1 << 20, 1 << 40, u64::MAX] {
        let count = varint(claimed);
        let proof = [&[0][..], &[7; 32], &count, &[7; 32]].concat();
        let blocks = [&[2][..], &count].concat();
        let proof_of_no_block = [&[2, 0][..], &count].concat();
        for bytes in [proof, blocks, proof_of_no_block] {
            let refused = Answer::from_canonical(&bytes);
            assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{claimed}");
        }
    }
    let long = vec![0; limits::SEGMENT + 1];
    assert!(matches!(Answer::from_canonical(&long), Err(CodecError::TooLarge { .. })));
    let long = vec![0; limits::QUERY + 1];
    assert!(matches!(Question::from_canonical(&long), Err(CodecError::TooLarge { .. })));
}

#[test]
fn questions_that_ask_for_nothing_or_too_much_are_refused_by_name() {
    let ledger = ledger(7, u64::MAX);
    let max = u64::MAX;
    for question in [
        root(6, 5),
        root(max, 7),
        header(0, 5),
        header(6, 5),
        header(max, 7),
        blocks(0, 1, 5),
        blocks(6, 1, 5),
        blocks(1, 0, 5),
        blocks(max, 1, 5),
    ] {
        assert_eq!(ask(&ledger, &question), Answer::Refused(Refusal::Senseless), "{question:?}");
    }
    let beyond = Answer::Refused(Refusal::Beyond { size: 7 });
    for of in [8, max] {
        for question in [root(3, of), header(3, of), blocks(3, 1, of), blocks(max.min(of), 9, of)] {
            assert_eq!(ask(&ledger, &question), beyond, "{question:?}");
        }
    }
    let not_kept = Answer::Refused(Refusal::NotKept);
    for question in [header(3, 7), blocks(3, 9, 7)] {
        assert_eq!(ask_tree(ledger.history(), &question), not_kept);
    }
}

#[test]
fn a_failing_store_is_our_failure_and_no_answer() {
    let tree = tree(5, |_| false);
    let lost = OwnLog::new(&tree, 9);
    let missing = |_| Ok::<_, HistoryError>(None);
    let failed = answer(&lost, missing, &root(4, 8));
    assert!(matches!(failed, Err(HistoryError::SizeBeyondTree { .. })));
    let broken = |_| Err(HistoryError::IndexBeyondSize { index: 1, size: 1 });
    let failed = answer(&log(&tree), broken, &blocks(1, 1, 5));
    assert_eq!(failed, Err(HistoryError::IndexBeyondSize { index: 1, size: 1 }));
}

#[test]
fn an_answer_ends_where_blocks_are_missing_and_never_passes_the_head() {
    let ledger = ledger(9, u64::MAX);
    let kept = |height: Height| {
        Ok::<_, HistoryError>(ledger.block(height).filter(|_| height.get() != 5).cloned())
    };
    let given = |question| match answer(&log(ledger.history()), kept, &question).unwrap() {
        Answer::Blocks(answer) => {
            let file = |block: &BlockBytes| BlockFile::from_canonical(block.as_slice()).unwrap();
            answer.blocks.iter().map(|block| file(block).header.height.get()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(given(blocks(3, 100, 9)), [3, 4]);
    assert_eq!(given(blocks(6, 100, 8)), [6, 7, 8]);
    assert_eq!(given(blocks(6, u16::MAX, 9)), [6, 7, 8, 9]);
    assert_eq!(given(blocks(6, 1, 9)), [6]);
}

proptest! {
    #[test]
    fn no_proof_is_longer_than_the_limit(old in 1..=u64::MAX, new in 1..=u64::MAX) {
        let length = consistency_path_length(old.min(new), old.max(new)).unwrap();
        prop_assert!(length <= MAX_PROOF_HASHES);
    }

    #[test]
    fn questions_and_answers_have_one_form(
        kind in 0_u8..3, a in 0_u64..12, b in 0_u64..12, count in 0_u16..20,
    ) {
        let question = match kind {
            0 => root(a, b),
            1 => header(a, b),
            _ => blocks(a, count, b),
        };
        let bytes = question.to_canonical();
        prop_assert_eq!(Question::from_canonical(&bytes), Ok(question));
        let answer = ask(&ledger(9, u64::MAX), &question);
        let bytes = answer.to_canonical();
        prop_assert_eq!(Answer::from_canonical(&bytes), Ok(answer));
        for end in 0..bytes.len() {
            prop_assert!(Answer::from_canonical(&bytes[..end]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(Answer::from_canonical(&longer).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_canonical_and_any_question_is_answered(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        if let Ok(question) = Question::from_canonical(&bytes) {
            prop_assert_eq!(question.to_canonical(), &bytes[..]);
            let answer = ask(&ledger(3, u64::MAX), &question);
            prop_assert!(Answer::from_canonical(&answer.to_canonical()).is_ok());
        }
        if let Ok(answer) = Answer::from_canonical(&bytes) {
            prop_assert_eq!(answer.to_canonical(), bytes);
        }
    }
}
