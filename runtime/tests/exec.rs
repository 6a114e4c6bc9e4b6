//! What an exec is made of: all that is asked for, in all that its container has.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use common::{World, id, process, script, until};
use nix::sys::signal::Signal;
use runtime::capabilities::CapabilitySet;
use runtime::seccomp::{Profile, Seccomp};
use runtime::spec::{
    IpcNamespace, Namespaces, OwnOrHost, PidNamespace, Process, Rlimit, RlimitKind, TerminalSize, UserSpec,
};
use runtime::{ContainerSpec, Error, ExecSpec, Target};

fn world_with_sleeper(namespaces: Namespaces) -> World {
    let world = World::new();
    world.start(&ContainerSpec { namespaces, ..world.spec("c", &["sleep", "1000"]) });
    world
}

#[test]
fn it_has_its_own_identity_session_and_confinement() {
    let world = world_with_sleeper(Namespaces::default());
    let user = UserSpec { user: "alice".to_owned(), additional_groups: vec!["4711".to_owned()] };
    let (output, code) = world.exec("c", "e", Process { user, ..script("echo $$; id; cat /proc/self/status") });
    assert_eq!(code, 0, "{output}");
    let has = |line: &str| output.lines().any(|found| found.split_whitespace().eq(line.split_whitespace()));
    for line in [
        "uid=1000(alice) gid=1000(alice) groups=10(wheel),1000(alice),4711",
        "Uid: 1000 1000 1000 1000",
        "Gid: 1000 1000 1000 1000",
        "CapInh: 0000000000000000",
        "CapPrm: 0000000000000000",
        "CapEff: 0000000000000000",
        "CapBnd: 00000000a80425fb",
        "CapAmb: 0000000000000000",
        "NoNewPrivs: 0",
        "Seccomp: 2",
    ] {
        assert!(has(line), "{line}: {output}");
    }
}

#[test]
fn it_leads_a_session_and_its_streams_are_all_that_is_open() {
    let world = world_with_sleeper(Namespaces::default());
    let (output, _) =
        world.exec("c", "e1", script("set -- $(cat /proc/self/stat); echo $(($4 == $6)); ls /proc/$$/fd; true"));
    assert_eq!(output, "1\n0\n1\n2\n", "its session is its own pid, and nothing else is open");
}

#[test]
fn limits_are_raised_lowered_and_counted_for_the_program_alone() {
    let world = world_with_sleeper(Namespaces::default());
    let limit = |kind, soft, hard| Rlimit { kind, soft, hard };
    let rlimits =
        vec![limit(RlimitKind::Nproc, 1, 1), limit(RlimitKind::Nofile, 3, 30), limit(RlimitKind::Stack, 65536, 65536)];
    // A user with one process, which is this one.
    let user = UserSpec { user: "4242".to_owned(), ..UserSpec::default() };
    let limited = Process { rlimits, user, ..process(&["cat", "/proc/self/limits"]) };
    // No room for another file in a program that has three; its own standard streams are there.
    let (output, _) = world.exec("c", "e", limited.clone());
    assert_eq!(output, "cat: can't open '/proc/self/limits': Too many open files\n");
    let roomy = Process { rlimits: vec![limit(RlimitKind::Nproc, 1, 1), limit(RlimitKind::Nofile, 9, 30)], ..limited };
    let (output, code) = world.exec("c", "e2", roomy);
    let has = |line: &str| output.lines().any(|found| found.split_whitespace().eq(line.split_whitespace()));
    assert!(code == 0 && has("Max processes 1 1 processes") && has("Max open files 9 30 files"), "{output}");
}

