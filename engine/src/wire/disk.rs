//! `GET /system/df`

use serde::Serialize;

use super::image::SummaryView as ImageSummary;
use super::summary::SummaryView as ContainerSummary;
use super::volume::VolumeView;

/// What takes how much of the disk; what wasn't asked for is left out.
#[derive(Debug, Serialize)]
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

/// Which objects a request wants to be counted: all of them, or those that `type` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) images: bool,
    pub(crate) containers: bool,
    pub(crate) volumes: bool,
    pub(crate) build_cache: bool,
}

impl Wanted {
    /// Reads the query string, in which `type` comes as often as there are any; an unknown one is the error.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let types: Vec<_> = pairs.filter(|(key, _)| key == "type").map(|(_, value)| value.into_owned()).collect();
        let known = |name: &&String| ["container", "image", "volume", "build-cache"].contains(&name.as_str());
        if let Some(unknown) = types.iter().find(|name| !known(name)) {
            return Err(unknown.clone());
        }
        let wanted = |name: &str| types.is_empty() || types.iter().any(|one| one == name);
        Ok(Self {
            images: wanted("image"),
            containers: wanted("container"),
            volumes: wanted("volume"),
            build_cache: wanted("build-cache"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_those_that_are_named() {
        let all = Wanted { images: true, containers: true, volumes: true, build_cache: true };
        assert_eq!(Wanted::parse(""), Ok(all));
        let two = Wanted { images: true, containers: false, volumes: true, build_cache: false };
        assert_eq!(Wanted::parse("type=image&type=volume"), Ok(two));
        assert_eq!(Wanted::parse("type=moon"), Err("moon".to_owned()));
    }
}
