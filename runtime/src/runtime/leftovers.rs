//! What is left of containers and execs: of whom nobody looks after, and of those that have ended.

use jiff::Timestamp;

use super::{Runtime, Target};
use crate::cgroup::Cgroup;
use crate::connection::Watch;
use crate::directory::{Directory, File};
use crate::process_fd::{PidFd, send_signal};
use crate::{ContainerSpec, Error, Exit, Result, Started, Status, lock};

impl Runtime {
    /// Ends what is left of a container or exec whose shim or monitor died, and records how it ended (code 137, with an
    /// error text). Changes nothing when it wasn't [`Status::Orphaned`].
    pub fn recover(&self, target: Target<'_>) -> Result<Status> {
        let status = self.status(target)?;
        if status != Status::Orphaned {
            return Ok(status);
        }
        let directory = self.directory(target);
        let cgroup = self.cgroup(target.container())?;
        match target {
            Target::Container(_) => cgroup.kill()?,
            Target::Exec { .. } => {
                let started = directory.read::<Started>(File::Started)?;
                // Only what is in the container's cgroup can be its process and not somebody else's.
                if let Some(started) =
                    started.filter(|started| cgroup.pids().is_ok_and(|pids| pids.contains(&started.pid)))
                {
                    send_signal(started.pid, libc::SIGKILL)?;
                }
            }
        }
        let exit = Exit {
            code: 137,
            signal: Some(libc::SIGKILL),
            oom_killed: false,
            at: Timestamp::now(),
            error: Some("its monitor died, so it was killed".to_owned()),
        };
        directory.write(File::Exit, &exit)?;
        Ok(Status::Exited(exit))
    }

    /// Ends a container if it still runs, and removes its cgroup, its sockets and its directory, or an exec's. Does
    /// nothing when there is nothing; what another call left half done is completed. Layers, `upper`, `work` and the
    /// log are the caller's.
    pub fn delete(&self, target: Target<'_>) -> Result<()> {
        let directory = self.directory(target);
        let status = self.status(target)?;
        match (target, status) {
            (_, Status::Gone) => return Ok(()),
            (_, Status::Creating) => self.end_shim(&directory)?,
            (Target::Exec { .. }, Status::Running(_)) => match self.signal(target, libc::SIGKILL, false) {
                Ok(()) | Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            },
            (Target::Exec { .. }, Status::Orphaned) => drop(self.recover(target)?),
            _ => {}
        }
        if let Target::Container(_) = target
            && let Some(spec) = directory.read::<ContainerSpec>(File::Spec)?
        {
            Cgroup::of_container(&spec)?.remove()?;
        }
        self.wait_for_monitors(target)?;
        directory.remove()
    }

    /// Waits until no monitor writes to the directory any more; what they look after has ended already.
    fn wait_for_monitors(&self, target: Target<'_>) -> Result<()> {
        let mut targets = vec![target];
        let execs = match target {
            Target::Container(container) => self.list_execs(container)?,
            Target::Exec { .. } => Vec::new(),
        };
        targets.extend(execs.iter().map(|exec| Target::Exec { container: target.container(), exec }));
        for target in targets {
            match self.watch(target).and_then(Watch::wait) {
                Ok(_) | Err(Error::Broken { .. } | Error::NotFound { .. } | Error::Stored { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn end_shim(&self, directory: &Directory) -> Result<()> {
        let holder = lock::holder(&directory.lock()).map_err(Error::io("see who looks after it"))?;
        let Some(shim) = holder.and_then(|pid| PidFd::open(pid).ok()) else { return Ok(()) };
        shim.signal(libc::SIGKILL).map_err(Error::io("end the shim"))?;
        shim.wait().map_err(Error::io("wait for the shim's end"))
    }
}
