//! Volumes as requests describe them and replies show them, and which ones a list or a prune means.

use std::collections::BTreeMap;
use std::path::Path;

use plugin::volume::Found;

use crate::error::{Error, Result};
use crate::filters::{Filters, Patterns};
use crate::version::ApiVersion;
use crate::volume::registry::Entry;
use crate::volume::{Backing, Volume, VolumeRequest};
use crate::wire::volume::{CreateBody, UsageView, VolumeView};

/// Since this version a prune without `all` spares volumes that have names.
const PRUNE_SPARES_NAMED: ApiVersion = ApiVersion::new(1, 42);

/// The volume that a request asks for; without a name it is an anonymous one.
pub(crate) fn wanted(body: CreateBody, draw_name: impl FnOnce() -> String) -> Result<VolumeRequest> {
    if body.cluster_volume_spec.is_some() {
        return Err(Error::not_implemented(
            "cluster volumes (docker volume create --type): not supported by berth yet",
        ));
    }
    let named = |name: String| name.parse().map_err(|error| Error::invalid(format!("create {name}: {error}")));
    let mut wanted = match body.name.as_str() {
        "" => VolumeRequest::anonymous(named(draw_name())?),
        _ => VolumeRequest::named(named(body.name)?),
    };
    wanted.labels.extend(body.labels);
    wanted.driver = Some(body.driver).filter(|driver| !driver.is_empty());
    wanted.options = body.driver_opts;
    Ok(wanted)
}

/// A volume as a client reads it.
pub(crate) fn view(volume: &Volume, mountpoint: &Path) -> VolumeView {
    let filled = |map: BTreeMap<String, String>| Some(map).filter(|map| !map.is_empty());
    VolumeView {
        created_at: volume.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        driver: volume.driver().to_owned(),
        labels: filled(volume.labels.clone()),
        mountpoint: mountpoint.display().to_string(),
        name: volume.name.to_string(),
        options: filled(volume.options()),
        scope: volume.scope(),
        status: None,
        usage_data: None,
    }
}

/// One that only its plugin knows.
pub(crate) fn view_of_found(volume: &Volume, found: &Found) -> VolumeView {
    VolumeView { created_at: found.created_at.clone(), ..view(volume, &found.mountpoint) }
}

/// The same with how much of the disk it takes.
pub(crate) fn view_with_usage(volume: &Volume, mountpoint: &Path, entry: &Entry, bytes: Option<u64>) -> VolumeView {
    let size = bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1);
    VolumeView { usage_data: Some(UsageView { ref_count: entry.users.len(), size }), ..view(volume, mountpoint) }
}

/// The filters of a list, understood.
pub(crate) struct Selection {
    filters: Filters,
    names: Patterns,
    dangling: Option<bool>,
}

impl Selection {
    /// Of `GET /volumes`.
    pub(crate) fn of_list(filters: Filters) -> Result<Self> {
        let filters = filters.only(&["dangling", "driver", "label", "name"])?;
        Ok(Self { names: filters.patterns("name")?, dangling: filters.flag("dangling")?, filters })
    }

    /// Of `POST /volumes/prune`.
    pub(crate) fn of_prune(filters: Filters, version: ApiVersion) -> Result<PruneSelection> {
        let filters = filters.only(&["all", "label", "label!"])?;
        let all = filters.flag("all")?.unwrap_or(false) || version < PRUNE_SPARES_NAMED;
        Ok(PruneSelection { filters, all })
    }

    /// Whether the list may show volumes of this driver.
    pub(crate) fn shows_driver(&self, name: &str) -> bool {
        self.filters.allows("driver", name)
    }

    /// Whether the list shows this volume.
    pub(crate) fn shows(&self, volume: &Volume, entry: &Entry) -> bool {
        self.names.allow(volume.name.as_str())
            && self.shows_driver(volume.driver())
            && self.filters.allows_labels(|key| volume.labels.get(key).map(String::as_str))
            && self.dangling.is_none_or(|dangling| dangling == entry.users.is_empty())
    }
}

/// What is to be pruned, apart from what containers have and what keeps its files elsewhere.
pub(crate) struct PruneSelection {
    filters: Filters,
    all: bool,
}

