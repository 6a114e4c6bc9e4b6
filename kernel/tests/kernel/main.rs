//! Tests against the real kernel, each in namespaces of its own.
//!
//! They need root, `nft`, `ip` and `nsenter`, and fail without them.

mod conformance;
mod firewall_repair;
mod host;
mod lost;
mod namespaces;
mod others;
mod packets;
mod topology;
mod traffic;
