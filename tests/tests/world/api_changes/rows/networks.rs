//! What changed about networks and what is on them.

use super::{
    super::{
        Check::{Always, AlwaysShows, Asks, Below, By, Keeps, Shows},
        Expect::{Absent, Any, Is, Refused, There},
    },
    Row, WEB,
};

pub(super) const ROWS: &[Row] = &[
    (
        52,
        "has `Status`",
        &[
            Shows("/networks/bridge", "/Status", There, Absent),
            Shows("/networks/bridge", "/Status/IPAM/Subnets", There, Any),
        ],
    ),
    (
        48,
        "takes `EnableIPv4`",
        &[
            Asks("POST", "/networks/create", Some(WITHOUT_IPV4), 501, "IPv4"),
            Below("POST", "/networks/create", Some(WITHOUT_IPV4), 201, ""),
        ],
    ),
    (48, "`GET /networks/{id}` has `EnableIPv4`", &[AlwaysShows("/networks/bridge", "/EnableIPv4", Is("true"))]),
    (
        48,
        "endpoints take a `GwPriority`",
        &[Keeps(
            r#""NetworkingConfig":{"EndpointsConfig":{"lab":{"GwPriority":7}}}"#,
            "/NetworkSettings/Networks/lab/GwPriority",
            Is("7"),
            Is("0"),
        )],
    ),
    (
        48,
        "`GET /containers/json` has `GwPriority`",
        &[AlwaysShows("/containers/json", "/0/NetworkSettings/Networks/lab/GwPriority", Is("0"))],
    ),
    (
        46,
        "`com.docker.network.endpoint.sysctls`",
        &[Asks(
            "POST",
            "/networks/other/connect",
            Some(
                r#"{"Container":"web","EndpointConfig":{"DriverOpts":{
                "com.docker.network.endpoint.sysctls":"net.ipv4.conf.IFNAME.log_martians=1"}}}"#,
            ),
            501,
            "com.docker.network.endpoint.sysctls",
        )],
    ),
    (45, "`Aliases` of endpoints", &[By("tests/tests/world/api_versions.rs older_versions_are_served_as_documented")]),
    (
        44,
        "a wrong `IPAM`",
        &[Always(
            "POST",
            "/networks/create",
            Some(r#"{"Name":"odd","IPAM":{"Config":[{"Subnet":"10.9.0.1/24"}]}}"#),
            400,
            "10.9.0",
        )],
    ),
    (44, "can't be had twice", &[Always("POST", "/networks/create", Some(r#"{"Name":"lab"}"#), 409, "lab")]),
    (
        44,
        "takes several endpoints",
        &[Keeps(
            r#""NetworkingConfig":{"EndpointsConfig":{"lab":{},"other":{}}}"#,
            "/NetworkSettings/Networks/other",
            There,
            Refused(400),
        )],
    ),
    (44, "endpoints have `DNSNames`", &[AlwaysShows(WEB, "/NetworkSettings/Networks/lab/DNSNames", There)]),
    (
        44,
        "among `Aliases` is to go",
        &[By("tests/tests/world/api_versions.rs older_versions_are_served_as_documented")],
    ),
];

const WITHOUT_IPV4: &str = r#"{"Name":"no4","EnableIPv4":false}"#;
