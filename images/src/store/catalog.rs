//! Finding, listing and naming images.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::Connection;

use super::database::{self, Durability, ImageRow};
use super::{HistoryItem, Image, Store};
use crate::config::ImageConfig;
use crate::digest::{ChainId, Digest, ImageId};
use crate::error::Error;
use crate::reference::Reference;

/// How a text named an image.
pub(super) enum Found {
    ByName(ImageId, Reference),
    ById(ImageId),
}

impl Found {
    pub(super) fn id(&self) -> ImageId {
        match self {
            Found::ByName(id, _) | Found::ById(id) => *id,
        }
    }
}

impl Store {
    /// All images, the newest first.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        let inner = self.inner();
        let rows = database::images(&inner.connection).map_err(Error::database("list images"))?;
        let mut images = rows.into_iter().map(|row| describe(&inner.connection, row)).collect::<Result<Vec<_>, _>>()?;
        images.sort_by_key(|image| std::cmp::Reverse((image.config.created, image.loaded_at, image.id)));
        Ok(images)
    }

    /// The size of each layer's files. The same layer under several images is there, and counted, once.
    pub fn layer_sizes(&self) -> Result<HashMap<ChainId, u64>, Error> {
        let inner = self.inner();
        let layers = database::layers(&inner.connection).map_err(Error::database("list layers"))?;
        Ok(layers.into_iter().map(|layer| (layer.chain_id, layer.size_bytes)).collect())
    }

    /// What the layers of images and containers take together; not those that only the build cache keeps.
    pub fn layers_size_bytes(&self) -> Result<u64, Error> {
        let held = database::held_layers(&self.inner().connection).map_err(Error::database("list layers"))?;
        Ok(held.iter().map(|layer| layer.size_bytes).sum())
    }

    /// The image that `name` means: a reference, an id with or without `sha256:`, or the beginning of one.
    pub fn get(&self, name: &str) -> Result<Image, Error> {
        let inner = self.inner();
        let id = find(&inner.connection, name)?.id();
        image(&inner.connection, &id)
    }

    /// The id of the image that `name` means, if there is one, without a look at the image.
    pub fn resolve(&self, name: &str) -> Result<Option<ImageId>, Error> {
        match find(&self.inner().connection, name) {
            Ok(found) => Ok(Some(found.id())),
            Err(Error::NoSuchImage(_) | Error::AmbiguousId(_) | Error::Reference(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The image's configuration document, byte for byte.
    pub fn document(&self, image: &ImageId) -> Result<Vec<u8>, Error> {
        let inner = self.inner();
        Ok(row(&inner.connection, image)?.document)
    }

    /// Whether all these names stand for the image.
    pub(super) fn has_names(&self, references: &[Reference], image: ImageId) -> Result<bool, Error> {
        let inner = self.inner();
        for reference in references {
            let known = database::named(&inner.connection, reference).map_err(Error::database("look for an image"))?;
            if known != Some(image) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives an image one more name (`latest` if it has no tag). Answers the image that had the name before.
    pub fn tag(&self, name: &str, new_name: &Reference) -> Result<Option<ImageId>, Error> {
        if new_name.digest().is_some() {
            return Err(Error::TagWithDigest(new_name.familiar()));
        }
        self.change("tag an image", Durability::PowerCut, |connection, _| {
            let id = find(connection, name)?.id();
            database::set_name(connection, &new_name.clone().or_latest(), &id).map_err(Error::database("tag an image"))
        })
    }

    /// Gives an image a name that it is known by at a registry, unless it has been removed meanwhile.
    pub(super) fn name(&self, image: ImageId, name: &Reference) -> Result<(), Error> {
        let failed = || Error::database("name an image");
        self.change("name an image", Durability::ProcessEnd, |connection, _| {
            if database::image(connection, &image).map_err(failed())?.is_some() {
                database::set_name(connection, name, &image).map_err(failed())?;
            }
            Ok(())
        })
    }

    /// How an image came to be, newest step first.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryItem>, Error> {
        let inner = self.inner();
        let id = find(&inner.connection, name)?.id();
        let image = image(&inner.connection, &id)?;
        let layers =
            database::image_layers(&inner.connection, &id).map_err(Error::database("read an image's layers"))?;
        let mut sizes = layers.iter().rev().map(|layer| layer.size_bytes);
        let steps = image.config.history.into_iter().map(|step| HistoryItem {
            id: None,
            created: step.created,
            created_by: step.created_by,
            comment: step.comment,
            size_bytes: match step.empty_layer {
                true => 0,
                false => sizes.next().unwrap_or_default(),
            },
            references: Vec::new(),
        });
        let mut items: Vec<HistoryItem> = steps.collect();
        items.reverse();
        if let Some(newest) = items.first_mut() {
            newest.id = Some(id);
            newest.references = image.references;
        }
        Ok(items)
    }
}

/// What a text means: a name before the beginning of an id, as Docker has it.
pub(super) fn find(connection: &Connection, text: &str) -> Result<Found, Error> {
    let failed = || Error::database("look for an image");
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if let Some(digest) = Digest::from_hex(digits) {
        let id = ImageId(digest);
        return match database::image(connection, &id).map_err(failed())? {
            Some(_) => Ok(Found::ById(id)),
            None => Err(Error::NoSuchImage(text.to_owned())),
        };
    }
    let reference = Reference::parse(text)?.or_latest();
    let name = match reference.digest() {
        // The digest decides; a tag beside it is for people.
        Some(digest) => reference.with_digest(digest),
        None => reference.clone(),
    };
    if let Some(id) = database::named(connection, &name).map_err(failed())? {
        return Ok(Found::ByName(id, name));
    }
    if !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        let ids = database::ids_with_prefix(connection, digits).map_err(failed())?;
        match ids[..] {
            [] => {}
            [id] => return Ok(Found::ById(id)),
            _ => return Err(Error::AmbiguousId(text.to_owned())),
        }
    }
    Err(Error::NoSuchImage(reference.familiar()))
}

pub(super) fn image(connection: &Connection, id: &ImageId) -> Result<Image, Error> {
    describe(connection, row(connection, id)?)
}

pub(super) fn row(connection: &Connection, id: &ImageId) -> Result<ImageRow, Error> {
    database::image(connection, id)
        .map_err(Error::database("read an image"))?
        .ok_or_else(|| Error::NoSuchImage(id.to_string()))
}

pub(super) fn describe(connection: &Connection, row: ImageRow) -> Result<Image, Error> {
    let failed = || Error::database("read an image");
    let damaged = || Error::DamagedImage(row.id);
    if Digest::of(&row.document) != row.id.0 {
        return Err(damaged());
    }
    let config: ImageConfig = serde_json::from_slice(&row.document).map_err(|_| damaged())?;
    let layers = database::image_layers(connection, &row.id).map_err(failed())?;
    if layers.len() != config.rootfs.diff_ids.len() {
        return Err(damaged());
    }
    Ok(Image {
        id: row.id,
        references: database::names(connection, &row.id).map_err(failed())?,
        config,
        size_bytes: layers.iter().map(|layer| layer.size_bytes).sum(),
        layers: layers.iter().rev().map(|layer| layer.chain_id).collect(),
        loaded_at: Timestamp::from_millisecond(row.loaded_at_milliseconds).map_err(|_| damaged())?,
    })
}
