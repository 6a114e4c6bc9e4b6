//! `X-Registry-Auth`: who one is to a registry, as base64 (for URLs) of a JSON object.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use images::Credentials;
use serde::Deserialize;

use crate::error::{Error, Result};

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

/// Who the value of a header says that its sender is at each of several registries.
pub(crate) fn several(value: &[u8], header: &str) -> Result<BTreeMap<String, Credentials>> {
    let malformed = || Error::invalid(format!("invalid {header} header: it isn't base64 of a JSON object"));
    let text = BASE64.decode(value).map_err(|_| malformed())?;
    let all: BTreeMap<String, AuthConfig> = serde_json::from_slice(&text).map_err(|_| malformed())?;
    all.into_iter().map(|(registry, auth)| Ok((registry, auth.credentials().ok_or_else(malformed)?))).collect()
}

/// Who the headers of a request say that its sender is to the registry.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials> {
    let Some(value) = headers.get(HEADER).filter(|value| !value.is_empty()) else { return Ok(Credentials::Anonymous) };
    let malformed = || Error::invalid(format!("invalid {HEADER} header: it isn't base64 of a JSON object"));
    let text = BASE64.decode(value.as_bytes()).map_err(|_| malformed())?;
    let auth: AuthConfig = serde_json::from_slice(&text).map_err(|_| malformed())?;
    auth.credentials().ok_or_else(malformed)
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

    fn read(value: &str) -> Result<Credentials> {
        credentials(
            &[(HEADER, value)].iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        )
    }

    #[test]
    fn every_form_that_clients_send() {
        let ann = || Credentials::Password { username: "ann".to_owned(), password: "p:w\u{fc}".to_owned() };
        let by_name = r#"{"username":"ann","password":"p:w\u00fc","serveraddress":"r:5000"}"#;
        assert_eq!(read(&URL_SAFE.encode(by_name)).unwrap(), ann());
        assert_eq!(read(&URL_SAFE_NO_PAD.encode(by_name)).unwrap(), ann());
        let pair = STANDARD.encode("ann:p:w\u{fc}");
        assert_eq!(read(&URL_SAFE.encode(format!(r#"{{"auth":"{pair}"}}"#))).unwrap(), ann());
        let token = r#"{"registrytoken":"abc"}"#;
        assert_eq!(read(&URL_SAFE.encode(token)).unwrap(), Credentials::Token("abc".to_owned()));
        let identity = r#"{"identitytoken":"abc"}"#;
        assert_eq!(read(&URL_SAFE.encode(identity)).unwrap(), Credentials::IdentityToken("abc".to_owned()));
        for nobody in ["", "e30=", "e30"] {
            assert_eq!(read(nobody).unwrap(), Credentials::Anonymous, "{nobody:?}");
        }
        assert_eq!(credentials(&HeaderMap::new()).unwrap(), Credentials::Anonymous);
        for wrong in ["!", "bm8", &URL_SAFE.encode(r#"{"auth":"!"}"#)] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
