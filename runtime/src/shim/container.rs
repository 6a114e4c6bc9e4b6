//! Builds a container and starts its first process.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::Timestamp;
use nix::unistd::Pid;
use oci_spec::runtime::Spec;

use super::cgroup_mover::{CgroupMover, First};
use super::diagnosis::Diagnosis;
use super::executor::ProcessExecutor;
use super::joined_processes::{JoinedProcesses, mount_proc};
use super::late_mounts::LateMounts;
use super::launch::{self, Report, Streams};
use super::mounts::{self, DetachedCgroup, HostMounts};
use super::pid_namespace_fork::PidNamespaceFork;
use super::program::Program;
use super::shared_memory;
use super::{Running, Stop, end_children, is_abandoned, wait_for_release};
use crate::cgroup::{Cgroup, allowed_devices};
use crate::control::{Failure, describe};
use crate::directory::{self, Directory};
use crate::oci::{self, OciContext};
use crate::process_fd::{self, PidFd};
use crate::spec::{BindPropagation, Id, IpcNamespace, MountKind, OwnOrHost, PidNamespace};
use crate::user;
use crate::{ContainerSpec, Error, Started, init, lock, monitor};

type Result<T> = std::result::Result<T, Stop>;

/// Builds the container of this directory, and undoes all of it when its process doesn't run in the end.
pub(super) fn start(directory: &Directory, control: &UnixStream) -> Result<Running> {
    let _lock =
        std::mem::ManuallyDrop::new(lock::acquire(&directory.lock()).map_err(Error::io("take the container's lock"))?);
    let spec: ContainerSpec = directory
        .read(directory::File::Spec)?
        .ok_or_else(|| Failure::internal("the container's specification is gone"))?;
    let cgroup = Cgroup::of_container(&spec)?;
    let mut host = None;
    build(&spec, directory, &cgroup, control, &mut host).inspect_err(|_| {
        end_children(Some(&cgroup));
        // Both are tried whatever becomes of the other; what is left then is found by its name.
        if host.as_ref().is_none_or(|host| host.enter().is_ok()) {
            cgroup.remove().ok();
            directory.remove().ok();
        }
    })
}

fn build(
    spec: &ContainerSpec,
    directory: &Directory,
    cgroup: &Cgroup,
    control: &UnixStream,
    host: &mut Option<HostMounts>,
) -> Result<Running> {
    let report = Report::new()?;
    let diagnosis = Diagnosis::begin().map_err(Error::io("collect libcontainer's errors"))?;
    cgroup.create(&spec.resources, allowed_devices(spec).as_deref())?;
    let mover = CgroupMover::spawn(cgroup, directory, report.writer(), First::Shim)?;
    let oom_events = cgroup.oom_events_file().and_then(|path| File::open(path).ok());
    let host = host.insert(HostMounts::leave()?);
    let rootfs = directory.rootfs();
    mounts::mount_rootfs(&spec.rootfs, &directory.rootfs(), &directory.path().join("layers"))?;
    let cgroups = mounts::detach_cgroups(cgroup, &spec.mounts)?;
    let host_devices = if spec.privileged { mounts::host_devices() } else { Vec::new() };
    let late_mounts = LateMounts::take(spec, &host_devices)?;
    let user = user::resolve_in(&rootfs, &spec.process.user)?;
    let init_program = spec.init.then(|| init::install(directory)).transpose()?;
    mounts::mount_asked(spec, &rootfs, init_program.as_deref(), &late_mounts)?;
    mounts::make_working_directory(&rootfs, Path::new(&spec.process.cwd))?;
    let mut executor = executor(spec, directory, &user, cgroups, &mover, &report)?;
    executor.late_mounts = late_mounts;
    let streams = Streams::prepare(directory, &spec.process, &user)?;
    let mut context = OciContext {
        rootfs,
        user,
        network: None,
        joined_proc: None,
        ipc_of: None,
        cgroup_directory: cgroup.is_v1(),
        host_devices,
    };

    context.network = wait_for_release(control)?.network;
    // Only now: the containers that are joined may have been started together with this one.
    let mut forked = None;
    if let PidNamespace::Container(other) = &spec.namespaces.pid {
        let (member, pid) = first_process(directory, other)?;
        context.joined_proc = Some(mount_proc(&member, pid, directory.path().join("proc"))?);
        let fork_result = Rc::new(PidNamespaceFork::new()?);
        executor.joined_processes = Some(JoinedProcesses::new(member, Rc::clone(&fork_result)));
        forked = Some(fork_result);
    }
    if let IpcNamespace::Container(other) = &spec.namespaces.ipc {
        let (_, pid) = first_process(directory, other)?;
        context.ipc_of = Some(pid);
        executor.late_mounts.add_shared_memory(shared_memory::of_container(other, &beside(directory, other), pid)?);
    }
    let config = oci::container(spec, &context).map_err(|error| Failure::internal(describe(&error)))?;
    store_config(directory, &config)?;

    let builder = launch::builder(&spec.id, directory)?.with_executor(executor);
    let builder = builder.with_pid_file(Some(mover.pid_file())).map_err(|error| Failure::internal(describe(&error)))?;
    let (builder, streams) = streams.pass_to(builder);
    let built = builder.as_init(directory.path()).with_systemd(false).with_detach(true).build();
    let mut container = match built {
        Ok(container) => container,
        Err(error) => {
            end_children(None);
            return Err(launch::failure_of(&error, report, diagnosis).into());
        }
    };
    // All that could go wrong did so before.
    mover.join();
    let pid = container.pid().ok_or_else(|| Failure::internal("libcontainer named no pid"))?.as_raw();
    launch::set_oom_score(pid, spec.oom_score_adj)?;
    let streams = streams.finish()?;
    if is_abandoned(control) {
        return Err(Stop::Abandoned);
    }

    // From here on it counts as started, whoever asks, and whatever becomes of the caller.
    let mut started = Started { pid, at: Timestamp::now() };
    directory.write(directory::File::Started, &started)?;
    container.start().map_err(|error| Failure::internal(describe(&error)))?;
    let (pid, failure) = match forked {
        None => (Some(pid), report.read()),
        Some(forked) => (forked.wait(Pid::from_raw(pid))?, report.read_what_is_there()),
    };
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let pid = pid.ok_or_else(|| Failure::internal("the process that was to join other processes was killed"))?;
    if started.pid != pid {
        started.pid = pid;
        directory.write(directory::File::Started, &started)?;
    }
    if spec.namespaces.pid != PidNamespace::Own {
        // The monitor will need the cgroups. Otherwise it stays, and the mounts go when it does: taking them down takes
        // the kernel longer than many a container runs.
        host.enter()?;
    }
    let monitor = monitor::Config {
        directory: directory.path().to_owned(),
        started,
        stdin: spec.process.stdin,
        terminal: spec.process.terminal.is_some(),
        log: spec.log.clone(),
        leftover: match spec.namespaces.pid {
            PidNamespace::Own => monitor::Leftover::DieAlong,
            PidNamespace::Host | PidNamespace::Container(_) => {
                monitor::Leftover::Kill { cgroup_parent: spec.cgroup_parent.clone(), id: spec.id.clone() }
            }
        },
    };
    Ok(Running { started, streams, monitor, oom_events, mover: None })
}

