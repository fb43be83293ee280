//! Durable ledgers compared: one that a quorum contradicts goes back to its anchor and catches up.

use federation_proto::codec::Canonical as _;
use federation_proto::heartbeat::LedgerSummary;
use federation_proto::{Digest, Height};
use ledger::divergence::{
    Answer, CatchUp, ForkSearch, OwnLog, Progress, Relation, RollbackPoint, Step, Verdict, answer,
    compare, rollback_point, self_check,
};
use ledger::durable::{DurableError, DurableLedger};
use ledger::safety_log::{LogPath, Mark, SafetyLog, SafetyLogError};
use ledger::store::memory::MemoryStore;
use ledger::{BlockFile, VerifiedCheckpoint};

use crate::fixture::{
    ORIGIN, anchor, append, certified, chain, forked_chain, keys, ledger_id, stored,
};

type Durable = DurableLedger<MemoryStore>;

/// What a peer with this ledger says.
fn ask(peer: &Durable, question: &ledger::divergence::Question) -> Answer {
    let history = peer.history();
    let own = OwnLog::new(&history, peer.size());
    let block = |height| match peer.block(height) {
        Ok(block) => Ok(Some(block)),
        Err(DurableError::NotHeld { .. }) => Ok(None::<BlockFile>),
        Err(other) => Err(other),
    };
    let said = answer(&own, block, question).unwrap();
    // Over the wire and back.
    Answer::from_canonical(&said.to_canonical()).unwrap()
}

/// Catches up with a certified checkpoint from a peer; the number of blocks that were taken in.
fn catch_up(ledger: &mut Durable, peer: &Durable, target: &VerifiedCheckpoint) -> u64 {
    let before = ledger.size();
    let mut catching = CatchUp::new(ledger.frontier().unwrap(), target).unwrap();
    while let Some(question) = catching.question() {
        match catching.handle_answer(&ask(peer, &question)).unwrap() {
            Progress::Extends => {}
            Progress::Blocks(blocks) => {
                for block in &blocks {
                    ledger.append(block).unwrap();
                }
                ledger.commit().unwrap();
            }
            Progress::Contradicted { .. } => panic!("the histories differ"),
        }
    }
    ledger.size() - before
}

#[test]
fn a_contradicted_store_goes_back_to_its_anchor_and_catches_up() {
    let (main, fork) = (chain(800), forked_chain(800, 520));
    let good = stored(&main, 800);
    let mut bad = stored(&fork, 700);
    for size in [100, 400] {
        bad.keep_anchor(&anchor(&fork, size)).unwrap();
    }
    bad.commit().unwrap();
    let target = certified(&main, 600);
    let anchors: Vec<VerifiedCheckpoint> =
        bad.anchors().unwrap().iter().map(|anchor| certified(&main, anchor.index() + 1)).collect();
    {
        let history = bad.history();
        let own = OwnLog::new(&history, bad.size());
        // The peer's word finds the fork but halts nobody; the certified checkpoint does.
        let root = Digest::from_bytes(*good.root().unwrap().as_bytes());
        let peer = LedgerSummary { size: good.size(), root };
        let Relation::Ahead(ahead) = compare(&own, &peer).unwrap() else { panic!("not ahead") };
        let forked = ahead.handle_answer(&ask(&good, &ahead.question())).unwrap().unwrap();
        let mut search = ForkSearch::new(&forked, bad.base().height.get());
        let mut exchanges = 0;
        let fork = loop {
            match search.step() {
                Step::Found(fork) => break fork,
                Step::BeforeBase => panic!("the ledger is whole"),
                Step::Ask(question) => {
                    search.handle_answer(&own, &ask(&good, &question)).unwrap();
                    exchanges += 1;
                }
            }
        };
        assert_eq!(fork.height(), Height::new(521));
        assert!(exchanges <= 10, "{exchanges}");
        assert!(matches!(self_check(&own, &target), Ok(Verdict::Contradicted(_))));
        assert_eq!(rollback_point(&own, &anchors, &target), Ok(RollbackPoint::Cut(&anchors[1])));
    }
    let restored = bad.restore(&anchors[1]).unwrap();
    assert_eq!((restored.removed, bad.size()), (300, 400));
    assert_eq!(catch_up(&mut bad, &good, &target), 200);
    assert_eq!(bad.root(), Ok(main.history().root_at(600).unwrap()));
    assert_eq!(bad.verify().unwrap().blocks, 600);
    assert_eq!(bad.attic(1).unwrap().len(), 300 + 75);
}

