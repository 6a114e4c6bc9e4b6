//! Names of images as they are typed, taken apart and made whole.

const HUB: &str = "docker.io";

/// The same with the tag `latest` where there is neither tag nor digest.
pub(crate) fn with_tag(image: &str) -> String {
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    match last.contains([':', '@']) {
        true => image.to_owned(),
        false => format!("{image}:latest"),
    }
}

/// The registry of an image's name, and the rest of it.
pub(crate) fn domain_and_path(image: &str) -> (&str, &str) {
    match image.split_once('/') {
        Some((domain, path)) if domain.contains(['.', ':']) || domain == "localhost" => (domain, path),
        _ => (HUB, image),
    }
}

/// The name in full: `docker.io/library/alpine:3`.
pub(crate) fn whole_name(image: &str) -> String {
    let (domain, path) = domain_and_path(image);
    let official = if domain == HUB && !path.contains('/') { "library/" } else { "" };
    format!("{domain}/{official}{path}")
}

/// A name and its tag or digest.
pub(crate) fn name_and_tag(image: &str) -> (&str, Option<&str>) {
    match (image.split_once('@'), image.rsplit_once(':')) {
        // A digest's colon isn't a tag's.
        (Some((name, digest)), _) => (name, Some(digest)),
        (None, Some((name, tag))) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (image, whole, domain) in [
            ("alpine", "alpine:latest", HUB),
            ("alpine:3", "alpine:3", HUB),
            ("team/app", "team/app:latest", HUB),
            ("localhost/app", "localhost/app:latest", "localhost"),
            ("host:5000/app", "host:5000/app:latest", "host:5000"),
            ("a.example/app:1", "a.example/app:1", "a.example"),
            ("app@sha256:00", "app@sha256:00", HUB),
        ] {
            assert_eq!((with_tag(image).as_str(), domain_and_path(image).0), (whole, domain), "{image}");
        }
        for (image, name, tag) in [
            ("a:1", "a", Some("1")),
            ("a:5/b", "a:5/b", None),
            ("a:5/b:1", "a:5/b", Some("1")),
            ("b@sha256:0", "b", Some("sha256:0")),
        ] {
            assert_eq!(name_and_tag(image), (name, tag), "{image}");
        }
        for (image, whole) in [("a", "docker.io/library/a"), ("a/b:1", "docker.io/a/b:1"), ("h:5/a", "h:5/a")] {
            assert_eq!(whole_name(image), whole);
        }
    }
}
