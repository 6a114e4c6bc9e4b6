//! Containers from start to end: exit codes, errors, output, limits, isolation.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{World, id, script};
use runtime::capabilities::CapabilitySet;
use runtime::seccomp::{Profile, Seccomp};
use runtime::spec::{
    BindPropagation, Log, Mount, MountKind, Namespaces, OwnOrHost, PidNamespace, Process, Resources, Rlimit,
    RlimitKind, UserSpec,
};
use runtime::{ContainerSpec, Error, Status, Target};

#[test]
fn exit_codes_are_the_programs_own() {
    let world = World::new();
    let table: &[(&str, &str, u8, Option<i32>)] = &[
        ("t", "true", 0, None),
        ("f", "false", 1, None),
        ("n", "exit 42", 42, None),
        ("k", "kill -9 $$", 137, None),
        ("s", "kill -TERM $$; sleep 9", 143, None),
    ];
    for (name, text, code, signal) in table {
        // As pid 1 a shell would ignore its own signals.
        let spec = ContainerSpec { init: true, ..world.spec(name, &["sh", "-c", text]) };
        let exit = world.run(&spec);
        assert_eq!((exit.code, exit.signal, exit.oom_killed, exit.error), (*code, *signal, false, None), "{text}");
        assert!(matches!(world.runtime.status(Target::Container(&id(name))), Ok(Status::Exited(_))));
    }
}