#[test]
fn a_node_that_lost_everything_goes_on_from_the_anchor_file_alone() {
    let main = chain(800);
    let good = stored(&main, 800);
    let file = anchor(&main, 300).to_text();
    let anchor = ledger::Anchor::parse(file.as_bytes()).unwrap();
    let header = good.block(Height::new(300)).unwrap().header;
    let frontier = anchor.frontier(&header.to_canonical(), ORIGIN, &keys(), 3).unwrap();
    let mut new = DurableLedger::create_at(MemoryStore::new(), &header, frontier).unwrap();
    assert_eq!(catch_up(&mut new, &good, &certified(&main, 800)), 500);
    assert_eq!(new.root(), good.root());
    assert_eq!(new.verify().unwrap().blocks, 500);
    // It serves others that are behind, as far as it goes.
    let mut third = stored(&main, 301);
    assert_eq!(catch_up(&mut third, &new, &certified(&main, 777)), 476);
    assert_eq!(third.root(), Ok(main.history().root_at(777).unwrap()));
}

/// A ledger that began at an anchor has no roots before it, and does not need them.
#[test]
fn a_node_that_began_at_an_anchor_finds_every_fork_after_it() {
    let main = chain(700);
    let header = *main.blocks().nth(299).map(|block| &block.header).unwrap();
    let frontier = anchor(&main, 300);
    let frontier = frontier.frontier(&header.to_canonical(), ORIGIN, &keys(), 3).unwrap();
    let mut own = DurableLedger::create_at(MemoryStore::new(), &header, frontier).unwrap();
    append(&mut own, &main, 300, 700, 100);
    let (base, history) = (own.base().height.get(), own.history());
    let own = OwnLog::new(&history, own.size());
    for common in [0, 100, 298, 299, 300, 301, 310, 349, 350, 500, 598, 599] {
        let peer = stored(&forked_chain(600, common), 600);
        let root = Digest::from_bytes(*peer.root().unwrap().as_bytes());
        let Relation::Forked(forked) = compare(&own, &LedgerSummary { size: 600, root }).unwrap()
        else {
            panic!("not forked")
        };
        let mut search = ForkSearch::new(&forked, base);
        let mut exchanges = 0;
        while let Step::Ask(question) = search.step() {
            search.handle_answer(&own, &ask(&peer, &question)).unwrap();
            exchanges += 1;
        }
        let found = match search.step() {
            Step::Found(fork) => Some(fork.height().get()),
            _ => None,
        };
        assert_eq!(found, (common >= base).then_some(common + 1));
        assert!(exchanges <= 10, "the binary logarithm of 600, not {exchanges}");
    }
}

/// The store keeps the mark of the safety log with its blocks, and so finds that the log is gone.
#[test]
fn a_safety_log_that_is_gone_is_missed_by_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (path, id) = (folder.path().join("votes.log"), Digest::of_blob(b"validator"));
    let place = LogPath::new(path.clone());
    let mut log = SafetyLog::create(place.clone(), id).unwrap();
    let main = chain(3);
    let mut ledger = stored(&main, 2);
    log.append(b"COMMIT 3").unwrap();
    let mark = log.sync().unwrap();
    ledger.set_bookmark(&mark.to_canonical()).unwrap();
    append(&mut ledger, &main, 2, 3, 1);
    drop(log);
    let ledger = DurableLedger::open(ledger.close(), ledger_id(), None).unwrap();
    let kept = Mark::from_canonical(&ledger.bookmark().unwrap().unwrap()).unwrap();
    assert_eq!(kept, mark);
    assert!(SafetyLog::open(place.clone(), id, Some(kept)).is_ok());
    #[expect(clippy::disallowed_methods, reason = "somebody deletes the log")]
    std::fs::remove_file(&path).unwrap();
    let lost = SafetyLog::open(place, id, Some(kept)).err();
    assert!(matches!(lost, Some(SafetyLogError::Lost { expected }) if expected == mark));
}
