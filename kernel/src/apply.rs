//! Applying plans: operations become steps, steps of one sort that follow each other go out together, what was done is
//! undone when something fails.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    os::fd::AsFd,
    time::Instant,
};

use cnm::{
    id::LinkName,
    plan::{Op, Plan},
    resource::{NamespaceAt, Resource},
};
use nix::errno::Errno;

use crate::{
    Applied, Error, Failed, Kernel, Stuck,
    error::attempted,
    firewall::FirewallChange,
    namespace::OpenNamespace,
    resource::{About, Given, Message, Reaping, RouteRequest, Step, Work, steps},
    route, sysctl,
};

/// What waits to be done together.
enum Batch<'p> {
    /// Messages to one namespace, each with its operation.
    Messages(&'p NamespaceAt, Vec<(usize, Message<'p>)>),
    /// A transaction of the firewall, with its operations.
    Elements(FirewallChange, Vec<usize>),
}

/// A plan being applied.
struct Application<'k, 'p> {
    kernel: &'k Kernel,
    ops: &'p [Op],
    /// Which operations have changed something.
    touched: Vec<bool>,
    /// Namespaces that were opened for this plan, or made by it. They are closed with it: an open namespace, or socket
    /// inside, would outlive its unpinning.
    open: BTreeMap<NamespaceAt, OpenNamespace>,
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
            let steps = match op {
                Op::Make(resource) => steps(resource).make(),
                Op::Remove(resource) => steps(resource).remove(),
            };
            for step in steps {
                self.take_up(index, step)?;
            }
        }
        self.flush()
    }

    fn take_up(&mut self, op: usize, step: Step<'p>) -> Result<(), Failure> {
        match step {
            Step::Message(message) => self.enqueue(op, message),
            Step::AddElement(element) => self.change(op, |change| change.add.insert(element.clone())),
            Step::RemoveElement(element) => {
                // In a transaction what goes does so before what comes.
                if matches!(&self.waiting, Some(Batch::Elements(change, _)) if change.add.contains(element)) {
                    self.flush()?;
                }
                self.change(op, |change| change.remove.insert(element.clone()))
            }
            Step::Work(work) => {
                self.flush()?;
                let start = Instant::now();
                let done = self.perform(&work);
                match done {
                    Ok(span) => {
                        self.applied.spans.push((span, start.elapsed()));
                        self.touched[op] = true;
                        Ok(())
                    }
                    Err(error) if work.removes() && is_absence(&error) => Ok(()),
                    Err(source) => Err(Failure { op, cause: explain(&self.ops[op], source) }),
                }
            }
        }
    }

    /// Answers with what kind of work it was.
    fn perform(&mut self, work: &Work<'p>) -> io::Result<&'static str> {
        match work {
            Work::Retire(bridge) => {
                let mut host = self.kernel.host.take()?;
                self.kernel.reaper.retire(&mut host.socket, bridge)?;
                self.kernel.host.put_back(host);
                Ok("links")
            }
            Work::Pin(sandbox) => {
                let inside = self.kernel.pins.create(sandbox)?;
                self.open.insert(NamespaceAt::Pinned((*sandbox).clone()), inside);
                Ok("namespace")
            }
            Work::Unpin(sandbox) => {
                self.open.remove(&NamespaceAt::Pinned((*sandbox).clone()));
                self.kernel.pins.drop_pin(sandbox)?;
                Ok("namespace")
            }
            Work::Sysctl { namespace, key, value } | Work::PutBackSysctl { namespace, key, value } => {
                self.kernel.pins.run_at(namespace, || sysctl::write(key, value))?;
                Ok("sysctl")
            }
        }
    }

    fn enqueue(&mut self, op: usize, message: Message<'p>) -> Result<(), Failure> {
        let fits = match &self.waiting {
            Some(Batch::Messages(at, messages)) => *at == message.namespace && !message.must_follow(messages),
            Some(Batch::Elements(..)) => false,
            None => true,
        };
        if !fits {
            self.flush()?;
        }
        match &mut self.waiting {
            Some(Batch::Messages(_, messages)) => messages.push((op, message)),
            _ => self.waiting = Some(Batch::Messages(message.namespace, vec![(op, message)])),
        }
        Ok(())
    }

    /// Has the transaction of the firewall that waits, or a new one, do more.
    fn change(&mut self, op: usize, extend: impl FnOnce(&mut FirewallChange) -> bool) -> Result<(), Failure> {
        let (mut change, mut ops) = match self.waiting.take() {
            Some(Batch::Elements(change, ops)) => (change, ops),
            other => {
                self.waiting = other;
                self.flush()?;
                (FirewallChange::default(), Vec::new())
            }
        };
        extend(&mut change);
        ops.push(op);
        self.waiting = Some(Batch::Elements(change, ops));
        Ok(())
    }

    /// Does what waits.
    fn flush(&mut self) -> Result<(), Failure> {
        match self.waiting.take() {
            None => Ok(()),
            Some(Batch::Messages(at, messages)) => self.send(at, messages),
            Some(Batch::Elements(change, ops)) => {
                let start = Instant::now();
                let first = ops.first().copied().unwrap_or_default();
                self.kernel.firewall.change(&change).map_err(|cause| Failure { op: first, cause })?;
                self.applied.spans.push(("firewall", start.elapsed()));
                ops.into_iter().for_each(|op| self.touched[op] = true);
                Ok(())
            }
        }
    }

    /// Sends messages to a namespace in one exchange.
    fn send(&mut self, at: &'p NamespaceAt, messages: Vec<(usize, Message<'p>)>) -> Result<(), Failure> {
        let start = Instant::now();
        let first = messages[0].0;
        let result = self.open_peers(at, &messages).and_then(|()| self.take(at));
        let mut inside = match result {
            Ok(inside) => inside,
            // In a namespace that is gone there is nothing left to remove.
            Err(error) if error.kind() == io::ErrorKind::NotFound && messages.iter().all(|(_, m)| m.removes) => {
                return Ok(());
            }
            Err(source) => return Err(Failure { op: first, cause: explain(&self.ops[first], source) }),
        };
        let result = self.exchange(&mut inside, &messages);
        self.put_back(at, inside);
        self.applied.spans.push((if *at == NamespaceAt::Host { "links" } else { "inside" }, start.elapsed()));
        result
    }

    fn exchange(&mut self, inside: &mut OpenNamespace, messages: &[(usize, Message<'p>)]) -> Result<(), Failure> {
        let ops = self.ops;
        let failure = |op: usize, source| Failure { op, cause: explain(&ops[op], source) };
        let first = messages[0].0;
        let by_index = |message: &Message<'p>| match message.about {
            About::Index(name) => Some(name),
            About::Name(_) | About::Nothing => None,
        };
        let wanted: Vec<LinkName> = messages.iter().filter_map(|(_, message)| by_index(message)).cloned().collect();
        let indexes = inside.socket.indexes(&wanted).map_err(|source| failure(first, source))?;
        let (mut requests, mut sent, mut missing) = (Vec::new(), Vec::new(), None);
        for (op, message) in messages {
            let index = match by_index(message).map(|name| indexes.get(name)) {
                Some(None) if message.removes => continue,
                Some(None) => {
                    missing = Some(*op);
                    break;
                }
                Some(Some(index)) => *index,
                None => 0,
            };
            requests.push(self.request(message, index, inside));
            sent.push((*op, message));
        }
        let answers = inside.socket.inner.exchange(requests).map_err(|source| failure(first, source))?;
        let mut refused = None;
        for ((op, message), answer) in sent.into_iter().zip(answers) {
            match answer {
                Ok(_) => {
                    self.touched[op] = true;
                    if let Reaping::Delete(pair) = message.reaping {
                        self.kernel.reaper.delete(pair);
                    }
                }
                Err(error) if message.removes && is_absence(&error) => {}
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

    fn request(&self, message: &Message<'p>, index: u32, here: &OpenNamespace) -> RouteRequest {
        if let Reaping::WaitFor(pair) = message.reaping {
            let is_new = |op: &Op| matches!(op, Op::Make(Resource::Namespace(new)) if new.at() == pair.peer.namespace);
            self.kernel.reaper.wait_for(pair, self.ops.iter().any(is_new));
        }
        let peer = message.peer.and_then(|peer| self.open.get(peer)).unwrap_or(here);
        (message.request)(&Given {
            index,
            peer_namespace: peer.namespace.as_fd(),
            isolated_by_firewall: self.kernel.firewall.isolates_ports(),
        })
    }

    /// Opens the namespaces that other ends are to be born in.
    fn open_peers(&mut self, at: &NamespaceAt, messages: &[(usize, Message<'p>)]) -> io::Result<()> {
        for peer in messages.iter().filter_map(|(_, message)| message.peer).filter(|peer| *peer != at) {
            if let Entry::Vacant(entry) = self.open.entry(peer.clone()) {
                entry.insert(self.kernel.pins.open(peer)?);
            }
        }
        Ok(())
    }

    fn take(&mut self, at: &NamespaceAt) -> io::Result<OpenNamespace> {
        match self.open.remove(at) {
            Some(inside) => Ok(inside),
            None if *at == NamespaceAt::Host => self.kernel.host.take(),
            None => self.kernel.pins.open(at),
        }
    }

    fn put_back(&mut self, at: &NamespaceAt, inside: OpenNamespace) {
        if *at == NamespaceAt::Host {
            self.kernel.host.put_back(inside);
        } else {
            self.open.insert(at.clone(), inside);
        }
    }
}

/// The error for a kernel that lacks a kind of link, if that is why a creation was refused.
fn lacking(op: &Op, refusal: &io::Error, socket: &mut route::Socket) -> Option<Error> {
    let Op::Make(resource) = op else { return None };
    if refusal.raw_os_error() != Some(Errno::EOPNOTSUPP as i32) {
        return None;
    }
    let (feature, config) = steps(resource).lacking(socket)?;
    Some(Error::Lacking { attempt: op.attempt(), feature, config })
}

/// The kernel's words for "it isn't there": link, address, route and neighbour in turn.
fn is_absence(error: &io::Error) -> bool {
    let absent = [Errno::ENODEV, Errno::EADDRNOTAVAIL, Errno::ESRCH, Errno::ENOENT];
    error.raw_os_error().is_some_and(|code| absent.contains(&Errno::from_raw(code)))
}

fn explain(op: &Op, source: io::Error) -> Error {
    attempted(op.attempt())(source)
}
