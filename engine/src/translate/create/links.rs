//! `--link`: another container by a name of this one's own.

use super::CreateContext;
use super::endpoints::is_user_defined;
use crate::container::network::{Link, NetworkMode};
use crate::error::{Error, Result};
use crate::wire::models::HostConfig;

/// The links of a container on the default network, where they are lines of `/etc/hosts`. On networks that a user made they
/// are the endpoint's.
pub(super) fn wanted(host: &HostConfig, mode: &NetworkMode, context: &CreateContext<'_>) -> Result<Vec<Link>> {
    let texts = host.links.as_deref().unwrap_or_default();
    let conflict = |what: &str| {
        Err(Error::invalid(format!(
            "conflicting options: {what} can't be used with links. This would result in undefined behavior"
        )))
    };
    match mode {
        _ if texts.is_empty() => return Ok(Vec::new()),
        NetworkMode::Host => return conflict("host type networking"),
        NetworkMode::Container(_) => return conflict("container type network"),
        NetworkMode::None => return conflict("none type networking"),
        NetworkMode::Network(name) if is_user_defined(name) => return Ok(Vec::new()),
        NetworkMode::Network(_) => {}
    }
    let link = |text: &String| {
        let (reference, alias) = parse(text)?;
        let other = (context.container)(reference)
            .map_err(|error| Error::invalid(format!("could not get container for {reference}: {}", error.message())))?;
        Ok(Link { container: other.id, container_name: other.name, alias: alias.to_owned() })
    };
    texts.iter().map(link).collect()
}

/// `web:alias`, `web`, and as inspect shows it, `/web:/own/alias`.
pub(super) fn parse(text: &str) -> Result<(&str, &str)> {
    let bad = || Error::invalid(format!("bad format for links: {text}"));
    let (reference, alias) = text.split_once(':').unwrap_or((text, text));
    let alias = if alias.starts_with('/') { alias.rsplit('/').next().unwrap_or_default() } else { alias };
    let reference = reference.strip_prefix('/').unwrap_or(reference);
    // The alias becomes a word of `/etc/hosts`.
    let is_word = |word: &str| {
        !word.is_empty() && !word.contains(|c: char| c == ':' || c == '/' || c.is_whitespace() || c.is_control())
    };
    if is_word(reference) && is_word(alias) { Ok((reference, alias)) } else { Err(bad()) }
}
