//! Health checks of a running container: a task that sleeps, runs the check as an exec, and hands the result to the
//! container's task.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use runtime::protocol::Streams;
use runtime::spec::{Process, Stdin};
use runtime::{ExecSpec, Target};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::task::AbortOnDropHandle;

use crate::blocking::Blocking as _;
use crate::container::health::{Health, HealthSpec, Probe};
use crate::container::owned::Owned;
use crate::container::{Container, Containers, Handle, Phase};
use crate::detach::DetachKeys;
use crate::engine::random_id;
use crate::error::{Error, Result, chain};
use crate::exec::{Description, Exec, Phase as ExecPhase};
use crate::frame::Unframed;
use crate::orchestrate::exec;
use crate::signal;
use crate::translate::exec::first_environment;

/// How much of a check's output is kept; Docker keeps as much.
const OUTPUT_BYTES: usize = 4096;
/// Of a check that couldn't be run, or not to its end.
const NO_EXIT_CODE: i32 = -1;

/// The container runs from now on: its checks begin anew. The caller stores it.
pub(super) fn start(owned: &mut Owned) {
    if owned.container.spec.health.is_some() {
        owned.container.state.health.get_or_insert_default().start();
        watch(owned);
    }
}

/// The container ended or is frozen: nobody checks it. The caller stores it.
pub(super) fn stop(owned: &mut Owned) {
    owned.health = None;
    if let Some(health) = &mut owned.container.state.health {
        health.stop();
    }
}

/// Checks the container from now on, with what was found before.
pub(super) fn watch(owned: &mut Owned) {
    let Some(spec) = owned.container.spec.health.clone() else { return };
    let (containers, handle) = (owned.containers.clone(), owned.container.id.clone());
    let runs = owned.container.state.exits;
    owned.health = Some(AbortOnDropHandle::new(tokio::spawn(async move {
        // Known to all before anything can run in it.
        let Ok(handle) = containers.registry.find(handle.as_str()) else { return };
        if let Err(error) = check_for_ever(&containers, &handle, &spec, runs).await {
            tracing::debug!(container = %handle.id(), "health checks end: {}", chain(&error));
        }
    })));
}

/// berthd is back: a check that the last one left is ended, and the next ones follow.
pub(super) async fn resume(handle: &Handle) {
    let resumed = handle.run(|owned| {
        Box::pin(async move {
            if !matches!(owned.container.state.phase, Phase::Running { .. }) {
                return Ok(());
            }
            if let Some(exec) = owned.container.state.health.as_mut().and_then(|health| health.running.take()) {
                let container = owned.container.id.clone();
                let kill = move |containers: &Arc<Containers>| {
                    let target = Target::Exec { container: &container, exec: &exec };
                    match containers.runtime.signal(target, signal::KILL, false) {
                        Err(error) if error.kind() == runtime::Kind::Internal => Err(error.into()),
                        // It may have ended long ago.
                        _ => Ok(()),
                    }
                };
                owned.containers.blocking(kill).await?;
            }
            watch(owned);
            Ok(())
        })
    });
    match resumed.await {
        Err(error) if error.kind() != cnm::Kind::NotFound => {
            tracing::error!(container = %handle.id(), "resuming health checks: {}", chain(&error));
        }
        _ => {}
    }
}

/// Ends with an error when the container, or its run, is gone.
async fn check_for_ever(containers: &Arc<Containers>, handle: &Handle, spec: &HealthSpec, runs: u64) -> Result<()> {
    // Once the task is through with the start, everybody sees this run and not the one before.
    change(handle, runs, |_| {}).await?;
    loop {
        let container = handle.container();
        let health = container.state.health.clone().unwrap_or_default();
        let since_start = since(container.state.started_at);
        // From the end of the last check in this run, or from the start.
        let last = health.log.last().map(|probe| probe.end).max(container.state.started_at);
        tokio::time::sleep(spec.pause(&health, since_start).saturating_sub(since(last))).await;
        let exec = Arc::new(describe(&container, spec)?);
        let id = exec.id().clone();
        change(handle, runs, move |health| health.running = Some(id)).await?;
        let since_start = since(container.state.started_at);
        let probe = probe(containers, &exec, spec.timeout).await;
        let spec = spec.clone();
        change(handle, runs, move |health| health.record(&spec, since_start, probe)).await?;
    }
}

fn since(moment: Option<Timestamp>) -> Duration {
    let passed = moment.map(|moment| Timestamp::now().duration_since(moment));
    passed.and_then(|passed| passed.try_into().ok()).unwrap_or_default()
}

