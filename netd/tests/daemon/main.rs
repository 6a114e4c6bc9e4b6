//! The real netd on the real kernel, each test in namespaces of its own. They need root, `ip` and `nft`.

mod changes;
mod firewall_repair;
mod host_thread;
mod keeper;
mod netd_host;
mod ports;
mod restart;
mod side_by_side;
mod traffic;
