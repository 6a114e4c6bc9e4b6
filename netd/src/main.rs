//! Flags, logging and a runtime: what netd needs before it is netd.
#![forbid(unsafe_code)]

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use clap::Parser;
use netd::{
    Error,
    config::{Config, Flags, LogFormat},
    daemon,
};
use nix::sys::stat::{Mode, umask};
use tracing_subscriber::{Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

fn main() -> ExitCode {
    heap::use_one_arena();
    // Whatever the caller's is: sockets and files are writable by their owner only until they are opened to the group.
    umask(Mode::from_bits_truncate(0o022));
    match start(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netd: {}", error.chain());
            ExitCode::from(error.exit_status())
        }
    }
}

fn start(flags: Flags) -> Result<(), Error> {
    let config = Config::load(flags)?;
    start_logging(&config)?;
    let inherited = netd::inherited_socket()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Plans are applied on the blocking threads. They are kept: each has sockets to the kernel of its own.
        .max_blocking_threads(32)
        .thread_keep_alive(Duration::from_secs(60))
        .thread_stack_size(512 * 1024)
        .thread_name("netd")
        .enable_all()
        .build()
        .map_err(|source| Error::File { doing: "start", path: "the runtime".into(), source })?;
    runtime.block_on(daemon::run(config, inherited))
}

fn start_logging(config: &Config) -> Result<(), Error> {
    let filter: Targets = config.log.parse().map_err(|_| Error::LogFilter { filter: config.log.clone() })?;
    let log = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let log = match config.log_format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().boxed(),
    };
    tracing_subscriber::registry().with(log.with_filter(filter)).init();
    Ok(())
}
