//! Filters that were compiled before: nearly every container has the same one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Filter, Seccomp};
use crate::Result;
use crate::capabilities::CapabilitySet;
use crate::spec::Process;

/// How many filters are kept, of 30 KiB or so each.
const KEPT: usize = 16;

/// The filters used last, as shims read them.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<VecDeque<Entry>>);

#[derive(Debug)]
struct Entry {
    seccomp: Seccomp,
    capabilities: CapabilitySet,
    bytes: Arc<[u8]>,
}

impl Filters {
    /// The filter of a process, compiled when it isn't there yet.
    pub(crate) fn of(&self, process: &Process) -> Result<Arc<[u8]>> {
        // Held while compiling: of many containers that start at once, one waits for the compiler and the others for it.
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries
            .iter()
            .position(|entry| entry.capabilities == process.capabilities && entry.seccomp == process.seccomp);
        let entry = match known.and_then(|place| entries.remove(place)) {
            Some(entry) => entry,
            None => Entry {
                seccomp: process.seccomp.clone(),
                capabilities: process.capabilities,
                bytes: Filter::compile(&process.seccomp, process.capabilities)?.to_bytes().into(),
            },
        };
        let bytes = Arc::clone(&entry.bytes);
        entries.push_front(entry);
        entries.truncate(KEPT);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Stdin, UserSpec};

    fn process(capabilities: u64) -> Process {
        Process {
            args: Vec::new(),
            env: Vec::new(),
            cwd: String::new(),
            user: UserSpec::default(),
            capabilities: CapabilitySet::from_bits(capabilities),
            no_new_privileges: false,
            seccomp: Seccomp::Default,
            rlimits: Vec::new(),
            terminal: None,
            stdin: Stdin::Closed,
        }
    }

    #[test]
    fn a_filter_is_compiled_once_and_the_least_used_is_forgotten() {
        let filters = Filters::default();
        let first = filters.of(&process(0)).expect("compiles");
        assert!(Arc::ptr_eq(&first, &filters.of(&process(0)).expect("known")));
        let admin = filters.of(&process(1 << 21)).expect("compiles");
        assert_ne!(first, admin, "CAP_SYS_ADMIN allows more");
        let unconfined = Process { seccomp: Seccomp::Unconfined, ..process(0) };
        assert!(filters.of(&unconfined).expect("known").is_empty());
        for bit in 0..KEPT {
            filters.of(&process(1 << bit)).expect("compiles");
        }
        assert!(!Arc::ptr_eq(&first, &filters.of(&process(0)).expect("compiles again")));
    }
}
