//! Plain JSON as a type by the rules of Go's decoder, which clients are written for: a member is its field's whatever the
//! case of its name, `null` is what the type is without a value, and a wrong value is refused by where it is.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// Reads a value; the error begins with the path to what is wrong.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    from_member("", value)
}

/// The same of what is a member by this name, which its path begins with.
pub(super) fn from_member<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(AsGo(value)).map_err(|error| {
        let path = error.path().to_string();
        let path = [name, &path].into_iter().filter(|part| !["", "."].contains(part)).collect::<Vec<_>>().join(".");
        let reason = error.into_inner();
        if path.is_empty() { reason.to_string() } else { format!("{path}: {reason}") }
    })
}

/// Gives members the names that a type has for them; one that is written exactly so counts before others.
pub(super) fn name_members(members: &mut Map<String, Value>, fields: &[&str]) {
    let strange: Vec<String> = members.keys().filter(|name| !fields.contains(&name.as_str())).cloned().collect();
    for name in strange {
        // Two letters beyond ASCII fold to one of it: the long s and the sign for Kelvin.
        let folded = name.replace('\u{17f}', "s").replace('\u{212a}', "k");
        let field = fields.iter().find(|field| field.eq_ignore_ascii_case(&folded));
        if let Some(field) = field.filter(|field| !members.contains_key(**field))
            && let Some(value) = members.remove(&name)
        {
            members.insert((*field).to_owned(), value);
        }
    }
}

struct AsGo(Value);

impl AsGo {
    fn members<'de, V: Visitor<'de>>(members: Map<String, Value>, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(members.into_iter().map(|(name, value)| (name, Self(value)))))
    }
}

