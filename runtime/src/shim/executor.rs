//! The last steps of a container's first process before its program: libcontainer calls [`ProcessExecutor::validate`]
//! when everything is mounted and the user is set, and [`ProcessExecutor::exec`] when the process may run. All
//! capabilities are still there, because installing a filter takes one.

use std::convert::Infallible;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::descriptors;
use super::joined_processes::JoinedProcesses;
use super::late_mounts::LateMounts;
use super::mounts::DetachedCgroup;
use super::pid_namespace_fork;
use super::program::{Found, Outcome, Program, failed, hide};
use crate::control::Failure;

/// Makes a process what its description says, and runs its program.
#[derive(Debug, Clone)]
pub(super) struct ProcessExecutor {
    pub(super) program: Program,
    /// Where the program is to be born, if not here.
    pub(super) joined_processes: Option<JoinedProcesses>,
    /// The process gets a cgroup namespace of its own.
    pub(super) cgroup_namespace: bool,
    /// What libcontainer may not see, and `/dev` is completed with.
    pub(super) late_mounts: LateMounts,
    /// Mounts that nothing is to be propagated to; `true` is for all below as well.
    pub(super) private_mounts: Vec<(PathBuf, bool)>,
    /// What is still to be mounted on or below `/sys/fs/cgroup`: libcontainer would take ten times as long for it.
    pub(super) cgroups: Vec<DetachedCgroup>,
    /// Whether the process may make cgroups of its own there.
    pub(super) cgroups_writable: bool,
    /// The mount on `/sys/fs/cgroup` becomes read-only, now that everything in it is mounted.
    pub(super) protect_cgroup_root: bool,
}

impl ProcessExecutor {
    fn prepare(&self) -> Outcome<()> {
        hide()?;
        self.program.wait_for_cgroup()?;
        if self.cgroup_namespace {
            unshare(CloneFlags::CLONE_NEWCGROUP).map_err(failed("make a cgroup namespace"))?;
        }
        self.finish_mounts()?;
        self.program.set_up_terminal()?;
        if let Some(joined) = &self.joined_processes {
            joined.join()?;
        }
        descriptors::close_all_of_host(&*self.program.report).map_err(failed("close what is the host's"))?;
        self.program.enter_working_directory()?;
        self.program.find().map(drop)
    }

    fn finish_mounts(&self) -> Outcome<()> {
        self.late_mounts.attach()?;
        for (path, recursive) in &self.private_mounts {
            let flags = if *recursive { MsFlags::MS_PRIVATE | MsFlags::MS_REC } else { MsFlags::MS_PRIVATE };
            mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
                .map_err(failed(format!("make the mount on {} private", path.display())))?;
        }
        for cgroup in &self.cgroups {
            cgroup.attach(self.cgroups_writable).map_err(failed("mount a cgroup"))?;
        }
        if self.protect_cgroup_root {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
            let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
            mount(None::<&str>, "/sys/fs/cgroup", None::<&str>, remount, None::<&str>)
                .map_err(failed("make /sys/fs/cgroup read-only"))?;
        }
        Ok(())
    }

    fn run(&self) -> Failure {
        match self.program.find().and_then(|found| self.run_found(&found)) {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    fn run_found(&self, found: &Found) -> Outcome<Infallible> {
        match &self.joined_processes {
            None => {
                self.program.limit()?;
                self.program.confine()?;
                Err(found.execute())
            }
            Some(joined) => {
                if self.program.process.terminal.is_some() {
                    pid_namespace_fork::leave_terminal()?;
                }
                // libcontainer has said and heard all that it had to.
                descriptors::close_all_but(&[self.program.report.as_fd()])
                    .map_err(failed("close what is the host's"))?;
                joined.fork_result.fork(&self.program, found)?;
                pid_namespace_fork::end(0)
            }
        }
    }

    /// Tells the shim, which can't learn it from libcontainer's error texts and falls back to them.
    fn report(&self, failure: &Failure) -> String {
        self.program.tell(failure);
        failure.message.clone()
    }
}

impl Executor for ProcessExecutor {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        self.prepare().map_err(|failure| ExecutorValidationError::ArgValidationError(self.report(&failure)))
    }

    fn setup_envs(&self, _: std::collections::HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        // execve is given the environment in its order.
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        Err(ExecutorError::Other(self.report(&self.run())))
    }
}
