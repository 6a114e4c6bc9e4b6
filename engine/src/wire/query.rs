//! Queries as Docker reads them, on every route: which pairs count, and yes or no.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Deserializer};

/// A query that has filters and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FiltersQuery {
    pub(crate) filters: Option<String>,
}

/// The pairs of a query, decoded. Of a name that is given again only the first counts, except for those in `lists`.
pub(crate) fn pairs<'a>(query: &'a str, lists: &[&str]) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
    let mut seen = HashSet::new();
    form_urlencoded::parse(query.as_bytes())
        .filter(move |(name, _)| lists.contains(&&**name) || seen.insert(name.clone()))
}

/// For `#[serde(default, deserialize_with = …)]`: everything is a yes but what Docker takes for a no.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    String::deserialize(deserializer).map(|text| is_yes(&text))
}

/// As [`flag`], where the absence of an answer means something else than a no.
pub(crate) fn optional_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    flag(deserializer).map(Some)
}

/// The rule, where a query is read by hand.
pub(crate) fn is_yes(text: &str) -> bool {
    !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
}

#[cfg(test)]
mod tests {
    use super::{is_yes, pairs};

    #[test]
    fn of_a_name_given_again_the_first_counts() {
        let read = |query| pairs(query, &["t"]).map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>();
        assert_eq!(read("a=1&t=x&b=2&a=3&t=y&%61=4"), ["a:1", "t:x", "b:2", "t:y"]);
    }

    #[test]
    fn spellings() {
        assert!(["1", "true", "True", "yes", "t", "anything"].into_iter().all(is_yes));
        assert!(!["", "0", "false", "FALSE", "no", "none"].into_iter().any(is_yes));
    }
}
