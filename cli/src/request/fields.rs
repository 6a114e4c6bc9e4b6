//! Values with fields divided by commas, of which one may hold commas itself when it is quoted: CSV, as Docker reads them.

/// The fields of a value.
///
/// # Errors
/// It isn't one line of text.
pub(crate) fn fields(value: &str) -> Result<Vec<String>, String> {
    let mut lines = csv::ReaderBuilder::new().has_headers(false).from_reader(value.as_bytes()).into_records();
    match lines.next() {
        None => Ok(Vec::new()),
        Some(Ok(line)) => Ok(line.iter().map(str::to_owned).collect()),
        Some(Err(error)) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_a_field_together() {
        for (value, expected) in [
            ("a=1,b", &["a=1", "b"][..]),
            (
                "type=volume,\"volume-opt=o=addr=10.0.0.1,rw\",dst=/x",
                &["type=volume", "volume-opt=o=addr=10.0.0.1,rw", "dst=/x"],
            ),
            ("\"device=0,1\"", &["device=0,1"]),
            ("a,,b", &["a", "", "b"]),
            ("", &[]),
        ] {
            assert_eq!(fields(value).unwrap(), expected, "{value}");
        }
    }
}
