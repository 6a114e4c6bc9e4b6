//! berthd: configuration → engine → serve → drain.
#![forbid(unsafe_code)]

use std::io::IsTerminal as _;
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser as _;
use engine::config::{Args, Config};
use engine::{Engine, listen, recover, serve, supervisor};
use tracing_subscriber::fmt::{self, format::FmtSpan};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

fn main() -> ExitCode {
    heap::use_one_arena();
    match Config::load(Args::parse()).map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("berthd: {}", engine::error::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let log = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // At level debug each step of a start says how long it took.
        .with_span_events(FmtSpan::CLOSE);
    tracing_subscriber::registry().with(log.with_filter(config.log_level.clone())).init();
    let inherited = listen::inherited()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        serve::outlive_hangups()?;
        let listening = listen::listen(&config, inherited)?;
        let engine = Engine::open(config).await?;
        let loaded = supervisor::load(&engine).await?;
        let mut serving = pin!(serve::until_told_to_stop(listening, engine.clone()));
        tokio::select! {
            served = &mut serving => return Ok(served?),
            recovered = recover(&engine, loaded) => recovered?,
        }
        // Whoever supervises us (systemd's Type=notify, a test) waits for this; without one it does nothing.
        sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
        serving.await?;
        Ok(())
    })
}