#[test]
fn programs_that_can_t_be_run_are_refused_as_docker_does() {
    let world = World::new();
    let lower = world.directory.path().join("lower");
    fs::write(lower.join("bin/plain"), "text").expect("written");
    let table = [
        ("foo", 127, r#"exec: "foo": executable file not found in $PATH"#),
        ("/bin/foo", 127, r#"exec: "/bin/foo": stat /bin/foo: no such file or directory"#),
        ("/bin/plain", 126, r#"exec: "/bin/plain": permission denied"#),
        ("plain", 126, r#"exec: "plain": permission denied"#),
        ("/bin", 126, r#"exec: "/bin": is a directory"#),
        ("", 127, r#"exec: "": executable file not found in $PATH"#),
    ];
    for (program, exit_code, text) in table {
        let spec = world.spec("c", &[program]);
        match world.try_start(&spec).expect_err("can't be run") {
            Error::Start { message, exit_code: code } => assert_eq!((message.as_str(), code), (text, exit_code)),
            other => panic!("{program}: {other}"),
        }
        assert_eq!(world.runtime.status(Target::Container(&spec.id)).expect("known"), Status::Gone);
        world.assert_no_cgroup("c");
    }
}

#[test]
fn all_output_is_in_the_log_when_the_end_is_known() {
    let world = World::new();
    let (text, code) =
        world.output(world.spec("c", &["sh", "-c", "head -c 1048576 /dev/zero | tr '\\0' x; echo e >&2"]));
    assert_eq!((text.len(), code), (1024 * 1024 + 2, 0));
}

#[test]
fn the_log_is_rotated() {
    let world = World::new();
    let path = world.log_path("c");
    let log = Log::JsonFile {
        path: path.clone(),
        max_size_bytes: Some(10_000),
        max_files: 3,
        compress: false,
        attributes: BTreeMap::new(),
        buffer_bytes: None,
    };
    world.run(&ContainerSpec { log, ..world.spec("c", &["seq", "1000"]) });
    let size = |path: &Path| fs::metadata(path).expect("there").len();
    let older = |number: u32| path.with_file_name(format!("c-json.log.{number}"));
    assert!(size(&path) <= 10_000 && size(&older(1)) <= 10_000 && size(&older(2)) <= 10_000);
    assert!(!older(3).exists());
    assert!(world.log("c").ends_with("\n1000\n"));
}

#[test]
fn a_container_is_confined() {
    let world = World::new();
    let text = "exec 2>&1; grep -E '^(CapEff|CapBnd|Seccomp|NoNewPrivs):' /proc/self/status; hostname; echo $$; \
                echo 1 > /proc/sys/kernel/panic; mount -t tmpfs x /tmp; unshare -n true; \
                cat /proc/keys | wc -c; cat /proc/timer_list | wc -c; ls /sys/firmware | wc -l; \
                touch /sys/fs/cgroup/x; head -c1 /dev/kmsg; ls /dev | tr '\\n' ' '";
    let (output, code) = world.output(world.spec("c", &["sh", "-c", text]));
    insta::assert_snapshot!(format!("{output}{code}"), @r"
    CapEff:	00000000a80425fb
    CapBnd:	00000000a80425fb
    NoNewPrivs:	0
    Seccomp:	2
    box
    1
    sh: can't create /proc/sys/kernel/panic: Read-only file system
    mount: permission denied (are you root?)
    unshare: unshare(0x40000000): Operation not permitted
    0
    0
    0
    touch: /sys/fs/cgroup/x: Read-only file system
    head: /dev/kmsg: No such file or directory
    fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero 0
    ");
}

#[test]
fn a_privileged_container_is_not() {
    let world = World::new();
    let mut spec = world.spec(
        "c",
        &["sh", "-c", "grep -E '^(Seccomp):' /proc/self/status; mount -t tmpfs x /tmp && echo mounted; test -e /dev/loop0 -o -e /dev/kmsg && echo devices"],
    );
    spec.privileged = true;
    spec.masked_paths.clear();
    spec.readonly_paths.clear();
    spec.process.capabilities = CapabilitySet::ALL;
    spec.process.seccomp = Seccomp::Unconfined;
    let (output, code) = world.output(spec);
    assert_eq!((output.as_str(), code), ("Seccomp:\t0\nmounted\ndevices\n", 0));
}

#[test]
fn users_are_the_container_s_own() {
    let world = World::new();
    let table = [
        (
            "alice",
            "uid=1000(alice) gid=1000(alice) groups=10(wheel),1000(alice)\n/home/alice\nCapEff:\t0000000000000000\nx\n",
        ),
        ("1234:5", "uid=1234 gid=5 groups=5\n/\nCapEff:\t0000000000000000\nx\n"),
    ];
    for (number, (user, expected)) in table.into_iter().enumerate() {
        // Its output can be opened anew, too.
        let text = "id; echo $HOME; grep CapEff /proc/self/status; echo x > /dev/stdout";
        let mut spec = world.spec(&format!("c{number}"), &["sh", "-c", text]);
        spec.process.user = UserSpec { user: user.to_owned(), additional_groups: Vec::new() };
        assert_eq!(world.output(spec), (expected.to_owned(), 0));
    }
    let mut spec = world.spec("nobody", &["true"]);
    spec.process.user.user = "mallory".to_owned();
    let error = world.try_start(&spec).expect_err("unknown");
    assert_eq!(error.to_string(), "unable to find user mallory: no matching entries in passwd file");
}

#[test]
fn limits_hold() {
    let world = World::new();
    let mut memory = world.spec("memory", &["sh", "-c", "x=$(yes | head -c 80000000); echo survived"]);
    memory.resources =
        Resources { memory_bytes: Some(16 << 20), memory_and_swap_bytes: Some(16 << 20), ..Resources::default() };
    let exit = world.run(&memory);
    assert!(exit.oom_killed, "{exit:?}");
    assert!(!world.log("memory").contains("survived"));

    let mut pids = world.spec("pids", &["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait"]);
    pids.resources = Resources { pids_limit: Some(4), ..Resources::default() };
    world.run(&pids);
    assert!(world.log("pids").contains("can't fork"), "{}", world.log("pids"));

    let mut cpu = world.spec("cpu", &["sleep", "60"]);
    cpu.resources = Resources {
        cpu_quota_microseconds: Some(50_000),
        cpu_period_microseconds: Some(100_000),
        cpu_shares: Some(512),
        ..Resources::default()
    };
    world.start(&cpu);
    let cgroup = world.cgroup("cpu", "cpu");
    let set = |v1: &str, v2: &str| {
        fs::read_to_string(cgroup.join(v1)).or_else(|_| fs::read_to_string(cgroup.join(v2))).expect("there")
    };
    assert!(["50000\n", "50000 100000\n"].contains(&set("cpu.cfs_quota_us", "cpu.max").as_str()));
    assert!(["512\n", "20\n"].contains(&set("cpu.shares", "cpu.weight").as_str()));
    let stats = world.runtime.stats(&cpu.id).expect("counted");
    assert_eq!(stats.pids.current, 1);
    assert!(stats.memory.usage_bytes > 0 && stats.cpu.total_nanoseconds > 0 && stats.cpu.online_cpus > 0);
}

#[test]
fn mounts_are_as_asked() {
    let world = World::new();
    let shared = world.directory.path().join("shared");
    fs::create_dir(&shared).expect("made");
    fs::write(shared.join("file"), "from the host\n").expect("written");
    let bind = |destination: &str, source: &Path, readonly| Mount {
        destination: destination.into(),
        readonly,
        kind: MountKind::Bind {
            source: source.to_owned(),
            propagation: BindPropagation::default(),
            non_recursive: false,
        },
    };
    let mut spec = world.spec(
        "c",
        &["sh", "-c", "cat /a/b/file /etc/hosts; touch /a/b/new; touch /ro/x 2>&1; grep -c ' /small tmpfs' /proc/mounts; touch /top 2>&1; pwd"],
    );
    spec.mounts = vec![
        bind("/a/b", &shared, false),
        bind("/ro", &shared, true),
        bind("/etc/hosts", &shared.join("file"), false),
        Mount {
            destination: "/small".into(),
            readonly: false,
            kind: MountKind::Tmpfs { size_bytes: Some(65536), mode: Some(0o700), options: vec!["noexec".to_owned()] },
        },
    ];
    spec.rootfs.readonly = true;
    spec.process.cwd = "/a/b".to_owned();
    let (output, _) = world.output(spec);
    insta::assert_snapshot!(output, @r"
    from the host
    from the host
    touch: /ro/x: Read-only file system
    1
    touch: /top: Read-only file system
    /a/b
    ");
    assert!(shared.join("new").exists());
}

#[test]
fn no_disk_is_waited_for_where_nothing_is_wanted_after_a_power_cut() {
    let world = World::new();
    let text = "grep -c '^overlay / .*volatile' /proc/mounts; cat /kept; echo kept > /kept";
    let mut spec = world.spec("c", &["sh", "-c", text]);
    assert_eq!(world.output(spec.clone()), ("0\ncat: can't open '/kept': No such file or directory\n".to_owned(), 0));
    spec.rootfs.volatile = true;
    // The second time over what the first has left.
    for _ in 0..2 {
        world.runtime.delete(Target::Container(&spec.id)).expect("deleted");
        fs::remove_file(world.log_path("c")).expect("there is one");
        assert_eq!(world.output(spec.clone()), ("1\nkept\n".to_owned(), 0));
    }
    // After another boot it may not be whole.
    let none = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&spec.rootfs.work, "trusted.berth.boot", b"another", none).expect("an attribute");
    world.runtime.delete(Target::Container(&spec.id)).expect("deleted");
    for volatile in [true, false] {
        spec.rootfs.volatile = volatile;
        let refused = world.try_start(&spec).expect_err("it may not be whole").to_string();
        assert!(refused.contains("the machine went down before"), "{refused}");
    }
}

#[test]
fn a_working_directory_is_made() {
    let world = World::new();
    let mut spec = world.spec("c", &["sh", "-c", "pwd; touch here 2>&1"]);
    spec.process.cwd = "/srv/deep".to_owned();
    spec.process.user.user = "alice".to_owned();
    let (output, _) = world.output(spec);
    assert_eq!(output, "/srv/deep\ntouch: here: Permission denied\n", "it is root's, as with Docker");
}

#[test]
fn a_seccomp_profile_of_ones_own_counts() {
    let world = World::new();
    let profile = Profile::parse(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#,
    )
    .expect("parses");
    let mut spec = world.spec("c", &["mkdir", "/tmp/x"]);
    spec.process.seccomp = Seccomp::Custom(Box::new(profile));
    spec.process.no_new_privileges = true;
    let (output, code) = world.output(spec);
    assert_eq!((output.as_str(), code), ("mkdir: can't create directory '/tmp/x': Operation not permitted\n", 1));
}

/// A static 32-bit program for Linux on x86: `write(1, "32 bits\n", 8)`, then `exit(0)`.
#[cfg(target_arch = "x86_64")]
fn program_of_32_bits() -> Vec<u8> {
    const LOADED_AT: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    let text = b"32 bits\n";
    let mut code = vec![0xbb, 1, 0, 0, 0, 0xb9]; // mov ebx, 1; mov ecx, …
    code.extend((LOADED_AT + HEADERS + 31).to_le_bytes());
    code.extend([0xba, 8, 0, 0, 0, 0xb8, 4, 0, 0, 0, 0xcd, 0x80]); // mov edx, 8; mov eax, write; int 0x80
    code.extend([0x31, 0xdb, 0xb8, 1, 0, 0, 0, 0xcd, 0x80]); // xor ebx, ebx; mov eax, exit; int 0x80
    code.extend(text);
    let length = HEADERS + u32::try_from(code.len()).expect("short");
    let mut program = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    program.extend([2_u16, 3].iter().flat_map(|half| half.to_le_bytes())); // an executable for the 386
    program.extend([1, LOADED_AT + HEADERS, 52, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    program.extend([52_u16, 32, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    // One segment: all of the file, to be read and run.
    program.extend(
        [1, 0, LOADED_AT, LOADED_AT, length, length, 5, 0x1000].iter().flat_map(|word: &u32| word.to_le_bytes()),
    );
    program.extend(code);
    program
}

#[cfg(target_arch = "x86_64")]
#[test]
fn programs_of_32_bits_run_behind_the_default_filter() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::new();
    let path = world.directory.path().join("lower/bin/old");
    fs::write(&path, program_of_32_bits()).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    if std::process::Command::new(&path).output().is_err() {
        eprintln!("SKIPPED: this kernel runs no 32-bit programs");
        return;
    }
    assert_eq!(world.output(world.spec("c", &["old"])), ("32 bits\n".to_owned(), 0));
}

#[test]
fn namespaces_are_shared_when_asked() {
    let world = World::new();
    let first = world.spec("first", &["sleep", "60"]);
    world.start(&first);
    let mut second = world.spec("second", &["sh", "-c", "ps | grep -c '[s]leep 60$'; hostname"]);
    second.namespaces =
        Namespaces { pid: PidNamespace::Container(first.id.clone()), uts: OwnOrHost::Own, ..Namespaces::default() };
    let (output, _) = world.output(second);
    assert_eq!(output, "1\nbox\n");
    let mut third = world.spec("third", &["true"]);
    third.namespaces.pid = PidNamespace::Container(id("nobody"));
    let error = world.try_start(&third).expect_err("nobody there");
    assert_eq!(error.to_string(), "cannot join the namespace of container nobody: it is not running");
}

#[test]
fn a_process_left_behind_in_the_host_s_pid_namespace_does_not_hold_the_end_up() {
    let world = World::new();
    let mut spec = world.spec("c", &["sh", "-c", "sleep 1000 & echo gone"]);
    spec.namespaces.pid = PidNamespace::Host;
    let (output, code) = world.output(spec);
    assert_eq!((output.as_str(), code), ("gone\n", 0));
}

#[test]
fn limits_sysctls_and_environment_reach_the_process() {
    let world = World::new();
    let mut spec = world.spec(
        "c",
        &[
            "sh",
            "-c",
            "ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj; echo $A $HOME",
        ],
    );
    spec.process.rlimits = vec![Rlimit { kind: RlimitKind::Nofile, soft: 7, hard: 9 }];
    spec.process.env.extend(["A=1".to_owned(), "A=2".to_owned()]);
    spec.sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "81".to_owned());
    spec.oom_score_adj = Some(500);
    let (output, code) = world.output(spec);
    // Fewer files than are open until the program starts.
    assert_eq!((output.as_str(), code), ("7\n81\n500\n2 /root\n", 0));
}

#[test]
fn an_exec_is_confined_as_its_container() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    world.start(&spec);
    let status = "grep -E '^(CapEff|Seccomp):' /proc/self/status; hostname; echo $HOME; echo bad >&2; exit 3";
    let (output, code) = world.exec("c", "e1", script(status));
    assert_eq!((output.as_str(), code), ("CapEff:\t00000000a80425fb\nSeccomp:\t2\nbox\n/root\nbad\n", 3));

    let privileged = Process {
        capabilities: CapabilitySet::ALL,
        seccomp: Seccomp::Unconfined,
        user: UserSpec { user: "alice".to_owned(), additional_groups: Vec::new() },
        cwd: "/tmp".to_owned(),
        ..script("grep Seccomp: /proc/self/status; id -u; pwd")
    };
    assert_eq!(world.exec("c", "e2", privileged), ("Seccomp:\t0\n1000\n/tmp\n".to_owned(), 0));

    let starting = world
        .runtime
        .exec(&spec.id, &runtime::ExecSpec { id: id("e3"), process: common::process(&["nothing"]) })
        .expect("begins");
    match starting.release().expect_err("can't be run") {
        Error::Start { message, exit_code } => {
            assert_eq!((message.as_str(), exit_code), (r#"exec: "nothing": executable file not found in $PATH"#, 127));
        }
        other => panic!("{other}"),
    }
    assert_eq!(world.runtime.list_execs(&spec.id).expect("listed"), [id("e1"), id("e2")]);
}

#[test]
fn processes_are_joined_in_the_end_with_all_that_they_are() {
    let world = World::new();
    world.start(&world.spec("c", &["sleep", "1000"]));
    let joined = |name: &str, text: &str| {
        let mut spec = world.spec(name, &["sh", "-c", text]);
        spec.namespaces.pid = PidNamespace::Container(id("c"));
        spec
    };
    let text = "ps -o args | grep -c '^sleep 1000'; set -- $(cat /proc/self/stat); echo $(($6 == $$)); \
                cat /proc/self/oom_score_adj; cat /proc/interrupts | wc -c; echo x 2>&1 > /proc/sys/kernel/hostname; exit 3";
    let mut spec = joined("d", text);
    spec.oom_score_adj = Some(77);
    let (output, code) = world.output(spec);
    let readonly = "sh: can't create /proc/sys/kernel/hostname: Read-only file system\n";
    assert_eq!((output.as_str(), code), (format!("1\n1\n77\n0\n{readonly}").as_str(), 3));

    let mut spec = joined("e", "tty; stty size; echo said > /dev/tty; exec sleep 1000");
    spec.process.terminal = Some(runtime::spec::TerminalSize { columns: 90, rows: 30 });
    let started = world.start(&spec);
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).expect("it runs");
    assert_ne!(namespace(started.pid), fs::read_link("/proc/self/ns/pid").expect("read"));
    common::until("its word", || fs::read_to_string(world.log_path("e")).is_ok_and(|log| log.contains("said")));
    assert_eq!(world.log("e"), "/dev/pts/0\r\n30 90\r\nsaid\r\n");
    let target = Target::Container(&spec.id);
    world.runtime.signal(target, 9, false).expect("sent");
    assert_eq!(world.runtime.watch(target).expect("watched").wait().expect("ends").code, 137);

    let error = world.try_start(&joined("f", "exec nothing")).err();
    assert_eq!(error.map(|error| error.to_string()), None, "a shell was found");
    let mut spec = joined("g", "");
    spec.process.args = vec!["nothing".to_owned()];
    let error = world.try_start(&spec).expect_err("no such program");
    assert_eq!(error.to_string(), r#"exec: "nothing": executable file not found in $PATH"#);
    assert_eq!(world.runtime.status(Target::Container(&spec.id)).expect("known"), Status::Gone);
}
