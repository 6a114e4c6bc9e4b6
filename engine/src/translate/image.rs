//! Images in Docker's words.

use std::collections::{BTreeMap, HashMap};

use glob::{MatchOptions, Pattern};
use images::{ChainId, ContainerConfig, HistoryItem, Image, ImageId, Platform, Pruned, Reference, Removed};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::filters::{FilterError, Filters};
use crate::moment;
use crate::translate::inspect::NEVER;
use crate::version::ApiVersion;
use crate::wire::image::{
    ConfigView, ContainerOnlyView, GraphDriverView, HistoryView, ImageView, MetadataView, PrunedView, RemovedView,
    RootFsView, SummaryView,
};

/// Until this version an image's size was also its virtual size, and one of unknown age was of the year 1.
const WITHOUT_VIRTUAL_SIZE: ApiVersion = ApiVersion::new(1, 44);
/// Since this version an image's configuration shows nothing that only containers have.
const WITHOUT_CONTAINER_FIELDS: ApiVersion = ApiVersion::new(1, 50);

/// Until this version an image told of the container that it was made from.
const WITHOUT_ORIGIN: ApiVersion = ApiVersion::new(1, 45);
/// Since this version what is empty is left out of an image.
const WITHOUT_EMPTY: ApiVersion = ApiVersion::new(1, 52);
/// Since this version lists say how many containers an image has.
pub(crate) const COUNTS_CONTAINERS: ApiVersion = ApiVersion::new(1, 51);

/// An image in a list. What isn't counted is -1, as in Docker.
pub(crate) fn summary(
    image: &Image,
    containers: Option<usize>,
    shared: Option<u64>,
    version: ApiVersion,
) -> SummaryView {
    let count = |counted: Option<u64>| counted.and_then(|number| i64::try_from(number).ok()).unwrap_or(-1);
    let names = Names::of(image, version);
    SummaryView {
        containers: count(containers.map(|containers| containers as u64)),
        created: seconds(image.config.created),
        id: image.id.to_string(),
        labels: image.config.config.labels.clone(),
        parent_id: parent(image),
        repo_digests: names.digests,
        repo_tags: names.tags,
        shared_size: count(shared),
        size: image.size_bytes,
        virtual_size: (version < WITHOUT_VIRTUAL_SIZE).then_some(image.size_bytes),
    }
}

/// For each image, the bytes of those of its layers that other images have as well.
pub(crate) fn shared_sizes(images: &[Image], sizes: &HashMap<ChainId, u64>) -> HashMap<ImageId, u64> {
    let mut users: HashMap<ChainId, usize> = HashMap::new();
    for layer in images.iter().flat_map(|image| &image.layers) {
        *users.entry(*layer).or_default() += 1;
    }
    let is_shared = |layer: &&ChainId| users.get(layer).is_some_and(|users| *users > 1);
    let size = |layer: &ChainId| sizes.get(layer).copied().unwrap_or_default();
    images.iter().map(|image| (image.id, image.layers.iter().filter(is_shared).map(size).sum())).collect()
}

/// How an image is called.
struct Names {
    tags: Vec<String>,
    digests: Vec<String>,
}

impl Names {
    fn of(image: &Image, version: ApiVersion) -> Self {
        let tags: Vec<String> = image.tags().map(Reference::familiar).collect();
        let digests: Vec<String> = image.digests().map(|reference| reference.familiar()).collect();
        if tags.is_empty() && digests.is_empty() && version < ApiVersion::new(1, 43) {
            return Self { tags: vec!["<none>:<none>".into()], digests: vec!["<none>@<none>".into()] };
        }
        Self { tags, digests }
    }
}

/// An image by itself.
pub(crate) fn inspect(image: Image, version: ApiVersion) -> Value {
    let mut shown = serde_json::to_value(whole(image, version)).expect("texts and numbers have JSON forms");
    if version >= WITHOUT_EMPTY {
        drop_empty(&mut shown, &["Author", "Comment", "DockerVersion", "Parent"]);
        const OF_CONFIG: [&str; 8] = ["Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir"];
        drop_empty(&mut shown["Config"], &OF_CONFIG);
    }
    shown
}

/// Takes members away that say nothing.
fn drop_empty(object: &mut Value, names: &[&str]) {
    let is_empty = |value: &Value| value.is_null() || *value == "";
    if let Value::Object(members) = object {
        members.retain(|name, value| !(names.contains(&name.as_str()) && is_empty(value)));
    }
}

