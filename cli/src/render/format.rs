//! Lists: as a table, as JSON, or by a Go template.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use gotmpl::Value;

use super::template::{self, FormatError, to_json};

/// How a list is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// With headings and aligned columns; the columns are a template with tabs.
    Table(String),
    /// A JSON object a line.
    Json,
    /// A template a line.
    Template(String),
}

/// What a list can show: its fields with their headings, and its columns when nobody chooses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// Names of fields, and what stands above them.
    pub(crate) headings: &'static [(&'static str, &'static str)],
    /// The usual table.
    pub(crate) table: &'static str,
    /// What `-q` shows.
    pub(crate) quiet: &'static str,
}

/// One line of a list: fields by their names, and labels, whose values may hold what divides them in their field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    fields: BTreeMap<Arc<str>, Value>,
    labels: BTreeMap<Arc<str>, Value>,
}

impl Row {
    /// A line with these fields.
    pub(crate) fn new<const N: usize>(fields: [(&str, String); N]) -> Self {
        Self { fields: values(fields), labels: BTreeMap::new() }
    }

    /// The same with labels, for `.Label` and as a field of all of them.
    pub(crate) fn with_labels(mut self, labels: &BTreeMap<String, String>) -> Self {
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.fields.insert("Labels".into(), Value::String(pairs.join(",").into()));
        self.labels = values(labels.iter().map(|(name, value)| (name.as_str(), value.clone())));
        self
    }

    fn into_json(self) -> String {
        to_json(&Value::Map(Arc::new(self.fields))).to_string()
    }

    /// What a template is applied to.
    fn into_value(mut self) -> Value {
        self.fields.insert(template::LABELS.into(), Value::Map(Arc::new(self.labels)));
        Value::Map(Arc::new(self.fields))
    }
}

impl Format {
    /// Reads `--format`; without it, and with `--quiet`, the list's own columns count.
    pub(crate) fn parse(format: Option<&str>, quiet: bool, columns: &Columns) -> Self {
        match format {
            None | Some("" | "table") if quiet => Self::Template(columns.quiet.to_owned()),
            None | Some("" | "table") => Self::Table(columns.table.to_owned()),
            Some("json") => Self::Json,
            Some(format) => match format.strip_prefix("table ") {
                Some(columns) => Self::Table(template::unescape(columns.trim())),
                None => Self::Template(template::unescape(format)),
            },
        }
    }

    /// Renders a list, a line for each row, and the headings first where there are any.
    ///
    /// # Errors
    /// The template is wrong.
    pub(crate) fn render(&self, columns: &Columns, rows: impl IntoIterator<Item = Row>) -> Result<String, FormatError> {
        let rows = rows.into_iter();
        match self {
            Self::Json => Ok(rows.map(|row| row.into_json() + "\n").collect()),
            Self::Template(source) => {
                let template = template::compile(source)?;
                rows.map(Row::into_value).map(|value| Ok(template.render(&value)? + "\n")).collect()
            }
            Self::Table(source) => {
                let template = template::compile(source)?;
                let fields = values(columns.headings.iter().map(|&(name, text)| (name, text.to_owned())));
                let headings = Row { fields, labels: BTreeMap::new() };
                let mut text = template.render_headings(&headings.into_value())? + "\n";
                for row in rows {
                    text += &(template.render(&row.into_value())? + "\n");
                }
                Ok(align(&text))
            }
        }
    }
}

fn values<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> BTreeMap<Arc<str>, Value> {
    pairs.into_iter().map(|(name, text)| (name.into(), Value::String(text.into()))).collect()
}

/// Aligns columns that tabs divide.
pub(crate) fn align(text: &str) -> String {
    let mut writer = tabwriter::TabWriter::new(Vec::new()).minwidth(7).padding(3);
    let written = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
    written.expect("writing to memory can't fail");
    let bytes = writer.into_inner().expect("flushed before");
    // Docker leaves no spaces at the end of lines without a last column either; diffs and eyes prefer none.
    String::from_utf8_lossy(&bytes).lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns {
        headings: &[("ID", "CONTAINER ID"), ("Names", "NAMES")],
        table: "{{.ID}}\t{{.Names}}",
        quiet: "{{.ID}}",
    };

    fn render(format: Option<&str>, quiet: bool) -> String {
        let row = |id: &str, names: &str| Row::new([("ID", id.to_owned()), ("Names", names.to_owned())]);
        let rows = [row("0123456789ab", "web"), row("1", "a-long-name")];
        Format::parse(format, quiet, &COLUMNS).render(&COLUMNS, rows).unwrap()
    }

    #[test]
    fn formats() {
        assert_eq!(render(None, false), "CONTAINER ID   NAMES\n0123456789ab   web\n1              a-long-name\n");
        assert_eq!(render(Some("table"), true), "0123456789ab\n1\n");
        assert_eq!(
            render(Some("table {{.Names}}\\t{{upper .ID}}"), false),
            "NAMES         CONTAINER ID\nweb           0123456789AB\na-long-name   1\n"
        );
        assert_eq!(render(Some("json"), false).lines().next(), Some(r#"{"ID":"0123456789ab","Names":"web"}"#));
        assert_eq!(render(Some("{{.Names}}"), true), "web\na-long-name\n");
        assert_eq!(render(Some("{{.Names}}\\t{{.ID}}"), false), "web\t0123456789ab\na-long-name\t1\n");
    }
}
