//! The firewall: one nftables table, `inet berth`, kept equal to what was asked. `docs/firewall.md` is its specification.

mod compile;
mod conntrack;
mod element;
mod field;
mod foreign;
mod forwarding;
mod nft;
mod set;
mod sets;
mod skeleton;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;

pub(crate) use foreign::foreign_drops;

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cnm::{firewall::Element, id::LinkName};
use nix::errno::Errno;

use self::{
    compile::compile,
    element::{SetElement, Shape},
    forwarding::Guards,
    set::{Declaration, Name},
    sets::{OTHERS, SETS},
    skeleton::Load,
    transaction::Transaction,
    watch::OwnPorts,
};
use crate::{AdminChains, Error, Family, FirewallWatch, Forwarding, Repaired, error::attempted};

/// What was tried, in errors.
const CHANGE: &str = "change the firewall";

/// A change, applied as one nftables transaction. What both goes and comes is there afterwards.
#[derive(Debug, Default)]
pub(crate) struct FirewallChange {
    pub(crate) add: BTreeSet<Element>,
    pub(crate) remove: BTreeSet<Element>,
}

/// The table and what it should hold.
#[derive(Debug)]
pub(crate) struct Firewall {
    /// Held over each transaction: nftables has one at a time as well.
    desired: Mutex<DesiredTable>,
    own: Arc<OwnPorts>,
    run_dir: std::path::PathBuf,
    /// What the table is made of besides its rules.
    sets: &'static [Declaration],
    isolates_ports: bool,
}

/// What the table should hold: the sum of what was asked, so that it can be restored whatever happens to the table.
#[derive(Debug)]
struct DesiredTable {
    elements: BTreeSet<Element>,
    administrator: AdminChains,
    guards: Guards,
    /// Bridges whose owners judge what they forward.
    others: BTreeSet<LinkName>,
    socket: transaction::Socket,
}

impl Firewall {
    pub(crate) fn new(run_dir: &Path) -> Result<Self, Error> {
        let own = Arc::new(OwnPorts::default());
        let socket = transaction::Socket::open().map_err(|source| no_nftables("use nftables", source))?;
        own.add(socket.port());
        let desired = DesiredTable {
            elements: BTreeSet::new(),
            administrator: AdminChains::default(),
            guards: Guards::load(run_dir)?,
            others: BTreeSet::new(),
            socket,
        };
        let isolates_ports = nft::would_load(&skeleton::between_ports_alone())?;
        if !isolates_ports {
            tracing::warn!(
                "this kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE): while br_netfilter is on, containers on \
                 networks with icc=false don't reach each other's published ports"
            );
        }
        Ok(Self { desired: Mutex::new(desired), own, run_dir: run_dir.to_owned(), sets: &SETS, isolates_ports })
    }

    /// Whether the firewall keeps ports apart that are to be isolated; else their bridge must.
    pub(crate) const fn isolates_ports(&self) -> bool {
        self.isolates_ports
    }

