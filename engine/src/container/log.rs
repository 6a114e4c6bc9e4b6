//! Log attributes of a container: labels, variables of its environment, and a tag.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::parse::Node;
use gotmpl::{MissingKey, Template, TemplateError, Value};
use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::Container;

/// What errors call the template.
const NAME: &str = "tag";

/// No tag is longer: each record has it.
const TAG_BYTES_MAX: usize = 128 * 1024;

/// How often a template may go through something in all.
const RANGE_MAX: u64 = 100_000;

/// Which attributes each record of a log has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Labels by name.
    pub labels: Vec<String>,
    /// Labels whose name matches.
    pub labels_regex: Option<String>,
    /// Variables by name.
    pub env: Vec<String>,
    /// Variables whose name matches.
    pub env_regex: Option<String>,
    /// A template for the attribute `tag`.
    pub tag: Option<String>,
}

impl Attributes {
    /// What they are of this container.
    pub fn of(&self, container: &Container) -> BTreeMap<String, String> {
        let labels = container.spec.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables = container.asked.config.texts("Env").filter_map(|variable| variable.split_once('='));
        let mut chosen = BTreeMap::new();
        choose(&mut chosen, labels, &self.labels, self.labels_regex.as_deref());
        choose(&mut chosen, variables, &self.env, self.env_regex.as_deref());
        // That it can be rendered was found out with an example.
        let tag = self.tag.as_ref().and_then(|template| Tag::of(container).render(template).ok());
        chosen.extend(tag.filter(|tag| !tag.is_empty()).map(|tag| ("tag".to_owned(), tag)));
        chosen
    }
}