fn whole(image: Image, version: ApiVersion) -> ImageView {
    let created = image.config.created.map(|created| created.to_string());
    ImageView {
        id: image.id.to_string(),
        repo_tags: image.tags().map(Reference::familiar).collect(),
        repo_digests: image.digests().map(|reference| reference.familiar()).collect(),
        parent: parent(&image),
        created: created.or_else(|| (version < WITHOUT_VIRTUAL_SIZE).then(|| NEVER.to_owned())),
        container: (version < WITHOUT_ORIGIN).then_some(""),
        container_config: (version < WITHOUT_ORIGIN).then(|| config(ContainerConfig::default(), version)),
        docker_version: String::new(),
        size: image.size_bytes,
        virtual_size: (version < WITHOUT_VIRTUAL_SIZE).then_some(image.size_bytes),
        graph_driver: GraphDriverView { name: "overlay2", data: BTreeMap::new() },
        rootfs: RootFsView {
            kind: "layers",
            layers: image.config.rootfs.diff_ids.iter().map(ToString::to_string).collect(),
        },
        metadata: MetadataView { last_tag_time: image.loaded_at.to_string() },
        comment: image.config.comment,
        author: image.config.author,
        architecture: image.config.architecture,
        variant: image.config.variant,
        os: image.config.os,
        config: config(image.config.config, version),
    }
}

/// The image that it was committed on.
fn parent(image: &Image) -> String {
    image.config.parent.map(|parent| parent.to_string()).unwrap_or_default()
}

fn config(config: ContainerConfig, version: ApiVersion) -> ConfigView {
    let filled = |words: Option<Vec<String>>| words.filter(|words| !words.is_empty());
    ConfigView {
        container_only: (version < WITHOUT_CONTAINER_FIELDS).then(ContainerOnlyView::default),
        user: config.user,
        exposed_ports: config.exposed_ports,
        env: filled(Some(config.env)),
        cmd: filled(config.cmd),
        healthcheck: config.healthcheck,
        args_escaped: config.args_escaped,
        volumes: (!config.volumes.is_empty()).then_some(config.volumes),
        working_dir: config.working_dir,
        entrypoint: filled(config.entrypoint),
        on_build: filled(config.on_build),
        labels: (!config.labels.is_empty()).then_some(config.labels),
        stop_signal: config.stop_signal,
        shell: config.shell,
    }
}

/// An image's history.
pub(crate) fn history(items: Vec<HistoryItem>) -> Vec<HistoryView> {
    let view = |item: HistoryItem| HistoryView {
        id: item.id.map_or("<missing>".to_owned(), |id| id.to_string()),
        created: seconds(item.created),
        created_by: item.created_by,
        tags: (!item.references.is_empty()).then(|| item.references.iter().map(Reference::familiar).collect()),
        size: item.size_bytes,
        comment: item.comment,
    };
    items.into_iter().map(view).collect()
}

fn seconds(moment: Option<Timestamp>) -> i64 {
    moment.map_or(0, Timestamp::as_second)
}

/// What a removal took away.
pub(crate) fn removed(removed: &[Removed]) -> Vec<RemovedView> {
    let view = |removed: &Removed| match removed {
        Removed::Untagged(reference, _) => RemovedView::Untagged(reference.familiar()),
        Removed::Image(id) => RemovedView::Deleted(id.to_string()),
        Removed::Layer(id) => RemovedView::Deleted(id.to_string()),
    };
    removed.iter().map(view).collect()
}

/// What a prune took away.
pub(crate) fn pruned(pruned: &Pruned) -> PrunedView {
    PrunedView {
        images_deleted: (!pruned.removed.is_empty()).then(|| removed(&pruned.removed)),
        space_reclaimed: pruned.reclaimed_bytes,
    }
}

/// The name that `repo` and `tag` of a query mean together.
pub(crate) fn reference(repo: &str, tag: &str) -> Result<Reference> {
    let reference = Reference::parse(repo).map_err(images::Error::from)?;
    match tag {
        "" => Ok(reference.or_latest()),
        tag => Ok(reference.with_tag(tag).map_err(images::Error::from)?),
    }
}

