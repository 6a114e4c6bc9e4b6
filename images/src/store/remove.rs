//! Removes names and images, by Docker's rules.

use std::collections::{BTreeSet, HashMap};

use rusqlite::Connection;

use super::catalog::{self, Found};
use super::database::{self, LayerRow};
use super::{ContainerUse, Image, Pruned, Removed, Store};
use crate::digest::{ChainId, ImageId};
use crate::error::{DeleteObstacle, Error};
use crate::reference::Reference;

const SHORT_ID: usize = 12;

impl Store {
    /// Takes a name away and, with the last one or by id, the image. Refuses as Docker does while containers use it.
    ///
    /// With `force`, an image goes although stopped containers stand on it: its layers stay as long as they do.
    pub fn remove(&self, name: &str, force: bool, uses: &[ContainerUse]) -> Result<Vec<Removed>, Error> {
        let taken = self.take("remove an image", |connection, leases| {
            let removal = Removal { connection, leases, force, uses };
            removal.run(name)
        })?;
        Ok(taken.removed)
    }

    /// Removes every image that no container uses and that `select` agrees to. Names that containers have for their image
    /// stay, and what they stand for; others go, also from an image that is in use.
    pub fn prune(&self, uses: &[ContainerUse], mut select: impl FnMut(&Image) -> bool) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        let named: BTreeSet<Reference> = uses.iter().filter_map(|user| named(&user.named)).collect();
        for candidate in self.list()? {
            if !select(&candidate) {
                continue;
            }
            let in_use = uses.iter().any(|user| user.image == candidate.id);
            let (staying, going) = split(&candidate.references, &named);
            let stays = in_use || !staying.is_empty();
            if stays && going.is_empty() {
                continue;
            }
            let taken = self.take("prune an image", |connection, leases| {
                let removal = Removal { connection, leases, force: false, uses };
                let names = removal.names(&candidate.id)?;
                match names == candidate.references {
                    true if stays => {
                        Ok(Taken { removed: untag(connection, &candidate.id, going)?, layers: Vec::new() })
                    }
                    true => removal.delete(&candidate.id, names),
                    // Somebody named it since it was listed.
                    false => Ok(Taken::default()),
                }
            })?;
            pruned.reclaimed_bytes += taken.layers.iter().map(|layer| layer.size_bytes).sum::<u64>();
            pruned.removed.extend(taken.removed);
        }
        Ok(pruned)
    }

    /// Carries out a removal: records in one transaction, then directories.
    fn take(
        &self,
        doing: &'static str,
        decide: impl FnOnce(&Connection, &HashMap<ChainId, usize>) -> Result<Taken, Error>,
    ) -> Result<Taken, Error> {
        let (removed, layers, discarded) = self.take_layers(doing, |connection, leases| {
            let taken = decide(connection, leases)?;
            Ok((taken.removed, taken.layers))
        })?;
        let mut taken = Taken { removed, layers };
        taken.removed.extend(taken.layers.iter().map(|layer| Removed::Layer(layer.chain_id)));
        discarded.delete()?;
        Ok(taken)
    }
}

/// What a removal takes away.
#[derive(Default)]
struct Taken {
    removed: Vec<Removed>,
    layers: Vec<LayerRow>,
}

struct Removal<'a> {
    connection: &'a Connection,
    leases: &'a HashMap<ChainId, usize>,
    force: bool,
    uses: &'a [ContainerUse],
}

