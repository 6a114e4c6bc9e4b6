//! Tests of the choice of ports.
