//! Wrong requests to the Engine API that no command line makes.

use berth_tests::World;

use super::{WrongHttp, refuses_http, town};

const CREATE: &str = "/v1.43/containers/create";

const ROWS: &[WrongHttp] = &[
    ("GET", "/v1.99/containers/json", "", 400, "1.99"),
    ("GET", "/v1.10/containers/json", "", 400, "1.10"),
    ("GET", "/nonesuch", "", 404, "page not found"),
    ("POST", "/v1.43/containers/json", "", 404, "page not found"),
    // Bodies.
    ("POST", CREATE, "", 400, ""),
    ("POST", CREATE, "{", 400, ""),
    ("POST", CREATE, "[]", 400, ""),
    ("POST", CREATE, "{} {}", 400, ""),
    ("POST", CREATE, "{}", 400, ""),
    ("POST", CREATE, r#"{"Image":""}"#, 400, ""),
    ("POST", CREATE, r#"{"Image":5}"#, 400, "5"),
    ("POST", CREATE, r#"{"Image":"busybox","Cmd":{"a":1}}"#, 400, ""),
    ("POST", CREATE, r#"{"Image":"busybox","Tty":"yes"}"#, 400, "yes"),
    ("POST", CREATE, r#"{"Image":"nonesuch"}"#, 404, "No such image: nonesuch:latest"),
    ("POST", CREATE, r#"{"Image":"BAD:NAME:HERE"}"#, 400, "invalid reference format"),
    ("POST", "/v1.43/containers/create?name=bad%2Fname", r#"{"Image":"busybox"}"#, 400, "bad/name"),
    ("POST", CREATE, r#"{"Image":"busybox","Env":["=x"]}"#, 400, "=x"),
    ("POST", CREATE, r#"{"Image":"busybox","ExposedPorts":{"80/nonesuch":{}}}"#, 400, "nonesuch"),
    ("POST", CREATE, r#"{"Image":"busybox","Healthcheck":{"Test":["NONESUCH"]}}"#, 400, "NONESUCH"),
    ("POST", CREATE, r#"{"Image":"busybox","StopTimeout":"soon"}"#, 400, "soon"),
    // Limits.
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"Memory":-5}}"#, 400, "emory"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"Memory":"lots"}}"#, 400, "lots"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"MemorySwap":-5}}"#, 400, "Swap"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"NanoCpus":-1}}"#, 400, "CPUs"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"CpuShares":-1}}"#, 400, "-1"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"CpuPeriod":-1}}"#, 400, "period"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"OomScoreAdj":-2000}}"#, 400, "-2000"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"ShmSize":-1}}"#, 400, "SHM"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"Runtime":"nonesuch"}}"#, 501, "--runtime"),
    (
        "POST",
        CREATE,
        r#"{"Image":"busybox","HostConfig":{"RestartPolicy":{"Name":"no","MaximumRetryCount":3}}}"#,
        400,
        "on-failure",
    ),
    // Ports and networks.
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"PortBindings":{"0/tcp":[{}]}}}"#, 400, "0"),
    (
        "POST",
        CREATE,
        r#"{"Image":"busybox","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"70000"}]}}}"#,
        400,
        "70000",
    ),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"x"}]}}}"#, 400, "x"),
    ("POST", CREATE, r#"{"Image":"busybox","HostConfig":{"NetworkMode":"container:"}}"#, 400, "container"),
    (
        "POST",
        CREATE,
        r#"{"Image":"busybox","HostConfig":{"NetworkMode":"container:nonesuch"}}"#,
        400,
        "No such container: nonesuch",
    ),
    (
        "POST",
        CREATE,
        r#"{"Image":"busybox","NetworkingConfig":{"EndpointsConfig":{"taken":{"IPAMConfig":{"IPv4Address":"x"}}}}}"#,
        400,
        "x",
    ),
    // Queries.
    ("GET", "/v1.43/containers/json?filters=%7Bbad", "", 400, "filter"),
    ("GET", "/v1.43/containers/json?limit=many", "", 400, "many"),
    ("GET", "/v1.43/containers/keeper/logs", "", 400, "stream"),
    ("GET", "/v1.43/containers/keeper/logs?stdout=1&since=someday", "", 400, "someday"),
    ("POST", "/v1.43/containers/keeper/resize?h=x&w=1", "", 400, "x"),
    ("POST", "/v1.43/containers/keeper/wait?condition=nonesuch", "", 400, "nonesuch"),
    ("POST", "/v1.43/containers/keeper/stop?t=soon", "", 400, "soon"),
    ("POST", "/v1.43/containers/keeper/rename?name=", "", 400, "name"),
    ("POST", "/v1.43/containers/keeper/rename", "", 400, "name"),
    ("GET", "/v1.43/events?until=1&filters=%5B", "", 400, "filter"),
    // What isn't there.
    ("GET", "/v1.43/containers/nonesuch/json", "", 404, "No such container: nonesuch"),
    ("GET", "/v1.43/images/nonesuch/json", "", 404, "No such image: nonesuch"),
    ("GET", "/v1.43/networks/nonesuch", "", 404, "network nonesuch not found"),
    ("GET", "/v1.43/exec/nonesuch/json", "", 404, "No such exec instance: nonesuch"),
    ("POST", "/v1.43/exec/nonesuch/start", r#"{"Detach":true}"#, 404, "No such exec instance: nonesuch"),
    ("POST", "/v1.43/containers/keeper/exec", r#"{"Cmd":[]}"#, 400, "No exec command specified"),
    ("POST", "/v1.43/containers/keeper/exec", r#"{"Cmd":["true"],"User":5}"#, 400, "5"),
    ("POST", "/v1.43/containers/idle/exec", r#"{"Cmd":["true"]}"#, 409, "is not running"),
    ("DELETE", "/v1.43/containers/keeper", "", 409, "running"),
    ("POST", "/v1.43/images/create?fromSrc=-&repo=UPPER", "", 400, "invalid reference format"),
    // Networks.
    ("POST", "/v1.43/networks/create", r#"{"Name":""}"#, 400, "name"),
    ("POST", "/v1.43/networks/create", r#"{"Name":"x","IPAM":{"Driver":"nonesuch"}}"#, 501, "nonesuch"),
    ("POST", "/v1.43/networks/create", r#"{"Name":"x","IPAM":{"Config":"x"}}"#, 400, ""),
    ("POST", "/v1.43/networks/taken/connect", "{}", 400, "ontainer"),
    ("DELETE", "/v1.43/networks/bridge", "", 403, "pre-defined"),
    ("DELETE", "/v1.43/networks/taken", "", 403, "active endpoints"),
];

#[test]
fn engine_api() {
    refuses_http("/run/berth/berth.sock", ROWS);
}

#[test]
fn a_body_without_end() {
    let mut world = World::new();
    let host = town(&mut world);
    let before = super::snapshot(&host);
    // Larger than any request has reason to be; nobody should have to hold it in memory.
    let status = host
        .sh("head -c 20000000 /dev/zero | tr '\\0' ' ' | curl -s -o /dev/null -w '%{http_code}' --data-binary @- \
             --unix-socket /run/berth/berth.sock -H 'Content-Type: application/json' http://d/v1.43/containers/create")
        .stdout;
    assert!(["400", "413"].contains(&status.as_str()), "{status}");
    assert_eq!(super::snapshot(&host), before);
}
