//! Applying plans: operations become netlink messages, messages to one namespace go out together, what was done is
//! undone when something fails.

mod change;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    os::fd::AsFd,
    time::Instant,
};

use cnm::{
    id::LinkName,
    observed::LinkKind,
    op::{NamespaceAt, Op, Plan},
};
use nix::errno::Errno;

use self::change::{Change, changes};
use crate::{
    Applied, Error, Failed, Kernel, Stuck,
    error::attempted,
    names,
    namespace::Inside,
    route::{self, RouteRequest},
    sysctl,
};

/// Changes of one namespace that wait to be sent.
struct Batch<'p> {
    at: &'p NamespaceAt,
    changes: Vec<(usize, Change<'p>)>,
}

/// A plan being applied.
struct Application<'k, 'p> {
    kernel: &'k Kernel,
    ops: &'p [Op],
    /// Which operations have changed something.
    touched: Vec<bool>,
    /// Namespaces that were opened for this plan, or made by it. They are closed with it: an open namespace, or socket
    /// inside, would outlive its unpinning.
    open: BTreeMap<NamespaceAt, Inside>,
    waiting: Option<Batch<'p>>,
    applied: Applied,
}

/// The first operation that failed.
struct Failure {
    op: usize,
    cause: Error,
}

impl Kernel {
    pub(crate) fn apply_plan(&self, plan: &Plan) -> Result<Applied, Box<Failed>> {
        let mut application = Application::new(self, &plan.ops);
        let Err(Failure { op: step, cause }) = application.run() else { return Ok(application.applied) };
        let touched = std::mem::take(&mut application.touched);
        drop(application);
        let (mut undone, mut stuck) = (Vec::new(), Vec::new());
        for (op, _) in plan.ops.iter().zip(&touched).rev().filter(|(_, touched)| **touched) {
            let inverse = [op.inverse()];
            let result = Application::new(self, &inverse).run();
            match result {
                Ok(()) => undone.insert(0, op.clone()),
                Err(Failure { cause, .. }) => stuck.insert(0, Stuck { op: op.clone(), cause }),
            }
        }
        Err(Box::new(Failed { step, op: plan.ops[step].clone(), cause, undone, stuck }))
    }
}

impl<'k, 'p> Application<'k, 'p> {
    fn new(kernel: &'k Kernel, ops: &'p [Op]) -> Self {
        Self {
            kernel,
            ops,
            touched: vec![false; ops.len()],
            open: BTreeMap::new(),
            waiting: None,
            applied: Applied::default(),
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        for (index, op) in self.ops.iter().enumerate() {
            if let Some(changes) = changes(op) {
                for (at, change) in changes {
                    self.enqueue(index, at, change)?;
                }
            } else {
                self.flush()?;
                let start = Instant::now();
                let span = self.perform(op).map_err(|cause| Failure { op: index, cause })?;
                self.applied.spans.push((span, start.elapsed()));
                self.touched[index] = true;
            }
        }
        self.flush()
    }

    /// Operations that aren't netlink messages to a namespace. Answers with what kind of work it was.
    fn perform(&mut self, op: &Op) -> Result<&'static str, Error> {
        let kernel = self.kernel;
        match op {
            Op::CreateNamespace(sandbox) => {
                let inside = kernel.pins.create(sandbox).map_err(|source| explain(op, source))?;
                self.open.insert(NamespaceAt::Pinned(sandbox.clone()), inside);
                Ok("namespace")
            }
            Op::DropNamespace(sandbox) => {
                self.open.remove(&NamespaceAt::Pinned(sandbox.clone()));
                kernel.pins.drop_pin(sandbox).map_err(|source| explain(op, source))?;
                Ok("namespace")
            }
            Op::SetSysctl { namespace, key, value, .. } => {
                kernel.pins.run_at(namespace, || sysctl::write(key, value)).map_err(|source| explain(op, source))?;
                Ok("sysctl")
            }
            Op::Firewall(change) => {
                kernel.firewall.change(change)?;
                Ok("firewall")
            }
            _ => Err(Error::Impossible {
                attempt: names::attempt(op),
                reason: "it is a change of links, which is sent over netlink".to_owned(),
            }),
        }
    }

    fn enqueue(&mut self, op: usize, at: &'p NamespaceAt, change: Change<'p>) -> Result<(), Failure> {
        if self.waiting.as_ref().is_some_and(|batch| batch.at != at || change.must_follow(&batch.changes)) {
            self.flush()?;
        }
        let batch = self.waiting.get_or_insert_with(|| Batch { at, changes: Vec::new() });
        batch.changes.push((op, change));
        Ok(())
    }

    /// Sends what waits, in one exchange.
    fn flush(&mut self) -> Result<(), Failure> {
        let Some(Batch { at, changes }) = self.waiting.take() else { return Ok(()) };
        let start = Instant::now();
        let first = changes[0].0;
        let result = self.open_peers(at, &changes).and_then(|()| self.take(at));
        let mut inside = match result {
            Ok(inside) => inside,
            // In a namespace that is gone there is nothing left to remove.
            Err(error) if error.kind() == io::ErrorKind::NotFound && changes.iter().all(|(_, c)| c.removes()) => {
                return Ok(());
            }
            Err(source) => return Err(Failure { op: first, cause: explain(&self.ops[first], source) }),
        };
        let result = self.exchange(&mut inside, &changes);
        self.give_back(at, inside);
        self.applied.spans.push((if *at == NamespaceAt::Host { "links" } else { "inside" }, start.elapsed()));
        result
    }

