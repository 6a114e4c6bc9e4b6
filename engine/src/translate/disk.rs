//! Disk usage of objects in all, and in which of an answer's places they stand.

use std::collections::{HashMap, HashSet};

use images::{ChainId, Image, ImageId};

use crate::wire::disk::{CacheView, Form, Totals, UsageView};
use crate::wire::summary::SummaryView as ContainerSummary;
use crate::wire::volume::VolumeView;

/// Objects in a list of their own and beside their totals, as the answer's form has it.
pub(crate) fn placed<T>(found: Option<(Vec<T>, Totals)>, form: Form) -> (Option<Vec<T>>, Option<UsageView<T>>) {
    let Some((objects, totals)) = found else { return (None, None) };
    let (list, items) = match (form.lists, form.items) {
        (true, _) => (Some(objects), None),
        // An empty list is left out, as Docker does.
        (false, true) => (None, Some(objects).filter(|objects| !objects.is_empty())),
        (false, false) => (None, None),
    };
    (list, form.totals.then_some(UsageView { totals, items }))
}

/// Of images. What they share counts once, and can be set free only if none of them is used.
pub(crate) fn of_images(images: &[Image], used: &HashSet<ImageId>, layers: &Layers) -> Totals {
    let is_active = |image: &&Image| used.contains(&image.id);
    Totals {
        active_count: count(images.iter().filter(is_active)),
        total_count: count(images),
        total_size: layers.total_bytes,
        reclaimable: layers.of(images.iter()) - layers.of(images.iter().filter(is_active)),
    }
}

/// How many bytes layers have.
pub(crate) struct Layers {
    /// Of each.
    pub(crate) sizes: HashMap<ChainId, u64>,
    /// Of all, also those that only builds keep.
    pub(crate) total_bytes: u64,
}

impl Layers {
    fn of<'a>(&self, images: impl Iterator<Item = &'a Image>) -> u64 {
        let layers: HashSet<&ChainId> = images.flat_map(|image| &image.layers).collect();
        layers.into_iter().filter_map(|layer| self.sizes.get(layer)).sum()
    }
}

/// Of what containers have written.
pub(crate) fn of_containers(containers: &[ContainerSummary]) -> Totals {
    let is_active = |container: &&ContainerSummary| matches!(container.state, "running" | "paused" | "restarting");
    let size = |container: &ContainerSummary| container.size_rw.unwrap_or_default();
    let total_size: u64 = containers.iter().map(size).sum();
    Totals {
        active_count: count(containers.iter().filter(is_active)),
        total_count: count(containers),
        total_size,
        reclaimable: total_size - containers.iter().filter(is_active).map(size).sum::<u64>(),
    }
}

/// Of volumes; those whose files are elsewhere take nothing here.
pub(crate) fn of_volumes(volumes: &[VolumeView]) -> Totals {
    let is_active = |volume: &&VolumeView| volume.usage_data.as_ref().is_some_and(|usage| usage.ref_count > 0);
    let size = |volume: &VolumeView| {
        volume.usage_data.as_ref().and_then(|usage| u64::try_from(usage.size).ok()).unwrap_or_default()
    };
    let total_size: u64 = volumes.iter().map(size).sum();
    Totals {
        active_count: count(volumes.iter().filter(is_active)),
        total_count: count(volumes),
        total_size,
        reclaimable: total_size - volumes.iter().filter(is_active).map(size).sum::<u64>(),
    }
}

/// Of the build cache. What it shares with images is counted with those.
pub(crate) fn of_cache(cache: &[CacheView]) -> Totals {
    let own = || cache.iter().filter(|record| !record.shared);
    Totals {
        active_count: count(cache.iter().filter(|record| record.in_use)),
        total_count: count(cache),
        total_size: own().map(|record| record.size).sum(),
        reclaimable: own().filter(|record| !record.in_use).map(|record| record.size).sum(),
    }
}

fn count<T>(objects: impl IntoIterator<Item = T>) -> u64 {
    objects.into_iter().map(|_| 1).sum()
}

#[cfg(test)]
mod tests {
    use images::{DiffId, Digest};

    use super::*;
    use crate::wire::volume::UsageView as VolumeUsage;

    fn totals(active_count: u64, total_count: u64, total_size: u64, reclaimable: u64) -> Totals {
        Totals { active_count, total_count, total_size, reclaimable }
    }

    fn chain(layers: &[&str]) -> Vec<ChainId> {
        let ids: Vec<_> = layers.iter().map(|layer| DiffId(Digest::of(layer.as_bytes()))).collect();
        ChainId::stack(&ids)
    }

    fn image(layers: &[&str]) -> Image {
        let document = serde_json::json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] },
        });
        Image {
            id: ImageId(Digest::of(layers.concat().as_bytes())),
            references: vec![],
            layers: chain(layers),
            config: serde_json::from_value(document).unwrap(),
            size_bytes: 0,
            loaded_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_in_use_can_not_be_set_free() {
        let images = [image(&["base", "shop"]), image(&["base", "bank"])];
        let layers = Layers {
            sizes: [(chain(&["base"]), 100), (chain(&["base", "shop"]), 7), (chain(&["base", "bank"]), 20)]
                .map(|(chain, bytes)| (*chain.last().unwrap(), bytes))
                .into(),
            total_bytes: 130,
        };
        let of = |used: &[&Image]| of_images(&images, &used.iter().map(|image| image.id).collect(), &layers);
        assert_eq!(of(&[&images[0]]), totals(1, 2, 130, 20));
        assert_eq!(of(&[]), totals(0, 2, 130, 127));
        let volume = |ref_count, size| VolumeView {
            created_at: String::new(),
            driver: String::new(),
            labels: None,
            mountpoint: String::new(),
            name: String::new(),
            options: None,
            scope: "local",
            status: None,
            usage_data: Some(VolumeUsage { ref_count, size }),
        };
        assert_eq!(of_volumes(&[volume(1, 8), volume(0, 4), volume(0, -1)]), totals(1, 3, 12, 4));
        let record = |in_use, shared, size| CacheView {
            id: String::new(),
            kind: "regular",
            description: String::new(),
            in_use,
            shared,
            size,
            created_at: String::new(),
            last_used_at: String::new(),
            usage_count: 1,
        };
        let cache = [record(true, false, 1), record(false, true, 2), record(false, false, 4)];
        assert_eq!(of_cache(&cache), totals(1, 3, 5, 4));
    }

    #[test]
    fn objects_stand_where_the_form_has_them() {
        let all = totals(0, 1, 7, 7);
        let place = |lists, totals, items| placed(Some((vec!["x"], all)), Form { lists, totals, items });
        let usage = |items| Some(UsageView { totals: all, items });
        assert_eq!(place(true, false, false), (Some(vec!["x"]), None));
        assert_eq!(place(true, true, false), (Some(vec!["x"]), usage(None)));
        assert_eq!(place(false, true, true), (None, usage(Some(vec!["x"]))));
        assert_eq!(
            serde_json::to_string(&place(false, true, false).1).unwrap(),
            r#"{"TotalCount":1,"TotalSize":7,"Reclaimable":7}"#
        );
        assert_eq!(placed::<()>(None, Form { lists: true, totals: true, items: false }), (None, None));
    }
}