#[test]
fn a_filter_that_forbids_to_fork_is_the_program_s_alone() {
    let world = world_with_sleeper(Namespaces::default());
    let tables = [
        ("fork", r#""clone","clone3","fork","vfork""#),
        ("session", r#""setsid""#),
        // The shim learns of the process without it.
        ("none", r#""reboot""#),
    ];
    for (name, calls) in tables {
        let text = format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":[{calls}],"action":"SCMP_ACT_ERRNO"}}]}}"#
        );
        let seccomp = Seccomp::Custom(Box::new(Profile::parse(&text).expect("parses")));
        let terminal = None;
        let script = "grep -E '^(Seccomp|CapEff):' /proc/self/status";
        let (output, code) =
            world.exec("c", name, Process { seccomp, terminal, ..process(&["sh", "-c", &format!("exec {script}")]) });
        assert_eq!((output.as_str(), code), ("CapEff:\t00000000a80425fb\nSeccomp:\t2\n", 0), "{name}");
    }
}

#[test]
fn it_joins_whatever_namespaces_its_container_has() {
    let all = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
    let host =
        Namespaces { pid: PidNamespace::Host, ipc: IpcNamespace::Host, uts: OwnOrHost::Host, cgroup: OwnOrHost::Host };
    let own = Namespaces { cgroup: OwnOrHost::Own, ..Namespaces::default() };
    for (namespaces, shared) in [(host, true), (own, false)] {
        let world = world_with_sleeper(namespaces);
        let links = "for name in pid ipc uts cgroup; do readlink /proc/self/ns/$name; done";
        let (output, code) = world.exec("c", "e", script(links));
        assert_eq!(code, 0, "{output}");
        for (line, name) in output.lines().zip(["pid", "ipc", "uts", "cgroup"]) {
            assert_eq!(line == all(name).to_string_lossy(), shared, "{name} of {shared}");
        }
        assert_eq!(output.lines().count(), 4);
    }
}

#[test]
fn an_oom_score_is_the_container_s() {
    let world = World::new();
    let score = |text: &str| text.trim().parse::<i32>().expect("a number");
    let started = world.start(&ContainerSpec { oom_score_adj: Some(321), ..world.spec("c", &["sleep", "1000"]) });
    let first = fs::read_to_string(format!("/proc/{}/oom_score_adj", started.pid)).expect("it runs");
    let (exec, _) = world.exec("c", "e", process(&["cat", "/proc/self/oom_score_adj"]));
    assert_eq!((score(&first), score(&exec)), (321, 321));
}

#[test]
fn a_working_directory_lies_under_the_root_or_is_refused() {
    let world = world_with_sleeper(Namespaces { pid: PidNamespace::Host, ..Namespaces::default() });
    let at = |cwd: &str| Process { cwd: cwd.to_owned(), ..process(&["pwd"]) };
    assert_eq!(world.exec("c", "e", at("/tmp/..//tmp")), ("/tmp\n".to_owned(), 0));
    for (number, cwd) in ["/proc/1/root", "/proc/1/root/tmp", "/proc/1/cwd", "/proc/self/fd/0"].iter().enumerate() {
        let (container, exec) = (id("c"), id(&format!("refused{number}")));
        let spec = ExecSpec { id: exec, process: Process { capabilities: CapabilitySet::ALL, ..at(cwd) } };
        let error = world.runtime.exec(&container, &spec).expect("begins").release().expect_err("refused");
        match &error {
            Error::Start { message, exit_code: 126 | 127 } => {
                assert!(message.starts_with(&format!("chdir to cwd ({cwd:?}) failed: ")), "{message}");
            }
            other => panic!("{cwd}: {other:?}"),
        }
    }
}

#[test]
fn its_terminal_is_the_session_s_own() {
    let world = world_with_sleeper(Namespaces::default());
    let terminal = Some(TerminalSize { columns: 90, rows: 30 });
    let process = Process { terminal, ..script("tty; stty size; echo from the terminal > /dev/tty") };
    let (container, exec) = (id("c"), id("e"));
    let starting = world.runtime.exec(&container, &ExecSpec { id: exec, process }).expect("begins");
    let streams = runtime::protocol::Streams { stdin: false, stdout: true, stderr: true };
    let attachment = starting.attach(streams).expect("attaches");
    starting.release().expect("starts");
    let mut shown = String::new();
    std::io::Read::read_to_string(&mut attachment.into_stream().expect("attached"), &mut shown).expect("read");
    assert_eq!(shown, "/dev/pts/0\r\n30 90\r\nfrom the terminal\r\n");
}

#[test]
fn a_filter_that_forbids_to_write_is_not_the_machinery_s_end() {
    let world = world_with_sleeper(Namespaces::default());
    let text =
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["write","writev"],"action":"SCMP_ACT_ERRNO"}]}"#;
    let seccomp = Seccomp::Custom(Box::new(Profile::parse(text).expect("parses")));
    let (output, code) = world.exec("c", "e", Process { seccomp, ..process(&["mkdir", "/made"]) });
    assert_eq!((output.as_str(), code), ("", 0));
    assert_eq!(world.exec("c", "look", process(&["ls", "-d", "/made"])), ("/made\n".to_owned(), 0));
}

