//! The whole configuration of a plain container, and what each wish changes in it.

use super::*;
use crate::capabilities::CapabilitySet;
use crate::defaults;
use crate::seccomp::Seccomp;
use crate::spec::{Log, Resources, Rlimit, Rootfs, Stdin, TerminalSize, UserSpec};

fn spec() -> ContainerSpec {
    ContainerSpec {
        id: "c".parse().expect("an id"),
        rootfs: Rootfs {
            lower: vec!["/l".into()],
            upper: "/u".into(),
            work: "/w".into(),
            readonly: false,
            volatile: false,
        },
        process: Process {
            args: vec!["sh".to_owned()],
            env: Vec::new(),
            cwd: "/srv".to_owned(),
            user: UserSpec::default(),
            capabilities: CapabilitySet::default_for_containers(),
            no_new_privileges: false,
            seccomp: Seccomp::Default,
            rlimits: vec![Rlimit { kind: crate::spec::RlimitKind::Nofile, soft: 1, hard: u64::MAX }],
            terminal: None,
            stdin: Stdin::Closed,
        },
        hostname: "box".to_owned(),
        domainname: String::new(),
        mounts: Vec::new(),
        shm_size_bytes: 1024,
        namespaces: Namespaces::default(),
        resources: Resources { memory_bytes: Some(1 << 30), ..Resources::default() },
        devices: Vec::new(),
        privileged: false,
        sysctls: [("net.ipv4.ip_forward".to_owned(), "1".to_owned())].into(),
        masked_paths: defaults::masked_paths(false),
        readonly_paths: defaults::readonly_paths(false),
        oom_score_adj: Some(5),
        init: false,
        cgroup_parent: "/berth".into(),
        log: Log::None,
    }
}

fn context() -> OciContext {
    OciContext {
        rootfs: "/run/c/rootfs".into(),
        user: ResolvedUser { uid: 1, gid: 2, additional_gids: vec![3], home: "/home".to_owned() },
        network: Some("/run/netns/x".into()),
        joined_proc: None,
        ipc_of: None,
        cgroup_directory: true,
        host_devices: Vec::new(),
    }
}

fn mount_of(config: &oci::Spec, destination: &str) -> (String, String) {
    let mounts = config.mounts().as_ref().expect("there are mounts");
    let mount = mounts.iter().find(|mount| mount.destination() == Path::new(destination)).expect("it is mounted");
    let source = mount.source().as_ref().map(|source| source.to_string_lossy().into_owned()).unwrap_or_default();
    (source, mount.options().clone().unwrap_or_default().join(","))
}

fn has_mount(config: &oci::Spec, destination: &str) -> bool {
    config.mounts().iter().flatten().any(|mount| mount.destination() == Path::new(destination))
}

fn namespaces_of(config: &oci::Spec) -> Vec<String> {
    let linux = config.linux().as_ref().expect("it is for Linux");
    let describe = |namespace: &oci::LinuxNamespace| match namespace.path() {
        Some(path) => format!("{}={}", namespace.typ(), path.display()),
        None => namespace.typ().to_string(),
    };
    linux.namespaces().iter().flatten().map(describe).collect()
}

#[test]
fn a_plain_container() {
    insta::assert_json_snapshot!(container(&spec(), &context()).expect("complete"));
}

#[test]
fn a_privileged_container_can_write_to_sys() {
    let spec = ContainerSpec { privileged: true, ..spec() };
    let config = container(&spec, &context()).expect("complete");
    assert!(mount_of(&config, "/sys").1.contains("rw"));
}

#[test]
fn namespaces_are_new_joined_or_the_host_s() {
    let host =
        Namespaces { pid: PidNamespace::Host, ipc: IpcNamespace::Host, uts: OwnOrHost::Host, cgroup: OwnOrHost::Host };
    let spec_of = |namespaces| ContainerSpec { namespaces, ..spec() };
    let config = container(&spec_of(host), &OciContext { network: None, ..context() }).expect("complete");
    assert_eq!(namespaces_of(&config), ["mnt"]);
    assert!(!has_mount(&config, "/dev/shm"), "the executor's");
    assert_eq!(config.hostname(), &None, "the host keeps its name");

    let other: crate::spec::Id = "other".parse().expect("an id");
    let joined = Namespaces {
        pid: PidNamespace::Container(other.clone()),
        ipc: IpcNamespace::Container(other),
        ..Namespaces::default()
    };
    let context = OciContext { joined_proc: Some("/run/c/proc".into()), ipc_of: Some(7), ..context() };
    let config = container(&spec_of(joined), &context).expect("complete");
    assert_eq!(namespaces_of(&config), ["mnt", "net=/run/netns/x", "ipc=/proc/7/ns/ipc", "uts"]);
    assert!(!has_mount(&config, "/dev/shm"), "the executor's");
}

#[test]
fn libcontainer_mounts_what_is_in_the_kernel_s_file_systems() {
    let bind = |source: &str, destination: &str, readonly, non_recursive| Mount {
        destination: destination.into(),
        readonly,
        kind: MountKind::Bind { source: source.into(), propagation: BindPropagation::Rslave, non_recursive },
    };
    let tmpfs = |destination: &str| Mount {
        destination: destination.into(),
        readonly: true,
        kind: MountKind::Tmpfs { size_bytes: Some(9), mode: Some(0o1777), options: vec!["nodev".to_owned()] },
    };
    let mounts = vec![
        bind("/f", "/sys/class/dmi/id", true, false),
        bind("/sys", "/sys", true, true),
        bind("/f", "/proc/uptime", false, false),
        bind("/sys/fs/cgroup", "/sys/fs/cgroup", true, false),
        bind("/d", "/dev/x", false, false),
        bind("/d", "/data", false, false),
        tmpfs("/dev"),
        tmpfs("/dev/shm"),
        tmpfs("/run"),
    ];
    let config = container(&ContainerSpec { mounts, ..spec() }, &context()).expect("complete");
    let all: Vec<_> = config.mounts().iter().flatten().map(|mount| mount.destination().to_string_lossy()).collect();
    let expected =
        ["/proc", "/dev", "/dev/pts", "/sys", "/dev/mqueue", "/dev/shm", "/proc/uptime", "/sys/class/dmi/id"];
    assert_eq!(all, expected);
    assert_eq!(mount_of(&config, "/sys/class/dmi/id").1, "rbind,rslave,rro");
    assert_eq!(mount_of(&config, "/sys").1, "bind,rslave,ro");
    assert_eq!(mount_of(&config, "/dev/shm"), ("tmpfs".to_owned(), "nodev,size=9,mode=1777,ro".to_owned()));
    assert_eq!(mount_of(&config, "/dev").1, "size=9,mode=1777,ro");
}

#[test]
fn a_terminal_is_asked_for() {
    let mut spec = spec();
    spec.process.terminal = Some(TerminalSize::default());
    let config = container(&spec, &context()).expect("complete");
    assert_eq!(config.process().as_ref().and_then(oci::Process::terminal), Some(true));
}
