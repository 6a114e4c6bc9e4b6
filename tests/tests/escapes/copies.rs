//! Containers that attack who copies their files, lists their processes or listens to what they print.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use berth_tests::{Host, Outcome, started};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// Runs a shell script on a host whose clients talk to its berthd.
pub(crate) fn sh(host: &Host, script: &str) -> Outcome {
    host.sh(&format!(
        "export DOCKER_HOST=unix:///run/berth/berth.sock DOCKER_BUILDKIT=0 DOCKER_CONFIG=/nonexistent; {script}"
    ))
}

/// Does something as long as an attacker, who is somebody in a container, keeps changing what it is done with.
fn under_attack<T>(attack: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                attack();
            }
        });
        // Also when the work fails.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// CVE-2021-41089, CVE-2018-15664: what can't be opened, a pipe, gets its mode by name; its name becomes a link meanwhile.
#[test]
fn a_link_in_a_new_pipe_s_place_has_no_file_of_the_host_changed() {
    let (_world, host) = started();
    let (shared, victim) = (host.directory().join("shared"), host.directory().join("victim"));
    std::fs::create_dir(&shared).expect("made");
    std::fs::write(&victim, "").expect("written");
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o600)).expect("set");
    host.docker(&[
        "run",
        "-d",
        "--name",
        "cc",
        "-v",
        &format!("{}:/shared", shared.display()),
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let mut tar = tar::Builder::new(Vec::new());
    for _ in 0..100 {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Fifo);
        header.set_mode(0o4777);
        header.set_size(0);
        tar.append_data(&mut header, "pipe", std::io::empty()).expect("added");
    }
    let archive = host.directory().join("pipes.tar");
    std::fs::write(&archive, tar.into_inner().expect("a tar")).expect("written");
    let (pipe, link, swaps) = (shared.join("pipe"), shared.join("link"), AtomicU32::new(0));
    let attack = || {
        let is_there = std::fs::symlink_metadata(&pipe).is_ok_and(|found| found.file_type().is_fifo());
        if is_there && symlink(&victim, &link).is_ok() && std::fs::rename(&link, &pipe).is_ok() {
            swaps.fetch_add(1, Ordering::Relaxed);
        }
    };
    let put = format!(
        "for i in $(seq 15); do curl -s --unix-socket /run/berth/berth.sock -T {} \
         'http://d/containers/cc/archive?path=/shared'; done",
        archive.display()
    );
    under_attack(attack, || host.sh(&put).ok());
    assert!(swaps.into_inner() > 0, "no link was in time");
    assert_eq!(std::fs::metadata(&victim).expect("there").mode() & 0o7777, 0o600);
}

/// CVE-2018-15664's class: a directory that is walked becomes a link while what is beside it is looked at.
#[test]
fn a_link_in_a_directory_s_place_has_nothing_of_the_host_counted() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "cc", "-v", "kept:/kept", "busybox", "sleep", "1000"]).ok();
    let (data, elsewhere) = (host.directory().join("lib/berth/volumes/kept/_data"), host.directory().join("elsewhere"));
    std::fs::create_dir(&elsewhere).expect("made");
    std::fs::File::create(elsewhere.join("large")).and_then(|file| file.set_len(1 << 40)).expect("made");
    for number in 0..20 {
        std::fs::create_dir(data.join(format!("directory-{number}"))).expect("made");
        symlink(&elsewhere, data.join(format!("link-{number}"))).expect("made");
        std::fs::write(data.join(format!("file-{number}")), [0; 100]).expect("written");
    }
    let attack = || {
        for number in 0..20 {
            let (one, other) = (data.join(format!("directory-{number}")), data.join(format!("link-{number}")));
            renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE).expect("exchanged");
        }
    };
    under_attack(attack, || {
        for _ in 0..40 {
            let (status, answer) = host.http("/run/berth/berth.sock", "GET", "/system/df?type=volume", None);
            assert_eq!(status, 200, "{answer}");
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
            let size = answer["Volumes"][0]["UsageData"]["Size"].as_i64().expect("a size");
            assert!((2000..1 << 20).contains(&size), "{size} bytes");
        }
    });
}

/// Files of a container that tell when somebody runs them, or loads them in whatever way a program finds its libraries.
pub(crate) fn trap(host: &Host, directory: &Path) {
    std::fs::create_dir(directory).expect("made");
    let source = "#include <stdio.h>\n\
        __attribute__((constructor)) static void spring(void) { fclose(fopen(\"/run/sprung\", \"w\")); }\n\
        int main(void) { return 0; }\n";
    std::fs::write(directory.join("trap.c"), source).expect("written");
    let at = directory.display();
    host.sh(&format!("cd {at} && cc -shared -fPIC -o trap.so trap.c && cc -static -o trap trap.c")).ok();
    // It is one.
    host.sh(&format!("rm -f /run/sprung; LD_PRELOAD={at}/trap.so true; rm /run/sprung; {at}/trap; rm /run/sprung"))
        .ok();
}

