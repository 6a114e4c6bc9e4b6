//! The progress of long-running requests: JSON objects, one a line, that end with a result or an error.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

/// One line.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ProgressLine {
    /// A step forward with what `id` names.
    Step {
        /// What is being done.
        status: Cow<'static, str>,
        /// How far it is; empty at the end.
        #[serde(rename = "progressDetail")]
        detail: Detail,
        /// The same for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<String>,
        /// Short id of what it is done with.
        id: String,
    },
    /// What the steps that follow are for.
    Heading {
        /// What is being done, and with what.
        status: String,
        /// Which part of it.
        id: String,
    },
    /// A result as text for a terminal.
    Text {
        /// With its line end.
        stream: String,
    },
    /// A result by itself.
    Status {
        /// Without a line end.
        status: String,
    },
    /// A result for programs.
    Aux {
        /// Always empty.
        #[serde(rename = "progressDetail")]
        detail: Detail,
        aux: Aux,
    },
    /// It went wrong after the reply had begun.
    Failed {
        /// For clients of today.
        #[serde(rename = "errorDetail")]
        detail: ErrorDetail,
        /// For older ones.
        error: String,
    },
}

/// How far a step is, in bytes.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
}

/// What a push has come to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Aux {
    pub(crate) tag: String,
    pub(crate) digest: String,
    #[serde(rename = "Size")]
    pub(crate) size_bytes: u64,
}

/// What went wrong.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorDetail {
    message: String,
}

impl ProgressLine {
    /// A step that is at `current` of `total` bytes.
    pub(crate) fn step(status: &'static str, id: String, current: u64, total: u64) -> Self {
        let detail = Detail { current: Some(current), total: Some(total) };
        Self::Step { status: status.into(), detail, progress: Some(bar(current, total)), id }
    }

    /// A step with what has no name, that is at `current` bytes of perhaps nobody knows how many.
    pub(crate) fn step_of_unknown(status: &'static str, current: u64, total: Option<u64>) -> Self {
        let detail = Detail { current: Some(current), total };
        Self::Step { status: status.into(), detail, progress: None, id: String::new() }
    }

    /// A step that is over.
    pub(crate) fn done(status: impl Into<Cow<'static, str>>, id: String) -> Self {
        Self::Step { status: status.into(), detail: Detail::default(), progress: None, id }
    }

    /// The line above the steps: what is being done, and with what.
    pub(crate) fn heading(status: &str, object: &str, id: String) -> Self {
        Self::Heading { status: format!("{status} {object}"), id }
    }

    /// What has come of it, for programs.
    pub(crate) fn aux(aux: Aux) -> Self {
        Self::Aux { detail: Detail::default(), aux }
    }

    /// The end, if it is a bad one.
    pub(crate) fn failed(message: String) -> Self {
        Self::Failed { detail: ErrorDetail { message: message.clone() }, error: message }
    }

    /// The line, its end included.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).expect("strings and numbers have JSON forms");
        line.extend_from_slice(b"\r\n");
        line.into()
    }
}

/// `[=====>     ]  1.5MB/3MB`, fifty characters wide, for clients that print it as it is.
fn bar(current: u64, total: u64) -> String {
    const WIDTH: u64 = 50;
    let filled = (current.min(total) * WIDTH).checked_div(total).unwrap_or(0);
    let head = if filled < WIDTH { ">" } else { "" };
    let done = "=".repeat(usize::try_from(filled).unwrap_or(0));
    let rest = usize::try_from(WIDTH - filled).unwrap_or(0);
    format!("[{done}{head:<rest$}]  {}/{}", size(current), size(total))
}

/// Decimal units with up to four digits, as Docker writes sizes.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut unit = 0;
    let mut thousandth = 1;
    while unit + 1 < UNITS.len() && bytes / thousandth >= 1000 {
        thousandth *= 1000;
        unit += 1;
    }
    let whole = bytes / thousandth;
    let decimals = match (unit, whole) {
        (0, _) | (_, 1000..) => 0,
        (_, 100..) => 1,
        (_, 10..) => 2,
        _ => 3,
    };
    // Cut, not rounded: progress never claims more than there is.
    let fraction = format!("{:03}", bytes % thousandth * 1000 / thousandth);
    let fraction = fraction[..decimals].trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{whole}{point}{fraction}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_clients_know_them() {
        let text = |line: ProgressLine| String::from_utf8(line.to_bytes().to_vec()).expect("text");
        assert_eq!(
            text(ProgressLine::step("Loading layer", "c0ffee".into(), 1_536_000, 3_072_000)),
            concat!(
                r#"{"status":"Loading layer","progressDetail":{"current":1536000,"total":3072000},"#,
                r#""progress":"[=========================>                        ]  1.536MB/3.072MB","id":"c0ffee"}"#,
                "\r\n"
            )
        );
        assert_eq!(
            text(ProgressLine::done("Layer already exists", "c0ffee".into())),
            "{\"status\":\"Layer already exists\",\"progressDetail\":{},\"id\":\"c0ffee\"}\r\n"
        );
        let aux = Aux { tag: "1".into(), digest: "sha256:00".into(), size_bytes: 7 };
        assert_eq!(
            text(ProgressLine::aux(aux)),
            "{\"progressDetail\":{},\"aux\":{\"Tag\":\"1\",\"Digest\":\"sha256:00\",\"Size\":7}}\r\n"
        );
        assert_eq!(text(ProgressLine::Text { stream: "hi\n".into() }), "{\"stream\":\"hi\\n\"}\r\n");
        assert_eq!(
            text(ProgressLine::failed("no".into())),
            "{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\r\n"
        );
    }

    #[test]
    fn sizes_and_bars() {
        for (bytes, expected) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1536, "1.536kB"),
            (12_345_678, "12.34MB"),
            (123_456_789, "123.4MB"),
            (1_999_999_999_999, "1.999TB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
        assert!(bar(0, 0).starts_with("[>"));
        assert_eq!(bar(7, 7).split(']').next().map(str::len), Some(51));
        assert_eq!(bar(1, 7).split(']').next().map(str::len), Some(51));
    }
}
