//! Wrong requests about containers that are there, or aren't.

use berth_tests::{Host, World};

use super::{Wrong, refuses, town};

const ROWS: &[Wrong] = &[
    ("both", "start nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "stop nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "restart nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "wait nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "rm nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "rm keeper", 1, &["keeper", "running"]),
    ("both", "kill nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "kill -s NONESUCH keeper", 1, &["NONESUCH"]),
    ("both", "kill -s 99 keeper", 1, &["99"]),
    ("both", "kill idle", 1, &["is not running"]),
    ("both", "stop -t soon keeper", 125, &["soon"]),
    ("both", "pause idle", 1, &["is not running"]),
    ("both", "unpause keeper", 1, &["is not paused"]),
    ("both", "rename keeper idle", 1, &["idle", "already in use"]),
    ("both", "rename keeper bad/name", 1, &["bad/name"]),
    ("both", "rename nonesuch other", 1, &["No such container: nonesuch"]),
    ("both", "exec nonesuch true", 1, &["No such container: nonesuch"]),
    ("both", "exec idle true", 1, &["is not running"]),
    ("both", "exec keeper nonesuch", 127, &["nonesuch"]),
    ("both", "exec -u nobodyatall keeper true", 1, &["nobodyatall"]),
    ("both", "exec -w relative keeper true", 1, &["relative", "absolute"]),
    ("both", "attach idle", 1, &["stopped container"]),
    ("both", "logs nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "logs --tail=few keeper", 1, &["few"]),
    ("both", "logs --since someday keeper", 1, &["someday"]),
    ("both", "top idle", 1, &["is not running"]),
    ("both", "port nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "port keeper 81", 1, &["81"]),
    ("both", "stats --no-stream nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "inspect nonesuch", 1, &["nonesuch"]),
    ("both", "inspect -f {{.Nonesuch keeper", 64, &["template"]),
    ("both", "ps --filter nonesuch=1", 1, &["nonesuch"]),
    ("both", "ps --filter status=asleep", 1, &["asleep"]),
    ("both", "ps --filter nonesuch", 125, &["nonesuch"]),
    ("both", "nonesuch", 1, &["nonesuch"]),
    ("both", "commit nonesuch x", 1, &["No such container: nonesuch"]),
    ("both", "commit keeper BAD", 1, &["BAD", "lowercase"]),
    ("both", "commit -c NONESUCH=1 keeper x", 1, &["NONESUCH"]),
    ("both", "diff nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "export nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "cp keeper:/nonesuch /tmp", 1, &["nonesuch"]),
    ("both", "cp nonesuch:/etc /tmp", 1, &["No such container: nonesuch"]),
    ("both", "cp /nonesuch keeper:/", 1, &["nonesuch"]),
    ("both", "cp keeper:/etc idle:/etc", 1, &["containers"]),
    ("both", "update --restart=sometimes keeper", 1, &["sometimes"]),
    ("both", "update --memory 1k keeper", 1, &["6MB"]),
    ("both", "update --restart=always nonesuch", 1, &["No such container: nonesuch"]),
    ("both", "volume create v", 1, &["too short"]),
    ("both", "volume create -d nonesuch data", 1, &["nonesuch"]),
    ("both", "volume create -o nonesuch=1 data", 1, &["nonesuch"]),
    ("both", "volume create -o type=tmpfs data", 1, &["device"]),
    ("both", "volume rm nonesuch", 1, &["nonesuch"]),
    ("both", "volume inspect nonesuch", 1, &["nonesuch"]),
    ("both", "volume ls --filter nonesuch=1", 1, &["nonesuch"]),
    ("docker", "checkpoint create keeper one", 1, &["checkpoint"]),
];

fn town_with_exec(world: &mut World) -> Host {
    let host = town(world);
    // The first exec makes a directory for all of them.
    host.docker(&["exec", "keeper", "true"]).ok();
    host
}

#[test]
fn containers() {
    refuses(town_with_exec, ROWS);
}
