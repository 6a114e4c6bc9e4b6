//! Extractors whose refusals are Docker's JSON and not axum's text.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::wire::query::pairs;

/// The query string as a type.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        read(&parts.uri).map(Self)
    }
}

fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T> {
    let query = uri.query().unwrap_or_default();
    let counting: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs(query, &[])).finish();
    // What form_urlencoded writes is a query as it must be.
    let uri = Uri::builder().path_and_query(format!("/?{counting}")).build().unwrap_or_default();
    match axum::extract::Query::try_from_uri(&uri) {
        Ok(axum::extract::Query(query)) => Ok(query),
        Err(rejection) => Err(Error::invalid(refusal(uri.query(), &rejection.body_text()))),
    }
}

/// A sentence that names parameter and value; serde's has only the parameter.
fn refusal(query: Option<&str>, rejection: &str) -> String {
    let reason = rejection.strip_prefix("Failed to deserialize query string: ").unwrap_or(rejection);
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let named = reason.split_once(": ").and_then(|(name, reason)| {
        let (_, value) = pairs.find(|(known, _)| known == name)?;
        Some(format!("invalid value {value:?} for query parameter {name}: {reason}"))
    });
    named.unwrap_or_else(|| format!("invalid query: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::lifecycle::StopQuery;

    #[test]
    fn of_a_parameter_given_again_the_first_counts() {
        let stop: StopQuery = read(&Uri::from_static("/x?t=1&signal=a%26b&t=2&t=many")).unwrap();
        assert_eq!((stop.t, stop.signal.as_str()), (Some(1), "a&b"));
        let refused = read::<StopQuery>(&Uri::from_static("/x?t=many&t=2")).unwrap_err().message();
        assert!(refused.starts_with("invalid value \"many\" for query parameter t"), "{refused}");
    }

    #[test]
    fn refusals_name_the_value() {
        let number = "Failed to deserialize query string: limit: invalid digit found in string";
        assert_eq!(
            refusal(Some("all=1&limit=ma%6ey"), number),
            "invalid value \"many\" for query parameter limit: invalid digit found in string"
        );
        let missing = "Failed to deserialize query string: missing field `name`";
        assert_eq!(refusal(None, missing), "invalid query: missing field `name`");
    }
}