/// A type that has a value without being given one.
macro_rules! null_is {
    ($($method:ident $(($($argument:ident: $type:ty),*))? => $visit:ident($($empty:expr)?)),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, $($($argument: $type,)*)? visitor: V) -> Result<V::Value, Error> {
            match self.0 {
                Value::Null => visitor.$visit($($empty)?),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for AsGo {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(members) => Self::members(members, visitor),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Self))),
            // Zero has no sign to Go's whole numbers, and `-0` is one.
            Value::Number(number) if number.as_f64().is_some_and(|zero| zero == 0.0 && zero.is_sign_negative()) => {
                visitor.visit_u64(0)
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(mut members) => {
                // To Go it leaves a field alone.
                members.retain(|_, value| !value.is_null());
                name_members(&mut members, fields);
                Self::members(members, visitor)
            }
            Value::Null => Self::members(Map::new(), visitor),
            // Serde would take the items for the fields in their order.
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0 {
            Value::String(word) if !variants.contains(&word.as_str()) => {
                Err(Error::custom(unknown(name, word, variants)))
            }
            _ => self.0.deserialize_enum(name, variants, visitor),
        }
    }

    null_is! {
        deserialize_bool => visit_bool(false),
        deserialize_i8 => visit_i8(0),
        deserialize_i16 => visit_i16(0),
        deserialize_i32 => visit_i32(0),
        deserialize_i64 => visit_i64(0),
        deserialize_u8 => visit_u8(0),
        deserialize_u16 => visit_u16(0),
        deserialize_u32 => visit_u32(0),
        deserialize_u64 => visit_u64(0),
        deserialize_f32 => visit_f32(0.0),
        deserialize_f64 => visit_f64(0.0),
        deserialize_str => visit_str(""),
        deserialize_string => visit_str(""),
        deserialize_seq => visit_seq(SeqDeserializer::new(std::iter::empty::<Self>())),
        deserialize_map => visit_map(MapDeserializer::new(std::iter::empty::<(String, Self)>())),
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for AsGo {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Why a word isn't one of a field's, in Docker's words where tools know those.
fn unknown(name: &str, word: &str, variants: &[&str]) -> String {
    match name {
        "RestartPolicyNameEnum" => format!(
            "invalid restart policy: unknown policy '{word}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        ),
        "MountType" => format!("invalid mount config for type {word:?}: mount type unknown"),
        _ => {
            let known: Vec<String> =
                variants.iter().filter(|known| !known.is_empty()).map(|known| format!("{known:?}")).collect();
            format!("{word:?} is not known: use {}", known.join(" or "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::wire::models::{ContainerConfig, HostConfig, NetworkingConfig};
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Outer {
        name: String,
        count: u16,
        words: Vec<String>,
        inner: Option<Inner>,
        by_name: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Inner {
        #[serde(rename = "IPv4Address")]
        address: String,
        on: bool,
    }

    #[test]
    fn members_are_known_in_any_case() {
        let typed: Outer = from_value(json!({
            "name": "n", "COUNT": 2, "word\u{17f}": ["w"], "inner": {"ipv4address": "a", "oN": true}, "byname": {"Key": {"ON": true}},
            "nothing": "of ours"
        }))
        .unwrap();
        assert_eq!((typed.name.as_str(), typed.count, typed.words.len()), ("n", 2, 1));
        assert_eq!(typed.inner, Some(Inner { address: "a".into(), on: true }));
        assert_eq!(typed.by_name["Key"], Inner { address: String::new(), on: true }, "keys of maps stay as they are");
        let both: Outer = from_value(json!({"Name": "exact", "name": "other", "NAME": "third"})).unwrap();
        assert_eq!(both.name, "exact");
        let host: HostConfig = from_value(json!({"networkmode": "host", "restartPolicy": {"name": "always"}})).unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("host"));
        assert!(host.restart_policy.is_some_and(|policy| policy.name.is_some()));
    }

    #[test]
    fn null_is_nothing_and_still_a_key() {
        let typed: Outer = from_value(json!({
            "Name": null, "Words": ["a", null], "Inner": null, "ByName": {"key": null, "other": {"On": null}}
        }))
        .unwrap();
        assert_eq!(typed.words, ["a", ""]);
        assert_eq!((typed.name.as_str(), typed.inner), ("", None));
        assert_eq!(typed.by_name.keys().collect::<Vec<_>>(), ["key", "other"]);
        assert_eq!(from_value::<Outer>(Value::Null).unwrap(), Outer::default());
        let networks: NetworkingConfig = from_value(json!({"EndpointsConfig": {"lan": null}})).unwrap();
        assert!(networks.endpoints_config.unwrap().contains_key("lan"));
        let config: ContainerConfig = from_value(json!({"ExposedPorts": {"80/tcp": null}, "Env": null})).unwrap();
        assert_eq!((config.exposed_ports, config.env), (Some(vec!["80/tcp".into()]), None));
    }

    #[test]
    fn minus_zero_is_zero() {
        let typed: Outer = from_value(serde_json::from_str(r#"{"Count": -0}"#).unwrap()).unwrap();
        assert_eq!(typed.count, 0);
        let host: HostConfig = from_value(serde_json::from_str(r#"{"Memory": -0}"#).unwrap()).unwrap();
        assert_eq!(host.memory, Some(0));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        for (value, refusal) in [
            (
                json!({"restartpolicy": {"name": "x"}}),
                "RestartPolicy.Name: invalid restart policy: unknown policy 'x'; use",
            ),
            (json!({"CgroupnsMode": "x"}), "CgroupnsMode: \"x\" is not known: use \"private\" or \"host\""),
            (
                json!({"Mounts": [{}, {"Type": "x"}]}),
                "Mounts[1].Type: invalid mount config for type \"x\": mount type unknown",
            ),
            (json!({"memory": "much"}), "Memory: invalid type: string \"much\""),
            (json!({"memory": 1.5}), "Memory: invalid type: floating point"),
            (json!({"PortBindings": {"80/tcp": [{"HostPort": 5}]}}), "PortBindings.80/tcp[0].HostPort: invalid type"),
            (json!([1]), "invalid type: sequence"),
        ] {
            let refused = from_value::<HostConfig>(value.clone()).unwrap_err();
            assert!(refused.starts_with(refusal), "{value}: {refused}");
        }
    }
}
