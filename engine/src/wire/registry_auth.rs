//! `X-Registry-Auth`: who one is to a registry, as base64 (for URLs) of a JSON object.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use images::Credentials;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::body;

const HEADER: &str = "X-Registry-Auth";

/// Clients write it with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
pub(crate) struct AuthConfig {
    /// Of `POST /auth`: where to log in.
    pub(crate) serveraddress: String,
    username: String,
    password: String,
    /// `username:password` in base64, by older clients.
    auth: String,
    identitytoken: String,
    registrytoken: String,
}

/// Who the headers of a request say that its sender is at each of several registries.
pub(crate) fn several(headers: &HeaderMap, header: &str) -> BTreeMap<String, Credentials> {
    let all: BTreeMap<String, AuthConfig> = decoded(headers, header).unwrap_or_default();
    all.into_iter().filter_map(|(registry, auth)| Some((registry, auth.credentials()?))).collect()
}

/// Who the headers of a request say that its sender is to the registry.
pub(crate) fn credentials(headers: &HeaderMap) -> Credentials {
    decoded(headers, HEADER).and_then(AuthConfig::credentials).unwrap_or(Credentials::Anonymous)
}

/// What a header carries. Clients that have no password write `null`, `{}` or nothing into it, and some what was never read:
/// with Docker, whoever can't be understood is nobody.
fn decoded<T: DeserializeOwned>(headers: &HeaderMap, header: &str) -> Option<T> {
    let value = headers.get(header).filter(|value| !value.is_empty())?;
    let parsed = BASE64.decode(value.as_bytes()).ok().and_then(|text| body::parse(&text).ok());
    if parsed.is_none() {
        tracing::debug!("{header} is not base64 of a JSON object: taken as absent");
    }
    parsed
}

impl AuthConfig {
    /// Who it says that one is; nothing if it can't be understood.
    pub(crate) fn credentials(self) -> Option<Credentials> {
        if !self.identitytoken.is_empty() {
            return Some(Credentials::IdentityToken(self.identitytoken));
        }
        if !self.registrytoken.is_empty() {
            return Some(Credentials::Token(self.registrytoken));
        }
        if !self.username.is_empty() {
            return Some(Credentials::Password { username: self.username, password: self.password });
        }
        if self.auth.is_empty() {
            return Some(Credentials::Anonymous);
        }
        let pair = base64::engine::general_purpose::STANDARD.decode(self.auth).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (username, password) = pair.split_once(':')?;
        Some(Credentials::Password { username: username.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    fn read(value: &str) -> Credentials {
        credentials(
            &[(HEADER, value)].iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        )
    }

    #[test]
    fn every_form_that_clients_send() {
        let ann = || Credentials::Password { username: "ann".to_owned(), password: "p:w\u{fc}".to_owned() };
        let by_name = r#"{"username":"ann","password":"p:w\u00fc","serveraddress":"r:5000"}"#;
        assert_eq!(read(&URL_SAFE.encode(by_name)), ann());
        assert_eq!(read(&URL_SAFE_NO_PAD.encode(by_name)), ann());
        let pair = STANDARD.encode("ann:p:w\u{fc}");
        assert_eq!(read(&URL_SAFE.encode(format!(r#"{{"auth":"{pair}"}}"#))), ann());
        let token = r#"{"registrytoken":"abc"}"#;
        assert_eq!(read(&URL_SAFE.encode(token)), Credentials::Token("abc".to_owned()));
        let identity = r#"{"identitytoken":"abc"}"#;
        assert_eq!(read(&URL_SAFE.encode(identity)), Credentials::IdentityToken("abc".to_owned()));
        assert_eq!(read(&URL_SAFE.encode(r#"{"UserName":"ann","Password":"p:w\u00fc","auth":null}"#)), ann());
        let wrong_pair = URL_SAFE.encode(r#"{"auth":"!"}"#);
        for nobody in ["", "e30=", "e30", "bnVsbA==", "bnVsbA", "W10=", "!", "bm8", &wrong_pair] {
            assert_eq!(read(nobody), Credentials::Anonymous, "{nobody:?}");
        }
        assert_eq!(credentials(&HeaderMap::new()), Credentials::Anonymous);
    }

    #[test]
    fn one_header_for_several_registries() {
        let read = |value: &str| {
            several(
                &[("x-registry-config", value)]
                    .into_iter()
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                    .collect(),
                "X-Registry-Config",
            )
        };
        let all = URL_SAFE.encode(r#"{"a.b":{"username":"ann","password":"p"},"c.d":{"auth":"!"},"e.f":null}"#);
        let all = read(&all);
        assert_eq!(all["a.b"], Credentials::Password { username: "ann".to_owned(), password: "p".to_owned() });
        assert_eq!(all["e.f"], Credentials::Anonymous);
        assert_eq!(all.len(), 2, "who can't be understood is left out");
        for nobody in ["bnVsbA==", "e30=", "", "!", "W10="] {
            assert!(read(nobody).is_empty(), "{nobody:?}");
        }
    }
}
