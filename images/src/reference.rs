//! Image references as Docker has them: what people type (`busybox`), what is meant (`docker.io/library/busybox:latest`),
//! and the short form that is shown again.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const NAME_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

/// A reference in its full form: a registry's domain, a path there, and a tag or a digest or both or neither.
///
/// `Display` writes the full form; [`Reference::familiar`] the short one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text isn't a reference. The texts are those that Docker's clients know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It doesn't follow the grammar.
    #[error("invalid reference format: {0:?} isn't [registry/]name[:tag][@digest]")]
    Format(String),
    /// Upper-case letters in the name.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    /// It would be mistaken for an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// The name is too long.
    #[error("invalid reference format: repository name must not be more than {NAME_BYTES_MAX} characters")]
    TooLong,
    /// What follows `@` isn't a digest.
    #[error("invalid reference format: bad digest")]
    Digest(#[source] DigestError),
}

impl Reference {
    /// Parses what a person typed. A missing tag stays missing: see [`Reference::or_latest`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if Digest::from_hex(text).is_some() {
            return Err(ReferenceError::LooksLikeId(text.to_owned()));
        }
        let malformed = || ReferenceError::Format(text.to_owned());
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(ReferenceError::Digest)?)),
            None => (text, None),
        };
        let (domain, remainder) = split_domain(rest);
        // A port's colon stands before the domain's slash, so that a colon in the remainder can only start a tag.
        let (path, tag) = match remainder.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (remainder, None),
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::UpperCase(path.to_owned()));
        }
        if !is_domain(domain) || !path.split('/').all(is_path_component) {
            return Err(malformed());
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(malformed());
        }
        let official = domain == DEFAULT_DOMAIN && !path.contains('/');
        let path = match official {
            true => format!("{OFFICIAL_PREFIX}{path}"),
            false => path.to_owned(),
        };
        if domain.len() + 1 + path.len() > NAME_BYTES_MAX {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self { domain: domain.to_owned(), path, tag: tag.map(str::to_owned), digest })
    }

    /// The same with the tag `latest` where there is neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Format(format!("{}:{tag}", self.familiar_name())));
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with a digest and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The registry: `docker.io`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The path within the registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The repository in full: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The repository as people write it: `busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        let short = match self.path.strip_prefix(OFFICIAL_PREFIX) {
            Some(short) if !short.contains('/') => short,
            _ => &self.path,
        };
        // `docker.io/localhost/x` and `docker.io/a.b/c` would be read again as other registries' names.
        let reads_the_same = split_domain(short) == (DEFAULT_DOMAIN, short);
        match reads_the_same && Digest::from_hex(short).is_none() {
            true => short.to_owned(),
            false => self.name(),
        }
    }

    /// The whole reference as people write it: `busybox:latest`.
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}"));
        let digest = self.digest.map(|digest| format!("@{digest}"));
        tag.unwrap_or_default() + &digest.unwrap_or_default()
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.domain, self.path, self.suffix())
    }
}

/// The registry and the rest. The first component is a registry only if it can't be a user's name on Docker Hub.
pub(crate) fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((LEGACY_DEFAULT_DOMAIN, rest)) => (DEFAULT_DOMAIN, rest),
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, name),
    }
}

fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (Err(address), None),
        Some((address, port)) => match port.strip_prefix(':') {
            Some(port) => (Err(address), Some(port)),
            None => return false,
        },
        None => match domain.split_once(':') {
            Some((host, port)) => (Ok(host), Some(port)),
            None => (Ok(domain), None),
        },
    };
    let host_is_right = match host {
        Ok(name) => name.split('.').all(is_domain_component),
        Err(address) => !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
    };
    let port_is_right = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    host_is_right && port_is_right
}

fn is_domain_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// Lower-case letters and digits, held together by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bounded = component.starts_with(is_word) && component.ends_with(is_word);
    bounded
        && component.split(is_word).all(|run| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_BYTES_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests;
