//! A host with a netd on it, which can be killed and started again.

use std::{
    collections::BTreeMap,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use cnm::api::{EndpointRequest, NamespaceRequest, PortRange, PortRequest, Sandbox, SandboxPut};
use netd_client::Client;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use tempfile::TempDir;

use crate::host_thread::HostThread;

/// Changes of links (rtnetlink(7)).
const RTNLGRP_LINK: u32 = 1;

/// A host and its netd. Dropping it ends netd; the namespaces end with the last thread and process in them.
pub(crate) struct NetdHost {
    pub(crate) host: HostThread,
    pub(crate) client: Client,
    /// Where netd is; its keeper is beside it.
    program: PathBuf,
    netd: Option<Child>,
    directory: TempDir,
    starts: AtomicU32,
}

impl NetdHost {
    /// With a running netd.
    pub(crate) fn new() -> Self {
        let mut netd = Self::empty();
        netd.start();
        netd
    }

    /// Without one yet.
    pub(crate) fn empty() -> Self {
        let host = HostThread::new_host();
        let directory = tempfile::Builder::new().prefix("nd").rand_bytes(6).tempdir_in("/tmp").expect("a directory");
        let client = Client::connect(directory.path().join("run/netd.sock")).of_owner("tests");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_netd"));
        Self { host, client, program, netd: None, directory, starts: AtomicU32::new(0) }
    }

    /// With a running netd that is elsewhere.
    pub(crate) fn of_program(program: &Path) -> Self {
        let mut netd = Self::empty();
        program.clone_into(&mut netd.program);
        netd.start();
        netd
    }

    /// A netd's command line, to be run on this host.
    pub(crate) fn command(&self) -> Command {
        self.command_in("root", "run")
    }

    /// With directories of these names.
    pub(crate) fn command_in(&self, root: &str, run_dir: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.directory.path().join(root));
        command.arg("--run-dir").arg(self.directory.path().join(run_dir));
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// Starts netd and waits until it says that it is ready.
    pub(crate) fn start(&mut self) {
        let command = self.command();
        self.start_as(command);
    }

    /// Starts netd with at most so many open files.
    pub(crate) fn start_with_files(&mut self, limit: u32) {
        let netd = self.command();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]);
        command.arg(netd.get_program()).args(netd.get_args()).stdin(Stdio::null());
        self.start_as(command);
    }

    fn start_as(&mut self, mut command: Command) {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.path().join(format!("ready{number}"));
        let ready = UnixDatagram::bind(&path).expect("a socket");
        command.env("NOTIFY_SOCKET", &path);
        let netd = self.host.run(move || command.spawn().expect("netd"));
        self.netd = Some(netd);
        let mut message = [0; 64];
        let length = ready.recv(&mut message).expect("a message");
        assert_eq!(&message[..length], b"READY=1\n");
    }

    /// Its pid.
    pub(crate) fn netd_pid(&self) -> u32 {
        self.netd.as_ref().expect("netd runs").id()
    }

    /// As a crash: nothing of netd runs from here on.
    pub(crate) fn kill(&mut self) {
        if let Some(mut netd) = self.netd.take() {
            netd.kill().expect("netd runs");
            netd.wait().expect("netd is our child");
        }
    }

    /// Tells netd to stop and waits until it has.
    pub(crate) fn terminate(&mut self) -> std::process::ExitStatus {
        let mut netd = self.netd.take().expect("netd runs");
        let pid = nix::unistd::Pid::from_raw(netd.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("netd is our child");
        netd.wait().expect("netd is our child")
    }

    /// Links of the host but its loopback, what is pinned, and elements of the firewall: all that sandboxes could leave.
    pub(crate) fn traces(&self) -> String {
        self.wait_for_links();
        let pinned = self.run_dir().join("netns");
        let links = "ip -o link show | awk -F': ' '$2 != \"lo\" { sub(/@.*/, \"\", $2); print $2 }' | sort";
        let seen = self.host.sh(&format!("{links}; ls {}", pinned.display()));
        // The kernel lists elements in an order of its own.
        let table = self.host.sh("nft list table inet berth");
        let mut parts: Vec<_> =
            table.split(['{', '}', ',', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect();
        parts.sort_unstable();
        format!("{seen}\n{}", parts.join("\n"))
    }

    /// Waits until the links of removed sandboxes are gone: netd deletes them in the background.
    pub(crate) fn wait_for_links(&self) {
        self.host.run(|| {
            let mut changes = Socket::new(NETLINK_ROUTE).expect("a netlink socket");
            changes.bind_auto().expect("an address");
            changes.add_membership(RTNLGRP_LINK).expect("a group");
            let retired = "ip -o link show | grep -v ' master ' | grep -qE ': (bv|bb-x)'";
            while Command::new("sh").args(["-c", retired]).status().expect("a shell").success() {
                changes.recv_from_full().expect("a message");
            }
        });
    }

    /// A sandbox on network `bridge` with a port for each protocol given.
    pub(crate) async fn put(&self, id: &str, ports: &[(&str, u16, u16)]) -> Sandbox {
        self.client.put_sandbox(id, &request(ports)).await.expect("a sandbox")
    }

    /// The inside of a sandbox.
    pub(crate) fn inside(&self, sandbox: &Sandbox) -> HostThread {
        self.host.network_at(sandbox.namespace.as_deref().expect("a namespace of its own"))
    }
}

impl Drop for NetdHost {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Protocol, first host port, how many; the container's ports begin at 80.
pub(crate) fn request(ports: &[(&str, u16, u16)]) -> SandboxPut {
    let port = |&(protocol, first, count): &(&str, u16, u16)| PortRequest {
        protocol: protocol.to_owned(),
        host_ip: None,
        host_ports: Some(PortRange { first, last: first + count - 1 }),
        container_ports: PortRange { first: 80, last: 80 + count - 1 },
    };
    SandboxPut {
        owner: "tests".to_owned(),
        name: String::new(),
        labels: BTreeMap::new(),
        namespace: NamespaceRequest::New,
        endpoints: vec![EndpointRequest { network: "bridge".to_owned(), ..EndpointRequest::default() }],
        ports: ports.iter().map(port).collect(),
    }
}