    /// Applies a change as one transaction. What is there already, or gone already, is left out.
    pub(crate) fn change(&self, change: &FirewallChange) -> Result<(), Error> {
        let mut desired = self.lock();
        let known = |element: &&Element| desired.elements.contains(element);
        // What goes and comes back stays.
        let gone: Vec<&Element> = change.remove.difference(&change.add).filter(known).collect();
        let new: Vec<&Element> = change.add.iter().filter(|element| !known(element)).collect();
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        // A range that is cut or grows is another element of the model's; what is in both is left where it is.
        let mut going: Vec<SetElement> = gone.iter().flat_map(|element| compile(element)).collect();
        let mut coming: Vec<SetElement> = new.iter().flat_map(|element| compile(element)).collect();
        let old: HashSet<&SetElement> = going.iter().collect();
        let stays: HashSet<SetElement> = coming.iter().filter(|element| old.contains(element)).cloned().collect();
        going.retain(|element| !stays.contains(element));
        coming.retain(|element| !stays.contains(element));
        let mut transaction = Transaction::default();
        transaction.remove(going);
        transaction.add(coming);
        // The kernel answers nothing to nothing.
        let is_empty = transaction.messages.is_empty();
        let committed = if is_empty { Ok(()) } else { desired.socket.commit(&transaction) };
        let adjust = |elements: &mut BTreeSet<Element>| {
            for element in &change.remove {
                elements.remove(element);
            }
            elements.extend(change.add.iter().cloned());
        };
        match committed {
            Ok(()) => {}
            // The table isn't what it should be (flushed, deleted, meddled with): all of it is made right.
            Err(error) if differs(&error) => {
                let mut elements = desired.elements.clone();
                adjust(&mut elements);
                self.load(&desired, &elements)?;
            }
            Err(source) => return Err(no_nftables(CHANGE, source)),
        }
        adjust(&mut desired.elements);
        drop(desired);
        if let Err(error) = conntrack::forget(&gone, &new) {
            // The change is committed: failing it here would leave its elements in force with nobody to take them back.
            tracing::warn!(%error, "connections of changed UDP ports are not forgotten: clients that go on sending keep \
                                    their old way until they pause");
        }
        Ok(())
    }

    pub(crate) fn sync(
        &self,
        elements: &BTreeSet<Element>,
        administrator: &AdminChains,
        others: BTreeSet<LinkName>,
    ) -> Result<Repaired, Error> {
        let mut desired = self.lock();
        desired.others = others;
        desired.administrator.clone_from(administrator);
        let repaired = self.load(&desired, elements)?;
        desired.elements.clone_from(elements);
        Ok(repaired)
    }

    /// Those elements that the table lacks a part of, whatever it was asked to hold.
    pub(crate) fn missing(&self, elements: &BTreeSet<Element>) -> Result<BTreeSet<Element>, Error> {
        let mut there: HashMap<Name, HashSet<Shape>> = HashMap::new();
        let mut missing = BTreeSet::new();
        for element in elements {
            for part in compile(element) {
                let shapes = match there.entry(part.set) {
                    Entry::Occupied(read) => read.into_mut(),
                    Entry::Vacant(unread) => {
                        let read = transaction::read(part.set);
                        let read = read.map_err(|source| no_nftables("read the firewall's table", source))?;
                        unread.insert(read.iter().map(|attributes| SetElement::shape(attributes)).collect())
                    }
                };
                if !shapes.contains(&part.own_shape()) {
                    missing.insert(element.clone());
                }
            }
        }
        Ok(missing)
    }

    /// Has the guard let pass what comes from or goes to these bridges.
    pub(crate) fn allow_bridges(&self, bridges: BTreeSet<LinkName>) -> Result<(), Error> {
        let mut desired = self.lock();
        if desired.others == bridges {
            return Ok(());
        }
        let mut transaction = Transaction::default();
        transaction.remove(desired.others.difference(&bridges).map(other).collect());
        transaction.add(bridges.difference(&desired.others).map(other).collect());
        desired.others = bridges;
        match desired.socket.commit(&transaction) {
            Ok(()) => Ok(()),
            // The table isn't what it should be.
            Err(error) if differs(&error) => self.load(&desired, &desired.elements).map(drop),
            Err(source) => Err(no_nftables(CHANGE, source)),
        }
    }

    pub(crate) fn repair(&self) -> Result<Repaired, Error> {
        let desired = self.lock();
        self.load(&desired, &desired.elements)
    }

    /// What is in the administrator's chains. While the table isn't whole the copy stands: its chains went with it.
    pub(crate) fn admin_chains(&self) -> Result<AdminChains, Error> {
        let mut desired = self.lock();
        let listing = nft::list_tables()?;
        if listing.is_whole() {
            desired.administrator = listing.administrator();
        }
        Ok(desired.administrator.clone())
    }

