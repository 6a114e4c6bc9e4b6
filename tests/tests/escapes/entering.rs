//! Entering and starting: what comes into a container from outside, and what it brings along.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::{Host, World, started, world::binary};

/// Compiles a program of C, and returns its path.
fn compile(directory: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (text, program) = (directory.join(format!("{name}.c")), directory.join(name));
    std::fs::write(&text, source).expect("written");
    let compiled = Command::new("cc").args(["-O1", "-o"]).arg(&program).arg(&text).args(flags).status().expect("cc");
    assert!(compiled.success(), "{name}.c doesn't compile");
    program
}

/// A host whose programs are copies, to be attacked.
fn host_of_copies(world: &mut World) -> (Host, PathBuf) {
    let mut host = world.host();
    let directory = host.directory().join("bin");
    std::fs::create_dir(&directory).expect("made");
    for name in ["netd", "berth-shim", "berth-monitor"] {
        std::fs::copy(binary(name), directory.join(name)).expect("copied");
    }
    host.berthd_flag("--bin-dir").berthd_flag(directory.to_string_lossy()).start();
    (host, directory)
}

/// Loaded into whatever executes it, it keeps that program open and becomes a shell.
const KEEPS_THE_PROGRAM: &str = r#"
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void attack(void) {
    char *environment[] = { "PATH=/bin", 0 };
    dup2(open("/proc/self/exe", O_RDONLY), 9);
    execle("/bin/sh", "sh", "/attack/change", (char *)0, environment);
}
"#;

/// What that shell does: it writes to the program as soon as nobody runs it, and takes its mode away.
const CHANGES_THE_PROGRAM: &str = r#"
for attempt in $(seq 500); do
    message=$( (echo attacked >> /proc/self/fd/9) 2>&1 ) && { echo overwritten; break; }
    case $message in *busy*) usleep 2000 ;; *) echo "${message##*: }"; break ;; esac
done
chmod 0 /proc/self/fd/9 2>&1 && echo 'mode changed'
exit 0
"#;

/// CVE-2019-5736: the program that enters a container, executed there with the container's own libraries, opens itself
/// and writes the file that the next start would run.
#[test]
fn the_program_that_enters_cannot_be_overwritten() {
    let mut world = World::new();
    let (host, programs) = host_of_copies(&mut world);
    let attack = host.directory().join("attack");
    std::fs::create_dir(&attack).expect("made");
    compile(&attack, "attack.so", KEEPS_THE_PROGRAM, &["-shared", "-fPIC"]);
    std::fs::write(attack.join("change"), CHANGES_THE_PROGRAM).expect("written");
    let attack = format!("{}:/attack:ro", attack.display());
    // The libraries that it needs, as an image of the attacker's would have them.
    let mut flags = vec!["-e", "LD_PRELOAD=/attack/attack.so", "-v", attack.as_str()];
    let libraries = ["/lib", "/lib64", "/usr/lib"].map(|path| format!("{path}:{path}:ro"));
    let there = libraries.iter().filter(|library| Path::new(library.split(':').next().expect("a path")).exists());
    flags.extend(there.flat_map(|library| ["-v", library.as_str()]));

    let refused = |outcome: berth_tests::Outcome, how: &str| {
        let said = outcome.ok();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines, ["Read-only file system", "chmod: /proc/self/fd/9: Read-only file system"], "{how}");
    };
    refused(host.docker(&[&["run", "--rm"], &*flags, &["busybox", "/proc/self/exe"]].concat()), "run");
    host.docker(&[&["run", "-d", "--name", "box"], &flags[2..], &["busybox", "sleep", "1000"]].concat()).ok();
    // What enters isn't in the container's /proc before it is what it will be.
    let outcome = host.docker(&[&["exec"], &flags[..2], &["box", "/proc/self/exe"]].concat());
    assert_eq!(outcome.code, 127, "{outcome:?}");
    refused(
        host.docker(&[&["run", "--rm", "--privileged"], &*flags, &["busybox", "/proc/self/exe"]].concat()),
        "run --privileged",
    );

    for name in ["berth-shim", "berth-monitor"] {
        let (now, before) = (std::fs::read(programs.join(name)), std::fs::read(binary(name)));
        assert!(now.expect("there") == before.expect("there"), "{name} was changed");
    }
    assert_eq!(host.docker(&["run", "--rm", "busybox", "echo", "still"]).ok(), "still");
}

/// What a process that watches every other one in its container has found.
fn watched(host: &Host, flags: &[&str], allowed: u64, work: impl FnOnce()) -> Vec<String> {
    let directory = host.directory().join("watcher");
    std::fs::create_dir_all(&directory).expect("made");
    compile(&directory, "watcher", include_str!("watcher.c"), &["-static"]);
    let (mount, allowed) = (format!("{}:/watcher:ro", directory.display()), format!("{allowed:x}"));
    let arguments = ["run", "-d", "--name", "watched", "-v", &mount];
    host.docker(&[&arguments, flags, &["busybox", "/watcher/watcher", &allowed]].concat()).ok();
    host.wait_for_log("watched", "watching");
    work();
    host.docker(&["exec", "watched", "touch", "/tmp/stop"]).ok();
    assert_eq!(host.docker(&["wait", "watched"]).ok(), "0");
    let said = host.docker(&["logs", "watched"]).ok();
    host.docker(&["rm", "watched"]).ok();
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let seen: u32 = lines.last().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("how many it saw");
    assert!(seen > 0, "it has seen nothing: {said}");
    // It looks at each process many times.
    let found: std::collections::BTreeSet<&String> = lines[1..lines.len() - 1].iter().collect();
    found.into_iter().cloned().collect()
}

