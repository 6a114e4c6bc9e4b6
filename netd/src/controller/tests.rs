//! The controller on the fake host.
