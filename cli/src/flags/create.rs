//! Flags that describe a container to be: shared by `run` and `create`.

use clap::Args;

use super::limits::{BlkioFlags, ContainerLimitFlags, RealTimeFlags};

/// Everything that `berth create` and `berth run` let one say about a container.
#[derive(Debug, Default, Args)]
pub(crate) struct CreateFlags {
    #[command(flatten)]
    pub(crate) process: ProcessFlags,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
    #[command(flatten)]
    pub(crate) storage: StorageFlags,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
    #[command(flatten)]
    pub(crate) isolation: IsolationFlags,
    #[command(flatten)]
    pub(crate) health: HealthFlags,
    #[command(flatten)]
    pub(crate) management: ManagementFlags,

    /// Print this help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,

    /// Image, then optionally the command to run in place of the image's, and its arguments
    #[arg(required = true, trailing_var_arg = true, num_args = 1.., hide = true)]
    pub(crate) image_and_command: Vec<String>,
}

/// What is run, and how its input and output are attached to ours.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Process")]
pub(crate) struct ProcessFlags {
    /// Keep standard input open
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Attach only to this one of stdin, stdout and stderr
    #[arg(short, long, value_name = "STREAM")]
    pub(crate) attach: Vec<String>,
    /// Set an environment variable; without a value, take ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Read environment variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "PATH")]
    pub(crate) workdir: Option<String>,
    /// User and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// Add the user to more groups
    #[arg(long, value_name = "GROUP")]
    pub(crate) group_add: Vec<String>,
    /// Replace the image's entry point; empty removes it
    #[arg(long, value_name = "COMMAND")]
    pub(crate) entrypoint: Option<String>,
    /// Run a small init as process 1 that forwards signals and reaps processes
    #[arg(long)]
    pub(crate) init: bool,
    /// Signal that asks the container to stop; the image's or TERM when absent
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
    /// Seconds between that signal and KILL; 10 when absent, -1 waits for ever
    #[arg(long, value_name = "SECONDS")]
    pub(crate) stop_timeout: Option<i64>,
}

/// How the container is reached, and what it reaches.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Networking")]
pub(crate) struct NetworkFlags {
    /// bridge, host, none, container:ID or a network; or name=NET,alias=…,ip=…,ip6=…,mac-address=…,driver-opt=…,gw-priority=…
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    pub(crate) network: Vec<String>,
    /// Another name for the container on its network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    pub(crate) network_alias: Vec<String>,
    /// Fixed IPv4 address, of the network's subnet
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<String>,
    /// Fixed IPv6 address; networks are IPv4 only so far
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip6: Option<String>,
    /// Fixed MAC address, as in 02:42:0a:09:00:07
    #[arg(long, value_name = "MAC")]
    pub(crate) mac_address: Option<String>,
    /// Publish ports on this host: [HOST_IP:][HOST_PORT:]PORT[/tcp|udp|sctp], each port also a range
    #[arg(short, long, value_name = "PORTS")]
    pub(crate) publish: Vec<String>,
    /// Publish every exposed port on a free port of this host
    #[arg(short = 'P', long)]
    pub(crate) publish_all: bool,
    /// Expose a port or a range without publishing it: PORT[-PORT][/tcp|udp|sctp]
    #[arg(long, value_name = "PORTS")]
    pub(crate) expose: Vec<String>,
    /// Link to another container, under an alias
    #[arg(long, value_name = "CONTAINER[:NAME]")]
    pub(crate) link: Vec<String>,
    /// Further link-local address of the container
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) link_local_ip: Vec<String>,
    /// Host name inside the container
    #[arg(short = 'h', long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// NIS domain name inside the container
    #[arg(long, value_name = "NAME")]
    pub(crate) domainname: Option<String>,
    /// DNS server to ask for names that aren't containers
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dns: Vec<String>,
    /// DNS search domain; '.' for none
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) dns_search: Vec<String>,
    /// Option for resolv.conf, as in ndots:2
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub(crate) dns_option: Vec<String>,
    /// Add a line to /etc/hosts; host-gateway stands for this host's address
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub(crate) add_host: Vec<String>,
}

/// What the container sees of the host's files.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageFlags {
    /// Bind a path of this host, or a volume by its name, into the container: SOURCE:TARGET[:ro,nocopy,…]; TARGET alone is a new volume
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    pub(crate) volume: Vec<String>,
    /// Driver of new volumes; local when absent
    #[arg(long, value_name = "DRIVER")]
    pub(crate) volume_driver: Option<String>,
    /// Mount another container's volumes and binds, with :ro read-only
    #[arg(long, value_name = "CONTAINER[:ro]")]
    pub(crate) volumes_from: Vec<String>,
    /// The same as --volume at length: type=volume,source=…,target=…,volume-subpath=…, type=bind,…,readonly or type=tmpfs,…,tmpfs-size=…
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub(crate) mount: Vec<String>,
    /// Mount an empty filesystem in memory: PATH[:size=64m,mode=1777,…]
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    pub(crate) tmpfs: Vec<String>,
    /// Make the container's root filesystem read-only
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Size of /dev/shm, as in 128m; 64m when absent
    #[arg(long, value_name = "BYTES")]
    pub(crate) shm_size: Option<String>,
    /// Give the container a device of this host: PATH[:PATH_INSIDE[:rwm]]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Vec<String>,
    /// Let the container use devices that it makes itself: a rule for its cgroup, as in 'c 13:* rwm'
    #[arg(long, value_name = "RULE")]
    pub(crate) device_cgroup_rule: Vec<String>,
    /// GPUs to give the container: all, a number, or device=…,capabilities=…
    #[arg(long, value_name = "REQUEST")]
    pub(crate) gpus: Option<String>,
    /// Option of the storage driver, as in size=10g
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) storage_opt: Vec<String>,
}

