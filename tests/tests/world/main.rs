//! Tests of berth from outside, one file a topic.

mod access;
mod bad_input;
mod build;
mod faults;
mod images;
mod leftovers;
mod lifecycle;
mod limits;
mod networks;
mod ports;
mod pull;
mod push;
mod restart;
mod run;
mod volumes;
mod wire;
