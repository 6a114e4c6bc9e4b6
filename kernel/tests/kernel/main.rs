//! Tests against the real kernel, each in namespaces of its own.
//!
//! They need root, `nft`, `ip` and `nsenter`, and fail without them.

mod battery;
mod host;
mod packets;
mod town;
mod traffic;
mod whole;