    pub(crate) fn watch(&self) -> Result<FirewallWatch, Error> {
        watch::start(Arc::clone(&self.own)).map_err(|source| no_nftables("watch the firewall", source))
    }

    pub(crate) fn enable_forwarding(&self, family: Family, guard: bool) -> Result<Forwarding, Error> {
        let attempt = || attempted("switch forwarding on");
        if forwarding::is_on(family).map_err(attempt())? {
            return Ok(Forwarding::WasOn);
        }
        if guard {
            let mut desired = self.lock();
            let guards = desired.guards.with(family).map_err(attempt())?;
            guards.store(&self.run_dir)?;
            desired.guards = guards;
            self.load(&desired, &desired.elements)?;
        }
        forwarding::switch_on(family).map_err(attempt())?;
        Ok(Forwarding::SwitchedOn)
    }

    /// Makes the table hold exactly these elements: one transaction, in place if that can be.
    fn load(&self, desired: &DesiredTable, elements: &BTreeSet<Element>) -> Result<Repaired, Error> {
        let before = nft::list_tables()?;
        let guards = desired.guards.elements();
        let mut elements: Vec<SetElement> =
            elements.iter().flat_map(compile).chain(guards).chain(desired.others.iter().map(other)).collect();
        let mut expiring = self.expiring()?;
        let administrator = (!before.is_whole()).then_some(&desired.administrator);
        let kept = before.administrator();
        let attempts = [
            (Load::InPlace, administrator),
            (Load::Anew, Some(if before.is_whole() { &kept } else { &desired.administrator })),
            // Rules that name what is gone with the table, as sets of the administrator's, can't be loaded.
            (Load::Anew, Some(&AdminChains::default())),
        ];
        let mut refusal = None;
        for (load, administrator) in attempts {
            if load == Load::Anew {
                elements.append(&mut expiring);
            }
            let text = skeleton::render(load, self.sets, &elements, administrator, self.isolates_ports);
            match nft::load(&text, &self.own) {
                Ok(()) if refusal.is_none() && nft::list_tables()? == before => return Ok(Repaired::Unchanged),
                Ok(()) => {
                    if administrator.is_some_and(|chains| *chains == AdminChains::default())
                        && desired.administrator != AdminChains::default()
                    {
                        tracing::warn!(
                            "the rules in user-pre and user-post could not be restored: {:?}",
                            desired.administrator
                        );
                    }
                    return Ok(Repaired::Changed);
                }
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::Impossible {
            attempt: CHANGE.to_owned(),
            reason: "no way of loading the table was tried".to_owned(),
        }))
    }

    /// What is in the table and expires: only the kernel knows it.
    fn expiring(&self) -> Result<Vec<SetElement>, Error> {
        let sets = self.sets.iter().filter(|set| set.timeout);
        let read: io::Result<Vec<_>> = sets.map(transaction::read_expiring).collect();
        Ok(read.map_err(|source| no_nftables("read the firewall's table", source))?.concat())
    }

    fn lock(&self) -> MutexGuard<'_, DesiredTable> {
        // Each change of it is one assignment, so it is whole whatever its holder was doing.
        self.desired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn other(bridge: &LinkName) -> SetElement {
    OTHERS.member(bridge.clone())
}

/// Whether a transaction was refused because the table isn't what it should be, or isn't there.
fn differs(error: &io::Error) -> bool {
    let signs = [Errno::ENOENT, Errno::EEXIST, Errno::EINVAL, Errno::EBUSY];
    error.raw_os_error().is_some_and(|code| signs.contains(&Errno::from_raw(code)))
}

/// Names what is lacking if nftables itself is.
fn no_nftables(attempt: &str, source: io::Error) -> Error {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP) => {
            Error::Lacking { attempt: attempt.to_owned(), feature: "nftables", config: "CONFIG_NF_TABLES" }
        }
        _ => Error::refused(attempt, source),
    }
}
