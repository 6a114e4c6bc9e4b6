//! Reading a JSON body as Docker does: any content type, `null` is absence, and errors in Docker's words.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// A body that may be empty, which is then an empty object.
pub(crate) fn parse_or_default<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T> {
    if bytes.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { parse(bytes) }
}

/// A body that must be there.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    from_value(value(bytes)?)
}

/// A body as plain JSON without nulls, for those that must be put right before they are typed.
pub(crate) fn value(bytes: &[u8]) -> Result<Value> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    let mut value = serde_json::from_slice(bytes).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))?;
    drop_nulls(&mut value);
    match text_with_nul(&value) {
        Some(text) => Err(Error::invalid(format!("invalid JSON: {text:?} has a NUL byte in it, which nothing takes"))),
        None => Ok(value),
    }
}

/// Plain JSON as a type.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))
}

/// Go writes nil maps, lists and pointers as `null`, and reads `null` as leaving a field alone.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_are_absent_and_nothing_is_an_error() {
        let body = br#"{"a": null, "b": {"c": null, "d": [1, {"e": null}]}}"#;
        assert_eq!(value(body).unwrap(), json!({"b": {"d": [1, {}]}}));
        assert_eq!(value(b" \n").unwrap_err().message(), "invalid JSON: got EOF while reading request body");
        assert!(value(b"{").unwrap_err().message().starts_with("invalid JSON: "));
        for body in [&br#"{"a": ["x\u0000y"]}"#[..], br#"{"b": {"x\u0000y": 1}}"#] {
            let message = value(body).unwrap_err().message();
            assert_eq!(message, r#"invalid JSON: "x\0y" has a NUL byte in it, which nothing takes"#);
        }
    }
}
