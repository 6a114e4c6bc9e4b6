//! Reading a JSON body as Docker does, errors in Docker's words.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::as_go;
use crate::error::{Error, Result};

/// Refuses a request whose body says that it is something else than JSON.
pub(crate) fn check_is_json(headers: &HeaderMap) -> Result<()> {
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return if has_body { Err(malformed("", "mime: no media type")) } else { Ok(()) };
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let media_type = text.split(';').next().unwrap_or_default().trim();
    match media_type {
        "" => Err(malformed(&text, "mime: no media type")),
        media_type if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Error::invalid(format!("unsupported Content-Type header ({text}): must be 'application/json'"))),
    }
}

fn malformed(text: &str, why: &str) -> Error {
    Error::invalid(format!("malformed Content-Type header ({text}): {why}"))
}

/// A body that may be empty, which is then an empty object.
pub(crate) fn parse_or_default<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T> {
    if bytes.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { parse(bytes) }
}

/// A body that must be there.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    from_value(value(bytes)?)
}

/// A body as plain JSON, for those that must be put right before they are typed.
pub(crate) fn value(bytes: &[u8]) -> Result<Value> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let value = Value::deserialize(&mut text).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))?;
    text.end().map_err(|_| Error::invalid("unexpected content after JSON"))?;
    match text_with_nul(&value) {
        Some(text) => Err(Error::invalid(format!("invalid JSON: {text:?} has a NUL byte in it, which nothing takes"))),
        None => Ok(value),
    }
}

/// Plain JSON as a type.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    as_go::from_value(value).map_err(|reason| Error::invalid(format!("invalid JSON: {reason}")))
}

/// What was taken out of a body by this name, as a type.
pub(crate) fn from_member<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    as_go::from_member(name, value).map_err(|reason| Error::invalid(format!("invalid JSON: {reason}")))
}

/// The members of an object that are taken out one by one, by these names in any case.
pub(crate) fn members<'a>(value: &'a mut Value, names: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let members = value.as_object_mut()?;
    as_go::name_members(members, names);
    Some(members)
}

/// Paths, names and words of commands end at a NUL byte for the kernel, so that none can be in them.
fn text_with_nul(value: &Value) -> Option<&str> {
    let with_nul = |text: &&str| text.contains('\0');
    match value {
        Value::String(text) => Some(text.as_str()).filter(with_nul),
        Value::Array(items) => items.iter().find_map(text_with_nul),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, member)| Some(name.as_str()).filter(with_nul).or_else(|| text_with_nul(member))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_json_value() {
        for (body, refusal) in [
            (&b" \n"[..], "invalid JSON: got EOF while reading request body"),
            (b"{", "invalid JSON: EOF while parsing"),
            (b"{} {}", "unexpected content after JSON"),
            (br#"{"a": ["x\u0000y"]}"#, r#"invalid JSON: "x\0y" has a NUL byte in it, which nothing takes"#),
            (br#"{"b": {"x\u0000y": 1}}"#, r#"invalid JSON: "x\0y" has a NUL byte in it, which nothing takes"#),
        ] {
            let message = value(body).unwrap_err().message();
            assert!(message.starts_with(refusal), "{message}");
        }
        assert!(value(b" {} \n").is_ok());
    }

    #[test]
    fn what_is_no_json_is_refused_by_its_type() {
        let headers = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        let unsupported = |text| format!("unsupported Content-Type header ({text}): must be 'application/json'");
        let none = "malformed Content-Type header (): mime: no media type".to_owned();
        for (given, refusal) in [
            (&[][..], None),
            (&[("content-length", "0")], None),
            (&[("content-length", "2")], Some(none.clone())),
            (&[("transfer-encoding", "chunked")], Some(none)),
            (&[("content-length", "2"), ("content-type", "application/json")], None),
            (&[("content-length", "2"), ("content-type", "Application/JSON; charset=utf-8")], None),
            (&[("content-type", "text/plain")], Some(unsupported("text/plain"))),
            (&[("content-type", "application/jsonx")], Some(unsupported("application/jsonx"))),
        ] {
            assert_eq!(check_is_json(&headers(given)).err().map(|error| error.message()), refusal, "{given:?}");
        }
    }
}
