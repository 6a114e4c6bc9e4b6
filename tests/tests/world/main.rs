//! Tests of berth from outside, one file a topic.

mod wire;
