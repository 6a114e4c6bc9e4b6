//! Go templates with the functions of Docker's `--format`.

use gotmpl::{FuncMap, MissingKey, Template, TemplateError, Value};
use std::sync::Arc;

/// A template that can't be used. Docker's CLI has the same words for one that asks for what isn't there.
#[derive(Debug, thiserror::Error)]
#[error("template parsing error: {text}")]
pub(crate) struct FormatError {
    text: String,
    is_syntax: bool,
}

impl FormatError {
    /// Whether it can be seen without a value to apply the template to. Of an unknown function we hear late.
    pub(crate) fn is_syntax(&self) -> bool {
        self.is_syntax
    }
}

impl From<TemplateError> for FormatError {
    fn from(error: TemplateError) -> Self {
        let is_syntax = matches!(
            error,
            TemplateError::Parse { .. } | TemplateError::Lex { .. } | TemplateError::UndefinedFunction(_)
        );
        Self { text: error.to_string(), is_syntax }
    }
}

/// Where a row keeps its labels one by one: no name that a template could ask for.
pub(crate) const LABELS: &str = " labels";

/// Members whose names in the API's JSON aren't those that they have in Docker's own program, which its templates ask for.
const NAMES: [(&str, &str); 19] = [
    ("APIVersion", "ApiVersion"),
    ("AuxAddress", "AuxiliaryAddresses"),
    ("BridgeNfIP6tables", "BridgeNfIp6tables"),
    ("CPUCfsPeriod", "CpuCfsPeriod"),
    ("CPUCfsQuota", "CpuCfsQuota"),
    ("CPUCount", "CpuCount"),
    ("CPUPercent", "CpuPercent"),
    ("CPUPeriod", "CpuPeriod"),
    ("CPUQuota", "CpuQuota"),
    ("CPURealtimePeriod", "CpuRealtimePeriod"),
    ("CPURealtimeRuntime", "CpuRealtimeRuntime"),
    ("CPUShares", "CpuShares"),
    ("DNS", "Dns"),
    ("DNSOptions", "DnsOptions"),
    ("DNSSearch", "DnsSearch"),
    ("HTTPProxy", "HttpProxy"),
    ("HTTPSProxy", "HttpsProxy"),
    ("ID", "Id"),
    ("NanoCPUs", "NanoCpus"),
];

/// A template, ready for values.
pub(crate) struct Compiled {
    rows: Template,
    /// The same in the API's names, for what isn't there under those that it was written with.
    rows_by_json: Template,
    headings: Template,
}

/// Compiles a template; `\t` and `\n` may be written out, as shells pass them on.
///
/// # Errors
/// It isn't a Go template.
pub(crate) fn compile(source: &str) -> Result<Compiled, FormatError> {
    // `.Label "name"` is a method of Docker's rows; here rows are maps, and a function looks into the whole row.
    let source = source.replace("$.Label ", ".Label ").replace(".Label ", "label $ ");
    let template =
        |functions, source: &str| Template::new("").missing_key(MissingKey::Error).funcs(functions).parse(source);
    let by_json = template(functions(), &by_json_names(&source))?;
    let [rows, headings] = [functions(), heading_functions()].map(|functions| template(functions, &source));
    Ok(Compiled { rows: rows?, rows_by_json: by_json, headings: headings? })
}

/// Puts the API's names in the place of those in [`NAMES`].
fn by_json_names(source: &str) -> String {
    let mut parts = source.split('.');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |named, part| {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        let (name, after) = part.split_at(end);
        let name = NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, json)| json);
        named + "." + name + after
    })
}

/// The escapes that people write in `--format`, made real.
pub(crate) fn unescape(source: &str) -> String {
    source.replace("\\t", "\t").replace("\\n", "\n")
}

impl Compiled {
    /// Renders one value.
    ///
    /// # Errors
    /// The template asks for something that isn't there.
    pub(crate) fn render(&self, value: &Value) -> Result<String, FormatError> {
        let rendered = self.rows.execute_to_string(value);
        Ok(rendered.or_else(|error| self.rows_by_json.execute_to_string(value).map_err(|_| error))?)
    }

    /// Renders the headings of a table: functions leave them as they are.
    ///
    /// # Errors
    /// The template asks for something that isn't there.
    pub(crate) fn render_headings(&self, headings: &Value) -> Result<String, FormatError> {
        Ok(self.headings.execute_to_string(headings)?)
    }
}

/// The value as JSON, as `{{json .}}` shows it.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Uint(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(value) => value.as_ref().into(),
        Value::List(values) => values.iter().map(to_json).collect(),
        Value::Map(fields) => fields
            .iter()
            .filter(|(name, _)| name.as_ref() != LABELS)
            .map(|(name, value)| (name.to_string(), to_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => serde_json::Value::Null,
    }
}

type Arguments<'a> = &'a [Value];
type Outcome = Result<Value, TemplateError>;

