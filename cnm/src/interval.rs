//! A set of numbers kept as disjoint ranges: addresses and subnets in use. Neighbouring ranges are one, so that the
//! search for a gap doesn't grow with how much is in use but with how scattered it is.

use std::collections::BTreeMap;

/// A set of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet {
    /// First to last, both in the set; between two ranges there is always a gap.
    ranges: BTreeMap<u128, u128>,
}

impl IntervalSet {
    /// The range that has a number in common with `first..=last`; the highest of them.
    pub(crate) fn overlapping(&self, first: u128, last: u128) -> Option<(u128, u128)> {
        let (&start, &end) = self.ranges.range(..=last).next_back()?;
        (end >= first).then_some((start, end))
    }

    pub(crate) fn contains(&self, number: u128) -> bool {
        self.overlapping(number, number).is_some()
    }

    pub(crate) fn insert(&mut self, first: u128, last: u128) {
        let (mut first, mut last) = (first, last);
        while let Some((start, end)) = self.overlapping(first.saturating_sub(1), last.saturating_add(1)) {
            self.ranges.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        self.ranges.insert(first, last);
    }

    pub(crate) fn remove(&mut self, first: u128, last: u128) {
        while let Some((start, end)) = self.overlapping(first, last) {
            self.ranges.remove(&start);
            if start < first {
                self.ranges.insert(start, first - 1);
            }
            if end > last {
                self.ranges.insert(last + 1, end);
            }
        }
    }

    /// How many numbers of `first..=last` are in the set.
    pub(crate) fn count_within(&self, first: u128, last: u128) -> u128 {
        let common = |(start, end): (&u128, &u128)| (*end).min(last).checked_sub((*start).max(first));
        self.ranges
            .range(..=last)
            .filter_map(common)
            .fold(0, |sum, length| sum.saturating_add(length).saturating_add(1))
    }

    /// The smallest number of `first..=last` that isn't in the set.
    pub(crate) fn first_gap(&self, first: u128, last: u128) -> Option<u128> {
        let candidate = match self.overlapping(first, first) {
            Some((_, end)) => end.checked_add(1)?,
            None => first,
        };
        (candidate <= last).then_some(candidate)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::IntervalSet;

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((any::<bool>(), 0u128..60, 0u128..12), 0..40)) {
            let mut set = IntervalSet::default();
            let mut naive = BTreeSet::new();
            for (insert, first, length) in steps {
                if insert {
                    set.insert(first, first + length);
                    naive.extend(first..=first + length);
                } else {
                    set.remove(first, first + length);
                    naive.retain(|number| !(first..=first + length).contains(number));
                }
                for number in 0..75 {
                    prop_assert_eq!(set.contains(number), naive.contains(&number));
                    prop_assert_eq!(set.first_gap(number, 75), (number..=75).find(|free| !naive.contains(free)));
                    let within = naive.range(number..=number + 9).count() as u128;
                    prop_assert_eq!(set.count_within(number, number + 9), within);
                }
                let separate = set.ranges.iter().zip(set.ranges.iter().skip(1)).all(|((_, end), (start, _))| end + 1 < *start);
                prop_assert!(separate, "neighbouring ranges were not joined: {:?}", set);
            }
        }
    }

    #[test]
    fn reaches_the_last_number() {
        let mut set = IntervalSet::default();
        set.insert(u128::MAX - 1, u128::MAX);
        assert_eq!(set.first_gap(u128::MAX - 1, u128::MAX), None);
        set.remove(u128::MAX, u128::MAX);
        assert_eq!(set.first_gap(u128::MAX - 1, u128::MAX), Some(u128::MAX));
    }
}
