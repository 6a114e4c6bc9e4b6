//! Which containers there are: by id, by name, by the beginning of an id. The lock is held for a lookup, never for work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use runtime::spec::Id;

use super::Handle;
use crate::error::{Error, Result};

/// Every container's handle, and who has which name.
#[derive(Debug, Default)]
pub struct Registry(RwLock<Index<Handle>>);

/// Ids and names; a name is taken before its container is there.
#[derive(Debug)]
struct Index<H> {
    by_id: BTreeMap<String, H>,
    by_name: HashMap<String, String>,
    /// Who has a link to whom, by the id of the latter.
    linked: HashMap<String, BTreeSet<String>>,
    /// Containers whose records can't be read, by id: their names stay taken.
    set_aside: BTreeMap<String, SetAside>,
}

/// A container whose record can't be read.
#[derive(Debug, Clone)]
struct SetAside {
    name: String,
    /// What is wrong with it.
    problem: String,
}

impl SetAside {
    fn sentence(&self) -> String {
        format!("container {} is set aside, its name and its files are kept: {}", self.name, self.problem)
    }
}

impl<H> Default for Index<H> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_name: HashMap::new(), linked: HashMap::new(), set_aside: BTreeMap::new() }
    }
}

impl<H: Clone> Index<H> {
    fn find(&self, reference: &str) -> Result<H> {
        let missing = || match self.find_set_aside(reference) {
            Some(set_aside) => Error::conflict(set_aside.sentence()),
            None => Error::not_found(format!("No such container: {reference}")),
        };
        if let Some(handle) = self.by_id.get(reference) {
            return Ok(handle.clone());
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(handle) = self.by_name.get(name).and_then(|id| self.by_id.get(id)) {
            return Ok(handle.clone());
        }
        if reference.is_empty() {
            return Err(missing());
        }
        let mut matching = self.by_id.range(reference.to_owned()..).take_while(|(id, _)| id.starts_with(reference));
        let (_, handle) = matching.next().ok_or_else(missing)?;
        match matching.next() {
            None => Ok(handle.clone()),
            Some(_) => Err(Error::invalid(format!("multiple IDs found with provided prefix: {reference}"))),
        }
    }

    fn find_set_aside(&self, reference: &str) -> Option<&SetAside> {
        let name = reference.strip_prefix('/').unwrap_or(reference);
        let named = || self.set_aside.values().find(|set_aside| set_aside.name == name);
        let begins = || {
            let mut matching =
                self.set_aside.iter().filter(|(id, _)| !reference.is_empty() && id.starts_with(reference));
            matching.next().map(|(_, set_aside)| set_aside)
        };
        self.set_aside.get(reference).or_else(named).or_else(begins)
    }

    fn take_name(&mut self, name: &str, id: &Id) -> Result<()> {
        match self.by_name.get(name) {
            Some(holder) if holder != id.as_str() => Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". \
                 You have to remove (or rename) that container to be able to reuse that name."
            ))),
            _ => {
                self.by_name.insert(name.to_owned(), id.to_string());
                Ok(())
            }
        }
    }

    fn release_name(&mut self, name: &str, id: &Id) {
        if self.by_name.get(name).is_some_and(|holder| holder == id.as_str()) {
            self.by_name.remove(name);
        }
    }
}

