//! Tests of address management.