    fn exchange(&mut self, inside: &mut Inside, changes: &[(usize, Change<'p>)]) -> Result<(), Failure> {
        let ops = self.ops;
        let failure = |op: usize, source| Failure { op, cause: explain(&ops[op], source) };
        let wanted: Vec<LinkName> = changes.iter().filter_map(|(_, change)| change.needs_index()).cloned().collect();
        let indexes = inside.socket.indexes(&wanted).map_err(|source| failure(changes[0].0, source))?;
        let (mut requests, mut sent, mut missing) = (Vec::new(), Vec::new(), None);
        for (op, change) in changes {
            let index = match change.needs_index().map(|name| indexes.get(name)) {
                Some(None) if change.removes() => continue,
                Some(None) => {
                    missing = Some(*op);
                    break;
                }
                Some(Some(index)) => *index,
                None => 0,
            };
            requests.push(self.request(change, index, inside));
            sent.push((*op, change));
        }
        let answers = inside.socket.inner.exchange(requests).map_err(|source| failure(changes[0].0, source))?;
        let mut refused = None;
        for ((op, change), answer) in sent.into_iter().zip(answers) {
            match answer {
                Ok(_) => {
                    self.touched[op] = true;
                    if let Change::Retire(pair) = change {
                        self.kernel.reaper.delete(pair);
                    }
                }
                Err(error) if change.removes() && is_absence(&error) => {}
                Err(error) => refused = refused.or(Some((op, error))),
            }
        }
        match (refused, missing) {
            (Some((op, source)), _) => {
                let lacking = lacking(&ops[op], &source, &mut inside.socket);
                Err(Failure { op, cause: lacking.unwrap_or_else(|| explain(&ops[op], source)) })
            }
            (None, Some(op)) => Err(failure(op, Errno::ENODEV.into())),
            (None, None) => Ok(()),
        }
    }

    fn request(&self, change: &Change<'p>, index: u32, here: &Inside) -> RouteRequest {
        let mut peer = here;
        if let Change::CreateVeth(pair) = change {
            // A pair of those names may still be on its way out.
            let is_new = |op: &Op| matches!(op, Op::CreateNamespace(at) if NamespaceAt::Pinned(at.clone()) == pair.peer.namespace);
            self.kernel.reaper.wait_for(pair, self.ops.iter().any(is_new));
            peer = self.open.get(&pair.peer.namespace).unwrap_or(here);
        }
        change.request(index, peer.namespace.as_fd(), self.kernel.firewall.isolates_ports())
    }

    /// Opens the namespaces that veths' peers are to be born in.
    fn open_peers(&mut self, at: &NamespaceAt, changes: &[(usize, Change<'p>)]) -> io::Result<()> {
        for (_, change) in changes {
            if let Change::CreateVeth(pair) = change
                && pair.peer.namespace != *at
                && let Entry::Vacant(entry) = self.open.entry(pair.peer.namespace.clone())
            {
                entry.insert(self.kernel.pins.open(&pair.peer.namespace)?);
            }
        }
        Ok(())
    }

    fn take(&mut self, at: &NamespaceAt) -> io::Result<Inside> {
        match self.open.remove(at) {
            Some(inside) => Ok(inside),
            None if *at == NamespaceAt::Host => self.kernel.host.take(),
            None => self.kernel.pins.open(at),
        }
    }

    fn give_back(&mut self, at: &NamespaceAt, inside: Inside) {
        if *at == NamespaceAt::Host {
            self.kernel.host.give_back(inside);
        } else {
            self.open.insert(at.clone(), inside);
        }
    }
}

/// The error for a kernel that lacks a kind of link, if that is why a creation was refused.
fn lacking(op: &Op, refusal: &io::Error, socket: &mut route::Socket) -> Option<Error> {
    if refusal.raw_os_error() != Some(Errno::EOPNOTSUPP as i32) {
        return None;
    }
    let attempt = names::attempt(op);
    match op {
        Op::CreateBridge(_) => Some(Error::Lacking { attempt, feature: "bridges", config: "CONFIG_BRIDGE" }),
        // The same is answered when what should be the bridge isn't one.
        Op::CreateVeth(pair) => {
            let seen = socket.observe(|name| *name == pair.bridge).ok()?;
            let is_bridge = seen.links.get(&pair.bridge).is_some_and(|link| link.kind == LinkKind::Bridge);
            is_bridge.then_some(Error::Lacking { attempt, feature: "veth pairs", config: "CONFIG_VETH" })
        }
        _ => None,
    }
}

/// The kernel's words for "it isn't there": link, address, route and neighbour in turn.
fn is_absence(error: &io::Error) -> bool {
    let absent = [Errno::ENODEV, Errno::EADDRNOTAVAIL, Errno::ESRCH, Errno::ENOENT];
    error.raw_os_error().is_some_and(|code| absent.contains(&Errno::from_raw(code)))
}

fn explain(op: &Op, source: io::Error) -> Error {
    attempted(names::attempt(op))(source)
}
