//! Indexes: documents that name the same image for several platforms, in archives as in registries.

use oci_spec::image::{Descriptor, MediaType};

use crate::platform::Platform;

/// Marks signatures and the like, which belong to an image and aren't one.
const ATTACHMENT: &str = "vnd.docker.reference.type";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Indexes may name indexes; more than so many only to keep somebody busy.
pub(crate) const NESTING_MAX: usize = 4;

/// None of an index's images is for the platform.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPlatform {
    /// The platforms that there are images for.
    pub(crate) offered: String,
}

/// Whether a document of this type is an index.
pub(crate) fn is_index(media_type: &MediaType) -> bool {
    match media_type {
        MediaType::ImageIndex => true,
        MediaType::Other(other) => other == DOCKER_LIST,
        _ => false,
    }
}

/// Of images that only differ in their platform, the one for this machine; of others, all.
pub(crate) fn choose<'d>(
    descriptors: &[&'d Descriptor],
    platform: &Platform,
) -> Result<Vec<&'d Descriptor>, NoPlatform> {
    let is_attachment = |d: &Descriptor| d.annotations().as_ref().is_some_and(|a| a.contains_key(ATTACHMENT));
    let images: Vec<&Descriptor> = descriptors.iter().copied().filter(|d| !is_attachment(d)).collect();
    let with_platform = images.iter().filter(|d| d.platform().is_some()).count();
    if images.len() < 2 || with_platform < images.len() {
        return Ok(images);
    }
    let ours = images.iter().filter(|d| platform_of(d).is_some_and(|p| p.runs_on(platform)));
    // A variant that is named suits better than none.
    match ours.max_by_key(|d| platform_of(d).is_some_and(|p| p.variant == platform.variant)) {
        Some(descriptor) => Ok(vec![descriptor]),
        None => Err(NoPlatform { offered: offered(&images) }),
    }
}

fn platform_of(descriptor: &Descriptor) -> Option<Platform> {
    let platform = descriptor.platform().as_ref()?;
    Some(Platform {
        os: platform.os().to_string(),
        architecture: platform.architecture().to_string(),
        variant: platform.variant().clone().unwrap_or_default(),
    })
}

fn offered(descriptors: &[&Descriptor]) -> String {
    let names: Vec<String> =
        descriptors.iter().filter_map(|d| platform_of(d)).map(|platform| platform.to_string()).collect();
    names.join(", ")
}
