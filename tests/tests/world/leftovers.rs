//! Tests that are killed leave nothing behind for long.

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path, process::Command};

use berth_tests::{World, leftovers};

#[test]
fn the_worlds_of_the_dead_are_removed_and_no_others() {
    let make = |name: &str| {
        let directory = tempfile::Builder::new().prefix(name).tempdir_in("/tmp").expect("a directory").keep();
        fs::write(directory.join("file"), "content").expect("a file");
        directory
    };
    let (dead, held, unknown) = (make("bt"), make("bt"), make("bt"));
    let life = leftovers::hold(&dead).expect("a lock");
    let lock = leftovers::hold(&held).expect("a lock");
    let name = dead.file_name().expect("a name").to_string_lossy().into_owned();
    let memory = Path::new("/dev/shm").join(&name);
    let cgroup = Path::new("/sys/fs/cgroup/pids").join(format!("{name}-1/container"));
    let cgroup = if Path::new("/sys/fs/cgroup/pids").is_dir() {
        cgroup
    } else {
        Path::new("/sys/fs/cgroup").join(format!("{name}-1/container"))
    };
    fs::create_dir(&memory).expect("a directory in memory");
    fs::create_dir_all(&cgroup).expect("a cgroup");

    let kept = fs::File::open(dead.join("held")).expect("the lock");
    drop(life);
    leftovers::remove();
    // A test beside this one may have come first; it holds the lock until it is done.
    kept.lock().expect("the lock");

    assert!(!cgroup.exists() && !cgroup.parent().is_some_and(Path::exists), "{} is left", cgroup.display());
    assert!(!memory.exists() && !dead.exists(), "{} is left", dead.display());
    assert!(held.join("file").exists(), "a living process held it");
    assert!(unknown.join("file").exists(), "nobody said whose it was");
    drop(lock);
    for directory in [held, unknown] {
        fs::remove_dir_all(directory).expect("ours");
    }
}

#[test]
fn what_is_frozen_ends_with_its_world() {
    let directory = tempfile::Builder::new().prefix("bt").tempdir_in("/tmp").expect("a directory").keep();
    let life = leftovers::hold(&directory).expect("a lock");
    let name = directory.file_name().expect("a name").to_string_lossy().into_owned();
    let hierarchies = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup"].map(Path::new);
    let hierarchy = hierarchies.into_iter().find(|path| path.is_dir()).expect("cgroups");
    let cgroup = hierarchy.join(format!("{name}-1/container"));
    fs::create_dir_all(&cgroup).expect("a cgroup");
    let mut sleeper = Command::new("sleep").arg("1000").spawn().expect("sleep");
    fs::write(cgroup.join("cgroup.procs"), sleeper.id().to_string()).expect("a process");
    let freezer = cgroup.join("freezer.state");
    if freezer.exists() {
        fs::write(freezer, "FROZEN").expect("frozen");
    } else {
        fs::write(cgroup.join("cgroup.freeze"), "1").expect("frozen");
    }

    let kept = fs::File::open(directory.join("held")).expect("the lock");
    drop(life);
    leftovers::remove();
    // A test beside this one may have come first; it holds the lock until it is done.
    kept.lock().expect("the lock");

    assert!(!cgroup.exists() && !directory.exists(), "{} is left", cgroup.display());
    assert_eq!(sleeper.wait().expect("it has ended").signal(), Some(9));
}

#[test]
fn hosts_end_with_the_thread_that_made_them() {
    // As when a test is killed: nothing is dropped, and the kernel signals the death of the thread.
    let pid = std::thread::spawn(|| {
        let mut world = World::new();
        let host = world.host();
        let (pid, directory) = (host.pid(), world.directory().to_owned());
        std::mem::forget((host, world));
        (pid, directory)
    });
    let (pid, directory) = pid.join().expect("a world");
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    // A descriptor of the process is readable once it has ended; without one it is gone already.
    if let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let mut ends = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut ends, Some(&limit)).expect("poll"), 1, "{pid:?} is alive");
    }
    // This process goes on, and with it the world's lock: its directory is no leftover yet.
    fs::remove_dir_all(&directory).expect("its files");
    let _ = fs::remove_dir_all(Path::new("/dev/shm").join(directory.file_name().expect("a name")));
}