fn executor(
    spec: &ContainerSpec,
    directory: &Directory,
    user: &user::ResolvedUser,
    cgroups: Vec<DetachedCgroup>,
    mover: &CgroupMover,
    report: &Report,
) -> Result<ProcessExecutor> {
    Ok(ProcessExecutor {
        program: Program {
            process: spec.process.clone(),
            env: launch::environment(&spec.process, user),
            filter: launch::filter(directory)?,
            uid: user.uid,
            init: spec.init,
            moved: Rc::clone(&mover.moved),
            report: Rc::new(report.clone_writer()?.into()),
        },
        joined_processes: None,
        cgroup_namespace: spec.namespaces.cgroup == OwnOrHost::Own,
        late_mounts: LateMounts::default(),
        private_mounts: private_mounts(spec),
        cgroups,
        cgroups_writable: spec.privileged,
        protect_cgroup_root: protect_cgroup_root(spec),
    })
}

/// Whether `/sys/fs/cgroup` is a directory of ours with a mount for each hierarchy, and the container may not change it.
fn protect_cgroup_root(spec: &ContainerSpec) -> bool {
    let own = spec
        .mounts
        .iter()
        .any(|mount| mount.destination.starts_with("/sys/fs/cgroup") || mount.destination == Path::new("/sys"));
    !spec.privileged && !own
}

/// libcontainer leaves every bind that it makes a slave of the host's mount, whatever propagation it is given.
fn private_mounts(spec: &ContainerSpec) -> Vec<(PathBuf, bool)> {
    let private = |mount: &crate::spec::Mount| match mount.kind {
        MountKind::Bind { propagation: BindPropagation::Rprivate, .. } => Some((mount.destination.clone(), true)),
        MountKind::Bind { propagation: BindPropagation::Private, .. } => Some((mount.destination.clone(), false)),
        MountKind::Bind { .. } | MountKind::Tmpfs { .. } => None,
    };
    spec.mounts.iter().filter(|mount| oci::is_of_library(mount)).filter_map(private).collect()
}

/// The first process of another container, whose directory is beside this one.
fn first_process(directory: &Directory, other: &Id) -> Result<(PidFd, i32)> {
    let other_directory = beside(directory, other);
    if let Some(started) = other_directory.read::<Started>(directory::File::Started)?
        && let Some(process) = process_fd::of_monitor(&other_directory, started)?
    {
        return Ok((process, started.pid));
    }
    Err(Failure::internal(format!("cannot join the namespace of container {other}: it is not running")).into())
}

/// The directory of another container.
fn beside(directory: &Directory, other: &Id) -> Directory {
    Directory::new(directory.path().with_file_name(other.as_str()))
}

fn store_config(directory: &Directory, config: &Spec) -> Result<()> {
    let json = serde_json::to_vec(config).map_err(|error| Failure::internal(describe(&error)))?;
    fs::write(directory.config(), json).map_err(Error::io("write the container's OCI configuration"))?;
    Ok(())
}
