//! `--filter`: narrows lists.

use std::collections::BTreeMap;

use super::error::{RequestError, flag};

/// Values of filters, by key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Filters(BTreeMap<String, BTreeMap<String, bool>>);

impl Filters {
    /// Reads the values of `--filter`: `KEY=VALUE` (and `KEY!=VALUE`).
    ///
    /// # Errors
    /// Names the value that has no `=`.
    pub(crate) fn parse(specs: &[String]) -> Result<Self, RequestError> {
        let mut filters = Self::default();
        for spec in specs.iter().filter(|spec| !spec.is_empty()) {
            let (key, value) = spec
                .split_once('=')
                .ok_or_else(|| flag("--filter", spec, "invalid filter: bad format (expected name=value)"))?;
            filters.add(&key.trim().to_lowercase(), value.trim());
        }
        Ok(filters)
    }

    /// Adds what the client's configuration has for every prune, without what contradicts those that are given.
    pub(crate) fn with_configured(mut self, configured: &[String]) -> Self {
        for (key, value) in configured.iter().filter_map(|filter| filter.split_once('=')) {
            let opposite = match key {
                "label" => "label!",
                "label!" => "label",
                _ => "",
            };
            if !key.is_empty() && !self.0.get(opposite).is_some_and(|values| values.contains_key(value)) {
                self.add(key, value);
            }
        }
        self
    }

    /// Adds one more.
    pub(crate) fn add(&mut self, key: &str, value: &str) {
        self.0.entry(key.to_owned()).or_default().insert(value.to_owned(), true);
    }

    /// Those with this key.
    pub(crate) fn only(&self, key: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(known, _)| *known == key)
                .map(|(key, values)| (key.clone(), values.clone()))
                .collect(),
        )
    }

    /// What the API takes; nothing when there are none.
    pub(crate) fn to_query(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| serde_json::json!(self.0).to_string())
    }

    /// Keys and their values, for filters that are applied here.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.0.iter().map(|(key, values)| (key.as_str(), values.keys().map(String::as_str).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let parse = |specs: &[&str]| {
            let specs: Vec<String> = specs.iter().map(|&spec| spec.to_owned()).collect();
            Filters::parse(&specs).map(|filters| filters.to_query()).map_err(|error| error.to_string())
        };
        assert_eq!(parse(&[]).unwrap(), None);
        assert_eq!(
            parse(&["Status=exited", "label=a=b", "label=c", "label!=d"]).unwrap().unwrap(),
            r#"{"label":{"a=b":true,"c":true},"label!":{"d":true},"status":{"exited":true}}"#
        );
        assert_eq!(
            parse(&["x"]).unwrap_err(),
            "invalid argument \"x\" for \"--filter\" flag: invalid filter: bad format (expected name=value)"
        );
    }

    #[test]
    fn configured_filters_go_beside_those_that_are_given() {
        let given = Filters::parse(&["label=a".to_owned(), "label!=b".to_owned()]).unwrap();
        let configured = ["label=b", "label!=a", "label!=c", "until=24h", "nothing", "=x"].map(str::to_owned);
        assert_eq!(
            given.with_configured(&configured).to_query().unwrap(),
            r#"{"label":{"a":true},"label!":{"b":true,"c":true},"until":{"24h":true}}"#
        );
    }
}