/// Docker's default capabilities, and `CAP_SYS_PTRACE`.
const DEFAULT_AND_PTRACE: u64 = 0xa804_25fb | 1 << 19;

/// CVE-2016-9962: what enters a container is watched by who may trace it there. Nothing of the host is open in it, and it
/// has no more capabilities than the program will have.
#[test]
fn who_watches_what_enters_finds_nothing_of_the_host() {
    let (_world, host) = started();
    let found = watched(&host, &["--cap-add", "SYS_PTRACE"], DEFAULT_AND_PTRACE, || {
        for number in 0..40 {
            match number % 4 {
                0 => host.docker(&["exec", "-u", "1000", "watched", "true"]).ok(),
                1 => host.docker(&["exec", "-i", "watched", "true"]).ok(),
                2 => host.terminal("docker exec -t watched true").end().ok(),
                _ => host.docker(&["exec", "watched", "true"]).ok(),
            };
        }
    });
    assert_eq!(found, [""; 0]);
}

/// The same for a container that joins another one's processes.
#[test]
fn who_watches_what_joins_its_processes_finds_nothing_of_the_host() {
    let (_world, host) = started();
    let found = watched(&host, &["--cap-add", "SYS_PTRACE"], DEFAULT_AND_PTRACE, || {
        for number in 0..24 {
            let joined = ["run", "--rm", "--pid", "container:watched"];
            match number % 3 {
                0 => host.docker(&[&joined[..], &["-u", "1000", "busybox", "true"]].concat()).ok(),
                1 => host.terminal("docker run --rm -t --pid container:watched busybox true").end().ok(),
                _ => host.docker(&[&joined[..], &["busybox", "true"]].concat()).ok(),
            };
        }
        for number in 0..4 {
            let name = format!("joined{number}");
            let joined = ["run", "-d", "--name", &name, "--pid", "container:watched", "--cpus", "0.05"];
            host.docker(&[&joined[..], &["busybox", "sleep", "1000"]].concat()).ok();
            // Whatever the watcher says, the kernel names it.
            let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", &name]).ok();
            assert_eq!(host.sh(&format!("cat /proc/{pid}/comm")).ok(), "sleep");
            host.docker(&["rm", "-f", &name]).ok();
        }
    });
    // Its root is its own, and nobody else's.
    let found: Vec<String> = found.into_iter().filter(|line| !line.ends_with("is elsewhere")).collect();
    assert_eq!(found, [""; 0]);
}

/// CVE-2024-21626: a working directory that is a descriptor of whoever starts the program, which may lead to the host.
#[test]
fn a_working_directory_by_a_descriptor_left_open_is_refused() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let numbers = (3..24).chain(48..56).chain(98..104);
    let refused = |outcome: berth_tests::Outcome, cwd: &str| {
        let said = outcome.stdout.clone() + &outcome.stderr;
        assert!((125..=127).contains(&outcome.code), "{outcome:?}");
        assert!(said.contains(&format!("chdir to cwd (\"{cwd}\") failed: ")), "{said}");
    };
    for number in numbers {
        let cwd = format!("/proc/self/fd/{number}");
        let look = ["-w", &cwd, "busybox", "ls", "-a"];
        refused(host.docker(&[&["run", "--rm"], &look[..]].concat()), &cwd);
        refused(host.docker(&["exec", "-w", &cwd, "box", "ls", "-a"]), &cwd);
    }
    // As an image has it, and by a link of the image's.
    host.docker(&["run", "--name", "maker", "busybox", "ln", "-s", "/proc/self/fd/8", "/eight"]).ok();
    for cwd in ["/proc/self/fd/8", "/eight"] {
        host.docker(&["commit", "--change", &format!("WORKDIR {cwd}"), "maker", "linked"]).ok();
        refused(host.docker(&["run", "--rm", "linked", "ls", "-a"]), cwd);
    }
}

/// Its sibling: among the host's processes, `/proc/1/root` is the host's root, where a working directory would be made.
#[test]
fn a_working_directory_by_another_process_is_refused() {
    let (_world, host) = started();
    let outside = host.directory().join("made");
    let cwd = format!("/proc/1/root{}", outside.display());
    host.docker(&["run", "-d", "--name", "box", "--pid", "host", "busybox", "sleep", "1000"]).ok();
    for command in [
        vec!["run", "--rm", "--pid", "host", "-w", &cwd, "busybox", "pwd"],
        vec!["run", "--rm", "--pid", "host", "--privileged", "-w", &cwd, "busybox", "pwd"],
        vec!["run", "--rm", "--pid", "host", "-w", "/proc/1/root", "busybox", "pwd"],
        vec!["exec", "--privileged", "-w", "/proc/1/root", "box", "pwd"],
    ] {
        let outcome = host.docker(&command);
        assert!((125..=127).contains(&outcome.code), "{outcome:?}");
        assert!(!outside.exists(), "{command:?} made a directory on the host");
    }
}

