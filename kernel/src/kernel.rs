//! The real host.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use cnm::{
    firewall::Element,
    id::{LinkName, SandboxId},
    observed::{ObserveScope, Observed},
    plan::{Op, Plan},
    resource::{NamespaceAt, Resource},
};

use crate::{
    AdminChains, Adoption, Applied, Error, Failed, Family, FirewallWatch, ForeignDrop, Forwarding, Host, HostFacts,
    LinkWatch, NamespaceKeeper, Repaired,
    error::attempted,
    firewall::Firewall,
    namespace::{OpenNamespace, Pins},
    reaper::Reaper,
    resource::steps,
    route, sysctl,
};

/// The host whose network namespace the calling thread is in.
///
/// All its methods must be called on threads in that namespace, as all threads of a process are unless they leave it.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) pins: Pins,
    pub(crate) host: HostSockets,
    pub(crate) reaper: Reaper,
    pub(crate) firewall: Firewall,
}

impl Kernel {
    /// The host's networking. Links under `netns` in the run directory lead to the namespaces that `keeper` keeps; whether
    /// forwarding was switched on by us is remembered there as well.
    ///
    /// # Errors
    /// When the run directory can't be prepared, or netlink isn't to be had.
    pub fn new(run_dir: &Path, keeper: Arc<dyn NamespaceKeeper>) -> Result<Self, Error> {
        let netlink = "talk to the kernel over netlink";
        Ok(Self {
            pins: Pins::new(run_dir, keeper)?,
            host: HostSockets::default(),
            reaper: Reaper::start().map_err(attempted(netlink))?,
            firewall: Firewall::new(run_dir)?,
        })
    }

    /// Bridges of others without a physical port.
    fn bridges_of_others(&self) -> Result<BTreeSet<LinkName>, Error> {
        let attempt = || attempted("list the host's bridges");
        let mut host = self.host.take().map_err(attempt())?;
        let bridges = host.socket.virtual_bridges().map_err(attempt())?;
        self.host.put_back(host);
        Ok(bridges)
    }

    /// Where the namespace of a sandbox is pinned: the path to enter it by.
    pub fn namespace_path(&self, at: &NamespaceAt) -> Option<std::path::PathBuf> {
        self.pins.path(at)
    }
}

impl Host for Kernel {
    fn apply(&self, plan: &Plan) -> Result<Applied, Box<Failed>> {
        self.apply_plan(plan)
    }

    fn observe(&self, scope: &ObserveScope) -> Result<Observed, Error> {
        let pinned = self.pins.list().map_err(attempted("list the pinned network namespaces"))?;
        let mut namespaces = BTreeMap::new();
        let mut host = self.host.take().map_err(attempted("observe the host's links"))?;
        let ours = host.socket.observe(&NamespaceAt::Host, |name| name.is_ours() || scope.links.contains(name));
        namespaces.insert(NamespaceAt::Host, ours.map_err(attempted("observe the host's links"))?);
        self.host.put_back(host);
        let seen = side_by_side(&scope.namespaces, |at| {
            let attempt = || attempted(format!("look into the network namespace {at}"));
            match self.pins.open(at) {
                Ok(mut inside) => {
                    inside.socket.observe(at, |_| true).map(|seen| Some((at.clone(), seen))).map_err(attempt())
                }
                Err(error) if is_no_namespace(&error) => Ok(None),
                Err(error) => Err(attempt()(error)),
            }
        })?;
        namespaces.extend(seen);
        let sysctls = side_by_side(&scope.sysctls, |asked| {
            let (at, key) = asked;
            match self.pins.run_at(at, || sysctl::read(key)) {
                Ok(value) => Ok(value.map(|value| (asked.clone(), value))),
                Err(error) if is_no_namespace(&error) => Ok(None),
                Err(error) => Err(attempted(format!("read sysctl {key} in {at}"))(error)),
            }
        })?;
        Ok(Observed { namespaces, pinned, sysctls: sysctls.into_iter().collect() })
    }

    fn sync_firewall(&self, elements: &BTreeSet<Element>, administrator: &AdminChains) -> Result<Repaired, Error> {
        self.firewall.sync(elements, administrator, self.bridges_of_others()?)
    }

    fn repair_firewall(&self) -> Result<Repaired, Error> {
        self.firewall.repair()
    }

    fn admin_chains(&self) -> Result<AdminChains, Error> {
        self.firewall.admin_chains()
    }

