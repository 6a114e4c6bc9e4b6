//! `POST /auth` and `GET /images/search` as clients know them.

use images::FoundRepository;
use serde::{Deserialize, Serialize};

/// Reply of `POST /auth`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LoginView {
    pub(crate) status: &'static str,
    pub(crate) identity_token: String,
}

/// Query of `GET /images/search`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SearchQuery {
    pub(crate) term: String,
    pub(crate) limit: Option<i64>,
    pub(crate) filters: Option<String>,
}

/// What a search found.
#[derive(Debug, Serialize)]
pub(crate) struct SearchView {
    star_count: u64,
    is_official: bool,
    name: String,
    /// Docker Hub builds nothing by itself any more.
    is_automated: bool,
    description: String,
}

impl From<FoundRepository> for SearchView {
    fn from(FoundRepository { name, description, star_count, is_official }: FoundRepository) -> Self {
        Self { star_count, is_official, name, is_automated: false, description }
    }
}
