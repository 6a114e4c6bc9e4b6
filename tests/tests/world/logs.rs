//! What a container wrote comes back: byte by byte, line by line, while files are rotated, and with what it says of itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use berth_tests::{Host, started};

/// What a command prints, as it is.
fn raw(mut command: Command) -> Vec<u8> {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn logs(host: &Host, arguments: &[&str]) -> Vec<u8> {
    let mut command = host.docker_command();
    command.arg("logs").args(arguments);
    raw(command)
}

/// The log as others read it.
fn log_file(host: &Host, container: &str) -> Vec<u8> {
    let mut command = host.command("cat");
    command.arg(log_path(host, container));
    raw(command)
}

fn log_path(host: &Host, container: &str) -> String {
    host.docker(&["inspect", "-f", "{{.LogPath}}", container]).ok()
}

fn piped(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs")
}

#[test]
fn bytes_are_as_they_were_written_and_lines_are_lines() {
    let (_world, host) = started();
    // No text, characters over each border of 16 KiB, and a line of several pieces.
    let script = r"printf 'a\377\000b\303\n'
        i=0; while [ $i -lt 4000 ]; do printf é€😀; i=$((i + 1)); done; echo
        head -c 16383 /dev/zero | tr '\0' x; echo éé
        head -c 40000 /dev/zero | tr '\0' y; printf '\342\202'; echo
        echo last";
    let mut run = host.docker_command();
    let said = raw({
        run.args(["run", "--name", "talk", "busybox", "sh", "-c", script]);
        run
    });
    assert!(std::str::from_utf8(&said).is_err() && said.len() > 90_000);
    assert_eq!(logs(&host, &["talk"]), said);
    let lines: Vec<&[u8]> = said.split_inclusive(|byte| *byte == b'\n').collect();
    for tail in 0..=lines.len() {
        let wanted = lines[lines.len() - tail..].concat();
        assert_eq!(logs(&host, &["--tail", &tail.to_string(), "talk"]), wanted, "{tail}");
    }
    let stamped = logs(&host, &["-t", "talk"]);
    assert_eq!(stamped.len() - said.len(), lines.len() * "2020-11-21T10:00:00.123456789Z ".len());

    // Others who read the file find text in it.
    let file = String::from_utf8(log_file(&host, "talk")).expect("UTF-8");
    let mut text = String::new();
    for record in file.lines() {
        let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
        text += record["log"].as_str().expect("a log");
        assert!(record["stream"] == "stdout" && record["time"].is_string(), "{record}");
    }
    assert!(text.contains("éé\n") && text.ends_with("yyy\u{fffd}\nlast\n"), "{text}");
    assert_eq!(text, String::from_utf8_lossy(&said));
}

#[test]
fn who_follows_loses_nothing_where_one_file_is_kept() {
    let (_world, host) = started();
    let mut run = host.docker_command();
    run.args(["run", "-i", "--name", "cat", "--log-opt", "max-size=200", "--log-opt", "max-file=1", "busybox", "cat"]);
    let mut run = piped(run);
    let mut input = run.stdin.take().expect("piped");
    let mut output = BufReader::new(run.stdout.take().expect("piped"));
    let mut say = |line: &str| {
        input.write_all(line.as_bytes()).expect("it reads");
        let mut said = String::new();
        output.read_line(&mut said).expect("it answers");
        assert_eq!(said, line);
    };
    say("begin\n");
    let mut follow = host.docker_command();
    follow.args(["logs", "-f", "cat"]);
    let mut follower = piped(follow);
    let mut followed = BufReader::new(follower.stdout.take().expect("piped"));
    let mut expect = |line: &str| {
        let mut heard = String::new();
        followed.read_line(&mut heard).expect("it follows");
        assert_eq!(heard, line);
    };
    expect("begin\n");
    for number in 0..300 {
        let line = format!("line {number}\n");
        say(&line);
        expect(&line);
    }
    assert!(log_file(&host, "cat").len() <= 200);
    drop(input);
    assert!(run.wait().expect("docker").success());
    let mut rest = String::new();
    followed.read_to_string(&mut rest).expect("it ends");
    assert_eq!(rest, "");
    assert!(follower.wait().expect("docker").success());
}

#[test]
fn what_a_log_says_of_its_container() {
    let (_world, host) = started();
    let options = ["labels=tier", "labels-regex=^com", "env=A", "env-regex=^B", "tag={{.Name}}/{{.ImageName}}"];
    let mut run =
        vec!["run", "--name", "talk", "-e", "A=1", "-e", "BB=2 3", "-e", "C=4", "-l", "tier=db", "-l", "com.b=5"];
    options.iter().for_each(|option| run.extend(["--log-opt", option]));
    run.extend(["busybox", "echo", "hello"]);
    host.docker(&run).ok();
    let details = "A=1,BB=2+3,com.b=5,tag=talk%2Fbusybox,tier=db";
    assert_eq!(host.docker(&["logs", "--details", "talk"]).ok(), format!("{details} hello"));
    let record: serde_json::Value = serde_json::from_slice(&log_file(&host, "talk")).expect("JSON");
    let attributes = serde_json::json!({ "A": "1", "BB": "2 3", "com.b": "5", "tag": "talk/busybox", "tier": "db" });
    assert_eq!(record["attrs"], attributes);

    // Older files are compressed, and read like any.
    let script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i + 1)); done";
    let options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=9", "--log-opt", "compress=true"];
    let words = [&["run", "--name", "many"][..], &options, &["busybox", "sh", "-c", script]].concat();
    let said = host.docker(&words).ok();
    assert_eq!(host.docker(&["logs", "many"]).ok(), said);
    host.sh(&format!("gzip -t {}.2.gz", log_path(&host, "many"))).ok();
    let last = host.docker(&["logs", "--tail", "60", "many"]).ok();
    assert!(last.starts_with("line 140\n") && last.lines().count() == 60, "{last}");

    // As with Docker, the number of files alone is no mistake.
    host.docker(&["run", "--name", "file", "--log-opt", "max-file=3", "busybox", "echo", "hello"]).ok();
    assert_eq!(host.docker(&["logs", "--details", "file"]).ok(), " hello");
}

