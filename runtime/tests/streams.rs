//! Attached clients, terminals, signals, pausing.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use common::{World, frames, id, network, process, script};
use runtime::protocol::Streams;
use runtime::spec::{Log, Stdin, TerminalSize};
use runtime::{ContainerSpec, Error, ExecSpec, Exit, Status, Target};

const ALL: Streams = Streams { stdin: true, stdout: true, stderr: true };

/// Starts a container with a client that was attached before.
fn start_attached(world: &World, spec: &ContainerSpec, streams: Streams) -> UnixStream {
    let starting = world.runtime.start(spec).expect("begins");
    let attachment = starting.attach(streams).expect("attaches");
    starting.release(&network()).expect("starts");
    attachment.into_stream().expect("attached")
}

fn wait(world: &World, spec: &ContainerSpec) -> Exit {
    world.runtime.watch(Target::Container(&spec.id)).expect("watched").wait().expect("ends")
}

/// Reads until this has come.
fn read_until(stream: &mut UnixStream, wanted: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&text).contains(wanted) {
        assert_eq!(stream.read(&mut byte).expect("read"), 1, "ended after {:?}", String::from_utf8_lossy(&text));
        text.extend(byte);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn who_attaches_before_the_start_misses_nothing() {
    let world = World::new();
    let spec = world.spec("c", &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    let stream = start_attached(&world, &spec, ALL);
    assert_eq!(frames(stream), ("out\n".to_owned(), "err\n".to_owned()));
    assert_eq!(wait(&world, &spec).code, 7);

    let spec = world.spec("only-errors", &["sh", "-c", "echo out; echo err >&2"]);
    let stream = start_attached(&world, &spec, Streams { stderr: true, ..Streams::default() });
    assert_eq!(frames(stream), (String::new(), "err\n".to_owned()));
}

#[test]
fn standard_input_ends_with_its_first_client_when_it_is_for_one() {
    let world = World::new();
    let mut spec = world.spec("c", &["cat"]);
    spec.process.stdin = Stdin::Once;
    let mut stream = start_attached(&world, &spec, ALL);
    // More than a pipe holds.
    let text = "0123456789abcde\n".repeat(20_000);
    let copy = text.clone();
    let mut writer = stream.try_clone().expect("copied");
    let writing = std::thread::spawn(move || {
        writer.write_all(copy.as_bytes()).expect("sent");
        writer.shutdown(Shutdown::Write).expect("ended");
    });
    let (output, _) = frames(stream.try_clone().expect("copied"));
    writing.join().expect("sent");
    assert_eq!(output.len(), text.len());
    assert_eq!(stream.read(&mut [0]).expect("read"), 0);
    assert_eq!(wait(&world, &spec).code, 0);
    assert_eq!(world.log("c"), text);
}

#[test]
fn standard_input_stays_open_between_clients_when_it_is_kept() {
    let world = World::new();
    let mut spec = world.spec("c", &["sh", "-c", "read a; echo got $a; read b; echo got $b"]);
    spec.process.stdin = Stdin::Open;
    let mut first = start_attached(&world, &spec, ALL);
    first.write_all(b"one\n").expect("sent");
    read_until(&mut first, "got one\n");
    drop(first);
    let mut second = world.runtime.attach(Target::Container(&spec.id), ALL).expect("attaches");
    let mut watcher =
        world.runtime.attach(Target::Container(&spec.id), Streams { stdin: false, ..ALL }).expect("attaches");
    second.write_all(b"two\n").expect("sent");
    for stream in [&mut second, &mut watcher] {
        read_until(stream, "got two\n");
    }
    assert_eq!(wait(&world, &spec).code, 0);
}

#[test]
fn a_terminal_has_a_size_that_changes() {
    let world = World::new();
    let text = "stty size; read x; stty size; echo x > /dev/tty; exec > $(readlink /proc/self/fd/0); exit 5";
    let mut spec = world.spec("c", &["sh", "-c", text]);
    spec.process.terminal = Some(TerminalSize { columns: 91, rows: 17 });
    spec.process.stdin = Stdin::Open;
    spec.process.user.user = "alice".to_owned();
    let mut stream = start_attached(&world, &spec, ALL);
    read_until(&mut stream, "17 91\r\n");
    world.runtime.resize(Target::Container(&spec.id), TerminalSize { columns: 120, rows: 40 }).expect("resized");
    stream.write_all(b"go\n").expect("sent");
    read_until(&mut stream, "40 120\r\n");
    read_until(&mut stream, "x\r\n");
    assert_eq!(wait(&world, &spec).code, 5);
    assert!(world.log("c").contains("40 120\r\n"));

    let plain = world.spec("plain", &["sleep", "100"]);
    world.start(&plain);
    let error = world.runtime.resize(Target::Container(&plain.id), TerminalSize::default()).expect_err("no terminal");
    assert_eq!(error.to_string(), "monitor of plain refused: could not resize: it has no terminal");
}

#[test]
fn an_exec_has_a_terminal_too() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    world.start(&spec);
    let mut process = script("stty size; read x; echo got $x; exit 9");
    process.terminal = Some(TerminalSize { columns: 33, rows: 22 });
    process.stdin = Stdin::Once;
    let exec = id("e");
    let starting = world.runtime.exec(&spec.id, &ExecSpec { id: exec.clone(), process }).expect("begins");
    let attachment = starting.attach(ALL).expect("attaches");
    starting.release().expect("starts");
    let mut stream = attachment.into_stream().expect("attached");
    read_until(&mut stream, "22 33\r\n");
    stream.write_all(b"it\n").expect("sent");
    read_until(&mut stream, "got it\r\n");
    let target = Target::Exec { container: &spec.id, exec: &exec };
    assert_eq!(world.runtime.watch(target).expect("watched").wait().expect("ends").code, 9);
    world.runtime.delete(target).expect("deleted");
    assert_eq!(world.runtime.status(target).expect("known"), Status::Gone);
}

#[test]
fn a_client_that_does_not_read_keeps_nothing_out_of_the_log() {
    let world = World::new();
    let mut spec = world.spec("c", &["sh", "-c", "seq 200000"]);
    spec.log = Log::JsonFile {
        path: world.log_path("c"),
        max_size_bytes: None,
        max_files: 1,
        compress: false,
        attributes: BTreeMap::new(),
        buffer_bytes: None,
    };
    let stream = start_attached(&world, &spec, ALL);
    // It is held up, and goes on when the client is gone.
    drop(stream);
    assert_eq!(wait(&world, &spec).code, 0);
    assert!(world.log("c").ends_with("\n199999\n200000\n"));
}

#[test]
fn signals_reach_the_first_process_or_all() {
    let world = World::new();
    let mut spec =
        world.spec("c", &["sh", "-c", "trap 'echo term; exit 3' TERM; echo ready; while :; do read x; done"]);
    spec.process.stdin = Stdin::Open;
    let mut stream = start_attached(&world, &spec, ALL);
    read_until(&mut stream, "ready\n");
    let target = Target::Container(&spec.id);
    world.runtime.signal(target, libc::SIGTERM, false).expect("sent");
    read_until(&mut stream, "term\n");
    assert_eq!(wait(&world, &spec).code, 3);
    let error = world.runtime.signal(target, libc::SIGTERM, false).expect_err("it has ended");
    assert_eq!(error.to_string(), "container c is not running");

    let spec = world.spec("all", &["sh", "-c", "sleep 1000 & sleep 1000"]);
    world.start(&spec);
    world.runtime.signal(Target::Container(&spec.id), libc::SIGKILL, true).expect("sent");
    assert_eq!(wait(&world, &spec).code, 137);
}

#[test]
fn a_paused_container_stands_still() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    let started = world.start(&spec);
    let target = Target::Container(&spec.id);
    world.runtime.pause(&spec.id).expect("paused");
    assert_eq!(world.runtime.status(target).expect("known"), Status::Paused(started));
    let error =
        world.runtime.exec(&spec.id, &ExecSpec { id: id("e"), process: process(&["true"]) }).expect_err("frozen");
    assert_eq!(error.to_string(), "container c is paused");
    world.runtime.resume(&spec.id).expect("resumed");
    assert_eq!(world.runtime.status(target).expect("known"), Status::Running(started));
    world.runtime.pause(&spec.id).expect("paused");
    world.runtime.delete(target).expect("deleted though it is frozen");
    world.assert_no_cgroup("c");
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::new();
    let nobody = id("nobody");
    let target = Target::Container(&nobody);
    assert_eq!(world.runtime.status(target).expect("known"), Status::Gone);
    for error in [
        world.runtime.attach(target, ALL).expect_err("gone"),
        world.runtime.watch(target).expect_err("gone"),
        world.runtime.signal(target, 15, false).expect_err("gone"),
        world.runtime.pause(&nobody).expect_err("gone"),
        world.runtime.stats(&nobody).expect_err("gone"),
    ] {
        assert_eq!(error.to_string(), "no such container: nobody");
    }
    world.runtime.delete(target).expect("nothing to do");
    let spec = world.spec("c", &["sleep", "1000"]);
    world.start(&spec);
    assert!(matches!(world.runtime.start(&spec), Err(Error::Conflict { .. })));
}

