//! PAX extended header records: `length key=value`, each ended by a line feed.

use super::MemberError;

const XATTR_PREFIX: &str = "SCHILY.xattr.";

/// The records in front of one member.
#[derive(Default)]
pub(super) struct Records(Vec<(String, Vec<u8>)>);

impl Records {
    /// Records are cut out by their length: a value may contain line feeds and any other byte.
    pub(super) fn parse(mut content: &[u8]) -> Option<Self> {
        let mut records = Vec::new();
        // Some writers fill the block with zeros.
        while content.first().is_some_and(|byte| *byte != 0) {
            let space = content.iter().position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
            let record = content.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let key = std::str::from_utf8(&record[..equals]).ok()?;
            records.push((key.to_owned(), record[equals + 1..].to_vec()));
            content = &content[length..];
        }
        Some(Self(records))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a value out. Of several the last one counts, and an empty one gives way to the header's own.
    pub(super) fn take(&mut self, key: &str) -> Option<Vec<u8>> {
        let mut last = None;
        self.0.retain_mut(|(candidate, value)| {
            let found = candidate == key;
            if found {
                last = Some(std::mem::take(value));
            }
            !found
        });
        last.filter(|value| !value.is_empty())
    }

    /// Takes a decimal number out.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<u64>, MemberError> {
        match self.take(key) {
            None => Ok(None),
            Some(text) => match decimal(&text) {
                Some(number) => Ok(Some(number)),
                None => Err(MemberError::Field("a PAX record isn't the number that it should be")),
            },
        }
    }

    /// Whether any key begins so.
    pub(super) fn any(&self, prefix: &str) -> bool {
        self.0.iter().any(|(key, _)| key.starts_with(prefix))
    }

    /// The extended attributes. One without a value is none, as for other readers: an empty record takes one away.
    pub(super) fn xattrs(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.0
            .into_iter()
            .filter_map(|(key, value)| {
                let name = key.strip_prefix(XATTR_PREFIX).filter(|name| !name.is_empty() && !value.is_empty())?;
                Some((name.as_bytes().to_vec(), value))
            })
            .collect()
    }
}

/// Digits, nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Seconds with an optional fraction, possibly negative, as whole seconds (downwards) and nanoseconds.
pub(super) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = i64::try_from(decimal(whole.as_bytes())?).ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u32 = format!("{:0<9.9}", fraction).parse().ok()?;
    match (negative, nanoseconds) {
        (false, _) => Some((seconds, nanoseconds)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some((-seconds - 1, 1_000_000_000 - nanoseconds)),
    }
}
