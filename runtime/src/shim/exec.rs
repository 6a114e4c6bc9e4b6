//! Starts a further process in a running container.

use std::os::unix::net::UnixStream;
use std::rc::Rc;

use jiff::Timestamp;
use nix::sched::CloneFlags;

use super::cgroup_mover::{CgroupMover, First};
use super::entry::{Entry, EntryStreams};
use super::launch::{self, PendingStreams, Report};
use super::program::Program;
use super::streams;
use super::{Running, Stop, end_children, wait_for_release};
use crate::cgroup::Cgroup;
use crate::control::Failure;
use crate::directory::{self, Directory};
use crate::spec::{Log, OwnOrHost};
use crate::user::{self, ResolvedUser};
use crate::{ContainerSpec, Error, ExecSpec, Started, lock, monitor, process_fd, root};

type Result<T> = std::result::Result<T, Stop>;

/// Runs the exec of this directory, and undoes all of it when its process doesn't run in the end.
pub(super) fn start(directory: &Directory, control: &UnixStream) -> Result<Running> {
    let _lock =
        std::mem::ManuallyDrop::new(lock::acquire(&directory.lock()).map_err(Error::io("take the exec's lock"))?);
    launch(directory, control).inspect_err(|_| {
        end_children(None);
        // What is left is removed with the container.
        directory.remove().ok();
    })
}

fn launch(directory: &Directory, control: &UnixStream) -> Result<Running> {
    let gone = || Failure::internal("the container is gone");
    let spec: ExecSpec = directory.read(directory::File::Spec)?.ok_or_else(gone)?;
    let container = directory.path().ancestors().nth(2).map(Directory::new).ok_or_else(gone)?;
    let container_spec: ContainerSpec = container.read(directory::File::Spec)?.ok_or_else(gone)?;
    let first: Started = container.read(directory::File::Started)?.ok_or_else(gone)?;
    let first_process = process_fd::of_monitor(&container, first)?.ok_or_else(gone)?;
    let cgroup = Cgroup::of_container(&container_spec)?;
    let report = Report::new()?;
    let mover = CgroupMover::spawn(&cgroup, directory, report.writer(), First::Process)?;
    let user = user::resolve_at(root::rootfs_of(&first_process)?, &spec.process.user)?;
    let (streams, pending) = entry_streams(&spec, &user)?;
    let entry = Entry {
        program: Program {
            env: launch::environment(&spec.process, &user),
            filter: launch::filter(directory)?,
            process: spec.process.clone(),
            uid: user.uid,
            init: false,
            moved: Rc::clone(&mover.moved),
            report: Rc::new(report.clone_writer()?.into()),
        },
        user,
        oom_score_adj: container_spec.oom_score_adj,
        container: first_process,
        namespaces: namespaces(&container_spec),
        streams,
    };
    wait_for_release(control)?;

    let pid = entry.start(&mover)?;
    if let Some(failure) = report.read_what_is_there() {
        return Err(failure.into());
    }
    let pid = pid.ok_or_else(|| Failure::internal("the process that entered the container was killed"))?;
    let streams = pending.finish()?;
    let started = Started { pid, at: Timestamp::now() };
    directory.write(directory::File::Started, &started)?;
    let monitor = monitor::Config {
        directory: directory.path().to_owned(),
        started,
        stdin: spec.process.stdin,
        terminal: spec.process.terminal.is_some(),
        log: Log::None,
        leftover: monitor::Leftover::Ignore,
    };
    Ok(Running { started, streams, monitor, oom_events: None, mover: Some(mover) })
}

/// All that a container can have of its own; where it has the host's, that is the same.
fn namespaces(spec: &ContainerSpec) -> CloneFlags {
    let cgroup = match spec.namespaces.cgroup {
        OwnOrHost::Own => CloneFlags::CLONE_NEWCGROUP,
        OwnOrHost::Host => CloneFlags::empty(),
    };
    CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | cgroup
}

fn entry_streams(spec: &ExecSpec, user: &ResolvedUser) -> crate::Result<(EntryStreams, PendingStreams)> {
    match spec.process.terminal {
        None => {
            let (ours, theirs) = streams::pipes(&spec.process, user)?;
            Ok((EntryStreams::Pipes(theirs), PendingStreams::Pipes(ours)))
        }
        Some(_) => {
            let (ours, theirs) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
            Ok((EntryStreams::Terminal(theirs.into()), PendingStreams::Sent(ours)))
        }
    }
}
