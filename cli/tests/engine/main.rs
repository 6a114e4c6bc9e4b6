//! `berth` as it is run, against an engine that says what each test tells it to.

mod as_docker;
mod commands;
mod completion;
mod failures;
mod fake_engine;