#[test]
fn a_log_that_was_tampered_with_or_torn_costs_no_other_line() {
    let (_world, host) = started();
    host.docker(&["run", "--name", "again", "busybox", "echo", "said"]).ok();
    let path = log_path(&host, "again");
    let start = || host.docker(&["start", "-a", "again"]).ok();
    let said = |times: usize| assert_eq!(logs(&host, &["again"]), b"said\n".repeat(times));
    // Its writer was killed, or the disk was full.
    host.sh(&format!("printf '{{\"log\":\"hal' >> {path}")).ok();
    start();
    said(2);
    // A power cut, or somebody's mistake.
    host.sh(&format!("truncate -s 8M {path}")).ok();
    said(2);
    start();
    said(3);
    assert_eq!(logs(&host, &["--tail", "2", "again"]), b"said\n".repeat(2));

    // What is no file is no log, and nobody waits for it.
    for make in ["mkdir", "mkfifo"] {
        host.sh(&format!("rm -r {path} && {make} {path}")).ok();
        for tail in ["all", "1"] {
            let refused = host.docker(&["logs", "--tail", tail, "again"]).fails_with(1);
            assert!(refused.contains(&format!("{path} is no regular file")), "{refused}");
        }
        start();
        let error = host.docker(&["inspect", "-f", "{{.State.Error}}", "again"]).ok();
        assert!(error.contains("could not open the log: "), "{error}");
    }

    // It may fall behind, and says all that has room.
    let options = ["--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=8m"];
    let words = [&["run", "--name", "behind"][..], &options, &["busybox", "seq", "5000"]].concat();
    let said = host.docker(&words).ok();
    assert_eq!(host.docker(&["logs", "behind"]).ok(), said);
}
