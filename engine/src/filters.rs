//! The `filters` query parameter that lists, prunes and the event stream share: parsing and matching, nothing else.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

/// Filters by name. Values of one name are alternatives, except for labels, which must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

/// Why filters are refused.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The parameter is neither of the two JSON forms.
    #[error("invalid filter: {text:?} is neither {{\"name\":[\"value\"]}} nor {{\"name\":{{\"value\":true}}}}")]
    Syntax {
        /// The parameter.
        text: String,
        /// What the JSON parser found.
        #[source]
        source: serde_json::Error,
    },
    /// This list has no such filter.
    #[error("invalid filter '{name}'")]
    Unknown {
        /// The filter's name.
        name: String,
    },
    /// The filter exists and the value makes no sense for it.
    #[error("invalid filter '{name}={value}': {expected}")]
    Value {
        /// The filter's name.
        name: String,
        /// The value refused.
        value: String,
        /// What would have been understood.
        expected: &'static str,
    },
}

/// The two forms on the wire: `{"label":{"a=b":true}}` since API 1.22, and lists before it.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum WireValues {
    Set(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl Filters {
    /// Parses the query parameter; an absent or empty one filters nothing.
    pub fn parse(parameter: Option<&str>) -> Result<Self, FilterError> {
        let Some(text) = parameter.filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        // Go's empty maps and lists are `null`.
        let wire: Option<BTreeMap<String, Option<WireValues>>> =
            serde_json::from_str(text).map_err(|source| FilterError::Syntax { text: text.to_owned(), source })?;
        let fields = wire.into_iter().flatten().filter_map(|(name, values)| Some((name, values?.into_set())));
        Ok(Self(fields.filter(|(_, values)| !values.is_empty()).collect()))
    }

    /// Adds a value that a request has elsewhere.
    pub fn add(&mut self, name: &str, value: String) {
        self.0.entry(name.to_owned()).or_default().insert(value);
    }

    /// Refuses every filter whose name isn't in `known`.
    pub fn only(self, known: &[&str]) -> Result<Self, FilterError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(FilterError::Unknown { name: name.clone() }),
            None => Ok(self),
        }
    }

    /// Whether the filter was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The values given for a filter.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The value of a filter that is given at most once.
    pub fn single(&self, name: &'static str) -> Result<Option<&str>, FilterError> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            Some(second) => Err(FilterError::Value {
                name: name.to_owned(),
                value: second.to_owned(),
                expected: "the filter can be given once only",
            }),
            None => Ok(first),
        }
    }

    /// A yes-or-no filter, in the spellings of Go's `strconv.ParseBool` that Docker accepts.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, FilterError> {
        let Some(value) = self.single(name)? else { return Ok(None) };
        match value {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Some(false)),
            _ => Err(FilterError::Value {
                name: name.to_owned(),
                value: value.to_owned(),
                expected: "true or false is expected",
            }),
        }
    }

    /// Whether `value` is one of those given, or the filter wasn't given.
    pub fn allows(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_none_or(|values| values.contains(value))
    }

    /// Whether `value` begins with one of those given, or the filter wasn't given.
    pub fn allows_prefix(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_none_or(|values| values.iter().any(|prefix| value.starts_with(prefix.as_str())))
    }

    /// Whether all labels given (`key` or `key=value`) are among those that `label_of` looks up.
    pub fn allows_labels<'a>(&self, label_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.values("label").all(|wanted| label_holds(wanted, &label_of))
    }

    /// The opposite, for prune's `label!`: whether none of the labels given there is present.
    pub fn allows_absent_labels<'a>(&self, label_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.values("label!").any(|unwanted| label_holds(unwanted, &label_of))
    }

    /// Compiles a filter whose values are regular expressions, as Docker's `name` and `id` are.
    pub fn patterns(&self, name: &'static str) -> Result<Patterns, FilterError> {
        let Some(values) = self.0.get(name) else { return Ok(Patterns(None)) };
        let compile = |value: &String| match Regex::new(value) {
            Ok(pattern) => Ok((value.clone(), pattern)),
            Err(_) => Err(FilterError::Value {
                name: name.to_owned(),
                value: value.clone(),
                expected: "a regular expression is expected",
            }),
        };
        values.iter().map(compile).collect::<Result<_, _>>().map(|patterns| Patterns(Some(patterns)))
    }
}

impl WireValues {
    fn into_set(self) -> BTreeSet<String> {
        match self {
            Self::Set(values) => values.into_iter().filter_map(|(value, wanted)| wanted.then_some(value)).collect(),
            Self::List(values) => values.into_iter().collect(),
        }
    }
}

fn label_holds<'a>(wanted: &str, label_of: impl Fn(&str) -> Option<&'a str>) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => label_of(key) == Some(value),
        None => label_of(wanted).is_some(),
    }
}

/// A filter by regular expressions, ready to match.
#[derive(Debug)]
pub struct Patterns(Option<Vec<(String, Regex)>>);

impl Patterns {
    /// Whether one of the expressions is found in `value`, or the filter wasn't given.
    pub fn allow(&self, value: &str) -> bool {
        self.0.as_ref().is_none_or(|patterns| {
            patterns.iter().any(|(literal, pattern)| literal == value || pattern.is_match(value))
        })
    }
}

#[cfg(test)]
mod tests;
