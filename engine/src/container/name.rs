//! Containers' names: which are allowed, and one to suggest when none is given.

use rand::seq::IndexedRandom as _;

use crate::error::{Error, Result};

/// The longest name, which is netd's limit for those of sandboxes.
const CHARACTERS_MAX: usize = 255;

/// A valid name without its optional leading slash.
pub fn parse(name: &str) -> Result<String> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    if bare.len() > CHARACTERS_MAX {
        let start: String = bare.chars().take(20).collect();
        return Err(Error::invalid(format!(
            "Invalid container name ({start}…): it has {} characters, {CHARACTERS_MAX} are allowed",
            bare.chars().count()
        )));
    }
    let mut characters = bare.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = bare.len() >= 2 && characters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest {
        return Ok(bare.to_owned());
    }
    Err(Error::invalid(format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")))
}

/// A name nobody chose: an adjective and a noun, and a number once that may be taken.
pub fn random(attempt: u32) -> String {
    let mut random = rand::rng();
    let adjective = ADJECTIVES.choose(&mut random).unwrap_or(&"quiet");
    let noun = NOUNS.choose(&mut random).unwrap_or(&"dinghy");
    match attempt {
        0 => format!("{adjective}_{noun}"),
        _ => format!("{adjective}_{noun}{}", rand::random_range(0..10_u32.saturating_pow(attempt.min(9)))),
    }
}

const ADJECTIVES: [&str; 64] = [
    "able", "airy", "ample", "apt", "azure", "balmy", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid",
    "careful", "cheery", "clear", "clever", "coastal", "cosy", "crisp", "curious", "daring", "deft", "eager", "early",
    "earnest", "fair", "fleet", "fluent", "fond", "frank", "fresh", "gentle", "glad", "golden", "hardy", "honest",
    "jolly", "keen", "kind", "lively", "lucid", "mellow", "merry", "mighty", "misty", "modest", "neat", "nimble",
    "patient", "placid", "plucky", "proud", "quick", "quiet", "ready", "salty", "sleek", "steady", "sunny", "swift",
    "tidy", "witty", "zesty",
];

const NOUNS: [&str; 64] = [
    "argosy",
    "barge",
    "bark",
    "barque",
    "bawley",
    "bilander",
    "brig",
    "bucentaur",
    "caique",
    "canoe",
    "caravel",
    "carrack",
    "catamaran",
    "catboat",
    "clipper",
    "cog",
    "collier",
    "coracle",
    "corvette",
    "currach",
    "cutter",
    "dhow",
    "dinghy",
    "dory",
    "drifter",
    "felucca",
    "ferry",
    "fluyt",
    "frigate",
    "galleon",
    "galley",
    "gig",
    "gondola",
    "houseboat",
    "hoy",
    "junk",
    "kayak",
    "keel",
    "ketch",
    "knarr",
    "launch",
    "lighter",
    "longship",
    "lugger",
    "packet",
    "pinnace",
    "pirogue",
    "pontoon",
    "punt",
    "sampan",
    "schooner",
    "scow",
    "shallop",
    "skiff",
    "sloop",
    "smack",
    "snow",
    "tartane",
    "tender",
    "trawler",
    "trimaran",
    "wherry",
    "xebec",
    "yawl",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for good in ["web", "/web", "a1", "0_.-"] {
            assert_eq!(parse(good).unwrap(), good.trim_start_matches('/'), "{good}");
        }
        for bad in ["", "/", "a", "-web", "_web", ".web", "we b", "web/x", "//web", "wéb", "web\n"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            parse("a b").unwrap_err().message(),
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }

    #[test]
    fn netd_takes_what_is_taken_here() {
        assert!(parse(&"x".repeat(CHARACTERS_MAX)).is_ok());
        assert_eq!(
            parse(&"x".repeat(3000)).unwrap_err().message(),
            "Invalid container name (xxxxxxxxxxxxxxxxxxxx…): it has 3000 characters, 255 are allowed"
        );
    }

    #[test]
    fn suggestions_are_valid() {
        for attempt in 0..20 {
            let name = random(attempt);
            assert_eq!(parse(&name).unwrap(), name);
        }
    }
}
