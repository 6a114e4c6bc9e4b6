//! `net ls --filter`: which networks are listed. netd lists all; the choice is made here.

use cnm::api::Network;

use super::error::{RequestError, refused};
use super::filter::Filters;

/// Conditions on networks: every key has to be met, by any of its values (labels: by all).
#[derive(Debug, Default)]
pub(crate) struct NetworkFilter(Vec<Condition>);

#[derive(Debug)]
enum Condition {
    Id(Vec<String>),
    Name(Vec<String>),
    Driver(Vec<String>),
    Scope(Vec<String>),
    Builtin(bool),
    Label(Vec<String>),
    Dangling(bool),
}

impl NetworkFilter {
    /// Reads filters.
    ///
    /// # Errors
    /// Names the key or the value that isn't one.
    pub(crate) fn parse(filters: &Filters) -> Result<Self, RequestError> {
        filters.iter().map(|(key, values)| condition(key, &values)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the networks' endpoints have to be asked for.
    pub(crate) fn needs_endpoints(&self) -> bool {
        self.0.iter().any(|condition| matches!(condition, Condition::Dangling(_)))
    }

    /// Whether a network is listed.
    pub(crate) fn matches(&self, network: &Network) -> bool {
        self.0.iter().all(|condition| condition.is_met(network))
    }
}

fn condition(key: &str, values: &[&str]) -> Result<Condition, RequestError> {
    let owned = || values.iter().map(|&value| value.to_owned()).collect();
    let one_of = |yes: &str, no: &str| match values {
        [value] if *value == yes => Ok(true),
        [value] if *value == no => Ok(false),
        _ => Err(refused("--filter", &format!("{key}={}", values.join(",")), format_args!("use {yes} or {no}"))),
    };
    Ok(match key {
        "id" => Condition::Id(owned()),
        "name" => Condition::Name(owned()),
        "driver" => Condition::Driver(owned()),
        "scope" => Condition::Scope(owned()),
        "label" => Condition::Label(owned()),
        "type" => Condition::Builtin(one_of("builtin", "custom")?),
        "dangling" => Condition::Dangling(one_of("true", "false")?),
        _ => {
            return Err(refused(
                "--filter",
                key,
                "invalid filter: use id, name, driver, scope, type, label or dangling",
            ));
        }
    })
}

impl Condition {
    fn is_met(&self, network: &Network) -> bool {
        let any = |values: &[String], test: &dyn Fn(&str) -> bool| values.iter().any(|value| test(value));
        match self {
            Self::Id(ids) => any(ids, &|id| network.id.starts_with(id)),
            Self::Name(names) => any(names, &|name| network.name.contains(name)),
            Self::Driver(drivers) => any(drivers, &|driver| network.driver == driver),
            Self::Scope(scopes) => any(scopes, &|scope| network.scope == scope),
            Self::Builtin(wanted) => network.predefined == *wanted,
            Self::Dangling(wanted) => (network.endpoints.is_empty() && !network.predefined) == *wanted,
            Self::Label(labels) => labels.iter().all(|label| match label.split_once('=') {
                Some((name, value)) => network.labels.get(name).is_some_and(|has| has == value),
                None => network.labels.contains_key(label),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::network::tests::lab;

    fn parse(specs: &[&str]) -> Result<NetworkFilter, String> {
        let specs: Vec<String> = specs.iter().map(|&spec| spec.to_owned()).collect();
        Filters::parse(&specs).and_then(|filters| NetworkFilter::parse(&filters)).map_err(|error| error.to_string())
    }

    #[test]
    fn conditions() {
        for (specs, expected) in [
            (&[][..], true),
            (&["name=la"], true),
            (&["name=x", "name=lab"], true),
            (&["name=lab", "driver=host"], false),
            (&["id=0123"], true),
            (&["id=123"], false),
            (&["type=custom"], true),
            (&["type=builtin"], false),
            (&["label=tier"], true),
            (&["label=tier=db"], true),
            (&["label=tier", "label=other"], false),
            (&["dangling=true"], false),
            (&["scope=local"], true),
        ] {
            assert_eq!(parse(specs).unwrap().matches(&lab()), expected, "{specs:?}");
        }
    }

    #[test]
    fn wrong_filters() {
        for wrong in ["nonesuch=1", "type=x", "dangling=maybe", "name"] {
            assert!(parse(&[wrong]).unwrap_err().contains("--filter"), "{wrong}");
        }
    }
}