fn functions() -> FuncMap {
    let mut functions = FuncMap::new();
    let mut add = |name: &str, function: fn(Arguments<'_>) -> Outcome| {
        functions.insert(name.to_owned(), Arc::new(function));
    };
    add("json", |arguments| Ok(string(to_json(argument(arguments, 0)?).to_string())));
    add("split", |arguments| {
        let (text, separator) = (text(arguments, 0)?, text(arguments, 1)?);
        Ok(Value::List(text.split(&separator).map(|part| string(part.to_owned())).collect()))
    });
    add("join", |arguments| {
        let Value::List(values) = argument(arguments, 0)? else { return Err(wrong("join takes a list")) };
        let parts: Vec<String> = values.iter().map(Value::to_string).collect();
        Ok(string(parts.join(&text(arguments, 1)?)))
    });
    add("lower", |arguments| Ok(string(text(arguments, 0)?.to_lowercase())));
    add("upper", |arguments| Ok(string(text(arguments, 0)?.to_uppercase())));
    add("title", |arguments| Ok(string(title(&text(arguments, 0)?))));
    add("pad", |arguments| {
        let spaces = |index| Ok::<_, TemplateError>(" ".repeat(number(arguments, index)?));
        Ok(string(format!("{}{}{}", spaces(1)?, text(arguments, 0)?, spaces(2)?)))
    });
    add("truncate", |arguments| {
        let length = number(arguments, 1)?;
        Ok(string(text(arguments, 0)?.chars().take(length).collect()))
    });
    add("label", |arguments| {
        let wanted = text(arguments, 1)?;
        let label = match argument(arguments, 0)? {
            Value::Map(row) => match row.get(LABELS) {
                Some(Value::Map(labels)) => labels.get(wanted.as_str()).cloned(),
                _ => None,
            },
            _ => None,
        };
        Ok(label.unwrap_or_else(|| string(String::new())))
    });
    functions
}

/// The same names; what they are applied to comes out unchanged, and a label's heading is its name.
fn heading_functions() -> FuncMap {
    let mut functions = FuncMap::new();
    for name in ["json", "split", "join", "lower", "upper", "title", "pad", "truncate"] {
        functions.insert(name.to_owned(), Arc::new(|arguments: Arguments<'_>| argument(arguments, 0).cloned()));
    }
    functions.insert(
        "label".to_owned(),
        Arc::new(|arguments: Arguments<'_>| {
            let name = text(arguments, 1)?;
            Ok(string(name.rsplit('.').next().unwrap_or(&name).to_uppercase()))
        }),
    );
    functions
}

fn argument(arguments: Arguments<'_>, index: usize) -> Result<&Value, TemplateError> {
    arguments.get(index).ok_or_else(|| wrong("a function has too few arguments"))
}

fn text(arguments: Arguments<'_>, index: usize) -> Result<String, TemplateError> {
    argument(arguments, index).map(Value::to_string)
}

fn number(arguments: Arguments<'_>, index: usize) -> Result<usize, TemplateError> {
    let number = argument(arguments, index)?.as_int().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| wrong("a function wants a number that isn't negative"))
}

fn title(text: &str) -> String {
    let mut start = true;
    let upper_after_space = |c: char| {
        let shown = if start { c.to_ascii_uppercase() } else { c };
        start = c.is_whitespace();
        shown
    };
    text.chars().map(upper_after_space).collect()
}

fn string(text: String) -> Value {
    Value::String(text.into())
}

fn wrong(text: &str) -> TemplateError {
    TemplateError::Exec(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String, String> {
        let value = serde_json::json!({
            "Names": "web", "Labels": "tier=db,a=b,c", LABELS: {"tier": "db", "a": "b,c"}, "List": ["x", "y"], "Number": 7, "Map": {"b": [1, 2.5], "a": null},
        });
        let value = gotmpl::to_value(&value).unwrap();
        compile(source).and_then(|template| template.render(&value)).map_err(|error| error.to_string())
    }

    #[test]
    fn dockers_functions() {
        for (source, expected) in [
            ("{{.Names}}", "web"),
            ("{{json .Map}}", r#"{"a":null,"b":[1,2.5]}"#),
            ("{{json .Names}}", r#""web""#),
            ("{{join .List \",\"}}", "x,y"),
            ("{{split .Labels \",\"}}", "[tier=db a=b c]"),
            ("{{upper .Names}} {{lower \"ABC\"}} {{title \"some words\"}}", "WEB abc Some Words"),
            ("{{truncate .Names 2}}|{{pad .Names 1 2}}|", "we| web  |"),
            ("{{range .List}}{{.}};{{end}}", "x;y;"),
            ("{{println .Names}}", "web\n"),
            ("{{.Label \"tier\"}}{{.Label \"none\"}}", "db"),
            ("{{range .List}}{{$.Label \"a\"}}{{end}}", "b,cb,c"),
            ("{{if eq .Number 7}}seven{{else}}other{{end}}", "seven"),
        ] {
            assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn members_have_the_names_of_dockers_program_too() {
        let value = serde_json::json!({ "Id": "c0ffee", "HostConfig": { "NanoCpus": 5, "Dns": ["1.1.1.1"] }, "Labels": { "ID": "x" } });
        let value = gotmpl::to_value(&value).unwrap();
        for (source, expected) in [
            ("{{.ID}}", "c0ffee"),
            ("{{.Id}} at 1.ID", "c0ffee at 1.ID"),
            ("a.b {{.ID}} {{.HostConfig.NanoCPUs}}.", "a.b c0ffee 5."),
            ("{{with .HostConfig}}{{index .DNS 0}}{{end}}", "1.1.1.1"),
            ("{{.Labels.ID}}", "x"),
        ] {
            assert_eq!(compile(source).unwrap().render(&value).unwrap(), expected, "{source}");
        }
        let refused = compile("{{.ID}} {{.Nope}}").unwrap().render(&value).unwrap_err().to_string();
        assert!(refused.contains("ID"), "as it was written: {refused}");
    }

    #[test]
    fn wrong_templates_are_errors() {
        for source in ["{{.Nope}}", "{{nope}}", "{{.Names", "{{truncate .Names -1}}", "{{join .Names}}"] {
            let error = render(source).expect_err(source);
            assert!(error.starts_with("template parsing error: "), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_template_makes_it_panic(source in "[{}.$a-zA-Z0-9 |\"\\-]{0,32}") {
            let _ = render(&source);
        }
    }
}
