//! What changed about the host: what `info` says, what takes the disk, what is told, and volumes.

use super::{
    super::{
        Check::{AlwaysShows, Asks, AtOnce, Below, By, Comes, Shows},
        Expect::{Absent, Any, Is, Lacks, Same, There},
    },
    Row,
};

pub(super) const ROWS: &[Row] = &[
    (
        52,
        "without `status`, `id` and `from`",
        &[By("tests/tests/world/api_versions.rs events_keep_their_old_words_and_come_as_the_client_reads_them")],
    ),
    (52, "`KernelMemoryTCP` is gone from `info`", &[AlwaysShows("/info", "/KernelMemoryTCP", Absent)]),
    (
        52,
        "`application/x-ndjson`",
        &[
            Comes("/events?since=0&until={now}", "application/x-ndjson", "application/x-ndjson"),
            Comes("/events?since=0&until={now}", "application/json-seq", "application/json-seq"),
            Comes("/events?since=0&until={now}", "*/*", "application/json"),
        ],
    ),
    (
        52,
        "has totals by kind",
        &[
            Shows("/system/df", "/ImageUsage", There, Absent),
            Shows("/system/df?verbose=1", "/ImageUsage/Items", There, Any),
        ],
    ),
    (
        52,
        "its lists",
        &[
            Shows("/system/df?verbose=1", "/Images", Absent, There),
            Shows("/system/df?verbose=0", "/LayersSize", Absent, There),
            Shows("/system/df", "/Images", There, There),
        ],
    ),
    (51, "`KernelMemoryTCP` of `info`", &[AlwaysShows("/info", "/KernelMemoryTCP", Absent)]),
    (50, "`DiscoveredDevices`", &[Shows("/info", "/DiscoveredDevices", Absent, Absent)]),
    (
        50,
        "without `BridgeNfIptables`",
        &[
            Shows("/info", "/BridgeNfIptables", Absent, Is("false")),
            Shows("/info", "/BridgeNfIp6tables", Absent, Is("false")),
        ],
    ),
    (49, "has `FirewallBackend`", &[Shows("/info", "/FirewallBackend/Driver", Is(r#""nftables""#), Any)]),
    (
        49,
        "`AllowNondistributableArtifacts…`",
        &[Shows("/info", "/RegistryConfig/AllowNondistributableArtifactsCIDRs", Absent, Is("null"))],
    ),
    (49, "that are `Expected`", &[Shows("/info", "/RuncCommit/Expected", Absent, Same("/RuncCommit/ID"))]),
    (
        48,
        "`allow-nondistributable-artifacts`",
        &[Shows("/info", "/RegistryConfig/AllowNondistributableArtifactsCIDRs", Is("null"), Is("null"))],
    ),
    (
        48,
        "are always `false`",
        &[
            Shows("/info", "/BridgeNfIptables", Is("false"), Any),
            Shows("/info", "/BridgeNfIp6tables", Is("false"), Any),
        ],
    ),
    (48, "`Expected` commits", &[Shows("/info", "/RuncCommit/Expected", Same("/RuncCommit/ID"), Any)]),
    (48, "`/debug/…`", &[Asks("GET", "/debug/vars", None, 404, "page not found")]),
    (47, "`bridge-nf-call-iptables`", &[Shows("/info", "/Warnings", Lacks("bridge-nf-call"), Any)]),
    (46, "`info` has `Containerd`", &[Shows("/info", "/Containerd", Absent, Absent)]),
    (44, "`CDISpecDirs`", &[Shows("/info", "/CDISpecDirs", Is("[]"), Any)]),
    (44, "have a `status`", &[Shows("/info", "/Runtimes/berth/status", Absent, Absent)]),
    (43, "`no-new-privileges`", &[AlwaysShows("/info", "/SecurityOptions", Lacks("no-new-privileges"))]),
    (42, "without `BuilderSize`", &[AlwaysShows("/system/df", "/BuilderSize", Absent)]),
    (42, "takes `type`", &[Shows("/system/df?type=volume", "/Images", Absent, There)]),
    (42, "several `GET /system/df` at once", &[AtOnce("/system/df")]),
    (42, "`info` without `KernelMemory`", &[Shows("/info", "/KernelMemory", Absent, Any)]),
    (42, "has `Builder-Version`", &[Asks("GET", "/_ping", None, 200, "builder-version: 1\r\n")]),
    (42, "has `Swarm`", &[Asks("GET", "/_ping", None, 200, "swarm: inactive\r\n")]),
    (
        42,
        "spares volumes with names",
        &[
            Asks("POST", "/volumes/prune", None, 200, r#""VolumesDeleted":[]"#),
            Below("POST", "/volumes/prune", None, 200, r#""spare""#),
        ],
    ),
    (41, "events `prune`", &[By("tests/tests/world/image_life.rs prune_and_what_is_taken")]),
    (41, "has `CgroupVersion`", &[Shows("/info", "/CgroupVersion", There, Any)]),
    (41, "has `DefaultAddressPools`", &[Shows("/info", "/DefaultAddressPools/0/Base", There, Any)]),
    (
        41,
        "`ClusterStore` and `ClusterAdvertise`",
        &[AlwaysShows("/info", "/ClusterStore", Absent), AlwaysShows("/info", "/ClusterAdvertise", Absent)],
    ),
    (41, "has `OSVersion`", &[Shows("/info", "/OSVersion", There, Any)]),
    (41, "without `SystemStatus`", &[AlwaysShows("/info", "/SystemStatus", Absent)]),
    (41, "`KernelMemory` of `info`", &[AlwaysShows("/info", "/KernelMemory", Absent)]),
];
