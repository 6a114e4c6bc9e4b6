//! Replies about disk usage, volumes among it, and about prunes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ContainerSummary, ImageDeletion, ImageSummary, or_default};

/// `GET /system/df`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DiskUsage {
    pub(crate) layers_size: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) images: Vec<ImageSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) containers: Vec<ContainerSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) volumes: Vec<VolumeSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) build_cache: Vec<BuildCacheSummary>,
}

/// A piece of the build cache in [`DiskUsage`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct BuildCacheSummary {
    pub(crate) size: i64,
    pub(crate) in_use: bool,
    pub(crate) shared: bool,
}

/// Reply of `GET /volumes`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeList {
    #[serde(deserialize_with = "or_default")]
    pub(crate) volumes: Vec<VolumeSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
}

/// A volume in [`VolumeList`] and [`DiskUsage`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeSummary {
    pub(crate) name: String,
    pub(crate) driver: String,
    pub(crate) mountpoint: String,
    pub(crate) scope: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) usage_data: VolumeUsage,
}

/// Part of [`VolumeSummary`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeUsage {
    pub(crate) size: i64,
    pub(crate) ref_count: i64,
}

/// Reply of `POST /containers/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerPrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) containers_deleted: Vec<String>,
    pub(crate) space_reclaimed: i64,
}

/// Reply of `POST /images/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImagePrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) images_deleted: Vec<ImageDeletion>,
    pub(crate) space_reclaimed: i64,
}

/// Reply of `POST /networks/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkPrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) networks_deleted: Vec<String>,
}

/// Reply of `POST /volumes/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumePrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) volumes_deleted: Vec<String>,
    pub(crate) space_reclaimed: i64,
}

/// `POST /build/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CachePrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) caches_deleted: Vec<String>,
    pub(crate) space_reclaimed: i64,
}
