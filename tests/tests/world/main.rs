//! Tests of berth from outside, one file a topic.

mod access;
mod bad_input;
mod build;
mod commit;
mod cp;
mod diff;
mod export;
mod faults;
mod health;
mod image_life;
mod images;
mod leftovers;
mod lifecycle;
mod limits;
mod login;
mod networks;
mod ports;
mod pull;
mod push;
mod restart;
mod round_trip;
mod run;
mod search;
mod token_server;
mod volumes;
mod wire;