#[test]
fn what_the_caller_left_open_is_not_kept_open() {
    let world = World::new();
    // Without O_CLOEXEC, as careless parents of daemons pass descriptors on.
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    world.start(&world.spec("c", &["sleep", "1000"]));
    drop(writer);
    assert_eq!(File::from(reader).read(&mut [0]).expect("its end"), 0);
}

#[test]
fn a_client_that_reads_nothing_keeps_nobody_from_the_end_and_finds_its_output() {
    let world = World::new();
    let spec = world.spec("c", &["yes", &"x".repeat(99)]);
    let target = Target::Container(&spec.id);
    let stalled = start_attached(&world, &spec, Streams { stdout: true, ..Streams::default() });
    // More than its socket holds, so that the rest waits in the monitor.
    common::until("so much output", || fs::metadata(world.log_path("c")).is_ok_and(|log| log.len() >= 600_000));
    world.runtime.signal(target, 9, false).expect("ended");
    assert_eq!(wait(&world, &spec).code, 137);
    assert_eq!(wait(&world, &spec).code, 137, "told also after the end");
    let said = world.log("c");
    world.runtime.delete(target).expect("deleted");
    let (received, _) = frames(stalled);
    assert!(received == said, "{} bytes of {}", received.len(), said.len());
}

#[test]
fn a_monitor_that_runs_out_of_files_lets_nobody_in_for_now_and_goes_on() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    let target = Target::Container(&spec.id);
    let started = world.start(&spec);
    let monitor = rustix::process::Pid::from_raw(common::monitor_of(started.pid).as_raw());
    let limit = rustix::process::Rlimit { current: Some(20), maximum: Some(20) };
    rustix::process::prlimit(monitor, rustix::process::Resource::Nofile, limit).expect("limited");
    let waiting: Vec<_> = (0..30).map(|_| world.runtime.watch(target).expect("connected")).collect();
    let files = format!("/proc/{}/fd", monitor.expect("a monitor").as_raw_pid());
    common::until("so many files", || fs::read_dir(&files).expect("its files").count() >= 20);
    assert!(matches!(world.runtime.status(target).expect("known"), Status::Running(_)));
    drop(waiting);
    let attached = world.runtime.attach(target, Streams { stdout: true, ..Streams::default() }).expect("let in again");
    world.runtime.signal(target, 9, false).expect("ended");
    assert_eq!(frames(attached), (String::new(), String::new()));
    assert_eq!(wait(&world, &spec).code, 137);
}