/// CVE-2019-14271, CVE-2022-1227: who copies looks names up with the container's libraries, who lists its processes runs
/// its programs.
#[test]
fn nothing_of_a_container_runs_when_its_files_are_copied_and_its_processes_listed() {
    let (_world, host) = started();
    let directory = host.directory().join("trap");
    trap(&host, &directory);
    let at = directory.display();
    host.docker(&["run", "-d", "--name", "cc", "--user", "guest", "busybox", "sleep", "1000"]).ok();
    sh(
        &host,
        &format!(
            "set -e; mkdir -p {at}/root/lib64 {at}/root/usr/bin {at}/root/sbin; cd {at}/root; mkdir -m 777 run; mkdir lib etc
            for name in nss_files.so.2 nss_compat.so.2 nss_dns.so.2 c.so.6; do cp ../trap.so lib/lib$name; cp ../trap.so lib64/lib$name; done
            for program in usr/bin/ps usr/bin/tar usr/bin/nsenter usr/bin/id sbin/ps; do cp ../trap $program; done
            echo /lib/libc.so.6 > etc/ld.so.preload
            echo 'passwd: files' > etc/nsswitch.conf
            tar -c . | docker cp - cc:/"
        ),
    )
    .ok();
    let sprung = "test ! -e /run/sprung";
    sh(
        &host,
        &format!(
            "set -e; docker cp -a {at}/trap.c cc:/home; docker cp cc:/home/trap.c {at}/out; docker top cc; docker top cc -o pid,args; {sprung}
            docker export cc > /dev/null; docker commit cc copy; docker stop -t 0 cc; docker cp -a {at}/trap.c cc:/home; docker cp cc:/etc - > /dev/null; {sprung}"
        ),
    )
    .ok();
    host.docker(&["run", "--rm", "copy", "test", "!", "-e", "/run/sprung"]).ok();
    // By who is in the container the trap is sprung.
    assert_eq!(
        host.docker(&["run", "--rm", "--user", "root", "copy", "sh", "-c", "/usr/bin/ps; ls /run/sprung"]).ok(),
        "/run/sprung"
    );
}

/// The most memory that berthd has ever had, in MiB.
pub(crate) fn most_memory_mib(host: &Host) -> u64 {
    let pid = host.processes("berthd")[0];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// CVE-2022-31030: who runs something in a container keeps all that it prints.
#[test]
fn what_prints_without_end_fills_no_memory() {
    const WORDS_MIB: u64 = 40;
    const BOUND_MIB: u64 = 24;
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "cc", "busybox", "sleep", "1000"]).ok();
    host.docker(&["exec", "cc", "true"]).ok();
    let before = most_memory_mib(&host);
    let look = |what: &str| {
        let more = most_memory_mib(&host) - before;
        assert!(more < BOUND_MIB, "{more} MiB after {what}");
    };
    let words = format!("sh -c \"head -c {WORDS_MIB}m /dev/zero | tr '\\0' x\"");
    let all = (WORDS_MIB << 20).to_string();
    let printed = |script: &str| sh(&host, &format!("{script} | wc -c")).ok();
    assert_eq!(printed(&format!("docker exec cc {words}")), all);
    look("an exec");
    let check = ["run", "-d", "--name", "checked", "--health-interval", "100ms", "--health-cmd"];
    host.docker(&[&check[..], &[&words, "busybox", "sleep", "1000"]].concat()).ok();
    host.wait_for_events("checked", "health_status: healthy", 1);
    host.docker(&["rm", "-f", "checked"]).ok();
    look("a health check");
    assert_eq!(printed(&format!("docker run --name said busybox {words}")), all);
    assert_eq!(printed("docker logs said"), all);
    look("a log without line feeds");
    host.sh("mkdir /run/context").ok();
    std::fs::write(host.directory().join("run/context/Dockerfile"), format!("FROM busybox\nRUN {words}"))
        .expect("written");
    printed("docker build /run/context");
    look("a build");
    // Sixty processes with as many arguments as a process may have.
    let many = "mkfifo /tmp/pipe; exec 3<>/tmp/pipe; word=$(head -c 120k /dev/zero | tr '\\0' x); \
        for i in $(seq 60); do sh -c 'read line; :' - $word $word $word $word $word < /tmp/pipe & done; echo all; wait";
    host.docker(&["run", "-d", "--name", "wordy", "busybox", "sh", "-c", many]).ok();
    host.wait_for_log("wordy", "all");
    for arguments in ["", "auxww", "-eo pid,args"] {
        let listed: usize = printed(&format!("docker top wordy {arguments}")).parse().expect("a number");
        assert!((1_000..1 << 20).contains(&listed), "{listed} bytes of {arguments:?}");
    }
    look("a list of processes");
}
