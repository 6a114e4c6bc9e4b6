//! The real netd on the real kernel, each test in namespaces of its own. They need root, `ip` and `nft`.

mod changes;
mod place;
mod ports;
mod restart;
mod side_by_side;
mod town;
mod traffic;
mod whole;
