//! Namespaces whose keeper is gone: what is taken for them, and what isn't.

use std::{path::Path, process::Child, sync::Arc};

use cnm::{
    id::{MacAddress, SandboxId},
    observed::ObserveScope,
    plan::Plan,
    resource::NamespaceAt,
};
use kernel::{Adoption, Host as _, InProcessKeeper, Kernel};

use crate::{host::in_fresh_host, topology::namespace};

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

#[test]
fn a_lost_namespace_is_found_by_a_process_in_it_and_nothing_else_is_taken_for_it() {
    in_fresh_host(|run_dir| {
        let sandbox: SandboxId = "s1".parse().expect("an id");
        let first = kernel(run_dir);
        first.apply(&Plan::make(vec![namespace("s1")])).expect("a namespace");
        let pin = run_dir.join("netns/s1");
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).expect("a file"));
        let (before, mut inside, mut elsewhere) = (inode(&pin), process_in(Some(&pin)), process_in(None));
        drop(first);

        let next = kernel(run_dir);
        next.apply(&Plan::make(vec![namespace("s2")])).expect("another namespace");
        let mut neighbour = process_in(Some(&run_dir.join("netns/s2")));
        assert_eq!(next.lost_namespaces().expect("the links"), [sandbox.clone()].into());
        let scope =
            ObserveScope { namespaces: [NamespaceAt::Pinned(sandbox.clone())].into(), ..ObserveScope::default() };
        let seen = next.observe(&scope).expect("an observation");
        assert!(seen.pinned.contains(&sandbox) && seen.namespaces.len() == 1, "{seen:?}");

        let adopt = |path: &str, links: &[MacAddress]| {
            next.adopt_namespace(&sandbox, Path::new(path), links).expect("an answer")
        };
        let of = |child: &Child, kind: &str| format!("/proc/{}/ns/{kind}", child.id());
        let mac: MacAddress = "02:42:ac:14:01:02".parse().expect("an address");
        for (path, links) in [
            ("/proc/thread-self/ns/net".to_owned(), &[][..]),
            (of(&inside, "mnt"), &[]),
            (format!("/proc/{}/cmdline", inside.id()), &[]),
            ("/nothing".to_owned(), &[]),
            (of(&elsewhere, "net"), &[mac]),
            (of(&neighbour, "net"), &[]),
            ("/x".repeat(3000), &[]),
        ] {
            assert!(matches!(adopt(&path, links), Adoption::Refused(_)), "{path}");
        }
        assert_eq!(adopt(&of(&inside, "net"), &[]), Adoption::Kept);
        assert!(next.lost_namespaces().expect("the links").is_empty());
        for child in [&mut inside, &mut elsewhere, &mut neighbour] {
            drop(child.stdin.take());
            child.wait().expect("its end");
        }
        assert_eq!(inode(&pin), before);
    });
}
