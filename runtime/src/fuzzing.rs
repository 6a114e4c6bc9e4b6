//! What the engine's fuzz target checks of the runtime's parts. Compiled for it only.

use std::fs;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::spec::UserSpec;
use crate::{cgroup, monitor, protocol, stats, user};

/// A root file system's lists of users, which its owner may fill with anything.
pub fn users(bytes: &[u8]) {
    // Not the disk: a fuzzer's files are many.
    static ROOT: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir_in("/dev/shm").expect("a directory in memory"));
    let root = ROOT.path();
    fs::create_dir_all(root.join("etc")).expect("made");
    for name in ["etc/passwd", "etc/group"] {
        fs::write(root.join(name), bytes).expect("written");
    }
    for name in ["", "0", "1000", "a", "a:b", "1:1", "a:", ":"] {
        let user = UserSpec { user: name.to_owned(), additional_groups: vec!["b".to_owned()] };
        if let Ok(found) = user::resolve_in(root, &user) {
            assert!(found.additional_gids.is_sorted());
        }
    }
}

/// Files of cgroups and of /proc, each with this in it.
pub fn stats(text: &str) {
    cgroup::stats_of_any(text);
    stats::parse_interfaces(text);
}

/// Lines to and from monitors; what is understood is understood again as it is written.
pub fn messages(line: &[u8]) {
    if let Ok(request) = protocol::decode::<protocol::Request>(line) {
        assert_eq!(protocol::decode::<protocol::Request>(&protocol::encode(&request)).expect("written"), request);
    }
    if let Ok(reply) = protocol::decode::<protocol::Reply>(line) {
        assert_eq!(protocol::decode::<protocol::Reply>(&protocol::encode(&reply)).expect("written"), reply);
    }
}

/// The log of a process that prints this, in pieces of that size: the file, and what its records are to say.
pub fn log(output: &[u8], size: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    monitor::log_of(output, size)
}