impl PruneSelection {
    /// Whether this volume may go.
    pub(crate) fn takes(&self, volume: &Volume) -> bool {
        let label = |key: &str| volume.labels.get(key).map(String::as_str);
        volume.backing == Backing::Directory
            && (self.all || volume.is_anonymous())
            && self.filters.allows_labels(label)
            && self.filters.allows_absent_labels(label)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::volume::LocalMount;

    fn body(value: serde_json::Value) -> CreateBody {
        serde_json::from_value(value).unwrap()
    }

    fn volume(name: &str, labels: &[(&str, &str)]) -> Volume {
        Volume {
            name: name.parse().unwrap(),
            created: Timestamp::UNIX_EPOCH,
            labels: labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
            backing: Backing::Directory,
        }
    }

    #[test]
    fn a_volume_is_shown_as_docker_shows_it() {
        insta::assert_json_snapshot!(view(&volume("data", &[]), Path::new("/v/data/_data")), @r#"
        {
          "CreatedAt": "1970-01-01T00:00:00Z",
          "Driver": "local",
          "Labels": null,
          "Mountpoint": "/v/data/_data",
          "Name": "data",
          "Options": null,
          "Scope": "local"
        }
        "#);
    }

    #[test]
    fn requests_become_volumes() {
        let asked = json!({ "Name": "data", "Driver": "", "DriverOpts": { "type": "tmpfs" }, "Labels": { "a": "b" } });
        let wanted_volume = wanted(body(asked), || unreachable!()).unwrap();
        assert_eq!(wanted_volume.driver, None);
        assert_eq!((wanted_volume.options.len(), wanted_volume.labels.len()), (1, 1));
        let drawn = wanted(body(json!({})), || "cd".repeat(32)).unwrap();
        assert!(drawn.labels.contains_key(crate::volume::ANONYMOUS_LABEL));
        let said = wanted(body(json!({ "Name": "a/b" })), || unreachable!()).unwrap_err().message();
        assert!(said.starts_with("create a/b: \"a/b\" includes invalid characters"), "{said}");
    }

    #[test]
    fn lists_and_prunes_mean_some() {
        let filters = |value: serde_json::Value| Filters::parse(Some(&value.to_string())).unwrap();
        let (data, anonymous) =
            (volume("data", &[("tier", "db")]), volume("cdcd", &[(crate::volume::ANONYMOUS_LABEL, "")]));
        let free = Entry::default();
        let mut used = Entry::default();
        used.users.insert("c1".parse().unwrap());
        for (asked, entry, shown) in [
            (json!({ "name": ["^da"] }), &free, true),
            (json!({ "name": ["x"] }), &free, false),
            (json!({ "driver": ["local"], "label": ["tier=db"] }), &free, true),
            (json!({ "label": ["tier=web"] }), &free, false),
            (json!({ "dangling": ["true"] }), &free, true),
            (json!({ "dangling": ["true"] }), &used, false),
            (json!({ "dangling": ["0"] }), &used, true),
        ] {
            assert_eq!(Selection::of_list(filters(asked.clone())).unwrap().shows(&data, entry), shown, "{asked}");
        }
        assert!(Selection::of_list(filters(json!({ "until": ["1h"] }))).is_err());
        let new = ApiVersion::new(1, 52);
        let options =
            [("type", "none"), ("o", "bind"), ("device", "/srv")].map(|(key, value)| (key.into(), value.into()));
        let mounted = Backing::Mount(LocalMount::from_options(&BTreeMap::from(options)).unwrap().unwrap());
        let far = Backing::Plugin { driver: "far".into(), options: BTreeMap::new(), is_global: true };
        for (asked, version, of_data, of_anonymous) in [
            (json!({}), new, false, true),
            (json!({ "all": ["true"] }), new, true, true),
            (json!({}), ApiVersion::new(1, 41), true, true),
            (json!({ "all": ["1"], "label!": ["tier"] }), new, false, true),
            (json!({ "all": ["1"], "label": ["tier=db"] }), new, true, false),
        ] {
            let selection = Selection::of_prune(filters(asked.clone()), version).unwrap();
            assert_eq!((selection.takes(&data), selection.takes(&anonymous)), (of_data, of_anonymous), "{asked}");
            for backing in [&mounted, &far] {
                let elsewhere = Volume { backing: backing.clone(), ..anonymous.clone() };
                assert!(!selection.takes(&elsewhere), "{asked}: {backing:?}");
            }
        }
    }
}
