//! Wrong requests about networks, by docker and by berth.

use super::{Wrong, refuses, town};

const ROWS: &[Wrong] = &[
    ("both", "network create taken", 1, &["network with name taken already exists"]),
    ("both", "network create bridge", 1, &["predefined bridge network"]),
    ("both", "network create --subnet 10.40.0.0/25 overlap", 1, &["10.40.0.0/25", "overlap"]),
    ("both", "network create --subnet 10.41.0.0/24 --gateway 10.42.0.1 gw", 1, &["10.42.0.1"]),
    ("both", "network create --subnet 10.41.0.0/24 --ip-range 10.42.0.0/25 range", 1, &["10.42.0.0/25"]),
    ("both", "network create --subnet 10.41.0.0/24 --aux-address a=10.42.0.9 aux", 1, &["10.42.0.9"]),
    ("both", "network create --gateway 10.41.0.1 no-subnet", 1, &["subnet"]),
    ("both", "network create --subnet 10.41.0.7/24 host-bits", 1, &["10.41.0.7/24"]),
    ("both", "network create --subnet 10.41.0.0/33 prefix", 1, &["10.41.0.0/33"]),
    ("both", "network create --subnet nonesuch words", 1, &["nonesuch"]),
    ("both", "network create --subnet 10.41.0.0/24 --gateway nonesuch words", 1, &["nonesuch"]),
    ("both", "network create --subnet 127.0.0.0/8 loopback", 1, &["127.0.0.0/8"]),
    ("both", "network create --subnet 224.0.0.0/24 multicast", 1, &["224.0.0.0/24"]),
    ("both", "network create --driver nonesuch other", 1, &["nonesuch"]),
    ("both", "network create --driver host second-host", 1, &["host"]),
    ("both", "network create --driver null second-none", 1, &["null"]),
    ("both", "network create -o com.docker.network.bridge.nonesuch=1 option", 1, &["bridge.nonesuch"]),
    ("both", "network create -o com.docker.network.driver.mtu=abc option", 1, &["abc"]),
    (
        "both",
        "network create -o com.docker.network.bridge.name=much-too-long-a-name option",
        1,
        &["much-too-long-a-name"],
    ),
    ("both", "network create bad/name", 1, &["bad/name"]),
    ("both", "network create container:idle", 1, &["container:idle"]),
    ("both", "network rm bridge", 1, &["bridge", "pre-defined"]),
    ("both", "network rm taken", 1, &["active endpoints", "keeper"]),
    ("both", "network rm nonesuch", 1, &["network nonesuch not found"]),
    ("both", "network inspect nonesuch", 1, &["network nonesuch not found"]),
    ("both", "network connect taken keeper", 1, &["already"]),
    ("both", "network connect taken nonesuch", 1, &["nonesuch"]),
    ("both", "network connect nonesuch keeper", 1, &["network nonesuch not found"]),
    ("both", "network connect host keeper", 1, &["host"]),
    ("both", "network connect --ip notanip bridge keeper", 1, &["notanip"]),
    ("both", "network disconnect bridge keeper", 1, &["is not connected"]),
    ("both", "network disconnect taken nonesuch", 1, &["nonesuch"]),
    ("both", "network ls --filter nonesuch=1", 1, &["nonesuch"]),
    ("both", "network prune -f --filter nonesuch=1", 1, &["nonesuch"]),
];

#[test]
fn networks() {
    refuses(town, ROWS);
}