impl Removal<'_> {
    fn run(&self, name: &str) -> Result<Taken, Error> {
        let found = catalog::find(self.connection, name)?;
        let id = found.id();
        let names = self.names(&id)?;
        match found {
            Found::ByName(_, reference) => self.by_name(name, &id, reference, &names),
            Found::ById(_) => match self.obstacle(&id).or_else(|| self.several_names(&names)) {
                Some(obstacle) => Err(Error::Delete { image: id, obstacle }),
                None => self.delete(&id, names),
            },
        }
    }

    fn several_names(&self, names: &[Reference]) -> Option<DeleteObstacle> {
        let repositories: BTreeSet<String> = names.iter().map(Reference::name).collect();
        let tags = names.iter().filter(|name| name.digest().is_none()).count();
        let several = repositories.len() > 1 || tags > 1;
        (several && !self.force).then_some(DeleteObstacle::SeveralRepositories)
    }

    fn by_name(&self, given: &str, id: &ImageId, reference: Reference, names: &[Reference]) -> Result<Taken, Error> {
        // Digests go with the last tag of their repository.
        let (going, staying): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| {
            let sibling = name.digest().is_some() && name.name() == reference.name();
            let other_tags =
                names.iter().any(|tag| tag.digest().is_none() && *tag != reference && tag.name() == reference.name());
            *name == reference || (sibling && !other_tags && reference.digest().is_none())
        });
        if !staying.is_empty() {
            return Ok(Taken { removed: untag(self.connection, id, going)?, layers: Vec::new() });
        }
        if !self.force
            && let Some(user) = self.uses.iter().find(|user| user.image == *id)
        {
            return Err(Error::Untag { reference: given.to_owned(), container: short(&user.container_id), image: *id });
        }
        match self.obstacle(id) {
            // Forced, and a container runs: the name goes, the image stays without one.
            Some(_) => Ok(Taken { removed: untag(self.connection, id, going)?, layers: Vec::new() }),
            None => self.delete(id, going),
        }
    }

    fn delete(&self, id: &ImageId, names: Vec<Reference>) -> Result<Taken, Error> {
        let mut removed = untag(self.connection, id, names)?;
        database::delete_image(self.connection, id).map_err(Error::database("remove an image"))?;
        removed.push(Removed::Image(*id));
        Ok(Taken { removed, layers: Store::forget_unused(self.connection, self.leases)? })
    }

    fn names(&self, id: &ImageId) -> Result<Vec<Reference>, Error> {
        database::names(self.connection, id).map_err(Error::database("read an image's names"))
    }

    /// What containers have against deleting the image.
    fn obstacle(&self, id: &ImageId) -> Option<DeleteObstacle> {
        let mut users = self.uses.iter().filter(|user| user.image == *id);
        let mut stopped = None;
        let running = users.find(|user| {
            if !user.running {
                stopped.get_or_insert(short(&user.container_id));
            }
            user.running
        });
        match (running, stopped) {
            (Some(user), _) => Some(DeleteObstacle::RunningContainer(short(&user.container_id))),
            (None, Some(user)) if !self.force => Some(DeleteObstacle::StoppedContainer(user)),
            _ => None,
        }
    }
}

/// The name that a container has for its image, unless that is an id.
fn named(text: &str) -> Option<Reference> {
    let reference = Reference::parse(text).ok()?.or_latest();
    // Beside a digest, a tag is for people.
    Some(reference.digest().map_or(reference.clone(), |digest| reference.with_digest(digest)))
}

/// Parts an image's names into those that stay, and those that go. A digest stays with the last tag of its repository.
fn split(names: &[Reference], named: &BTreeSet<Reference>) -> (Vec<Reference>, Vec<Reference>) {
    let tags: Vec<&Reference> = names.iter().filter(|name| name.digest().is_none() && named.contains(name)).collect();
    names.iter().cloned().partition(|name| {
        named.contains(name) || name.digest().is_some() && tags.iter().any(|tag| tag.name() == name.name())
    })
}

fn untag(connection: &Connection, image: &ImageId, names: Vec<Reference>) -> Result<Vec<Removed>, Error> {
    names
        .into_iter()
        .map(|name| {
            database::delete_name(connection, &name).map_err(Error::database("remove a name"))?;
            Ok(Removed::Untagged(name, *image))
        })
        .collect()
}

fn short(container_id: &str) -> String {
    container_id.chars().take(SHORT_ID).collect()
}