fn choose<'a>(
    chosen: &mut BTreeMap<String, String>,
    all: impl Iterator<Item = (&'a str, &'a str)>,
    names: &[String],
    pattern: Option<&str>,
) {
    let pattern = pattern.and_then(|pattern| Regex::new(pattern).ok());
    let wanted = all.filter(|(name, _)| {
        names.iter().any(|wanted| wanted == name) || pattern.as_ref().is_some_and(|pattern| pattern.is_match(name))
    });
    chosen.extend(wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// What a tag's template may name.
#[derive(Debug)]
pub struct Tag(Value);

impl Tag {
    /// Of a container.
    pub fn of(container: &Container) -> Self {
        let config = &container.asked.config;
        let words = config.texts("Entrypoint").chain(config.texts("Cmd"));
        Self::new(
            container.id.as_str(),
            &container.name,
            &container.image.id.to_string(),
            &container.image.reference,
            &words.collect::<Vec<_>>().join(" "),
        )
    }

    /// Of some container, to find out whether a template can be rendered.
    pub fn example() -> Self {
        let digits = "0123456789abcdef".repeat(4);
        Self::new(&digits, "name", &format!("sha256:{digits}"), "image", "command")
    }

    fn new(id: &str, name: &str, image_id: &str, image: &str, command: &str) -> Self {
        let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
        let values = [
            ("ID", short(id)),
            ("FullID", id.to_owned()),
            ("Name", name.to_owned()),
            ("ImageID", short(image_id)),
            ("ImageFullID", image_id.to_owned()),
            ("ImageName", image.to_owned()),
            ("Command", command.to_owned()),
            ("DaemonName", "docker".to_owned()),
        ];
        Self(Value::from_entries(values.map(|(name, value)| (name.to_owned(), Value::from(value)))))
    }

    /// The template with what it names.
    ///
    /// # Errors
    /// It is no template of Go's, or names something else.
    pub fn render(&self, template: &str) -> Result<String, TemplateError> {
        let change = |function: fn(&str) -> String| {
            Arc::new(move |arguments: &[Value]| {
                let text = arguments.first().map(Value::to_string).unwrap_or_default();
                Ok(Value::from(function(&text)))
            })
        };
        let functions = [("lower", change(str::to_lowercase)), ("upper", change(str::to_uppercase))];
        let mut parsed = Template::new(NAME).missing_key(MissingKey::Error).max_range_iters(RANGE_MAX);
        for (name, function) in functions {
            parsed = parsed.func(name, move |arguments| function(arguments));
        }
        let truncate = |arguments: &[Value]| {
            let [text, length] = arguments else {
                return Err(TemplateError::Exec("truncate takes two arguments".into()));
            };
            let length = length.as_int().and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
            Ok(Value::from(text.to_string().chars().take(length).collect::<String>()))
        };
        let parsed = parsed.func("truncate", truncate).parse(template)?;
        check_ends(template)?;
        let mut text = Bounded(String::new());
        match parsed.execute_fmt(&mut text, &self.0) {
            Ok(()) => Ok(text.0),
            Err(TemplateError::Write) => Err(TemplateError::Exec(format!("it makes more than {TAG_BYTES_MAX} bytes"))),
            Err(error) => Err(error),
        }
    }
}

/// That each `end` ends something, and that nothing lacks one: the parser (gotmpl) lets both pass. So a mark is put behind the
/// template: it isn't the last part of the outermost level when the template leaves that, or doesn't come back to it.
fn check_ends(template: &str) -> Result<(), TemplateError> {
    const END: &str = "\u{1}";
    let longer = Template::new(NAME).parse(&format!("{template}{END}"))?;
    match longer.lookup(NAME).and_then(|outermost| outermost.nodes.last()) {
        Some(Node::Text(last)) if last.text.ends_with(END) => Ok(()),
        _ => Err(TemplateError::Exec("an {{end}} is missing, or one too many".into())),
    }
}

/// A text that can't be longer than a tag.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > TAG_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::translate::create::tests::made;

    fn attributes(options: serde_json::Value) -> BTreeMap<String, String> {
        let container = made(json!({
            "Image": "busybox",
            "Env": ["A=1", "AB=2=3", "C=4"],
            "Labels": { "A": "label", "b": "5", "com.example.b": "6" },
            "HostConfig": { "LogConfig": { "Type": "json-file", "Config": options } },
        }));
        let crate::container::spec::LogSpec::JsonFile { attributes, .. } = &container.spec.log else { panic!("a log") };
        attributes.of(&container)
    }

    #[test]
    fn labels_variables_and_a_tag_are_chosen_as_with_docker() {
        let rows = [
            (json!({}), json!({})),
            (json!({ "labels": "b,none" }), json!({ "b": "5" })),
            (json!({ "labels-regex": "^com[.]" }), json!({ "com.example.b": "6" })),
            (json!({ "labels": "b", "labels-regex": "b$" }), json!({ "b": "5", "com.example.b": "6" })),
            (json!({ "env": "C,A" }), json!({ "A": "1", "C": "4" })),
            (json!({ "env-regex": "^A." }), json!({ "AB": "2=3" })),
            (json!({ "labels": "A", "env": "A" }), json!({ "A": "1" })),
            (json!({ "env": "", "labels-regex": "", "tag": "" }), json!({})),
            (json!({ "tag": "x/{{.Name}}" }), json!({ "tag": "x/calm_cog" })),
            (json!({ "tag": "{{upper .ImageName}}:{{truncate .FullID 3}}" }), json!({ "tag": "BUSYBOX:4ec" })),
            (json!({ "tag": "{{if eq .Name \"other\"}}x{{end}}" }), json!({})),
            (json!({ "tag": "{{range 3}}{{.}}{{end}} {{- /* no more */ -}}" }), json!({ "tag": "012" })),
        ];
        for (options, expected) in rows {
            assert_eq!(json!(attributes(options.clone())), expected, "{options}");
        }
    }

    #[test]
    fn a_template_is_whole_and_makes_no_more_than_a_tag() {
        let missing = "execution error: an {{end}} is missing, or one too many";
        let too_long = "execution error: it makes more than 131072 bytes";
        for (template, refusal) in [
            ("{{range .}}", missing),
            ("{{if .ID}}x", missing),
            ("{{range .}}{{if .ID}}{{end}}x", missing),
            ("{{define \"x\"}}y", missing),
            ("{{end}}x", missing),
            ("{{if .ID}}{{end}}{{end}}x", missing),
            ("{{printf \"%100000000s\" .ID}}{{printf \"%100000000s\" .ID}}{{.ID}}", too_long),
            ("{{range 100000}}xy{{end}}", too_long),
            ("{{range 10000000}}{{end}}", "range iteration budget exhausted"),
        ] {
            assert_eq!(Tag::example().render(template).unwrap_err().to_string(), refusal, "{template}");
        }
    }
}
