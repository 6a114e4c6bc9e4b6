//! The request that a container was created by, as `inspect` shows it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The request that a container was created by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// `Config`.
    pub config: ApiObject,
    /// `HostConfig`.
    pub host: ApiObject,
}

/// An object of Docker's API: its JSON, whatever the types are by which this release reads it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiObject(Map<String, Value>);

impl ApiObject {
    /// What this says.
    pub fn of(object: &impl Serialize) -> Self {
        match serde_json::to_value(object) {
            Ok(Value::Object(members)) => Self(members),
            // Types of the API are objects of texts, numbers and lists.
            _ => Self::default(),
        }
    }

    /// Has it say something else under a key.
    pub fn set(&mut self, key: &str, value: &impl Serialize) {
        // As in `of`: what can't be JSON isn't an object of the API.
        self.0.insert(key.to_owned(), serde_json::to_value(value).unwrap_or_default());
    }

    /// The object.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The text under a key; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The texts of the list under a key; none if there is no list.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_said_is_kept_and_read() {
        let json = json!({ "NetworkMode": "none", "Links": ["a", "b"], "Later": { "release": 7 } });
        let said: ApiObject = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(said.to_json(), json, "also what this release doesn't know");
        assert_eq!(ApiObject::of(&said), said);
        assert_eq!((said.text("NetworkMode"), said.text("IpcMode"), said.text("Links")), ("none", "", ""));
        assert_eq!(said.texts("Links").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(said.texts("NetworkMode").count() + said.texts("Binds").count(), 0);
        let mut otherwise = said;
        otherwise.set("NetworkMode", &"host");
        assert_eq!((otherwise.text("NetworkMode"), otherwise.texts("Links").count()), ("host", 2));
    }
}
