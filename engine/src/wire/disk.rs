//! `GET /system/df`

use serde::Serialize;

use super::image::SummaryView as ImageSummary;
use super::summary::SummaryView as ContainerSummary;
use super::volume::VolumeView;
use crate::error::{Error, Result};
use crate::version::ApiVersion;

/// What takes how much of the disk; what wasn't asked for is left out. The lists of all are what API versions below 1.52
/// know, the usages what those from 1.52 do; 1.52 itself has both.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DiskView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layers_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) images: Option<Vec<ImageSummary>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) containers: Option<Vec<ContainerSummary>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volumes: Option<Vec<VolumeView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build_cache: Option<Vec<CacheView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_usage: Option<UsageView<ImageSummary>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container_usage: Option<UsageView<ContainerSummary>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volume_usage: Option<UsageView<VolumeView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build_cache_usage: Option<UsageView<CacheView>>,
}

/// How much objects of a kind take. Docker leaves out what is 0.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UsageView<T> {
    #[serde(flatten)]
    pub(crate) totals: Totals,
    /// The objects themselves, for who wants them here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) items: Option<Vec<T>>,
}

/// How many objects of a kind there are, and how many bytes they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Totals {
    /// Those that something uses.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) active_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) total_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) total_size: u64,
    /// What a prune of all that nothing uses would set free.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) reclaimable: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A build's step whose layer is kept for the next build, or a directory that steps keep something in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CacheView {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    pub(crate) description: String,
    pub(crate) in_use: bool,
    pub(crate) shared: bool,
    pub(crate) size: u64,
    pub(crate) created_at: String,
    pub(crate) last_used_at: String,
    pub(crate) usage_count: u64,
}

/// Which objects a request wants to be counted, all of them or those that `type` names; and how it wants to read of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageRequest {
    pub(crate) images: bool,
    pub(crate) containers: bool,
    pub(crate) volumes: bool,
    pub(crate) build_cache: bool,
    pub(crate) form: Form,
}

/// Where the objects of an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// In lists of their own.
    pub(crate) lists: bool,
    /// Totals are told of them.
    pub(crate) totals: bool,
    /// Beside the totals.
    pub(crate) items: bool,
}

/// Since this version there are totals.
const WITH_TOTALS: ApiVersion = ApiVersion::new(1, 52);
/// Since this version `type` counts.
const WITH_TYPES: ApiVersion = ApiVersion::new(1, 42);

impl Form {
    fn of(version: ApiVersion, verbose: Option<bool>) -> Self {
        match verbose {
            _ if version < WITH_TOTALS => Self { lists: true, totals: false, items: false },
            // Who doesn't say may be a client of before.
            None => Self { lists: true, totals: true, items: false },
            Some(items) => Self { lists: false, totals: true, items },
        }
    }
}

impl UsageRequest {
    /// Reads the query string, in which `type` comes as often as there are any.
    pub(crate) fn parse(query: &str, version: ApiVersion) -> Result<Self> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let values =
            |name: &'static str| pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref());
        let types: Vec<&str> = values("type").filter(|_| version >= WITH_TYPES).collect();
        let known = |name: &&str| ["container", "image", "volume", "build-cache"].contains(name);
        if let Some(unknown) = types.iter().find(|name| !known(name)) {
            return Err(Error::invalid(format!(
                "unknown object type: {unknown}: container, image, volume and build-cache are known"
            )));
        }
        let verbose = match values("verbose").next() {
            None | Some("") => None,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Some(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Some(false),
            Some(other) => return Err(Error::invalid(format!("invalid value for verbose: {other}: give 1 or 0"))),
        };
        let wanted = |name: &str| types.is_empty() || types.contains(&name);
        Ok(Self {
            images: wanted("image"),
            containers: wanted("container"),
            volumes: wanted("volume"),
            build_cache: wanted("build-cache"),
            form: Form::of(version, verbose),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, minor: u16) -> UsageRequest {
        UsageRequest::parse(query, ApiVersion::new(1, minor)).expect(query)
    }

    #[test]
    fn all_or_those_that_are_named() {
        let named = |query| {
            let UsageRequest { images, containers, volumes, build_cache, .. } = parse(query, 52);
            (images, containers, volumes, build_cache)
        };
        assert_eq!(named(""), (true, true, true, true));
        assert_eq!(named("type=image&type=volume"), (true, false, true, false));
        assert!(parse("type=moon", 41).volumes, "older versions know no types");
        let message = |query| UsageRequest::parse(query, ApiVersion::MAX).expect_err(query).message();
        assert!(message("type=moon").starts_with("unknown object type: moon"));
        assert!(message("verbose=much").starts_with("invalid value for verbose: much"));
    }

    #[test]
    fn the_form_is_that_of_the_version() {
        let form = |query, minor| {
            let Form { lists, totals, items } = parse(query, minor).form;
            (lists, totals, items)
        };
        assert_eq!(form("verbose=1", 51), (true, false, false));
        assert_eq!(form("", 52), (true, true, false));
        assert_eq!(form("verbose=false", 52), (false, true, false));
        assert_eq!(form("verbose=true", 52), (false, true, true));
    }
}
