//! README.md's tour works when it is pasted, and shows what a reader sees.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use berth_tests::{Host, World, until, world::binary};

/// A command of the tour, and what it is said to print.
type Step = (&'static str, Vec<&'static str>);

/// What isn't run: it would change the machine's users, or it names the programs of the quickstart, which are built anew here.
const LEFT_OUT: [&str; 2] = ["sudo usermod -aG berth \"$USER\"; newgrp berth", "export PATH=$PWD/target/quick:$PATH"];

/// Starts the daemon, which a reader does later than it was killed.
const START: &str = "sudo \"$(command -v berthd)\" &";

/// Commands whose output the tour leaves out.
const NOT_SHOWN: [&str; 1] = ["berth rm -f friendly; berth rmi friendlyname"];

/// Commands that are refused, as the tour shows.
const REFUSED: [&str; 1] = ["berth net rm backend"];

/// The commands of the tour, in their order.
fn steps(readme: &'static str) -> Vec<Step> {
    let (_, tour) = readme.split_once("\n## A tour\n").expect("a tour");
    let (tour, _) = tour.split_once("\n## ").expect("another chapter");
    let mut steps: Vec<Step> = Vec::new();
    for block in tour.split("```\n").skip(1).step_by(2) {
        assert!(block.starts_with("$ "), "a block that is no shell's: {block}");
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push((command, Vec::new())),
                None => steps.last_mut().expect("a command").1.push(line),
            }
        }
    }
    for (_, output) in &mut steps {
        while output.last() == Some(&"") {
            output.pop();
        }
    }
    steps
}

/// A shell that a person types into.
struct Shell {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn on(host: &Host) -> Self {
        let programs = binary("berth").parent().expect("a directory").display().to_string();
        let mut shell = host.command("unshare");
        shell.args(["--mount", "bash"]);
        let path = format!("{programs}:{}", std::env::var("PATH").expect("PATH"));
        shell.env("PATH", path).env("DOCKER_CONFIG", "/nonexistent");
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash");
        let input = shell.stdin.take().expect("a pipe");
        let output = BufReader::new(shell.stdout.take().expect("a pipe"));
        let mut shell = Self { shell, input, output };
        // What is written to /tmp and /etc is seen here alone: the tour works in the one, the daemon is configured in the other.
        let layers = "upperdir=/run/own/upper$1,workdir=/run/own/work$1";
        let own =
            format!("mkdir -p /run/own/upper$1 /run/own/work$1 && mount -t overlay -o lowerdir=$1,{layers} own $1");
        let cgroup = format!(
            "mkdir -p /etc/berth && echo 'cgroup-parent = \"/{}\"' > /etc/berth/berthd.toml",
            host.cgroup_parent()
        );
        // root needs no sudo. The daemon's log isn't shown by the tour, nor is what curl tells of its progress to who isn't at a
        // terminal.
        let sudo = "sudo() { case $1 in */berthd) \"$@\" > /run/own/log 2>&1;; *) \"$@\";; esac; }";
        let curl = "curl() { command curl -sS \"$@\"; }";
        let top = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let begin =
            format!("exec 2>&1; {sudo}; {curl}; own() {{ {own}; }}; own /tmp && own /etc && {cgroup} && cd {top}");
        assert_eq!(shell.run(&begin), (0, Vec::new()));
        shell
    }

    /// The status of a command, and the lines of both its streams.
    fn run(&mut self, command: &str) -> (i32, Vec<String>) {
        const END: &str = "that was all, with ";
        writeln!(self.input, "{command}\necho \"{END}$?\"").expect("it listens");
        let mut lines = Vec::new();
        for line in self.output.by_ref().lines() {
            let line = line.expect("text");
            if let Some(status) = line.strip_prefix(END) {
                return (status.parse().expect("a status"), lines);
            }
            lines.push(line);
        }
        panic!("{command} ended the shell: {lines:?}");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Text without what is another one each time: ids and numbers.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()).max(first.len_utf8());
        let (word, after) = rest.split_at(end);
        rest = after;
        match word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit()) {
            true => shape.push_str("ID"),
            false => {
                for letter in word.chars() {
                    let letter = if letter.is_ascii_digit() { '0' } else { letter };
                    if letter != '0' || !shape.ends_with('0') {
                        shape.push(letter);
                    }
                }
            }
        }
    }
    shape
}

/// What a size is counted in.
fn unit(size: &str) -> &str {
    size.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
}

/// The columns of a table's line.
fn columns(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect()
}

/// Whether two outputs are the same but for what is another one each time.
fn is_alike(shown: &[&str], real: &[String]) -> bool {
    let headers = shown.first().map(|line| columns(line)).unwrap_or_default();
    let is_table = headers.len() > 1 && headers.iter().all(|header| !header.contains(char::is_lowercase));
    let is_alike = |(at, (shown, real)): (usize, (&&str, &&str))| match headers.get(at) {
        Some(&"CREATED" | &"STATUS") if is_table => true,
        // One that happens to be whole has no fraction.
        Some(&"SIZE") if is_table => unit(shown) == unit(real),
        _ => shape(shown) == shape(real),
    };
    let is_line_alike = |(shown, real): (&&str, &String)| {
        let (shown, real) = (columns(shown), columns(real));
        shown.len() == real.len() && shown.iter().zip(&real).enumerate().all(is_alike)
    };
    shown.len() == real.len() && shown.iter().zip(real).all(is_line_alike)
}

#[test]
fn the_tour_works_when_it_is_pasted() {
    let steps = steps(include_str!("../../../README.md"));
    assert!(steps.len() > 20, "the tour has changed its form: {steps:?}");
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd().start_berthd();
    let mut shell = Shell::on(&host);
    // As the quickstart leaves it.
    let context = "context=$(mktemp -d) && cp scripts/friendlyname/* /bin/busybox $context";
    let serve = "berth run -d --name friendly -p 4000:80 friendlyname";
    let (status, said) = shell.run(&format!("{context} && berth build -q -t friendlyname $context && {serve}"));
    assert_eq!(status, 0, "{said:?}");

    let mut left: Vec<&str> = [&LEFT_OUT[..], &NOT_SHOWN, &REFUSED, &[START]].concat();
    for (command, shown) in steps {
        left.retain(|known| *known != command);
        match command {
            START => until("the end of the last one", || host.processes("berthd").is_empty()),
            _ if LEFT_OUT.contains(&command) => continue,
            // A reader isn't as quick as a server starts.
            _ if command.starts_with("curl ") => until("the page", || host.fetch("http://127.0.0.1:4000").code == 0),
            _ => {}
        }
        let (status, said) = shell.run(command);
        let told = said.join("\n");
        assert_eq!(status != 0, REFUSED.contains(&command), "{command} ended with {status}: {told}");
        if !NOT_SHOWN.contains(&command) {
            assert!(is_alike(&shown, &said), "{command} says\n{told}\nand the tour\n{}", shown.join("\n"));
        }
    }
    assert!(left.is_empty(), "the tour has no such command any more: {left:?}");
}
