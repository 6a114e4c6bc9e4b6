//! Limits and security.

use super::*;

#[test]
fn limits() {
    let resources = host(json!({
        "Memory": 33_554_432, "NanoCpus": 1_500_000_000, "CpuShares": 1, "CpusetCpus": "0,2-3", "PidsLimit": 20,
        "BlkioWeight": 300,
    }))
    .spec
    .resources;
    assert_eq!((resources.memory_bytes, resources.memory_and_swap_bytes), (Some(33_554_432), Some(67_108_864)));
    assert_eq!(resources.cpu_quota_microseconds.zip(resources.cpu_period_microseconds), Some((150_000, 100_000)));
    assert_eq!((resources.cpu_shares, resources.pids_limit), (Some(2), Some(20)));
    assert_eq!(resources.cpuset_cpus.as_deref(), Some("0,2-3"));
    let none = host(json!({ "PidsLimit": -1, "MemorySwap": -1, "MemorySwappiness": -1 })).spec.resources;
    assert_eq!((none.pids_limit, none.memory_and_swap_bytes, none.swappiness), (None, Some(-1), None));
}

#[test]
fn security() {
    let spec = host(json!({ "Privileged": true })).spec;
    assert!(spec.privileged && spec.masked_paths.is_empty() && spec.readonly_paths.is_empty());
    assert_eq!(spec.process.seccomp, runtime::seccomp::Seccomp::Unconfined);
    let spec = host(json!({
        "CapAdd": ["NET_ADMIN"], "CapDrop": ["all"],
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined", "label:disable"],
    }))
    .spec;
    assert_eq!(spec.process.capabilities.bits(), 1 << 12);
    assert!(spec.process.no_new_privileges);
    let open = host(json!({ "SecurityOpt": ["systempaths=unconfined"] })).spec;
    assert!(open.masked_paths.is_empty() && !open.privileged);
}
