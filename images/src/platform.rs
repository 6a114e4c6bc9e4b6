//! Which operating system and processor an image is for.

use std::fmt;
use std::str::FromStr;

/// An operating system and a processor, in Go's words: `linux/amd64`, `linux/arm64/v8`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`; empty where the processor has none.
    pub variant: String,
}

/// A text isn't a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {0:?}: write it as os/architecture[/variant], for example linux/amd64")]
pub struct PlatformError(String);

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "powerpc64" => ("ppc64le", ""),
            other => (other, ""),
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// Whether an image of this platform runs on `host`. An image without a variant is for all of them.
    pub fn runs_on(&self, host: &Platform) -> bool {
        self.os == host.os
            && self.architecture == host.architecture
            && (self.variant.is_empty() || self.variant == host.variant)
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let malformed = || PlatformError(text.to_owned());
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        let mut words = text.splitn(3, '/');
        let (Some(os), Some(architecture)) = (words.next(), words.next()) else {
            return Err(malformed());
        };
        let variant = words.next();
        if !is_word(os) || !is_word(architecture) || variant.is_some_and(|v| !is_word(v)) {
            return Err(malformed());
        }
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.unwrap_or_default().to_owned(),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_str() {
            "" => Ok(()),
            variant => write!(f, "/{variant}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_parsed_and_compared() {
        let parse = |text: &str| text.parse::<Platform>().expect("a platform");
        assert_eq!(parse("linux/arm64/v8").to_string(), "linux/arm64/v8");
        assert!(parse("linux/arm64").runs_on(&parse("linux/arm64/v8")));
        assert!(!parse("linux/arm64/v9").runs_on(&parse("linux/arm64/v8")));
        assert!(!parse("windows/amd64").runs_on(&parse("linux/amd64")));
        assert!(Platform::host().runs_on(&Platform::host()));
        for wrong in ["", "linux", "linux/", "/amd64", "linux/a/b/c", "lin ux/amd64"] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }
}
