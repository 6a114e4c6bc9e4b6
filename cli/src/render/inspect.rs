//! Objects in detail: JSON in the engine's own order, or a Go template.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::template::{self, Compiled, FormatError};

/// How objects are shown in detail.
pub(crate) enum View {
    /// An indented list of all of them.
    Indented,
    /// An object a line.
    Lines,
    /// The template a line.
    Template(Box<Compiled>),
}

impl View {
    /// Reads `--format` of commands that show objects and not lists of them.
    ///
    /// # Errors
    /// It isn't a Go template.
    pub(crate) fn parse(format: Option<&str>) -> Result<Self, FormatError> {
        match format {
            None | Some("") => Ok(Self::Indented),
            Some("json") => Ok(Self::Lines),
            Some(source) => {
                template::compile(&template::unescape(source)).map(|template| Self::Template(Box::new(template)))
            }
        }
    }
}

/// JSON documents of objects, as they came.
#[derive(Debug, Default)]
pub(crate) struct Documents(Vec<Vec<u8>>);

impl Documents {
    /// Only this value.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        let mut documents = Self::default();
        documents.add(value);
        documents
    }

    /// Adds a value of ours.
    pub(crate) fn add(&mut self, value: &impl Serialize) {
        self.0.push(serde_json::to_vec(value).expect("objects are made of strings, numbers and lists of them"));
    }

    /// Adds one as it came.
    ///
    /// # Errors
    /// It isn't JSON.
    pub(crate) fn push(&mut self, json: impl Into<Vec<u8>>) -> Result<(), serde_json::Error> {
        let json = json.into();
        // Passing over it would let through what can't be read: half a surrogate pair, a number too large, a tower of lists.
        serde_json::from_slice::<serde_json::Value>(&json)?;
        self.0.push(json);
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Renders all of them.
    ///
    /// # Errors
    /// The template asks for something that isn't there.
    pub(crate) fn render(&self, view: &View) -> Result<String, FormatError> {
        match view {
            View::Indented => Ok(self.indented()),
            View::Lines => Ok(self.0.iter().map(|json| compact(json) + "\n").collect()),
            View::Template(template) => {
                let line = |json: &Vec<u8>| Ok(template.render(&value(json)?)? + "\n");
                self.0.iter().map(line).collect()
            }
        }
    }

    /// Only white space changes: order and fields that we don't know stay.
    fn indented(&self) -> String {
        let mut list = b"[".to_vec();
        for (index, json) in self.0.iter().enumerate() {
            list.extend_from_slice(if index == 0 { b"" } else { b"," });
            list.extend_from_slice(json);
        }
        list.push(b']');
        let mut text = Vec::new();
        transcode(&list, &mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    ")));
        String::from_utf8_lossy(&text).into_owned() + "\n"
    }
}

fn compact(json: &[u8]) -> String {
    let mut text = Vec::new();
    transcode(json, &mut Serializer::new(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

fn transcode<F: serde_json::ser::Formatter>(json: &[u8], serializer: &mut Serializer<&mut Vec<u8>, F>) {
    let mut reader = serde_json::Deserializer::from_slice(json);
    serde_transcode::transcode(&mut reader, serializer).expect("push took only JSON");
}

fn value(json: &[u8]) -> Result<gotmpl::Value, FormatError> {
    let value: serde_json::Value = serde_json::from_slice(json).expect("push took only JSON");
    Ok(gotmpl::to_value(&value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_shown_is_refused_when_it_comes() {
        let tower = "[".repeat(200) + &"]".repeat(200);
        for wrong in [&b"{"[..], br#"{"a":"\ud800"}"#, br#"{"a":1e999}"#, b"{\"a\":\"\xff\"}", tower.as_bytes()] {
            assert!(Documents::default().push(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    fn documents() -> Documents {
        let mut documents = Documents::default();
        documents.push(*br#"{"Z":1,"A":{"b":[1,{}],"IPAddress":"172.17.0.2"},"Big":18446744073709551615}"#).unwrap();
        documents.push(*br#"{"Z":2,"A":{"IPAddress":""}}"#).unwrap();
        assert!(documents.push(*b"{").is_err());
        documents
    }

    fn render(format: Option<&str>) -> Result<String, FormatError> {
        documents().render(&View::parse(format)?)
    }

    #[test]
    fn the_engines_order_stays() {
        insta::assert_snapshot!(render(None).unwrap(), @r#"
        [
            {
                "Z": 1,
                "A": {
                    "b": [
                        1,
                        {}
                    ],
                    "IPAddress": "172.17.0.2"
                },
                "Big": 18446744073709551615
            },
            {
                "Z": 2,
                "A": {
                    "IPAddress": ""
                }
            }
        ]
        "#);
        assert_eq!(Documents::default().render(&View::Indented).unwrap(), "[]\n");
    }

    #[test]
    fn templates_and_lines() {
        assert_eq!(render(Some("{{.A.IPAddress}}")).unwrap(), "172.17.0.2\n\n");
        assert!(render(Some("{{.Z}}\\t{{json .A.b}}")).is_err(), "the second has no b");
        assert_eq!(render(Some("json")).unwrap().lines().nth(1), Some(r#"{"Z":2,"A":{"IPAddress":""}}"#));
        assert!(render(Some("{{.Nope}}")).is_err());
    }
}
