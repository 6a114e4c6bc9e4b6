//! What tests leave behind that were killed: their worlds' directories and cgroups, with what is frozen there. Nothing else of
//! a world outlives its process: namespaces end with their keepers, and those with the test.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
};

use crate::daemon;

/// Where worlds keep their files, each in a directory of the same name.
pub(crate) const DISK: &str = "/tmp";
/// Where what is in memory on a real host is in memory.
pub(crate) const MEMORY: &str = "/dev/shm";
/// What names of worlds begin with.
pub(crate) const PREFIX: &str = "bt";
const CGROUPS: &str = "/sys/fs/cgroup";
const LOCK: &str = "held";
/// Files of a cgroup, in either version, and what they are told for its processes to go on.
const THAW: [(&str, &str); 2] = [("freezer.state", "THAWED"), ("cgroup.freeze", "0")];

/// Marks a world's directory as held by a living process, until the file is closed.
///
/// # Errors
/// The file can't be made.
pub fn hold(directory: &Path) -> io::Result<File> {
    // Locked before it has its name: nobody ever sees it there and free.
    let unnamed = directory.join(".held");
    let lock = File::create(&unnamed)?;
    lock.lock()?;
    fs::rename(unnamed, directory.join(LOCK))?;
    Ok(lock)
}

/// Removes, once in a process, the worlds of others that are dead.
pub(crate) fn remove_once() {
    static DONE: Once = Once::new();
    DONE.call_once(remove);
}

/// Removes the worlds whose lock nobody holds. A directory without a lock may be one in the making, or not ours: it stays.
pub fn remove() {
    let worlds = fs::read_dir(DISK).into_iter().flatten().flatten();
    let named = worlds.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for world in named.map(|entry| entry.path()) {
        let Ok(lock) = File::open(world.join(LOCK)) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        let name = world.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Processes on their way out keep a cgroup for a moment; then its world is the next run's.
        if remove_cgroups(&name) {
            let _ = fs::remove_dir_all(Path::new(MEMORY).join(&name));
            let _ = fs::remove_dir_all(&world);
        }
    }
}

/// Ends what is in the cgroups of all hosts of a world, or of one host, and removes them, deepest first; says whether none
/// is left.
pub(crate) fn remove_cgroups(name: &str) -> bool {
    end_processes(name);
    for cgroup in cgroups(name) {
        let _ = Command::new("find").arg(&cgroup).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]).output();
    }
    cgroups(name).is_empty()
}

/// Kills the processes in the cgroups, and waits until they are gone. A frozen one has to be thawed first: in version 1 of
/// cgroups not even a kill gets through, and it would outlive its world.
fn end_processes(name: &str) {
    let all: Vec<PathBuf> = cgroups(name).into_iter().flat_map(with_all_below).collect();
    for (file, thawed) in all.iter().flat_map(|cgroup| THAW.map(|(file, thawed)| (cgroup.join(file), thawed))) {
        if file.exists() {
            let _ = fs::write(file, thawed);
        }
    }
    for procs in all.iter().map(|cgroup| cgroup.join("cgroup.procs")) {
        let pids = fs::read_to_string(procs).unwrap_or_default();
        pids.lines().filter_map(|pid| pid.parse().ok()).for_each(daemon::kill);
    }
}

/// A cgroup and those below it, topmost first.
fn with_all_below(cgroup: PathBuf) -> Vec<PathBuf> {
    let below = children(&cgroup).into_iter().filter(|path| path.is_dir()).flat_map(with_all_below);
    let below: Vec<PathBuf> = below.collect();
    std::iter::once(cgroup).chain(below).collect()
}

fn children(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The hosts' topmost cgroups: at the root of the one hierarchy, or of each.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let top = children(Path::new(CGROUPS));
    let below = top.iter().flat_map(|hierarchy| children(hierarchy));
    let is_of_it = |path: &PathBuf| {
        let rest = path.file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_prefix(name));
        path.is_dir() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let found: Vec<PathBuf> = below.filter(is_of_it).collect();
    top.iter().filter(|path| is_of_it(path)).cloned().chain(found).collect()
}