    fn missing_elements(&self, elements: &BTreeSet<Element>) -> Result<BTreeSet<Element>, Error> {
        self.firewall.missing(elements)
    }

    fn watch_firewall(&self) -> Result<FirewallWatch, Error> {
        self.firewall.watch()
    }

    fn watch_links(&self) -> Result<LinkWatch, Error> {
        route::watch().map_err(attempted("watch the host's links"))
    }

    fn restore_link(&self, resource: &Resource) -> Result<bool, Error> {
        let mut host = self.host.take().map_err(attempted("look at the host's links"))?;
        let done = steps(resource).restore_link(&mut host.socket, self.firewall.isolates_ports());
        let done = done.map_err(attempted(Op::Make(resource.clone()).attempt()));
        self.host.put_back(host);
        done
    }

    fn lost_namespaces(&self) -> Result<BTreeSet<SandboxId>, Error> {
        self.pins.lost().map_err(attempted("look for network namespaces that nobody keeps"))
    }

    fn is_lost(&self, sandbox: &SandboxId) -> Result<bool, Error> {
        self.pins.is_lost(sandbox).map_err(attempted(format!("see whether somebody keeps the namespace of {sandbox}")))
    }

    fn adopt_namespace(&self, sandbox: &SandboxId, found: &Path, host_ends: &[LinkName]) -> Result<Adoption, Error> {
        let attempt = || attempted(format!("take {} for the network namespace of sandbox {sandbox}", found.display()));
        let mut host = self.host.take().map_err(attempt())?;
        let adopted = self.pins.adopt(sandbox, found, host_ends, &mut host).map_err(attempt())?;
        self.host.put_back(host);
        Ok(adopted)
    }

    fn finish_deletions(&self, longest: Duration) -> bool {
        self.reaper.finish(longest)
    }

    fn foreign_drops(&self) -> Result<Vec<ForeignDrop>, Error> {
        crate::firewall::foreign_drops()
    }

    fn enable_forwarding(&self, family: Family, guard: bool) -> Result<Forwarding, Error> {
        self.firewall.enable_forwarding(family, guard)
    }

    fn allow_foreign_bridges(&self) -> Result<(), Error> {
        self.firewall.allow_bridges(self.bridges_of_others()?)
    }

    fn facts(&self) -> Result<HostFacts, Error> {
        self.gather_facts()
    }
}

/// Looks at many things on as many threads as there are processors, or can be had; the first error is the answer.
fn side_by_side<T: Sync, S: Send>(
    asked: &BTreeSet<T>,
    look: impl Fn(&T) -> Result<Option<S>, Error> + Sync,
) -> Result<Vec<S>, Error> {
    /// A thread costs more than a few looks.
    const EACH_AT_LEAST: usize = 16;
    let asked: Vec<&T> = asked.iter().collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = asked.len().div_ceil(threads).max(EACH_AT_LEAST);
    let look_at =
        |share: &[&T]| share.iter().filter_map(|one| look(one).transpose()).collect::<Result<Vec<S>, Error>>();
    let mut shares = asked.chunks(share);
    let first = shares.next().unwrap_or_default();
    thread::scope(|scope| {
        let look_at = &look_at;
        let spawn = |share| thread::Builder::new().spawn_scoped(scope, move || look_at(share)).map_err(|_| share);
        let others: Vec<_> = shares.map(spawn).collect();
        let mut seen = look_at(first)?;
        for other in others {
            seen.extend(match other {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
                Err(left_to_us) => look_at(left_to_us)?,
            });
        }
        Ok(seen)
    })
}

/// Whether a namespace couldn't be opened because it isn't one (any more): EINVAL is what `setns` answers for a file that
/// a crash left without its mount.
fn is_no_namespace(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::errno::Errno::EINVAL as i32)
}

/// Sockets in the host's namespace that are free: as many as were ever needed at once.
#[derive(Debug, Default)]
pub(crate) struct HostSockets {
    free: Mutex<Vec<OpenNamespace>>,
}

impl HostSockets {
    pub(crate) fn take(&self) -> io::Result<OpenNamespace> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.map_or_else(
            || Ok(OpenNamespace { namespace: File::open("/proc/thread-self/ns/net")?, socket: route::Socket::open()? }),
            Ok,
        )
    }

    /// Gives a socket back on which no answer is outstanding.
    pub(crate) fn put_back(&self, inside: OpenNamespace) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(inside);
    }
}
