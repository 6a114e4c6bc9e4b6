//! Switching forwarding on, and the guard: what was not forwarded before isn't forwarded because of us.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use cnm::id::LinkName;

use super::{
    SetElement,
    sets::{GUARDED, ROUTED_BEFORE},
};
use crate::{Error, Family, error::attempted, sysctl};

/// The file in the run directory that remembers the guards, since only who switches forwarding on can know what was
/// forwarded before.
const FILE: &str = "forwarding";

/// The guards by family: links that forwarded before we switched forwarding on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Guards(BTreeMap<Family, BTreeSet<LinkName>>);

impl Guards {
    /// The guards of this boot: a line with the boot's id, then a line for each family with its links.
    pub(super) fn load(run_dir: &Path) -> Result<Self, Error> {
        let path = run_dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(attempted(format!("read {}", path.display())))?,
        };
        let mut lines = text.lines();
        if lines.next() != Some(boot_id()?.as_str()) {
            return Ok(Self::default());
        }
        let guard = |line: &str| -> Option<(Family, BTreeSet<LinkName>)> {
            let mut words = line.split(' ');
            let family =
                [Family::Ipv4, Family::Ipv6].into_iter().find(|family| words.clone().next() == Some(name(*family)))?;
            Some((family, words.by_ref().skip(1).filter_map(|word| word.parse().ok()).collect()))
        };
        Ok(Self(lines.filter_map(guard).collect()))
    }

    pub(super) fn store(&self, run_dir: &Path) -> Result<(), Error> {
        let path = run_dir.join(FILE);
        let mut text = format!("{}\n", boot_id()?);
        for (family, links) in &self.0 {
            text.push_str(name(*family));
            for link in links {
                text.push(' ');
                text.push_str(link.as_str());
            }
            text.push('\n');
        }
        let new = path.with_extension("new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        written.map_err(attempted(format!("write {}", path.display())))
    }

    /// These guards and one for a family as it is now.
    pub(super) fn with(&self, family: Family) -> io::Result<Self> {
        let mut guards = self.clone();
        guards.0.insert(family, forwarding_links(family)?);
        Ok(guards)
    }

    /// The elements of sets that stand for the guards.
    pub(super) fn elements(&self) -> Vec<SetElement> {
        let mut elements = Vec::new();
        for (family, links) in &self.0 {
            elements.push(GUARDED.member(*family));
            elements.extend(links.iter().map(|link| ROUTED_BEFORE.member((*family, link.clone()))));
        }
        elements
    }
}

pub(super) fn is_on(family: Family) -> io::Result<bool> {
    sysctl::is_on(switch(family))
}

pub(super) fn switch_on(family: Family) -> io::Result<()> {
    if family == Family::Ipv6 {
        keep_router_advertisements()?;
    }
    sysctl::write(switch(family), "1")
}

fn switch(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "net/ipv4/ip_forward",
        Family::Ipv6 => "net/ipv6/conf/all/forwarding",
    }
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

/// Links of the calling thread's namespace, by their sysctls.
fn links(family: Family) -> io::Result<Vec<LinkName>> {
    let directory = fs::read_dir(format!("/proc/sys/net/{}/conf", name(family)))?;
    let names = directory.map(|entry| Ok(entry?.file_name().to_str().and_then(|name| name.parse().ok())));
    let names: Vec<Option<LinkName>> = names.collect::<io::Result<_>>()?;
    Ok(names.into_iter().flatten().filter(|name| !matches!(name.as_str(), "all" | "default")).collect())
}

/// Links that forward although forwarding is off in general.
fn forwarding_links(family: Family) -> io::Result<BTreeSet<LinkName>> {
    let mut forwarding = BTreeSet::new();
    for link in links(family)? {
        if sysctl::is_on(&format!("net/{}/conf/{link}/forwarding", name(family)))? {
            forwarding.insert(link);
        }
    }
    Ok(forwarding)
}

/// A link that accepts router advertisements because it doesn't forward (1) would stop to once it does: 2 means always.
fn keep_router_advertisements() -> io::Result<()> {
    for link in links(Family::Ipv6)? {
        let key = format!("net/ipv6/conf/{link}/accept_ra");
        if sysctl::read(&key)?.as_deref() == Some("1") && !link.is_ours() && link.as_str() != "lo" {
            sysctl::write(&key, "2")?;
        }
    }
    Ok(())
}

fn boot_id() -> Result<String, Error> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(attempted("read the boot's id"))?;
    Ok(id.trim().to_owned())
}
