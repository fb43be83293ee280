//! One vector an organisation: staleness first, then the average of its nodes.

use std::collections::BTreeMap;

use federation_proto::Name;

use super::{Contribution, denominator};
use crate::rounding::{divide, shift_right};

/// One vector an organisation, in steps, in the order of the organisations' least fingerprints.
///
/// Each contribution is scaled by 2^−staleness, half-even; then the contributions of one organisation
/// are averaged, half-even.
pub(super) fn organisations(aligned: &[Contribution<'_>]) -> Vec<Vec<i64>> {
    let mut members: BTreeMap<&Name, Vec<&Contribution<'_>>> = BTreeMap::new();
    for contribution in aligned {
        members.entry(contribution.organisation).or_default().push(contribution);
    }
    let mut groups: Vec<_> = members.into_values().collect();
    groups.sort_by_key(|group| group.iter().map(|one| one.node_fingerprint).min());
    groups.iter().map(|group| average(group)).collect()
}

fn average(group: &[&Contribution<'_>]) -> Vec<i64> {
    let genes = group.first().map_or(0, |one| one.coordinates.len());
    let mut sums = vec![0_i64; genes];
    for one in group {
        for (sum, &coordinate) in sums.iter_mut().zip(one.coordinates) {
            // Invariant: |coordinate| <= 2^15 and at most 2^14 contributions: |sum| <= 2^29.
            *sum += shift_right(coordinate.into(), one.staleness.into());
        }
    }
    let count = denominator(group.len());
    // Invariant: an average of values within i16 lies within i16.
    sums.into_iter().map(|sum| divide(sum.into(), count) as i64).collect()
}
