//! Searches an index for repositories, by Docker's API v1 for that.

use reqwest::header::ACCEPT;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::config::{HUB, HUB_INDEX_HOST};
use super::session::{Access, DOCUMENT_BYTES_MAX};
use super::{Credentials, Registries, RegistryError, first_answer};
use crate::reference::split_domain;

/// What to look for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchTerm {
    domain: String,
    term: String,
}

/// A repository that an index knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FoundRepository {
    /// As it is pulled.
    pub name: String,
    /// In its owner's words.
    #[serde(deserialize_with = "or_empty")]
    pub description: String,
    /// How many like it.
    pub star_count: u64,
    /// Whether the index's owner stands for it.
    pub is_official: bool,
}

/// Indexes say null of what isn't described.
fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl SearchTerm {
    /// `nginx` in Docker Hub's index; `host[:port]/nginx` in that registry's own.
    pub fn new(text: &str) -> Self {
        let (domain, term) = split_domain(text);
        let term = if domain == HUB { term.strip_prefix("library/").unwrap_or(term) } else { term };
        Self { domain: domain.to_owned(), term: term.to_owned() }
    }
}

impl Registries {
    /// Looks for repositories; finds so many at most.
    ///
    /// # Errors
    /// The index can't be talked to, or there is none.
    pub fn search(
        &self,
        SearchTerm { domain, term }: &SearchTerm,
        limit: usize,
        credentials: &Credentials,
        called_off: &CancellationToken,
    ) -> Result<Vec<FoundRepository>, RegistryError> {
        #[derive(Deserialize)]
        struct Answer {
            results: Vec<FoundRepository>,
        }
        let access = Access { credentials: credentials.clone(), scopes: Vec::new(), called_off: called_off.clone() };
        let mut places = self.config.places(domain);
        places.retain(|place| !place.is_mirror);
        if domain == HUB {
            places.iter_mut().for_each(|place| place.host = HUB_INDEX_HOST.to_owned());
        }
        let sessions = places.into_iter().map(|place| (place.clone(), self.session(place, access.clone())));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", term)
            .append_pair("n", &limit.to_string())
            .finish();
        first_answer(sessions, |session| {
            let url = format!("{}/v1/search?{query}", session.place());
            let answer = session.wait(async {
                let response = session.send(|http| http.get(&url).header(ACCEPT, "application/json")).await?;
                session.read(response, DOCUMENT_BYTES_MAX).await
            })?;
            let answer: Answer = serde_json::from_slice(&answer)
                .map_err(|_| session.wrong("a list of repositories that can't be understood"))?;
            Ok(answer.results.into_iter().take(limit).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_may_name_its_registry() {
        for (text, domain, term) in [
            ("nginx", "docker.io", "nginx"),
            ("library/nginx", "docker.io", "nginx"),
            ("team/app", "docker.io", "team/app"),
            ("registry.example:5000/team/app", "registry.example:5000", "team/app"),
            ("localhost/library/x", "localhost", "library/x"),
        ] {
            let expected = SearchTerm { domain: domain.to_owned(), term: term.to_owned() };
            assert_eq!(SearchTerm::new(text), expected);
        }
    }
}
