//! `/images`: what Docker's clients send in queries and read in replies.

use std::collections::BTreeMap;

use images::{Empty, Healthcheck};
use serde::{Deserialize, Serialize};

use super::query::{flag, optional_flag, pairs};

/// An image in `GET /images/json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SummaryView {
    pub(crate) containers: i64,
    pub(crate) created: i64,
    pub(crate) id: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) parent_id: String,
    pub(crate) repo_digests: Vec<String>,
    pub(crate) repo_tags: Vec<String>,
    pub(crate) shared_size: i64,
    pub(crate) size: u64,
    /// The same as the size; until API 1.43.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) virtual_size: Option<u64>,
}

/// `GET /images/{name}/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ImageView {
    pub(crate) id: String,
    pub(crate) repo_tags: Vec<String>,
    pub(crate) repo_digests: Vec<String>,
    pub(crate) parent: String,
    pub(crate) comment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    /// The container that it was made from; until API 1.44, and nobody knows any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<&'static str>,
    /// That container's configuration, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container_config: Option<ConfigView>,
    pub(crate) docker_version: String,
    pub(crate) author: String,
    pub(crate) config: ConfigView,
    pub(crate) architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) variant: String,
    pub(crate) os: String,
    pub(crate) size: u64,
    /// The same as the size; until API 1.43.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) virtual_size: Option<u64>,
    pub(crate) graph_driver: GraphDriverView,
    #[serde(rename = "RootFS")]
    pub(crate) rootfs: RootFsView,
    pub(crate) metadata: MetadataView,
}

/// What containers start with. Until API 1.49 it was a container's configuration, with much that no image has.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfigView {
    #[serde(flatten)]
    pub(crate) container_only: Option<ContainerOnlyView>,
    pub(crate) user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) exposed_ports: BTreeMap<String, Empty>,
    pub(crate) env: Option<Vec<String>>,
    pub(crate) cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) args_escaped: bool,
    pub(crate) volumes: Option<BTreeMap<String, Empty>>,
    pub(crate) working_dir: String,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) on_build: Option<Vec<String>>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shell: Option<Vec<String>>,
}

/// Members of a container's configuration that say nothing about an image.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ContainerOnlyView {
    pub(crate) hostname: String,
    pub(crate) domainname: String,
    pub(crate) attach_stdin: bool,
    pub(crate) attach_stdout: bool,
    pub(crate) attach_stderr: bool,
    pub(crate) tty: bool,
    pub(crate) open_stdin: bool,
    pub(crate) stdin_once: bool,
    pub(crate) image: String,
}

/// How layers are put together.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GraphDriverView {
    pub(crate) name: &'static str,
    pub(crate) data: BTreeMap<String, String>,
}

/// The layers of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RootFsView {
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    pub(crate) layers: Vec<String>,
}

/// What the store knows beside the image itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MetadataView {
    pub(crate) last_tag_time: String,
}

/// A step of `GET /images/{name}/history`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HistoryView {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) created_by: String,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) size: u64,
    pub(crate) comment: String,
}

/// A line of what a removal took away.
#[derive(Debug, Serialize)]
pub(crate) enum RemovedView {
    /// A name.
    Untagged(String),
    /// An image or a layer.
    Deleted(String),
}

/// Reply of `POST /images/prune`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrunedView {
    pub(crate) images_deleted: Option<Vec<RemovedView>>,
    pub(crate) space_reclaimed: u64,
}

/// Query of `GET /images/json`. Every image is shown whether `all` is set or not: there are no intermediate ones.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ListQuery {
    pub(crate) filters: Option<String>,
    /// A name; until API 1.40.
    pub(crate) filter: Option<String>,
    #[serde(deserialize_with = "flag")]
    pub(crate) shared_size: bool,
}

/// Query of `GET /images/{name}/json` and `/history`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PlatformQuery {
    /// The image has to be for this one.
    pub(crate) platform: String,
}

/// Query of `DELETE /images/{name}`. `platforms` come as often as there are any and are read apart; `noprune` would keep untagged parents, which images here don't have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RemoveQuery {
    #[serde(deserialize_with = "flag")]
    pub(crate) force: bool,
}

/// Query of `POST /images/{name}/tag`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TagQuery {
    pub(crate) repo: String,
    pub(crate) tag: String,
}

/// Query of `POST /images/{name}/push`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PushQuery {
    /// Without one, all of them.
    pub(crate) tag: String,
    pub(crate) platform: String,
}

/// Query of `POST /images/load`. `platform` may come more than once and is read apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LoadQuery {
    /// Progress is left out; without an answer the client wants it.
    #[serde(deserialize_with = "optional_flag")]
    pub(crate) quiet: Option<bool>,
}

/// Query of `POST /images/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PruneQuery {
    pub(crate) filters: Option<String>,
}

/// Query of `POST /images/create`: a pull or an import. `changes` comes as often as there are any, which no derived type
/// can say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CreateQuery {
    pub(crate) from_image: Option<String>,
    pub(crate) from_source: Option<String>,
    pub(crate) repo: String,
    pub(crate) tag: Option<String>,
    pub(crate) message: String,
    pub(crate) platform: String,
    pub(crate) changes: Vec<String>,
}

impl CreateQuery {
    /// Reads the query string.
    pub(crate) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (key, value) in pairs(query, &["changes"]) {
            let value = value.into_owned();
            match &*key {
                "fromImage" if !value.is_empty() => parsed.from_image = Some(value),
                "fromSrc" if !value.is_empty() => parsed.from_source = Some(value),
                "repo" => parsed.repo = value,
                "tag" if !value.is_empty() => parsed.tag = Some(value),
                "message" => parsed.message = value,
                "platform" => parsed.platform = value,
                "changes" if !value.is_empty() => parsed.changes.push(value),
                _ => {}
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_as_often_as_there_are_any() {
        let query =
            CreateQuery::parse("fromSrc=-&repo=shop%3A1&changes=CMD+%5B%22sh%22%5D&changes=ENV+A%3Db&message=&tag=");
        let expected = CreateQuery {
            from_source: Some("-".into()),
            repo: "shop:1".into(),
            changes: vec![r#"CMD ["sh"]"#.into(), "ENV A=b".into()],
            ..CreateQuery::default()
        };
        assert_eq!(query, expected);
    }
}
