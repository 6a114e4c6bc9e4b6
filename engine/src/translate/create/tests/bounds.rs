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
    assert_eq!((resources.blkio_weight, resources.swappiness, resources.oom_kill_disable), (Some(300), None, false));
    let none = host(json!({ "PidsLimit": -1, "MemorySwap": -1, "MemorySwappiness": -1 })).spec.resources;
    assert_eq!((none.pids_limit, none.memory_and_swap_bytes, none.swappiness), (None, Some(-1), None));
}

#[test]
fn of_devices() {
    let rate = |rate: u64| json!([{ "Path": "/dev/fuse", "Rate": rate }]);
    let resources = host(json!({
        "BlkioWeightDevice": [{ "Path": "/dev/fuse", "Weight": 200 }],
        "BlkioDeviceReadBps": rate(1), "BlkioDeviceWriteBps": rate(2),
        "BlkioDeviceReadIOps": rate(3), "BlkioDeviceWriteIOps": rate(4),
        "DeviceCgroupRules": ["c 10:* rw"], "Memory": 33_554_432, "MemorySwappiness": 33, "OomKillDisable": true,
    }))
    .spec
    .resources;
    let weights = resources.blkio_weight_devices.iter().map(|device| (device.major, device.minor, device.weight));
    assert_eq!(weights.collect::<Vec<_>>(), [(10, 229, 200)]);
    let lists = [
        &resources.blkio_read_bps,
        &resources.blkio_write_bps,
        &resources.blkio_read_iops,
        &resources.blkio_write_iops,
    ];
    let rates =
        lists.map(|list| list.iter().map(|device| (device.major, device.minor, device.rate)).collect::<Vec<_>>());
    assert_eq!(rates, [1, 2, 3, 4].map(|rate| vec![(10, 229, rate)]));
    let rules = resources.device_rules.iter().map(|rule| (rule.major, rule.minor, rule.access.as_str()));
    assert_eq!(rules.collect::<Vec<_>>(), [(Some(10), None, "rw")]);
    assert_eq!((resources.swappiness, resources.oom_kill_disable), (Some(33), true));
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
