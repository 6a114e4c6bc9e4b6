//! Keys that leave a terminal: `ctrl-p,ctrl-q`.

use super::error::RequestError;

/// What leaves a container's terminal when nothing else was asked for: Ctrl-P Ctrl-Q.
const DEFAULT: &str = "ctrl-p,ctrl-q";

/// The bytes that the keys of `--detach-keys` send; empty is as good as absent.
///
/// # Errors
/// Names the key that isn't one.
pub(crate) fn parse(keys: Option<&str>) -> Result<Vec<u8>, RequestError> {
    let keys = keys.filter(|keys| !keys.is_empty()).unwrap_or(DEFAULT);
    keys.split(',').map(key).collect::<Result<_, _>>().map_err(RequestError::Invalid)
}

fn key(text: &str) -> Result<u8, String> {
    let unknown =
        || format!("invalid detach keys ({text}): a key is a character, or ctrl- and one of a-z, @, [, \\, ], ^ and _");
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ if text == "DEL" => Ok(0x7f),
        _ => match text.strip_prefix("ctrl-").map(str::as_bytes) {
            Some([byte @ (b'a'..=b'z' | b'@' | b'['..=b'_')]) => Ok(byte & 0x1f),
            _ => Err(unknown()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (text, expected) in [
            (DEFAULT, Some(&[16, 17][..])),
            ("", Some(&[16, 17])),
            ("ctrl-@", Some(&[0])),
            ("ctrl-[,a,ctrl-\\", Some(&[27, b'a', 28])),
            ("DEL", Some(&[127])),
            ("ctrl-", None),
            ("ctrl-A", None),
            ("foo", None),
            ("a,,b", None),
            ("é", None),
        ] {
            assert_eq!(parse(Some(text)).ok().as_deref(), expected, "{text}");
        }
    }
}
