//! The name of a volume: what is safe as a directory's name, by Docker's rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Two or more letters, digits, `_`, `.` and `-`, the first one a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeName(String);

/// A text that can't be a volume's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVolumeName {
    /// Less than two characters.
    #[error("volume name is too short, names should be at least two alphanumeric characters")]
    Short,
    /// A directory can't have it.
    #[error("the volume name {0:?} is too long: 255 characters are the most")]
    Long(String),
    /// Other characters.
    #[error(
        "{0:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
         If you intended to pass a host directory, use absolute path"
    )]
    Characters(String),
}

impl VolumeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeName {
    type Err = InvalidVolumeName;

    fn from_str(text: &str) -> Result<Self, InvalidVolumeName> {
        let mut bytes = text.bytes();
        let begins_well = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric());
        match text.len() {
            ..2 => Err(InvalidVolumeName::Short),
            256.. => Err(InvalidVolumeName::Long(text.to_owned())),
            _ if begins_well && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidVolumeName::Characters(text.to_owned())),
        }
    }
}

impl TryFrom<String> for VolumeName {
    type Error = InvalidVolumeName;

    fn try_from(text: String) -> Result<Self, InvalidVolumeName> {
        text.parse()
    }
}

impl From<VolumeName> for String {
    fn from(name: VolumeName) -> Self {
        name.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for good in ["ab", "a1", "data", "my_app.data-1", &"x".repeat(255)] {
            assert_eq!(good.parse::<VolumeName>().unwrap().as_str(), good);
        }
        for bad in ["", "a", "-x", ".x", "_x", "a/b", "a b", "..", "ä1", "a\0", &"x".repeat(256)] {
            bad.parse::<VolumeName>().expect_err(bad);
        }
        let said = "./x".parse::<VolumeName>().unwrap_err().to_string();
        assert!(said.starts_with("\"./x\" includes invalid characters for a local volume name"), "{said}");
    }
}