/// A platform in a query: an OCI document as newer clients send it, or as people write it; empty for none.
pub(crate) fn platform(text: &str) -> Result<Option<Platform>> {
    #[derive(serde::Deserialize)]
    struct Document {
        os: String,
        architecture: String,
        #[serde(default)]
        variant: String,
    }
    if text.is_empty() {
        return Ok(None);
    }
    if !text.starts_with('{') {
        return text.parse().map(Some).map_err(|error: images::PlatformError| Error::invalid(error.to_string()));
    }
    let Document { os, architecture, variant } =
        serde_json::from_str(text).map_err(|error| Error::invalid(format!("invalid platform {text:?}: {error}")))?;
    Ok(Some(Platform { os, architecture, variant }))
}

/// The one platform that a query may name by `key`, which may come more than once: an image here has no more.
pub(crate) fn only_platform(query: &str, key: &str) -> Result<Option<Platform>> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let platforms: Vec<_> = pairs.filter(|(name, _)| name == key).map(|(_, value)| value).collect();
    match &platforms[..] {
        [] => Ok(None),
        [one] => platform(one),
        _ => Err(Error::invalid("multiple platforms are not supported: name one, an image here is for no more")),
    }
}

/// The filters of `docker images` and `docker image prune`, ready to match.
#[derive(Debug)]
pub(crate) struct Selection {
    filters: Filters,
    references: Vec<Pattern>,
    dangling: Option<bool>,
    /// Made after this moment only.
    after: Option<Timestamp>,
    /// Made before this moment only.
    before: Option<Timestamp>,
}

impl Selection {
    /// For a list. `created` tells when an image was made that `before` or `since` names.
    pub(crate) fn for_list(
        filters: Filters,
        now: Timestamp,
        created: impl Fn(&str) -> Result<Option<Timestamp>>,
    ) -> Result<Self> {
        let filters = filters.only(&["before", "dangling", "label", "reference", "since", "until"])?;
        let moment_of = |name| filters.single(name)?.map_or(Ok(None), &created);
        let after = moment_of("since")?;
        let before = earliest(moment_of("before")?, until(&filters, now)?);
        let references = filters.values("reference").map(pattern).collect::<Result<_>>()?;
        let dangling = filters.flag("dangling")?;
        Ok(Self { filters, references, dangling, after, before })
    }

    /// For a prune, which takes dangling images only unless it is told otherwise.
    pub(crate) fn for_prune(filters: Filters, now: Timestamp) -> Result<Self> {
        let filters = filters.only(&["dangling", "label", "label!", "until"])?;
        let before = until(&filters, now)?;
        let dangling = filters.flag("dangling")?.unwrap_or(true).then_some(true);
        Ok(Self { filters, references: Vec::new(), dangling, after: None, before })
    }

    /// Whether an image is wanted.
    pub(crate) fn takes(&self, image: &Image) -> bool {
        let label = |key: &str| image.config.config.labels.get(key).map(String::as_str);
        let created = image.config.created.unwrap_or(Timestamp::UNIX_EPOCH);
        self.dangling.is_none_or(|dangling| dangling == image.references.is_empty())
            && self.filters.allows_labels(label)
            && self.filters.allows_absent_labels(label)
            && self.after.is_none_or(|after| created > after)
            && self.before.is_none_or(|before| created < before)
            && (self.references.is_empty() || image.references.iter().any(|reference| self.names(reference)))
    }

    /// Leaves those names of an image out that the filters don't ask for.
    pub(crate) fn narrow(&self, image: &mut Image) {
        if !self.references.is_empty() {
            image.references.retain(|reference| self.names(reference));
        }
    }

    /// A pattern is held against the name as people write it and in full, with and without its tag. `*` stops at a slash.
    fn names(&self, reference: &Reference) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let forms = [reference.familiar(), reference.familiar_name(), reference.to_string(), reference.name()];
        let matches = |pattern: &Pattern| forms.iter().any(|form| pattern.matches_with(form, options));
        self.references.iter().any(matches)
    }
}

fn until(filters: &Filters, now: Timestamp) -> Result<Option<Timestamp>> {
    Ok(filters.single("until")?.map(|text| moment::parse(text, now)).transpose()?)
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn pattern(text: &str) -> Result<Pattern> {
    Pattern::new(text).map_err(|_| {
        Error::from(FilterError::Value {
            name: "reference".into(),
            value: text.into(),
            expected: "a name is expected, in which * and ? may stand for what is unknown",
        })
    })
}

#[cfg(test)]
mod tests;
