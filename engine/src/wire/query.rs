//! Yes-or-no values in queries as Docker reads them, on every route that has any.

use serde::{Deserialize, Deserializer};

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
    use super::is_yes;

    #[test]
    fn spellings() {
        assert!(["1", "true", "True", "yes", "t", "anything"].into_iter().all(is_yes));
        assert!(!["", "0", "false", "FALSE", "no", "none"].into_iter().any(is_yes));
    }
}
