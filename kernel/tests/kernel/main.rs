//! Tests against the real kernel, each in namespaces of its own.
//!
//! They need root, `nft`, `ip` and `nsenter`; without root they say that they skip.

mod battery;
mod host;
mod packets;
mod town;
mod traffic;
mod whole;