/// Changes what is known of the container's health; tells listeners of another status.
async fn change(handle: &Handle, runs: u64, with: impl FnOnce(&mut Health) + Send + 'static) -> Result<()> {
    handle
        .run(move |owned| {
            Box::pin(async move {
                let state = &mut owned.container.state;
                if state.exits != runs || !matches!(state.phase, Phase::Running { .. }) {
                    return Err(Error::conflict("the container doesn't run any more"));
                }
                let health = state.health.get_or_insert_default();
                let before = health.status;
                with(health);
                let status = health.status;
                owned.save().await?;
                if status != before {
                    owned.containers.tell(&owned.container, format!("health_status: {}", status.as_str()), []);
                }
                Ok(())
            })
        })
        .await
}

/// The check as a further process of the container, which has its user, environment and bounds.
fn describe(container: &Container, spec: &HealthSpec) -> Result<Exec> {
    let process = Process {
        args: spec.command.clone(),
        env: first_environment(container),
        terminal: None,
        stdin: Stdin::Closed,
        ..container.spec.process.clone()
    };
    let description = Description {
        spec: ExecSpec { id: random_id().parse()?, process },
        streams: Streams { stdin: false, stdout: true, stderr: true },
        detach_keys: DetachKeys::default(),
        detach_keys_text: String::new(),
        privileged: false,
    };
    Ok(Exec::new(container.id.clone(), description))
}

/// Runs a check to its end, or to the end of its time.
async fn probe(containers: &Arc<Containers>, exec: &Arc<Exec>, timeout: Duration) -> Probe {
    containers.execs.insert(exec.clone(), Timestamp::now());
    exec::tell(containers, exec, "exec_create", None);
    let start = Timestamp::now();
    let mut output = Vec::new();
    let run = async {
        if let Some(stream) = exec::start(containers, exec, None, true).await? {
            collect(stream, &mut output).await.map_err(Error::io("reading the output of a health check"))?;
        }
        exec.ended().await;
        Ok::<(), Error>(())
    };
    let (exit_code, problem) = match tokio::time::timeout(timeout, run).await {
        Ok(Ok(())) => match exec.phase() {
            ExecPhase::Ended { code, .. } => (i32::from(code), None),
            _ => (NO_EXIT_CODE, Some("the health check has no end".to_owned())),
        },
        Ok(Err(error)) => (NO_EXIT_CODE, Some(error.message())),
        Err(_elapsed) => {
            end(containers, exec).await;
            (NO_EXIT_CODE, Some(format!("Health check exceeded timeout ({timeout:?})")))
        }
    };
    let printed = String::from_utf8_lossy(&output).into_owned();
    let output = match problem {
        None => printed,
        Some(problem) if printed.is_empty() => problem,
        Some(problem) => format!("{problem}: {printed}"),
    };
    Probe { start, end: Timestamp::now(), exit_code, output }
}

/// Kills a check that takes too long.
async fn end(containers: &Arc<Containers>, exec: &Arc<Exec>) {
    let hung = exec.clone();
    let killed = containers.blocking(move |containers| {
        let target = Target::Exec { container: &hung.container, exec: hung.id() };
        Ok(containers.runtime.signal(target, signal::KILL, false)?)
    });
    if let Err(error) = killed.await {
        // It ended this very moment, or couldn't even begin.
        tracing::debug!(exec = %exec.id(), "ending a health check: {}", chain(&error));
    }
}

/// Reads frames to their end, and keeps the beginning of what is in them.
async fn collect(mut stream: impl AsyncRead + Unpin, output: &mut Vec<u8>) -> std::io::Result<()> {
    let (mut unframed, mut buffer) = (Unframed::default(), [0; OUTPUT_BYTES]);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        unframed.push(&buffer[..read], |_, content| {
            let room = OUTPUT_BYTES.saturating_sub(output.len()).min(content.len());
            output.extend_from_slice(&content[..room]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{OutputStream, frame};

    #[tokio::test]
    async fn the_beginning_of_the_output_is_kept() {
        let mut stream = frame(OutputStream::Stdout, b"one ").to_vec();
        stream.extend(frame(OutputStream::Stderr, b"two "));
        stream.extend(frame(OutputStream::Stdout, &[b'x'; 2 * OUTPUT_BYTES]));
        let mut output = Vec::new();
        collect(&stream[..], &mut output).await.unwrap();
        assert!(output.starts_with(b"one two xxx") && output.len() == OUTPUT_BYTES);
        output.clear();
        collect(&stream[..10], &mut output).await.unwrap();
        assert_eq!(output, b"on", "cut off in mid-frame");
    }
}
