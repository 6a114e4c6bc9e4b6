//! Wrong requests to netd's own API.

use super::{WrongHttp, refuses_http};

const NETWORKS: &str = "/v1/networks";
const SANDBOX: &str = "/v1/sandboxes/made-by-a-test";

const ROWS: &[WrongHttp] = &[
    ("GET", "/v1/nonesuch", "", 404, "/v1/nonesuch"),
    ("GET", "/v2/networks", "", 404, "/v2/networks"),
    ("PATCH", "/v1/networks", "", 404, "PATCH"),
    // Networks.
    ("POST", NETWORKS, "", 400, "no body"),
    ("POST", NETWORKS, "{", 400, "body"),
    ("POST", NETWORKS, "[]", 400, "body"),
    ("POST", NETWORKS, r#"{"name":5}"#, 400, "5"),
    ("POST", NETWORKS, r#"{"name":""}"#, 400, "name"),
    ("POST", NETWORKS, r#"{"name":"x","nonesuch":1}"#, 400, "nonesuch"),
    ("POST", NETWORKS, r#"{"name":"taken"}"#, 409, "taken"),
    ("POST", NETWORKS, r#"{"name":"x","driver":"nonesuch"}"#, 404, "nonesuch"),
    ("POST", NETWORKS, r#"{"name":"x","pools":[{"subnet":"10.40.0.0/25"}]}"#, 403, "10.40.0.0/25"),
    (
        "POST",
        NETWORKS,
        r#"{"name":"x","pools":[{"subnet":"10.41.0.0/24"},{"subnet":"10.42.0.0/24"}]}"#,
        400,
        "2 IPv4 subnets",
    ),
    ("POST", NETWORKS, r#"{"name":"x","pools":[{"subnet":"10.41.0.0/24","gateway":"fd00::1"}]}"#, 400, "fd00::1"),
    ("POST", NETWORKS, r#"{"name":"x","ipv4":false,"ipv6":false}"#, 501, "IPv4"),
    ("GET", "/v1/networks/nonesuch", "", 404, "nonesuch"),
    ("DELETE", "/v1/networks/nonesuch", "", 404, "nonesuch"),
    ("DELETE", "/v1/networks/bridge", "", 403, "bridge"),
    ("DELETE", "/v1/networks/taken", "", 403, "keeper"),
    // Sandboxes.
    ("PUT", "/v1/sandboxes/bad%20id", r#"{"owner":"o"}"#, 400, "bad id"),
    ("PUT", SANDBOX, "", 400, "no body"),
    ("PUT", SANDBOX, "{}", 400, "owner"),
    ("PUT", SANDBOX, r#"{"owner":""}"#, 400, "owner"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"nonesuch"}]}"#, 404, "nonesuch"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"bridge","nonesuch":1}]}"#, 400, "nonesuch"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"bridge"},{"network":"bridge"}]}"#, 400, "bridge"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"bridge","ipv4":"1.2.3"}]}"#, 400, "1.2.3"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"taken","ipv4":"10.40.0.1"}]}"#, 403, "10.40.0.1"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"taken","ipv4":"9.9.9.9"}]}"#, 400, "9.9.9.9"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"taken","mac":"zz"}]}"#, 400, "zz"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"taken","mac":"01:00:00:00:00:01"}]}"#, 400, "01:00"),
    ("PUT", SANDBOX, r#"{"owner":"o","endpoints":[{"network":"taken","interface":"a/b"}]}"#, 400, "a/b"),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"taken","options":{"berth.nonesuch":"1"}}]}"#,
        400,
        "nonesuch",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","namespace":{"path":"/nowhere"},"endpoints":[{"network":"bridge"}]}"#,
        400,
        "/nowhere",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","namespace":{"path":"/etc/passwd"},"endpoints":[{"network":"bridge"}]}"#,
        400,
        "/etc/passwd",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","namespace":{"path":"relative"},"endpoints":[{"network":"bridge"}]}"#,
        400,
        "relative",
    ),
    ("PUT", SANDBOX, r#"{"owner":"o","namespace":"host","endpoints":[{"network":"bridge"}]}"#, 400, "host"),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"icmp","container_ports":{"first":80,"last":80}}]}"#,
        400,
        "icmp",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","container_ports":{"first":0,"last":0}}]}"#,
        400,
        "0",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","container_ports":{"first":9,"last":8}}]}"#,
        400,
        "9",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","container_ports":{"first":1,"last":70000}}]}"#,
        400,
        "70000",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","host_ip":"x","container_ports":{"first":1,"last":1}}]}"#,
        400,
        "x",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","host_ip":"fe80::1","host_ports":{"first":81,"last":81},"container_ports":{"first":1,"last":1}}]}"#,
        400,
        "fe80::1",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","host_ports":{"first":4099,"last":4099},"container_ports":{"first":1,"last":1}}]}"#,
        409,
        "4099",
    ),
    (
        "PUT",
        SANDBOX,
        r#"{"owner":"o","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","host_ports":{"first":81,"last":83},"container_ports":{"first":1,"last":2}}]}"#,
        400,
        "81",
    ),
    ("GET", SANDBOX, "", 404, "made-by-a-test"),
    ("DELETE", SANDBOX, "", 400, "?owner=NAME"),
    ("DELETE", "/v1/sandboxes/made-by-a-test?owner=o", "", 404, "made-by-a-test"),
    ("POST", "/v1/sandboxes/made-by-a-test/endpoints?owner=o", r#"{"network":"bridge"}"#, 404, "made-by-a-test"),
    ("DELETE", "/v1/sandboxes/made-by-a-test/endpoints/x?owner=o", "", 404, "made-by-a-test"),
    ("GET", "/v1/events?since=x", "", 400, "x"),
];

#[test]
fn netd_api() {
    refuses_http("/run/berth/netd.sock", ROWS);
}
