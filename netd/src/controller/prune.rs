//! The filters of a prune.

use std::collections::BTreeMap;

use cnm::{Error, api::PruneRequest, network::Network};
use jiff::Timestamp;

/// The filter of a prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    with: Vec<Label>,
    without: Vec<Label>,
    before: Option<Timestamp>,
}

/// A label by key, or by key and value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    key: String,
    value: Option<String>,
}

impl Filter {
    pub(super) fn parse(request: PruneRequest) -> Result<Self, Error> {
        let labels = |texts: Vec<String>| texts.iter().map(|text| Label::parse(text)).collect::<Result<_, _>>();
        Ok(Self { with: labels(request.labels)?, without: labels(request.labels_not)?, before: request.until })
    }

    pub(super) fn accepts(&self, network: &Network) -> bool {
        let labels = &network.spec.labels;
        self.with.iter().all(|label| label.is_in(labels))
            && !self.without.iter().any(|label| label.is_in(labels))
            && self.before.is_none_or(|before| network.created < before)
    }
}

impl Label {
    fn parse(text: &str) -> Result<Self, Error> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err(Error::invalid(format!("invalid label filter {text:?}: KEY or KEY=VALUE is expected")));
        }
        Ok(Self { key: key.to_owned(), value })
    }

    fn is_in(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.key).is_some_and(|value| self.value.as_ref().is_none_or(|wanted| wanted == value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_key_or_a_key_and_a_value() {
        let labels = BTreeMap::from([("env".to_owned(), "test=1".to_owned())]);
        for (text, expected) in [("env", true), ("env=test=1", true), ("env=", false), ("en", false)] {
            assert_eq!(Label::parse(text).expect(text).is_in(&labels), expected, "{text}");
        }
        assert!(Label::parse("=x").is_err());
        assert!(Label::parse("").is_err());
    }
}