/// How much of the host the container may use.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitFlags {
    #[command(flatten)]
    pub(crate) container: ContainerLimitFlags,
    #[command(flatten)]
    pub(crate) blkio: BlkioFlags,
    #[command(flatten)]
    pub(crate) real_time: RealTimeFlags,
    /// How readily memory is swapped out, 0 to 100; the host's when absent
    #[arg(long, value_name = "PERCENT", default_value_t = -1, hide_default_value = true)]
    pub(crate) memory_swappiness: i64,
    /// Let processes wait for memory in place of killing one
    #[arg(long)]
    pub(crate) oom_kill_disable: bool,
    /// Resource limit of processes: NAME=SOFT[:HARD], as in nofile=1024:2048
    #[arg(long, value_name = "LIMIT")]
    pub(crate) ulimit: Vec<String>,
    /// Preference of the kernel's out-of-memory killer, -1000 to 1000
    #[arg(long, value_name = "SCORE")]
    pub(crate) oom_score_adj: Option<i64>,
    /// Parent of the container's cgroup, as in /batch
    #[arg(long, value_name = "CGROUP")]
    pub(crate) cgroup_parent: Option<String>,
}

/// What separates the container from the host.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Isolation")]
pub(crate) struct IsolationFlags {
    /// Give all capabilities and devices of this host
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Add a capability, as in NET_ADMIN, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_add: Vec<String>,
    /// Drop a capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_drop: Vec<String>,
    /// no-new-privileges, seccomp=unconfined, seccomp=FILE, systempaths=unconfined, …
    #[arg(long, value_name = "OPTION")]
    pub(crate) security_opt: Vec<String>,
    /// IPC namespace: private, shareable, none, host or container:ID
    #[arg(long, value_name = "MODE")]
    pub(crate) ipc: Option<String>,
    /// Process namespace: host or container:ID
    #[arg(long, value_name = "MODE")]
    pub(crate) pid: Option<String>,
    /// Host name namespace: host
    #[arg(long, value_name = "MODE")]
    pub(crate) uts: Option<String>,
    /// User namespace: host
    #[arg(long, value_name = "MODE")]
    pub(crate) userns: Option<String>,
    /// Cgroup namespace: private or host
    #[arg(long, value_name = "MODE")]
    pub(crate) cgroupns: Option<String>,
    /// Isolation technology, which only Windows has: default
    #[arg(long, value_name = "NAME", hide = true)]
    pub(crate) isolation: Option<String>,
    /// Kernel parameter of the container's namespaces, as in net.core.somaxconn=1024
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) sysctl: Vec<String>,
}

/// How the container is found out to be well.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Health")]
pub(crate) struct HealthFlags {
    /// Command that a shell in the container runs; exit status 0 means healthy
    #[arg(long, value_name = "COMMAND")]
    pub(crate) health_cmd: Option<String>,
    /// Time between two checks, as in 1m30s; 30s when absent
    #[arg(long, value_name = "DURATION")]
    pub(crate) health_interval: Option<String>,
    /// Failures in a row that make it unhealthy; 3 when absent
    #[arg(long, value_name = "NUMBER")]
    pub(crate) health_retries: Option<i64>,
    /// Time after the start in which failures don't count
    #[arg(long, value_name = "DURATION")]
    pub(crate) health_start_period: Option<String>,
    /// Time between two checks in that period; 5s when absent
    #[arg(long, value_name = "DURATION")]
    pub(crate) health_start_interval: Option<String>,
    /// Longest time for one check; 30s when absent
    #[arg(long, value_name = "DURATION")]
    pub(crate) health_timeout: Option<String>,
    /// Don't run the image's health check
    #[arg(long)]
    pub(crate) no_healthcheck: bool,
}

/// How the container is kept and found again.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Management")]
pub(crate) struct ManagementFlags {
    /// Name of the container; drawn when absent
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Remove the container when it has ended
    #[arg(long)]
    pub(crate) rm: bool,
    /// Restart when it ends: no (when absent), on-failure[:TIMES], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub(crate) restart: Option<String>,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) label: Vec<String>,
    /// Read labels from a file, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) label_file: Vec<String>,
    /// Annotation for the OCI runtime
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) annotation: Vec<String>,
    /// Write the container's id to a new file
    #[arg(long, value_name = "FILE")]
    pub(crate) cidfile: Option<String>,
    /// How output is kept: json-file (when absent) or none
    #[arg(long, value_name = "DRIVER")]
    pub(crate) log_driver: Option<String>,
    /// Option of the log driver, as in max-size=10m
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) log_opt: Vec<String>,
    /// OCI runtime to use in place of the built-in one
    #[arg(long, value_name = "NAME")]
    pub(crate) runtime: Option<String>,
    /// Platform of the image: OS[/ARCH[/VARIANT]]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// When to pull the image: always, missing or never
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub(crate) pull: String,
    /// Show no progress of a pull
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
