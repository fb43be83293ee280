//! Quorum arithmetic of PBFT with any number of replicas.
//!
//! With n replicas of which f = ⌊(n−1)/3⌋ may lie, q = ⌈(n+f+1)/2⌉ makes two quorums meet in at least f+1
//! replicas, hence in an honest one, and n−f ≥ q keeps progress possible without the liars
//! [Castro & Liskov, OSDI '99 §4; for n ≠ 3f+1: Bracha & Toueg 1985].
//!
//! Fewer than 4 replicas tolerate no liar: f = 0, and q = ⌊n/2⌋+1 is the majority by which crashes are tolerated.

/// Largest number of faulty replicas that `n` replicas tolerate: ⌊(n−1)/3⌋.
pub const fn max_faulty(n: usize) -> usize {
    n.saturating_sub(1) / 3
}

/// Quorum size for `n` replicas: ⌈(n+f+1)/2⌉. Zero replicas have no quorum; the result is then 1, which none can reach.
pub const fn quorum(n: usize) -> usize {
    (n + max_faulty(n) + 1).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sizes() {
        let sizes: Vec<_> = [1, 2, 3, 4, 5, 6, 7, 10, 31, 100].map(quorum).into();
        assert_eq!(sizes, [1, 2, 2, 3, 4, 4, 5, 7, 21, 67]);
        assert!(quorum(0) > 0);
    }

    #[test]
    fn without_liars_a_majority_decides() {
        for n in 1..4 {
            assert_eq!((max_faulty(n), quorum(n)), (0, n / 2 + 1));
        }
    }

    proptest! {
        #[test]
        fn quorums_intersect_in_an_honest_replica_and_are_reachable(n in 1usize..10_000) {
            let (q, f) = (quorum(n), max_faulty(n));
            // Two quorums overlap in at least 2q - n replicas; more than f of them.
            prop_assert!(2 * q > n + f);
            // The honest replicas alone form a quorum.
            prop_assert!(n - f >= q);
            // No smaller quorum would do.
            prop_assert!(2 * (q - 1) <= n + f);
        }
    }
}
