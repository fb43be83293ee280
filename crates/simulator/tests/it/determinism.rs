//! One seed decides every byte, whatever the number of threads.

use rayon::ThreadPoolBuilder;

use crate::small::{run, scenario_with};

#[test]
fn one_two_and_four_threads_give_the_same_bytes_and_frames() {
    let runs = [1, 2, 4].map(|threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(|| run(scenario_with(""), 5)).expect("a run without faults")
    });
    let [one, two, four] = runs;
    assert!(one.artifacts.len() > 20, "a run has blocks, blobs and documents");
    assert_eq!(one.artifacts, two.artifacts);
    assert_eq!(one.artifacts, four.artifacts);
    assert_eq!((one.trace, one.frames), (two.trace, two.frames));
    assert_eq!((one.trace, one.frames), (four.trace, four.frames));
}

#[test]
fn another_seed_is_another_federation() {
    let one = run(scenario_with(""), 5).expect("a run without faults");
    let other = run(scenario_with(""), 6).expect("a run without faults");
    assert_ne!(one.trace, other.trace);
    let genesis = "mec/M5/genesis.json";
    assert_ne!(one.artifacts.get(genesis), other.artifacts.get(genesis));
}
