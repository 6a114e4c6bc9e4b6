//! What a host answers where docs/differences-from-docker.md says that something is different on purpose, and no other test asks.

mod command_line;
mod containers;
mod daemons;
mod images;
mod networks;

use berth_tests::{Host, World};

const SOCKET: &str = "/run/berth/berth.sock";

/// Words of the document, and what shows on a host that they are true.
type Question = (&'static [&'static str], fn(&mut Host));

/// All the words that are shown to be true here.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    let tables = [command_line::ASKED, containers::ASKED, daemons::ASKED, images::ASKED, networks::ASKED];
    tables.into_iter().flatten().flat_map(|(words, _)| *words).copied()
}

/// Asks a host, which has a container `web`, for all of a table. Each leaves it to the next as it was.
fn ask_all(table: &[Question]) {
    let mut world = World::new();
    let mut host = world.host();
    // Its own /etc, so that it may have files of Docker's and ours.
    host.sh("mkdir -p /run/etc/upper /run/etc/work && mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work etc /etc").ok();
    host.sh("mkdir -p /etc/docker && echo '{ this would keep dockerd from starting' > /etc/docker/daemon.json").ok();
    host.start();
    host.docker(&["run", "-d", "--name", "web", "--expose", "80", "busybox", "sleep", "4711"]).ok();
    for (_, shows) in table {
        shows(&mut host);
    }
    assert_eq!(host.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "web", "each takes away what it has made");
}

fn inspected(host: &Host, template: &str, name: &str) -> String {
    host.docker(&["inspect", "-f", template, name]).ok()
}
