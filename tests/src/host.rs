//! One host: network, mount and pid namespaces of its own, directories for the daemons, a cgroup parent.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Outcome, Terminal,
    daemon::{Daemon, Ready},
    world::binary,
};

/// Namespaces kept by a process that does nothing else; all that runs in them ends with it.
#[derive(Debug)]
pub struct Namespaces {
    keeper: Child,
    pid: u32,
}

impl Namespaces {
    /// Fresh network, mount and pid namespaces. With a directory, `/run` and `/var/lib` inside are its own.
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        let mut mounts = String::new();
        if let Some(directory) = directory {
            for (inside, name) in [("/run", "run"), ("/var/lib", "lib")] {
                let outside = directory.join(name);
                // Its place may be elsewhere already.
                std::fs::create_dir_all(&outside).expect("a host's directory");
                mounts.push_str(&format!("mount --bind {} {inside} && ", outside.display()));
            }
        }
        // `unshare` stays outside as the parent of the pid namespace's first process, which says its pid by existing.
        // It ends with the test, also when that is killed (PR_SET_PDEATHSIG).
        let mut keeper = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "slave", "--mount-proc"])
            .args(["sh", "-c", &format!("{mounts}echo ready && exec sleep infinity")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv and unshare (util-linux)");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("a pipe")).read_line(&mut line).expect("the keeper's word");
        assert_eq!(line, "ready\n", "making namespaces failed");
        let children = format!("/proc/{0}/task/{0}/children", keeper.id());
        let pid = std::fs::read_to_string(&children).expect(&children).trim().parse().expect("one child");
        Self { keeper, pid }
    }

    /// The first process inside, as seen from this machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string(), "-n", "-m", "-p", "--"]).arg(program);
        // Whatever proxy this machine needs is out of a host's reach.
        command.env("NO_PROXY", "*").env("no_proxy", "*");
        command
    }

    /// Runs a shell script in the network namespace only.
    pub(crate) fn network_sh(&self, script: &str) -> Outcome {
        Outcome::of(Command::new("nsenter").args(["-t", &self.pid.to_string(), "-n", "--", "sh", "-c", script]))
    }

    /// Runs a shell script inside.
    pub fn sh(&self, script: &str) -> Outcome {
        Outcome::of(self.command("sh").args(["-c", script]))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // `--kill-child`: the pid namespace's first process goes with unshare, and all others with it.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A host with its daemons.
#[derive(Debug)]
pub struct Host {
    netd: Option<Daemon>,
    berthd: Option<Daemon>,
    namespaces: Namespaces,
    directory: PathBuf,
    number: u8,
    cgroup_parent: String,
    tells_steps: bool,
    berthd_flags: Vec<String>,
}

impl Host {
    pub(crate) fn new(namespaces: Namespaces, directory: PathBuf, number: u8, cgroup_parent: String) -> Self {
        Self {
            netd: None,
            berthd: None,
            namespaces,
            directory,
            number,
            cgroup_parent,
            tells_steps: false,
            berthd_flags: Vec::new(),
        }
    }

    /// Has the daemons, which aren't started yet, log how long each step of a request takes.
    pub fn tell_steps(&mut self) -> &mut Self {
        self.tells_steps = true;
        self
    }

    /// Gives berthd, which isn't started yet, one more flag.
    pub fn berthd_flag(&mut self, flag: impl Into<String>) -> &mut Self {
        self.berthd_flags.push(flag.into());
        self
    }

    /// Starts `netd` and waits until it answers.
    pub fn start_netd(&mut self) -> &mut Self {
        let ready = Ready::new(&self.directory.join("netd.ready"));
        let mut command = self.namespaces.command(binary("netd"));
        command.args(["--root", "/var/lib/berth", "--run-dir", "/run/berth"]);
        if self.tells_steps {
            command.args(["--log", "info,netd=debug"]);
        }
        self.netd = Some(Daemon::start(command, &self.directory.join("netd.log"), ready));
        self
    }

    /// Starts `berthd`, with a `netd` started before, and waits until it answers.
    pub fn start_berthd(&mut self) -> &mut Self {
        let ready = Ready::new(&self.directory.join("berthd.ready"));
        let mut command = self.namespaces.command(binary("berthd"));
        command.args(["--root", "/var/lib/berth", "--run-dir", "/run/berth", "--cgroup-parent"]);
        command.arg(format!("/{}", self.cgroup_parent));
        if self.tells_steps {
            command.args(["--log-level", "info,engine=debug"]);
        }
        command.args(&self.berthd_flags);
        self.berthd = Some(Daemon::start(command, &self.directory.join("berthd.log"), ready));
        self
    }

    /// Starts both daemons and loads the image `busybox`.
    pub fn start(&mut self) -> &mut Self {
        self.start_netd().start_berthd();
        let archive = crate::image::busybox();
        self.docker(&["import", "--change", "CMD [\"sh\"]", &archive.to_string_lossy(), "busybox"]).ok();
        self
    }

    /// Starts a detached container with a web server on port 80 and returns when it listens.
    pub fn serve(&self, name: &str, flags: &[&str]) {
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend_from_slice(flags);
        arguments.extend_from_slice(&[
            "busybox",
            "sh",
            "-c",
            "httpd -p 80 -h /var/www && echo listening && exec sleep 100000",
        ]);
        self.docker(&arguments).ok();
        self.wait_for_log(name, "listening");
    }

    /// Has bridged packets pass this host's firewall, or not.
    ///
    /// # Panics
    /// When it is to be so, and this kernel has no `br_netfilter`.
    pub fn switch_br_netfilter(&self, on: bool) {
        let is_there = self.sh("test -d /proc/sys/net/bridge").code == 0;
        assert!(is_there || !on, "this kernel has no br_netfilter, load it (modprobe br_netfilter)");
        // Where there is none, it is off.
        if is_there {
            let value = u8::from(on);
            let switch =
                format!("cd /proc/sys/net/bridge && for f in bridge-nf-call-*; do echo {value} > $f || exit 1; done");
            self.sh(&switch).ok();
        }
    }

    /// Fetches a page from this host, as its processes would; an empty outcome code of 0 means that it came.
    pub fn fetch(&self, url: &str) -> Outcome {
        Outcome::of(self.namespaces.command("curl").args([
            "-sS",
            "-g",
            "--connect-timeout",
            "2",
            "-m",
            "10",
            "--noproxy",
            "*",
            url,
        ]))
    }

    /// Fetches a page from inside a container, over `nc`: busybox's static `wget` crashes in glibc's resolver there.
    pub fn fetch_from(&self, container: &str, url: &str) -> Outcome {
        self.docker(&["exec", container, "sh", "-c", &fetch_script(url)])
    }

    /// `kill -9` of netd, whoever started it; returns when it is gone.
    pub fn kill_netd(&mut self) {
        self.kill("netd");
        self.netd = None;
    }

    /// `kill -9` of what runs of one of our programs on this host, whoever started it; returns when it is gone.
    pub fn kill(&self, program: &str) {
        for pid in self.processes(program) {
            crate::daemon::kill(pid);
        }
    }

    /// Sends a signal to what runs of one of our programs on this host, whoever started it.
    ///
    /// # Panics
    /// When none runs.
    pub fn signal(&self, program: &str, signal: Signal) {
        let pids = self.processes(program);
        assert!(!pids.is_empty(), "no {program} runs");
        pids.into_iter().for_each(|pid| kill(Pid::from_raw(pid), signal).expect("it runs"));
    }

    /// `kill -9` of berthd; returns when it is gone.
    pub fn kill_berthd(&mut self) {
        self.berthd.take().expect("berthd runs").kill();
    }

    /// Processes of one of our programs on this host, as pids of this machine.
    pub fn processes(&self, program: &str) -> Vec<i32> {
        let namespace = std::fs::read_link(format!("/proc/{}/ns/pid", self.pid())).expect("the host's namespace");
        let program = binary(program);
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| {
            let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).ok();
            link("ns/pid").as_ref() == Some(&namespace) && link("exe").as_ref() == Some(&program)
        })
        .collect()
    }

    /// Whether berthd was started and not killed since.
    pub fn berthd_runs(&self) -> bool {
        self.berthd.is_some()
    }

    /// The unmodified docker client against this host's berthd.
    pub fn docker(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.docker_command().args(arguments))
    }

    /// The docker client, for a test that wants its pipes.
    pub fn docker_command(&self) -> Command {
        let mut command = self.namespaces.command("docker");
        command.env("DOCKER_HOST", "unix:///run/berth/berth.sock").env("DOCKER_CONFIG", "/nonexistent");
        command
    }

    /// A client's command line on a terminal of its own.
    pub fn terminal(&self, command_line: &str) -> Terminal {
        let mut script = self.namespaces.command("script");
        script.env("DOCKER_HOST", "unix:///run/berth/berth.sock").env("DOCKER_CONFIG", "/nonexistent");
        Terminal::new(script, command_line)
    }

    /// Our own client against this host's daemons.
    pub fn berth(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.namespaces.command(binary("berth")).args(arguments))
    }

    /// A socket of this process that listens on this host.
    pub fn listen(&self, port: u16) -> TcpListener {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.pid())).expect("the host's namespace");
        // Of a thread that does nothing else: it stays there.
        let listener = std::thread::spawn(move || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("entering it");
            TcpListener::bind(("0.0.0.0", port)).expect("a free port")
        });
        listener.join().expect("a listener")
    }

    /// Waits until netd has deleted the bridges of networks that are gone, which it does in the background.
    pub fn wait_for_deleted_bridges(&self) {
        self.sh("timeout 60 sh -c 'while ip -o link | grep -q \" bb-x\"; do sleep 0.02; done'").ok();
    }

    /// Runs a shell script on this host.
    pub fn sh(&self, script: &str) -> Outcome {
        self.namespaces.sh(script)
    }

    /// A command that will run on this host.
    pub fn command(&self, program: &str) -> Command {
        self.namespaces.command(program)
    }

    /// One HTTP request to a socket on this host: the status and the body.
    pub fn http(&self, socket: &str, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
        let mut command = self.namespaces.command("curl");
        command.args(["-s", "-o", "-", "-w", "\n%{http_code}", "--unix-socket", socket, "-X", method]);
        if let Some(body) = body {
            command.args(["-H", "Content-Type: application/json", "-d", body]);
        }
        let answer = Outcome::of(command.arg(format!("http://localhost{path}"))).ok();
        let (body, status) = answer.rsplit_once('\n').expect("a status line");
        (status.parse().expect("a status"), body.to_owned())
    }

    /// Its first process, as seen from this machine.
    pub fn pid(&self) -> u32 {
        self.namespaces.pid()
    }

    /// Its IPv4 address on the wire.
    pub fn address(&self) -> String {
        format!("10.99.0.{}", self.number)
    }

    /// Its IPv6 address on the wire.
    pub fn address_ipv6(&self) -> String {
        format!("fd99::{}", self.number)
    }

    /// Where its files are, as seen from this machine.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The cgroup below which its containers live.
    pub fn cgroup_parent(&self) -> &str {
        &self.cgroup_parent
    }

    /// What the daemons wrote, for a failing test's message.
    pub fn logs(&self) -> String {
        // The last is of a netd that berthd started.
        ["netd.log", "berthd.log", "run/berth/netd.log"]
            .iter()
            .map(|name| {
                format!("--- {name}\n{}", std::fs::read_to_string(self.directory.join(name)).unwrap_or_default())
            })
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        let _ = self.namespaces.keeper.kill();
        let _ = self.namespaces.keeper.wait();
        crate::leftovers::remove_cgroups(&self.cgroup_parent);
    }
}

/// A script that prints a page's body, and fails when no page comes.
pub fn fetch_script(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    format!(
        "printf 'GET /{path} HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {host} {port} > /tmp/page && grep -q '^HTTP/1.. 200' /tmp/page && \
         sed -E '1,/^.?$/d' /tmp/page"
    )
}
