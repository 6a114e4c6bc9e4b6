//! A container's file system from outside: while it runs, and while it doesn't.

mod common;

use std::fs;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::Path;

use common::{World, network};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use runtime::spec::{BindPropagation, Mount, MountKind};
use runtime::{ContainerSpec, Kind, Root, Scope, Target};

fn read(root: &Root, path: &str) -> Result<String, Errno> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let file = openat2(root.as_fd(), Path::new(path), how)?;
    let mut text = String::new();
    fs::File::from(file).read_to_string(&mut text).expect("text");
    Ok(text.trim_end().to_owned())
}

fn write(root: &Root, path: &str) -> Result<(), Errno> {
    let how = OpenHow::new().flags(OFlag::O_WRONLY | OFlag::O_CREAT).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    openat2(root.as_fd(), Path::new(path), how.mode(nix::sys::stat::Mode::S_IRUSR)).map(drop)
}

/// A container with a bind at `/bound`, read-only, and memory at `/memory`.
fn spec(world: &World) -> ContainerSpec {
    let bound = world.directory.path().join("bound");
    fs::create_dir_all(&bound).expect("made");
    fs::write(bound.join("file"), "of the host").expect("written");
    let kind = MountKind::Bind { source: bound, propagation: BindPropagation::Rprivate, non_recursive: false };
    let memory = MountKind::Tmpfs { size_bytes: None, mode: None, options: Vec::new() };
    let text = "echo inner > /inner; echo kept > /memory/file; echo ready; exec sleep 1000";
    let mut spec = world.spec("c", &["sh", "-c", text]);
    spec.mounts.extend([
        Mount { destination: "/bound/deep".into(), readonly: true, kind },
        Mount { destination: "/memory".into(), readonly: false, kind: memory },
    ]);
    spec
}

#[test]
fn a_running_container_s_is_the_one_that_its_processes_see() {
    let world = World::new();
    let spec = spec(&world);
    assert_eq!(world.runtime.root(&spec.id, Scope::Mounts).expect_err("isn't there").kind(), Kind::NotFound);
    let starting = world.runtime.start(&spec).expect("begun");
    let output = starting.attach(runtime::protocol::Streams { stdout: true, ..Default::default() }).expect("attached");
    starting.release(&network()).expect("started");
    let mut said = [0; 14];
    output.into_stream().expect("a stream").read_exact(&mut said).expect("it says that it is ready");
    let root = world.runtime.root(&spec.id, Scope::Mounts).expect("it runs");
    assert_eq!(read(&root, "/inner").as_deref(), Ok("inner"));
    assert_eq!(read(&root, "/bound/deep/file").as_deref(), Ok("of the host"));
    assert_eq!(read(&root, "/memory/file").as_deref(), Ok("kept"));
    assert_eq!(write(&root, "/bound/deep/new"), Err(Errno::EROFS));
    let bare = world.runtime.root(&spec.id, Scope::RootfsOnly).expect("it runs");
    assert_eq!(read(&bare, "/inner").as_deref(), Ok("inner"));
    assert_eq!(read(&bare, "/bound/deep/file"), Err(Errno::ENOENT));
    assert_eq!(read(&bare, "/memory/file"), Err(Errno::ENOENT));
    world.runtime.signal(Target::Container(&spec.id), 9, false).expect("ended");
    world.runtime.watch(Target::Container(&spec.id)).expect("known").wait().expect("over");
    assert_eq!(read(&root, "/bound/deep/file").as_deref(), Ok("of the host"), "its mounts stay while it is looked at");
    assert_eq!(world.runtime.root(&spec.id, Scope::Mounts).expect_err("it ended").kind(), Kind::Conflict);
}

#[test]
fn one_that_does_not_run_is_mounted_for_the_purpose() {
    let world = World::new();
    let mut spec = spec(&world);
    let root = world.runtime.mount_root(&spec, Scope::Mounts).expect("mounted");
    assert_eq!(read(&root, "/bound/deep/file").as_deref(), Ok("of the host"));
    assert_eq!(write(&root, "/bound/deep/new"), Err(Errno::EROFS));
    assert_eq!(write(&root, "/outer"), Ok(()));
    drop(root);
    assert!(spec.rootfs.upper.join("outer").exists());
    spec.rootfs.readonly = true;
    let root = world.runtime.mount_root(&spec, Scope::Mounts).expect("mounted");
    assert_eq!(write(&root, "/other"), Err(Errno::EROFS));
    drop(root);
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&*world.directory.path().to_string_lossy()), "nobody else sees it: {mounts}");
    assert_eq!(world.runtime.list().expect("listed"), [], "it isn't taken for one that runs");
}