/// CVE-2025-52881: what is written to `/proc` for a container, where the container has something of its own there.
#[test]
fn what_is_written_to_proc_for_a_container_goes_to_the_kernel() {
    let (_world, host) = started();
    let make = "mkdir -p /proc.own/self /proc.own/sys/kernel /proc.own/sys/net/ipv4; \
                for file in self/oom_score_adj sys/kernel/shm_rmid_forced sys/net/ipv4/ip_forward; do \
                echo untouched > /proc.own/$file; done";
    host.docker(&["run", "--name", "maker", "-v", "own:/proc.own", "busybox", "sh", "-c", make]).ok();
    let flags = ["--oom-score-adj", "321", "--sysctl", "kernel.shm_rmid_forced=1", "--sysctl", "net.ipv4.ip_forward=0"];
    let look = "cat /proc/self/oom_score_adj /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_forward";
    let run =
        |more: &[&str]| host.docker(&[&["run", "--rm"], &flags[..], more, &["busybox", "sh", "-c", look]].concat());
    assert_eq!(run(&[]).ok(), "321\n1\n0");
    // Whatever is to be in the place of /proc, nothing is written to it, and the container doesn't start.
    for more in [&["-v", "own:/proc"][..], &["-v", "own:/proc/sys"], &["-v", "own:/proc/self"]] {
        let outcome = run(more);
        assert_eq!(outcome.code, 125, "{outcome:?}");
    }
    let untouched = "cd /own && cat self/oom_score_adj sys/kernel/shm_rmid_forced sys/net/ipv4/ip_forward";
    let said = host.docker(&["run", "--rm", "-v", "own:/own", "busybox", "sh", "-c", untouched]).ok();
    assert_eq!(said, "untouched\nuntouched\nuntouched");
    // Another container's /proc is the same one.
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    assert_eq!(run(&["--pid", "container:box"]).ok(), "321\n1\n0");
}

/// Says which keyring its session has.
const TELLS_ITS_KEYRING: &str = r#"
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    return printf("%ld\n", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)) < 0;
}
"#;

/// The keys of the session that berthd was started in aren't a container's, nor those of one another's (keyrings(7)).
#[test]
fn no_container_has_the_keyring_of_the_host_s_session() {
    let (_world, host) = started();
    let directory = host.directory().join("keyring");
    std::fs::create_dir(&directory).expect("made");
    let program = compile(&directory, "tell", TELLS_ITS_KEYRING, &["-static"]);
    let mount = format!("{}:/keyring:ro", directory.display());
    let flags = ["--security-opt", "seccomp=unconfined", "-v", &mount];
    host.docker(&[&["run", "-d", "--name", "box"], &flags[..], &["busybox", "sleep", "1000"]].concat()).ok();
    let run =
        |more: &[&str]| host.docker(&[&["run", "--rm"], &flags[..], more, &["busybox", "/keyring/tell"]].concat()).ok();
    let keyrings = [
        host.sh(&program.to_string_lossy()).ok(),
        run(&[]),
        run(&[]),
        run(&["--pid", "container:box"]),
        host.docker(&["exec", "--privileged", "box", "/keyring/tell"]).ok(),
    ];
    for (number, keyring) in keyrings.iter().enumerate() {
        assert!(keyring.parse::<u32>().is_ok() && !keyrings[..number].contains(keyring), "{keyrings:?}");
    }
}

/// A list of users in a volume, or below another root directory, doesn't decide who an exec runs as.
#[test]
fn an_exec_s_user_is_looked_up_where_its_container_s_was() {
    let (_world, host) = started();
    let directory = host.directory().join("etc");
    std::fs::create_dir(&directory).expect("made");
    std::fs::write(directory.join("passwd"), "guest:x:0:0::/:/bin/sh\n").expect("written");
    let mount = format!("{}:/etc", directory.display());
    host.docker(&["run", "-d", "--name", "mounted", "-u", "guest", "-v", &mount, "busybox", "sleep", "1000"]).ok();
    assert_eq!(host.docker(&["exec", "mounted", "id", "-u"]).ok(), "1000");
    let chroot = "mkdir -p /other/etc /other/bin && cp /bin/busybox /other/bin/ && \
                  echo guest:x:0:0::/:/bin/sh > /other/etc/passwd && exec chroot /other /bin/busybox sleep 1000";
    host.docker(&["run", "-d", "--name", "moved", "busybox", "sh", "-c", chroot]).ok();
    assert_eq!(host.docker(&["exec", "-u", "guest", "moved", "id", "-u"]).ok(), "1000");
}
