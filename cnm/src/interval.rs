//! A set of numbers kept as disjoint ranges.
