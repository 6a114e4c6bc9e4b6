//! Namespaces whose keeper is gone: what is taken for them, and what isn't.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Child,
    sync::Arc,
};

use cnm::{
    id::{LinkName, SandboxId},
    observed::ObserveScope,
    plan::Plan,
    resource::NamespaceAt,
};
use kernel::{Adoption, Host as _, InProcessKeeper, Kernel};

use crate::{
    host::{in_fresh_host, run},
    topology::{BridgeNetfilter, Topology, namespace, policy},
};

fn kernel(run_dir: &Path) -> Kernel {
    Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host")
}

/// A process in a namespace of its own, or in one at a path.
fn process_in(namespace: Option<&Path>) -> Child {
    let mut command = std::process::Command::new(if namespace.is_some() { "nsenter" } else { "unshare" });
    match namespace {
        Some(path) => command.arg(format!("--net={}", path.display())),
        None => command.arg("--net"),
    };
    // It says when it is there, and ends with its input.
    command.args(["sh", "-c", "echo there; cat"]).stdin(std::process::Stdio::piped());
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("a process");
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("a line");
    child
}

fn end(mut process: Child) {
    drop(process.stdin.take());
    process.wait().expect("its end");
}

/// A namespace of a process.
fn of(process: &Child, kind: &str) -> String {
    format!("/proc/{}/ns/{kind}", process.id())
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").ino()
}

#[test]
fn a_lost_namespace_is_found_by_a_process_in_it_and_nothing_else_is_taken_for_it() {
    in_fresh_host(|run_dir| {
        let sandbox: SandboxId = "s1".parse().expect("an id");
        let first = kernel(run_dir);
        first.apply(&Plan::make(vec![namespace("s1")])).expect("a namespace");
        let pin = run_dir.join("netns/s1");
        let (before, inside, elsewhere) = (inode(&pin), process_in(Some(&pin)), process_in(None));
        run("nsenter", &[&format!("--net={}", of(&elsewhere, "net")), "ip", "link", "add", "br0", "type", "bridge"]);
        drop(first);

        let next = kernel(run_dir);
        next.apply(&Plan::make(vec![namespace("s2")])).expect("another namespace");
        let neighbour = process_in(Some(&run_dir.join("netns/s2")));
        assert_eq!(next.lost_namespaces().expect("the links"), [sandbox.clone()].into());
        let scope =
            ObserveScope { namespaces: [NamespaceAt::Pinned(sandbox.clone())].into(), ..ObserveScope::default() };
        let seen = next.observe(&scope).expect("an observation");
        assert!(seen.pinned.contains(&sandbox) && seen.namespaces.len() == 1, "{seen:?}");

        assert!(next.is_lost(&sandbox).expect("the link"));
        let adopt = |path: &str| next.adopt_namespace(&sandbox, Path::new(path), &[]).expect("an answer");
        for (path, why) in [
            ("/proc/thread-self/ns/net".to_owned(), "it is the host's"),
            (of(&inside, "mnt"), "it is no network namespace"),
            (format!("/proc/{}/cmdline", inside.id()), "it is no network namespace"),
            ("/nothing".to_owned(), "there is nothing"),
            (of(&elsewhere, "net"), "it has links, and the sandbox has none"),
            (of(&neighbour, "net"), "it is another sandbox's"),
            ("/x".repeat(3000), "it can not be reached"),
        ] {
            assert_eq!(adopt(&path), Adoption::Refused(why), "{path}");
        }
        assert_eq!(adopt(&of(&inside, "net")), Adoption::Kept);
        assert!(next.lost_namespaces().expect("the links").is_empty());
        assert!(!next.is_lost(&sandbox).expect("the link"));
        [inside, elsewhere, neighbour].into_iter().for_each(end);
        assert_eq!(inode(&pin), before);
    });
}

#[test]
fn a_lost_namespace_is_known_by_the_sandbox_s_host_end_whatever_was_done_inside() {
    in_fresh_host(|run_dir| {
        let topology = Topology::new(run_dir, BridgeNetfilter::OFF);
        topology.network(&policy(1));
        for member in [2, 3] {
            topology.container(&policy(1), 1, member);
        }
        let pin = run_dir.join("netns/c1-2");
        let (before, inside) = (inode(&pin), process_in(Some(&pin)));
        let neighbour = process_in(Some(&run_dir.join("netns/c1-3")));
        let elsewhere = process_in(None);
        let in_it = |process: &Child, script: &str| {
            run("nsenter", &[&format!("--net={}", of(process, "net")), "sh", "-ec", script]);
        };
        in_it(&inside, "ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:07 name other");
        // Others pretend: by a veth of the sandbox's MAC address.
        for process in [&neighbour, &elsewhere] {
            in_it(process, "ip link add eth9 address 02:42:ac:14:01:02 type veth peer name eth8");
        }
        drop(topology);

        let next = kernel(run_dir);
        let sandbox: SandboxId = "c1-2".parse().expect("an id");
        let ends: [LinkName; 2] = ["bv0000f0000f", "bv0000100002"].map(|name| name.parse().expect("a name"));
        let adopt = |process: &Child, ends: &[LinkName]| {
            next.adopt_namespace(&sandbox, Path::new(&of(process, "net")), ends).expect("an answer")
        };
        let none = Adoption::Refused("it has none of the sandbox's links");
        for process in [&neighbour, &elsewhere] {
            assert_eq!(adopt(process, &ends), none);
        }
        assert_eq!(adopt(&inside, &ends[..1]), none, "that host end isn't there");
        assert_eq!(adopt(&inside, &ends), Adoption::Kept);
        [inside, neighbour, elsewhere].into_iter().for_each(end);
        assert_eq!(inode(&pin), before);
    });
}

#[test]
fn namespaces_that_a_former_version_has_mounted_are_kept_without_their_mounts() {
    in_fresh_host(|run_dir| {
        let directory = run_dir.join("netns");
        let mounts = || {
            let table = fs::read_to_string("/proc/thread-self/mountinfo").expect("a table");
            table.lines().filter(|line| line.contains("/netns")).count()
        };
        let bind = |from: &str, to: &Path| run("mount", &["--bind", from, &to.display().to_string()]);
        fs::create_dir(&directory).expect("a directory");
        bind(&directory.display().to_string(), &directory);
        for file in ["mounted", "bare"] {
            File::create(directory.join(file)).expect("a file");
        }
        let process = process_in(None);
        let pin = directory.join("mounted");
        bind(&of(&process, "net"), &pin);
        let before = inode(&pin);
        end(process);
        assert_eq!(mounts(), 2);

        let next = kernel(run_dir);
        assert_eq!(mounts(), 0);
        assert!(["mounted", "bare"].iter().all(|file| directory.join(file).is_symlink()));
        assert_eq!(inode(&pin), before);
        assert_eq!(next.lost_namespaces().expect("the links"), ["bare".parse().expect("an id")].into());
        let scope = ObserveScope {
            namespaces: [NamespaceAt::Pinned("mounted".parse().expect("an id"))].into(),
            ..ObserveScope::default()
        };
        assert_eq!(next.observe(&scope).expect("an observation").namespaces.len(), 2, "it can't be entered");
    });
}