#[test]
fn signals_that_the_caller_ignores_or_blocks_are_the_program_s_all_the_same() {
    let ignored = nix::sys::signal::SigHandler::SigIgn;
    // SAFETY: no handler of ours is involved, and this process has this one test.
    unsafe { nix::sys::signal::signal(Signal::SIGUSR2, ignored) }.expect("ignored");
    nix::sys::signal::SigSet::from(Signal::SIGUSR1).thread_block().expect("blocked");
    let world = world_with_sleeper(Namespaces::default());
    let look = ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"];
    let none = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
    assert_eq!(world.exec("c", "e", process(&look)), (none.to_owned(), 0));
    assert_eq!(world.output(world.spec("d", &look)), (none.to_owned(), 0));
}

/// Whether the shim of an exec waits for its release: it has the container's process, and is in a system call about a socket.
fn is_about_to_enter(pid: i32) -> bool {
    let line = format!("Pid:\t{pid}");
    let has_the_process = |process: &Path| {
        let descriptors = fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten();
        let mut shown = descriptors.map(|descriptor| fs::read_to_string(descriptor.path()).unwrap_or_default());
        shown.any(|shown| shown.lines().any(|found| found == line))
    };
    // Its number, and its arguments in hexadecimal digits.
    let waits_at_a_socket = |process: &Path| {
        let call = fs::read_to_string(process.join("syscall")).unwrap_or_default();
        let descriptor = call.split(' ').nth(1).and_then(|argument| argument.strip_prefix("0x"));
        let descriptor = descriptor.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let link = descriptor.and_then(|number| fs::read_link(process.join(format!("fd/{number}"))).ok());
        link.is_some_and(|link| link.to_string_lossy().starts_with("socket:"))
    };
    let mut processes = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
    processes.any(|process| has_the_process(&process) && waits_at_a_socket(&process))
}

/// A process that has this pid, which is free but for what a shim may still do with it for a moment.
fn process_with_pid(pid: i32) -> Child {
    for _ in 0..1000 {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string())
            .expect("ns_last_pid (a kernel with CONFIG_CHECKPOINT_RESTORE) of this namespace, which is ours");
        let mut process = Command::new("sleep").arg("1000").spawn().expect("sleep");
        if i32::try_from(process.id()) == Ok(pid) {
            return process;
        }
        process.kill().and_then(|()| process.wait()).expect("ended");
    }
    panic!("pid {pid} doesn't become free");
}

#[test]
fn a_pid_that_is_another_process_s_by_now_is_never_entered() {
    const INSIDE: &str = "BERTH_TEST_OWN_PIDS";
    if std::env::var_os(INSIDE).is_none() {
        // The same in a pid namespace, where nobody else takes the pid that is to come next.
        let mut inside = Command::new("unshare");
        inside.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(std::env::current_exe().expect("this"));
        inside.args(["--exact", "a_pid_that_is_another_process_s_by_now_is_never_entered", "--nocapture"]);
        assert!(inside.env(INSIDE, "1").status().expect("unshare (util-linux)").success());
        return;
    }
    let world = World::new();
    let terminal = Some(TerminalSize { columns: 80, rows: 24 });
    let (container, spec) = (id("c"), ExecSpec { id: id("e"), process: Process { terminal, ..script("true") } });
    let target = Target::Container(&container);
    let refused = |starting: runtime::ExecStarting, why: &str| match starting.release() {
        Err(Error::Start { message, exit_code: 125 }) => assert!(message.contains(why), "{message}"),
        other => panic!("{why}: {other:?}"),
    };
    // It ends when its exec's shim has it already, beside its monitor.
    let first = world.start(&world.spec("c", &["sleep", "1000"]));
    let starting = world.runtime.exec(&container, &spec).expect("begins");
    until("a shim that waits for its release", || is_about_to_enter(first.pid));
    let watch = world.runtime.watch(target).expect("watched");
    world.runtime.signal(target, Signal::SIGKILL as i32, false).expect("sent");
    watch.wait().expect("ends");
    let mut other = process_with_pid(first.pid);
    refused(starting, "join the container's namespaces: ");
    world.runtime.delete(target).expect("deleted");

    // It has ended before, and all that is known of it is its pid.
    let record = world.directory.path().join("run/c/started.json");
    let first = world.start(&world.spec("c", &["sleep", "1000"]));
    let as_it_is = fs::read_to_string(&record).expect("recorded");
    let anothers = as_it_is.replace(&format!("\"pid\":{},", first.pid), &format!("\"pid\":{},", other.id()));
    assert_ne!(anothers, as_it_is);
    fs::write(&record, anothers).expect("written");
    refused(world.runtime.exec(&container, &spec).expect("begins"), "the container is gone");
    fs::write(&record, as_it_is).expect("written");
    assert_eq!(world.exec("c", "e", process(&["true"])), (String::new(), 0));
    other.kill().expect("killed");
    other.wait().expect("ended");
}
