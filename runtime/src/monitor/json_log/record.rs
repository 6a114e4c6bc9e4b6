//! A record of a log: one line of JSON, as Docker writes it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::Piece;

/// The members that a log's attributes are in each of its records.
pub(super) fn attributes(attributes: &BTreeMap<String, String>) -> Vec<u8> {
    let mut json = Vec::new();
    for (name, value) in attributes {
        json.extend_from_slice(if json.is_empty() { b",\"attrs\":{\"" } else { b",\"" });
        escape_into(&mut json, name.as_bytes());
        json.extend_from_slice(b"\":\"");
        escape_into(&mut json, value.as_bytes());
        json.push(b'"');
    }
    if !json.is_empty() {
        json.push(b'}');
    }
    json
}

/// Appends a record. Two members are ours, and other readers pass over them: `continues` says that a piece is no line's
/// beginning, and `bytes` has in base64 what was said where it isn't UTF-8, which JSON can't say.
pub(super) fn append(record: &mut Vec<u8>, stream: &str, piece: Piece<'_>, attributes: &[u8], at: Timestamp) {
    record.extend_from_slice(b"{\"log\":\"");
    let is_text = escape_into(record, piece.text);
    record.extend_from_slice(b"\",\"stream\":\"");
    record.extend_from_slice(stream.as_bytes());
    record.push(b'"');
    record.extend_from_slice(attributes);
    if piece.continues {
        record.extend_from_slice(b",\"continues\":true");
    }
    if !is_text {
        record.extend_from_slice(b",\"bytes\":\"");
        record.extend_from_slice(STANDARD.encode(piece.text).as_bytes());
        record.push(b'"');
    }
    record.extend_from_slice(b",\"time\":\"");
    record.extend_from_slice(at.to_string().as_bytes());
    record.extend_from_slice(b"\"}\n");
}

/// Escapes as Docker does, which keeps `<`, `>` and `&` out of JSON that may end up in a web page. What isn't UTF-8
/// becomes U+FFFD. Whether all of it is UTF-8.
fn escape_into(json: &mut Vec<u8>, text: &[u8]) -> bool {
    let mut is_text = true;
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => json.extend_from_slice(b"\\\""),
                '\\' => json.extend_from_slice(b"\\\\"),
                '\n' => json.extend_from_slice(b"\\n"),
                '\r' => json.extend_from_slice(b"\\r"),
                '\t' => json.extend_from_slice(b"\\t"),
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    json.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
                }
                _ => json.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            json.extend_from_slice(b"\\ufffd");
            is_text = false;
        }
    }
    is_text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &[u8], continues: bool, attributes: &[u8]) -> String {
        let mut line = Vec::new();
        let at = "2026-01-02T03:04:05.000600700Z".parse().expect("a time");
        append(&mut line, "stderr", Piece { text, continues }, attributes, at);
        String::from_utf8(line).expect("JSON is UTF-8, whatever was said")
    }

    proptest::proptest! {
        #[test]
        fn records_are_json_that_says_what_was_said(text: String) {
            let record = record(text.as_bytes(), false, b"");
            let json: BTreeMap<String, String> = serde_json::from_str(&record)?;
            proptest::prop_assert_eq!(&json["log"], &text);
            proptest::prop_assert_eq!(json.len(), 3);
        }

        #[test]
        fn what_is_no_text_is_there_byte_by_byte(bytes: Vec<u8>) {
            let json: BTreeMap<String, String> = serde_json::from_str(&record(&bytes, false, b""))?;
            proptest::prop_assert_eq!(&json["log"], &String::from_utf8_lossy(&bytes));
            let kept = json.get("bytes").map(|text| STANDARD.decode(text)).transpose()?;
            let expected = std::str::from_utf8(&bytes).is_err().then_some(bytes.clone());
            proptest::prop_assert_eq!(kept, expected);
        }
    }

    #[test]
    fn records_look_as_dockers() {
        assert_eq!(
            record(b"<\"\x01\t\\>\r\n", false, b""),
            concat!(
                r#"{"log":"\u003c\"\u0001\t\\\u003e\r\n","stream":"stderr","time":"2026-01-02T03:04:05.0006007Z"}"#,
                "\n"
            )
        );
        let attributes = attributes(&BTreeMap::from([("b".into(), "\"2\"".into()), ("a".into(), "1".into())]));
        assert_eq!(
            record(b"\xff\n", true, &attributes),
            concat!(
                r#"{"log":"\ufffd\n","stream":"stderr","attrs":{"a":"1","b":"\"2\""},"continues":true,"bytes":"/wo=","#,
                r#""time":"2026-01-02T03:04:05.0006007Z"}"#,
                "\n"
            )
        );
    }
}