impl Registry {
    /// The container meant by an id, a name, or the unambiguous beginning of an id.
    pub fn find(&self, reference: &str) -> Result<Handle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).find(reference)
    }

    /// All containers, in the order of their ids.
    pub fn all(&self) -> Vec<Handle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_id.values().cloned().collect()
    }

    /// Containers that have a link to this one.
    pub(crate) fn linked_to(&self, id: &Id) -> Vec<Handle> {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let linked = index.linked.get(id.as_str()).into_iter().flatten();
        linked.filter_map(|id| index.by_id.get(id).cloned()).collect()
    }

    /// Takes a name for a container that is coming or being renamed; refuses one that another has.
    pub(crate) fn take_name(&self, name: &str, id: &Id) -> Result<()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).take_name(name, id)
    }

    /// Keeps what a container has whose record can't be read: it can't be used, and nobody else gets its name.
    pub(crate) fn set_aside(&self, id: &str, name: &str, problem: String) {
        let set_aside = SetAside { name: name.to_owned(), problem };
        tracing::error!("{}", set_aside.sentence());
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.by_name.insert(name.to_owned(), id.to_owned());
        index.set_aside.insert(id.to_owned(), set_aside);
    }

    /// Containers whose records can't be read, and a sentence about each.
    pub(crate) fn all_set_aside(&self) -> Vec<(String, String)> {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        index.set_aside.iter().map(|(id, set_aside)| (id.clone(), set_aside.sentence())).collect()
    }

    /// Gives a name back.
    pub(crate) fn release_name(&self, name: &str, id: &Id) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).release_name(name, id);
    }

    /// Makes a container known; its name was taken before.
    pub(crate) fn insert(&self, handle: Handle) {
        let id = handle.id().to_string();
        let container = handle.container();
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for link in &container.spec.network.links {
            index.linked.entry(link.container.to_string()).or_default().insert(id.clone());
        }
        index.by_id.insert(id, handle);
    }

    /// Forgets a container and its name.
    pub(crate) fn remove(&self, id: &Id, name: &str) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.by_id.remove(id.as_str());
        for who in index.linked.values_mut() {
            who.remove(id.as_str());
        }
        index.linked.retain(|_, who| !who.is_empty());
        index.release_name(name, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index<u32> {
        let mut index = Index::default();
        for (number, (id, name)) in [("abc1", "one"), ("abc2", "two"), ("def3", "abc")].into_iter().enumerate() {
            index.take_name(name, &id.parse().unwrap()).unwrap();
            index.by_id.insert(id.to_owned(), u32::try_from(number).unwrap());
        }
        index
    }

    #[test]
    fn lookup() {
        let index = index();
        let found = |reference: &str| index.find(reference).map_err(|e| e.message());
        assert_eq!(found("abc1"), Ok(0));
        assert_eq!(found("/two"), Ok(1));
        assert_eq!(found("abc"), Ok(2), "a name goes before the beginning of an id");
        assert_eq!(found("d"), Ok(2));
        assert_eq!(found("ab"), Err("multiple IDs found with provided prefix: ab".into()));
        assert_eq!(found("x"), Err("No such container: x".into()));
        assert_eq!(found(""), Err("No such container: ".into()));
    }

    #[test]
    fn a_name_has_one_holder() {
        let mut index = index();
        let (first, other) = ("abc1".parse().unwrap(), "abc2".parse().unwrap());
        assert!(index.take_name("one", &first).is_ok(), "its own name again");
        let refused = index.take_name("one", &other).unwrap_err().message();
        assert!(refused.starts_with("Conflict. The container name \"/one\" is already in use by container \"abc1\"."));
        index.release_name("one", &other);
        assert!(index.take_name("one", &other).is_err(), "only its holder gives it back");
        index.release_name("one", &first);
        assert!(index.take_name("one", &other).is_ok());
    }

    #[test]
    fn a_container_that_can_not_be_read_keeps_its_name_and_says_why() {
        let registry = Registry::default();
        registry.set_aside("abc1", "web", "its record is damaged".into());
        for reference in ["abc1", "abc", "web", "/web"] {
            let refusal = registry.find(reference).unwrap_err();
            assert_eq!(refusal.kind(), cnm::Kind::Conflict, "{reference}");
            assert!(refusal.message().starts_with("container web is set aside"), "{reference}: {}", refusal.message());
        }
        for missing in ["", "we", "abc12"] {
            assert_eq!(registry.find(missing).unwrap_err().kind(), cnm::Kind::NotFound, "{missing}");
        }
        registry.take_name("web", &"abc2".parse().unwrap()).unwrap_err();
        assert_eq!(registry.all_set_aside().len(), 1);
    }
}
