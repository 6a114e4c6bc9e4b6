//! What changed about containers and execs.

use super::{
    super::{
        Check::{Always, AlwaysShows, Asks, Below, By, Creates, Keeps, Runs, Shows},
        Expect::{Absent, Any, Is, Refused, Same, There},
    },
    PLAIN, Row, WEB,
};

pub(super) const ROWS: &[Row] = &[
    (
        52,
        "an empty list of `PortBindings`",
        &[Creates(r#""HostConfig":{"PortBindings":{"80/tcp":[]}}"#, 201, "empty list of port-bindings")],
    ),
    (52, "`Config.OnBuild`", &[Shows(WEB, "/Config/OnBuild", Absent, Is("null"))]),
    (
        52,
        "the default bridge's members",
        &[
            AlwaysShows(PLAIN, "/NetworkSettings/IPAddress", Same("/NetworkSettings/Networks/bridge/IPAddress")),
            AlwaysShows(PLAIN, "/NetworkSettings/Gateway", Same("/NetworkSettings/Networks/bridge/Gateway")),
            AlwaysShows(PLAIN, "/NetworkSettings/Bridge", There),
        ],
    ),
    (
        52,
        "`KernelMemoryTCP` is gone from `update`",
        &[
            AlwaysShows(WEB, "/HostConfig/KernelMemoryTCP", Absent),
            Always("POST", "/containers/web/update", Some(r#"{"KernelMemoryTCP":67108864}"#), 200, ""),
            AlwaysShows(WEB, "/HostConfig/KernelMemoryTCP", Absent),
        ],
    ),
    (52, "takes no MAC address of the whole container", &[Creates(MAC_ADDRESS, 201, "deprecated")]),
    (52, "has `os_type`", &[AlwaysShows("/containers/web/stats?stream=0&one-shot=1", "/os_type", Is(r#""linux""#))]),
    (51, "`NetworkSettings.Bridge`", &[AlwaysShows(PLAIN, "/NetworkSettings/Bridge", There)]),
    (51, "of `update` and `inspect` is to go", &[AlwaysShows(WEB, "/HostConfig/KernelMemoryTCP", Absent)]),
    (
        48,
        "`VolumeDriver` doesn't count",
        &[Creates(
            r#""HostConfig":{"VolumeDriver":"local","Mounts":[{"Type":"volume","Source":"vol","Target":"/v"}]}"#,
            201,
            "volume-driver configuration is ignored",
        )],
    ),
    (
        48,
        "of type `image`",
        &[Creates(r#""HostConfig":{"Mounts":[{"Type":"image","Source":"busybox","Target":"/v"}]}"#, 501, "image")],
    ),
    (
        48,
        "aren't turned into options of the endpoint any more",
        &[Runs(
            r#""HostConfig":{"Sysctls":{"net.ipv4.conf.eth0.log_martians":"1"}},
            "Cmd":["cat","/proc/sys/net/ipv4/conf/eth0/log_martians"]"#,
            "1",
        )],
    ),
    (
        48,
        "`GET /containers/{id}/json` has `ImageManifestDescriptor`",
        &[Shows(WEB, "/ImageManifestDescriptor", Absent, Absent)],
    ),
    (
        48,
        "`GET /containers/json` has `ImageManifestDescriptor`",
        &[Shows("/containers/json", "/0/ImageManifestDescriptor", Absent, Absent)],
    ),
    (
        46,
        "has annotations",
        &[
            Shows("/containers/json", "/0/HostConfig/Annotations", Absent, Absent),
            Creates(r#""HostConfig":{"Annotations":{"a":"b"}}"#, 501, "annotation"),
        ],
    ),
    (
        46,
        "`TmpfsOptions.Options`",
        &[
            Keeps(
                r#""HostConfig":{"Mounts":[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"Options":[["exec"]]}}]}"#,
                "/HostConfig/Mounts/0/TmpfsOptions/Options",
                Is(r#"[["exec"]]"#),
                Any,
            ),
            Creates(
                r#""HostConfig":{"Mounts":[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"Options":[["uid","7"]]}}]}"#,
                400,
                "uid",
            ),
        ],
    ),
    (
        45,
        "`VolumeOptions.Subpath`",
        &[Keeps(
            r#""HostConfig":{"Mounts":[{"Type":"volume","Source":"vol","Target":"/v","VolumeOptions":{"Subpath":"sub"}}]}"#,
            "/HostConfig/Mounts/0/VolumeOptions/Subpath",
            Is(r#""sub""#),
            Refused(400),
        )],
    ),
    (
        44,
        "read-only binds",
        &[Creates(
            r#""HostConfig":{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/v","ReadOnly":true,
            "BindOptions":{"ReadOnlyForceRecursive":true}}]}"#,
            501,
            "recursive",
        )],
    ),
    (
        44,
        "`HealthConfig.StartInterval`",
        &[Keeps(
            r#""Healthcheck":{"Test":["CMD","true"],"StartInterval":2000000000}"#,
            "/Config/Healthcheck/StartInterval",
            Is("2000000000"),
            Absent,
        )],
    ),
    (
        44,
        "before the start",
        &[Creates(
            r#""NetworkingConfig":{"EndpointsConfig":{"lab":{"IPAMConfig":{"IPv4Address":"nonesuch"}}}}"#,
            400,
            "nonesuch",
        )],
    ),
    (
        44,
        "a MAC address of their own",
        &[
            Keeps(
                r#""NetworkingConfig":{"EndpointsConfig":{"lab":{"MacAddress":"02:00:00:00:00:07"}}}"#,
                "/NetworkSettings/Networks/lab/MacAddress",
                Is(r#""02:00:00:00:00:07""#),
                Is(r#""""#),
            ),
            Creates(MAC_ADDRESS, 201, "deprecated"),
        ],
    ),
    (
        44,
        "of `NetworkSettings` are to go",
        &[AlwaysShows(PLAIN, "/NetworkSettings/IPAddress", Same("/NetworkSettings/Networks/bridge/IPAddress"))],
    ),
    (
        43,
        "`HostConfig.Annotations`",
        &[Keeps(r#""HostConfig":{"Annotations":{"a":"b"}}"#, "/HostConfig/Annotations", Refused(501), Absent)],
    ),
    (
        42,
        "take a `signal`",
        &[
            By("tests/tests/world/api_versions.rs stop_and_restart_take_a_signal_at_every_version"),
            Always("POST", "/containers/idle/stop?signal=NONESUCH", None, 400, "NONESUCH"),
        ],
    ),
    (42, "an unknown `condition`", &[Always("POST", "/containers/web/wait?condition=nonesuch", None, 400, "nonesuch")]),
    (
        42,
        "is gone from `create` and `update`",
        &[
            AlwaysShows(WEB, "/HostConfig/KernelMemory", Absent),
            Keeps(r#""HostConfig":{"KernelMemory":67108864}"#, "/HostConfig/KernelMemory", Absent, Absent),
        ],
    ),
    (42, "`inspect` without `KernelMemory`", &[Shows(WEB, "/HostConfig/KernelMemory", Absent, Any)]),
    (
        42,
        "devices of Windows",
        &[Creates(
            r#""HostConfig":{"Devices":[{"PathOnHost":"class/5B45201D-F2F2-4F3B-85BB-30FF1F953599"}]}"#,
            400,
            "class/5B45201D-F2F2-4F3B-85BB-30FF1F953599",
        )],
    ),
    (42, "name their stream's type", &[By("engine/src/stream/client.rs content_types")]),
    (42, "`attach/ws` takes", &[By("tests/tests/world/streams.rs browsers_attach_over_a_websocket")]),
    (
        42,
        "`HostConfig.ConsoleSize`",
        &[Keeps(r#""HostConfig":{"ConsoleSize":[24,80]}"#, "/HostConfig/ConsoleSize", Is("[24,80]"), Is("[0,0]"))],
    ),
    (
        42,
        "`BindOptions.CreateMountpoint`",
        &[Keeps(
            r#""HostConfig":{"Mounts":[{"Type":"bind","Source":"/run/not-there-yet","Target":"/v",
            "BindOptions":{"CreateMountpoint":true}}]}"#,
            "/HostConfig/Mounts/0/BindOptions/CreateMountpoint",
            Is("true"),
            Refused(400),
        )],
    ),
    (
        42,
        "options of another kind of mount",
        &[Keeps(
            r#""HostConfig":{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/v","VolumeOptions":{"NoCopy":true}}]}"#,
            "/HostConfig/Mounts/0/VolumeOptions",
            Refused(400),
            Absent,
        )],
    ),
    (
        42,
        "`exec` takes a `ConsoleSize`",
        &[
            By("engine/src/translate/exec.rs what_is_asked_for_wins"),
            Asks("POST", "/containers/web/exec", Some(NO_SIZE), 400, "invalid console size"),
            Below("POST", "/containers/web/exec", Some(NO_SIZE), 201, ""),
        ],
    ),
    (
        41,
        "takes a `platform`",
        &[
            Asks(
                "POST",
                "/containers/create?name=asked&platform=linux%2Fs390x",
                Some(r#"{"Image":"busybox"}"#),
                400,
                "s390x",
            ),
            Below(
                "POST",
                "/containers/create?name=asked&platform=linux%2Fs390x",
                Some(r#"{"Image":"busybox"}"#),
                201,
                "",
            ),
        ],
    ),
    (
        41,
        "`HostConfig.CgroupnsMode`",
        &[
            Keeps(r#""HostConfig":{"CgroupnsMode":"host"}"#, "/HostConfig/CgroupnsMode", Is(r#""host""#), Any),
            Keeps(r#""HostConfig":{"CgroupnsMode":"private"}"#, "/HostConfig/CgroupnsMode", Is(r#""private""#), Any),
            Keeps(r#""HostConfig":{}"#, "/HostConfig/CgroupnsMode", Is(r#""{cgroup namespace}""#), Any),
        ],
    ),
    (
        41,
        "takes `one-shot`",
        &[Always(
            "GET",
            "/containers/web/stats?stream=0&one-shot=1",
            None,
            200,
            r#""precpu_stats":{"cpu_usage":{"total_usage":0"#,
        )],
    ),
    (
        41,
        "`KernelMemory` of `create`",
        &[Keeps(r#""HostConfig":{"KernelMemory":67108864}"#, "/HostConfig/KernelMemory", Absent, Absent)],
    ),
    (40, "IPC namespace", &[By("tests/tests/world/api_versions.rs older_versions_are_served_as_documented")]),
    (40, "`PidsLimit`", &[By("tests/tests/world/api_versions.rs older_versions_are_served_as_documented")]),
    (
        40,
        "`BindOptions.NonRecursive`",
        &[Keeps(
            r#""HostConfig":{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/v","BindOptions":{"NonRecursive":true}}]}"#,
            "/HostConfig/Mounts/0/BindOptions/NonRecursive",
            Is("true"),
            Absent,
        )],
    ),
    (
        25,
        "`AutoRemove`",
        &[Keeps(r#""HostConfig":{"AutoRemove":true}"#, "/HostConfig/AutoRemove", Is("true"), Is("false"))],
    ),
];

/// Of a whole container, with which two rows deal.
const MAC_ADDRESS: &str = r#""MacAddress":"02:00:00:00:00:07""#;

/// A console that no terminal has, which is refused by whoever looks at it.
const NO_SIZE: &str = r#"{"Cmd":["sh"],"Tty":true,"ConsoleSize":[1,70000]}"#;
