//! Linux capabilities as a set, and which ones a container's processes get.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Names by number, without `CAP_`, as in capabilities(7).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What Docker gives a container that asks for nothing.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A set of capabilities; stored as a list of names such as `CAP_CHOWN`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// None at all.
    pub const EMPTY: Self = Self(0);

    /// Every one that we know of; what the running kernel lacks is left out when it is applied.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The set with these numbers, as `/proc/PID/status` shows it in hexadecimal.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// One bit per capability number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the capability of that name (such as `CAP_SYS_ADMIN`) is in it.
    pub fn contains(self, name: &str) -> bool {
        number(name).is_some_and(|number| self.0 & (1 << number) != 0)
    }

    /// The names in it, such as `CAP_CHOWN`, by number.
    pub fn names(self) -> impl Iterator<Item = String> {
        NAMES
            .iter()
            .enumerate()
            .filter(move |(number, _)| self.0 & (1 << number) != 0)
            .map(|(_, name)| format!("CAP_{name}"))
    }

    /// What a container gets that asks for nothing: Docker's 14.
    pub fn default_for_containers() -> Self {
        Self(DEFAULT.iter().filter_map(|name| number(name)).fold(0, |bits, number| bits | 1 << number))
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

impl TryFrom<Vec<String>> for CapabilitySet {
    type Error = Error;

    fn try_from(names: Vec<String>) -> Result<Self, Error> {
        names.iter().try_fold(Self::EMPTY, |set, name| Ok(Self(set.0 | 1 << known(name)?)))
    }
}

impl From<CapabilitySet> for Vec<String> {
    fn from(set: CapabilitySet) -> Self {
        set.names().collect()
    }
}

/// What a process gets: Docker's default set, plus `add`, minus `drop`. Either may name `ALL`. As with Docker, `drop
/// ALL` begins from nothing and `add` still counts, and with `add ALL` what `drop` names is taken out of everything.
///
/// # Errors
/// When a name is unknown; `CAP_` in front and lower case are fine.
pub fn effective(add: &[String], drop: &[String], privileged: bool) -> Result<CapabilitySet, Error> {
    let (add_all, add) = parse(add)?;
    let (drop_all, drop) = parse(drop)?;
    let base = match (privileged, add_all, drop_all) {
        (true, _, _) => return Ok(CapabilitySet::ALL),
        (false, true, _) => return Ok(CapabilitySet(CapabilitySet::ALL.0 & !drop.0)),
        (false, false, true) => return Ok(add),
        (false, false, false) => CapabilitySet::default_for_containers(),
    };
    Ok(CapabilitySet((base.0 & !drop.0) | add.0))
}

/// Whether `ALL` is among the names, and the set of the others.
fn parse(names: &[String]) -> Result<(bool, CapabilitySet), Error> {
    names.iter().try_fold((false, CapabilitySet::EMPTY), |(all, set), name| {
        if name.eq_ignore_ascii_case("ALL") {
            Ok((true, set))
        } else {
            Ok((all, CapabilitySet(set.0 | 1 << known(name)?)))
        }
    })
}

fn known(name: &str) -> Result<usize, Error> {
    number(name).ok_or_else(|| Error::Invalid {
        what: "capability",
        value: name.to_owned(),
        reason: "it is not a Linux capability; use a name from capabilities(7) such as NET_ADMIN, or ALL".to_owned(),
    })
}

fn number(name: &str) -> Option<usize> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn docker_rules() {
        let table: &[(&[&str], &[&str], bool, u64)] = &[
            // Docker's well-known default, as /proc/self/status shows it in any of its containers.
            (&[], &[], false, 0xa804_25fb),
            (&["NET_ADMIN"], &[], false, 0xa804_25fb | 1 << 12),
            (&["cap_net_admin"], &["CAP_CHOWN"], false, (0xa804_25fb | 1 << 12) & !1),
            (&[], &["all"], false, 0),
            (&["CHOWN"], &["ALL"], false, 1),
            (&["ALL"], &["SYS_ADMIN"], false, CapabilitySet::ALL.bits() & !(1 << 21)),
            (&["ALL"], &["ALL"], false, CapabilitySet::ALL.bits()),
            (&[], &["ALL"], true, CapabilitySet::ALL.bits()),
        ];
        for (add, drop, privileged, bits) in table {
            let set = effective(&strings(add), &strings(drop), *privileged).expect("known names");
            assert_eq!(set.bits(), *bits, "add {add:?}, drop {drop:?}, privileged {privileged}");
        }
    }

    #[test]
    fn unknown_names_are_refused_by_name() {
        let error = effective(&strings(&["FLY"]), &[], false).expect_err("no such capability");
        assert!(error.to_string().starts_with("invalid capability \"FLY\""), "{error}");
    }

    #[test]
    fn stored_as_names() {
        let set = CapabilitySet::from_bits(0b11);
        let json = serde_json::to_string(&set).expect("serialises");
        assert_eq!(json, r#"["CAP_CHOWN","CAP_DAC_OVERRIDE"]"#);
        assert_eq!(serde_json::from_str::<CapabilitySet>(&json).expect("parses"), set);
    }
}
