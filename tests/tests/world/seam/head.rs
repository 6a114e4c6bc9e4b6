//! Requests and replies as a proxy between berthd and netd passes them on.

use std::io::{BufRead, Read, Write};

/// A request or a reply without its body.
pub(super) struct Head {
    /// Method and path, or version and status.
    pub(super) first: String,
    fields: Vec<(String, String)>,
}

impl Head {
    pub(super) fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            let length = from.read_line(&mut line).ok()?;
            (length > 0).then(|| line.trim_end().to_owned())
        };
        let first = line()?;
        let mut fields = Vec::new();
        loop {
            match line()? {
                end if end.is_empty() => return Some(Self { first, fields }),
                field => {
                    let (name, value) = field.split_once(": ")?;
                    fields.push((name.to_ascii_lowercase(), value.to_owned()));
                }
            }
        }
    }

    pub(super) fn body(&self, from: &mut impl Read) -> Option<Vec<u8>> {
        let length = self.fields.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.map_or(Some(0), |(_, length)| length.parse().ok())?];
        from.read_exact(&mut body).ok()?;
        Some(body)
    }

    pub(super) fn write(&self, to: &mut impl Write, body: &[u8]) -> Option<()> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in self.fields.iter().filter(|(name, _)| name != "content-length") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.fields.iter().any(|(name, _)| name == "transfer-encoding") {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        to.write_all(&[text.as_bytes(), b"\r\n", body].concat()).ok()
    }
}
