//! Starts a further process in a running container.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;

use jiff::Timestamp;

use super::cgroup_mover::CgroupMover;
use super::diagnosis::Diagnosis;
use super::executor::{CgroupNamespace, ProcessExecutor};
use super::launch::{self, Report, Streams};
use super::mounts::{self, HostMounts};
use super::{Running, Stop, end_children, wait_for_release};
use crate::cgroup::Cgroup;
use crate::control::{Failure, describe};
use crate::directory::{self, Directory};
use crate::spec::{Log, OwnOrHost};
use crate::user::{self, ResolvedUser};
use crate::{ContainerSpec, Error, ExecSpec, Started, lock, monitor, oci};

type Result<T> = std::result::Result<T, Stop>;

/// Runs the exec of this directory, and undoes all of it when its process doesn't run in the end.
pub(super) fn start(directory: &Directory, control: &UnixStream) -> Result<Running> {
    let _lock = std::mem::ManuallyDrop::new(lock::hold(&directory.lock()).map_err(Error::io("take the exec's lock"))?);
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
    let cgroup = Cgroup::of_container(&container_spec)?;
    let report = Report::new()?;
    let diagnosis = Diagnosis::begin().map_err(Error::io("collect libcontainer's errors"))?;
    let mover = CgroupMover::spawn(&cgroup, directory, report.writer())?;
    let user = user::resolve_in(Path::new(&format!("/proc/{}/root", first.pid)), &spec.process.user)?;
    let executor = ProcessExecutor {
        env: launch::environment(&spec.process, &user),
        filter: launch::filter(directory)?,
        process: spec.process.clone(),
        uid: user.uid,
        oom_score_adj: container_spec.oom_score_adj,
        cgroup_namespace: cgroup_namespace(&container_spec, first)?,
        make_cwd: false,
        init: false,
        private_mounts: Vec::new(),
        cgroups: Vec::new(),
        cgroups_writable: false,
        protect_cgroup_root: false,
        moved: Rc::clone(&mover.moved),
        report: Rc::new(report.clone_writer()?.into()),
    };
    let streams = Streams::prepare(directory, &spec.process, &user)?;
    let process = store_process(directory, &spec, &user)?;
    HostMounts::leave()?;
    mounts::hide_cgroups()?;
    wait_for_release(control)?;

    let builder = launch::builder(&container_spec.id, &container)?.with_executor(executor);
    let builder = builder.with_pid_file(Some(mover.pid_file())).map_err(|error| Failure::internal(describe(&error)))?;
    let (builder, streams) = streams.pass_to(builder);
    let built = builder.as_tenant().with_detach(true).with_process(Some(process)).build();
    let pid = match built {
        Ok(pid) => pid.as_raw(),
        Err(error) => {
            end_children(None);
            return Err(launch::failure_of(&error, report, diagnosis).into());
        }
    };
    mover.join();
    let streams = streams.finish()?;
    if let Some(failure) = report.read() {
        return Err(failure.into());
    }
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
    Ok(Running { started, streams, monitor, oom_events: None })
}

fn cgroup_namespace(spec: &ContainerSpec, first: Started) -> Result<CgroupNamespace> {
    match spec.namespaces.cgroup {
        OwnOrHost::Host => Ok(CgroupNamespace::Keep),
        OwnOrHost::Own => {
            let path = format!("/proc/{}/ns/cgroup", first.pid);
            let namespace = File::open(&path).map_err(Error::io(format!("open {path}")))?;
            Ok(CgroupNamespace::Join(Rc::new(namespace.into())))
        }
    }
}

fn store_process(directory: &Directory, spec: &ExecSpec, user: &ResolvedUser) -> Result<std::path::PathBuf> {
    let process = oci::process(&spec.process, user).map_err(|error| Failure::internal(describe(&error)))?;
    let json = serde_json::to_vec(&process).map_err(|error| Failure::internal(describe(&error)))?;
    let path = directory.path().join("process.json");
    fs::write(&path, json).map_err(Error::io(format!("write {}", path.display())))?;
    Ok(path)
}
