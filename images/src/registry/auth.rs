//! Authentication to registries: passwords, and tokens from a server of the registry's choice (Docker Registry v2
//! authentication via central service; OAuth2 for identity tokens).

use base64::Engine as _;
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use tokio::time::timeout;

use super::session::{ANSWER_BYTES_MAX, Session};
use super::{Credentials, RegistryError};

/// How we are called by token servers.
const CLIENT: &str = "berth";

/// What a token server gives out.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    token: String,
    access_token: String,
    refresh_token: String,
}

impl Session {
    /// What to say who one is with, by what the refusal asks for; nothing if there is nothing to say.
    pub(super) async fn authorize(&self, refusal: &Response) -> Result<Option<HeaderValue>, RegistryError> {
        let asked = refusal.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        for header in asked {
            let Ok(challenges) = http_auth::parse_challenges(header) else { continue };
            for challenge in challenges {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameter("realm")
                {
                    let token = self.token(&realm, parameter("service")).await?;
                    return self.secret(format!("Bearer {token}")).map(Some);
                }
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    return self.basic()?.map(Some).ok_or(RegistryError::NoCredentials);
                }
            }
        }
        Ok(None)
    }

    /// The password, if there is one.
    pub(super) fn basic(&self) -> Result<Option<HeaderValue>, RegistryError> {
        let Credentials::Password { username, password } = &self.access.credentials else { return Ok(None) };
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        self.secret(format!("Basic {pair}")).map(Some)
    }

    fn secret(&self, text: String) -> Result<HeaderValue, RegistryError> {
        let mut value = HeaderValue::try_from(text).map_err(|_| self.wrong("a token that can't be sent"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Gets a token for what this session is for.
    async fn token(&self, realm: &str, service: Option<String>) -> Result<String, RegistryError> {
        let scopes = &self.access.scopes;
        let mut request = match &self.access.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            // OAuth2, which is what such tokens are for.
            Credentials::IdentityToken(token) => {
                let service = service.as_deref().unwrap_or_default();
                let form = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs([("grant_type", "refresh_token"), ("refresh_token", token), ("service", service)])
                    .extend_pairs([("scope", scopes.join(" ").as_str()), ("client_id", CLIENT)])
                    .finish();
                self.http.post(realm).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            Credentials::Anonymous | Credentials::Password { .. } => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
                query.extend_pairs(service.iter().map(|service| ("service", service)));
                if scopes.is_empty() {
                    // Whoever logs in would rather keep a token than a password.
                    query.extend_pairs([("offline_token", "true"), ("client_id", CLIENT)]);
                }
                let separator = if realm.contains('?') { '&' } else { '?' };
                self.http.get(format!("{realm}{separator}{}", query.finish()))
            }
        };
        if let Some(basic) = self.basic()? {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = timeout(self.patience, request.send()).await.map_err(|_| self.silent(self.patience))?;
        let response = response.map_err(|error| self.cut(error))?;
        let status = response.status();
        let body = self.read(response, ANSWER_BYTES_MAX).await?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| self.wrong("a token that can't be understood"))?;
        if !answer.refresh_token.is_empty() {
            self.keep_identity_token(answer.refresh_token);
        }
        let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if token.is_empty() { Err(self.wrong("no token")) } else { Ok(token) }
    }
}
