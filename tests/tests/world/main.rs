//! Tests of berth from outside, one file a topic.

mod lifecycle;
mod networks;
mod ports;
mod run;
mod wire;
