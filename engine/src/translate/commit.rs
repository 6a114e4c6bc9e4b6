//! What an image of a container says: what the container was started with, altered by the request.

use std::collections::HashSet;

use images::ContainerConfig;

use crate::container::ApiObject;
use crate::error::Result;
use crate::wire::body;

/// The configuration to alter: the container's, below what the request's body says, if it says anything.
pub(crate) fn config(request: &[u8], container: &ApiObject) -> Result<ContainerConfig> {
    // Both sides read and write Docker's JSON of a configuration; what only containers have falls away on the way.
    let json = serde_json::to_vec(container).expect("a configuration consists of texts and numbers");
    let container: ContainerConfig = body::parse(&json)?;
    let asked = match request.trim_ascii() {
        b"" | b"null" => ContainerConfig::default(),
        request => body::parse(request)?,
    };
    Ok(merge(asked, container))
}

/// Fills in what the request leaves open.
fn merge(asked: ContainerConfig, container: ContainerConfig) -> ContainerConfig {
    let (entrypoint, cmd) = match (&asked.entrypoint, &asked.cmd) {
        (None, None) => (container.entrypoint, container.cmd),
        (None, Some(_)) => (container.entrypoint, asked.cmd),
        // A command that was there belonged to the entry point that was there.
        (Some(_), _) => (asked.entrypoint, asked.cmd),
    };
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    // An image may have very many.
    let new: HashSet<String> = asked.env.iter().map(|variable| name(variable)).collect();
    let mut env = container.env;
    env.retain(|old| !new.contains(&name(old)));
    env.extend(asked.env);
    let either = |asked: String, container: String| if asked.is_empty() { container } else { asked };
    ContainerConfig {
        user: either(asked.user, container.user),
        exposed_ports: container.exposed_ports.into_iter().chain(asked.exposed_ports).collect(),
        env,
        entrypoint,
        cmd,
        healthcheck: asked.healthcheck.or(container.healthcheck),
        args_escaped: asked.args_escaped || container.args_escaped,
        volumes: container.volumes.into_iter().chain(asked.volumes).collect(),
        working_dir: either(asked.working_dir, container.working_dir),
        on_build: asked.on_build.or(container.on_build),
        labels: container.labels.into_iter().chain(asked.labels).collect(),
        stop_signal: asked.stop_signal.or(container.stop_signal),
        shell: asked.shell.or(container.shell),
    }
}

/// The instructions in a query: `changes` comes as often as there are any, each with one or more, a line each. They are
/// applied to this configuration.
pub(crate) fn changes(query: &str, config: &ContainerConfig) -> Result<Vec<String>> {
    let changes: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == "changes")
        .flat_map(|(_, value)| value.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.trim().is_empty())
        .collect();
    images::check_changes(&changes, config).map_err(images::Error::Change)?;
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> ApiObject {
        let json = serde_json::json!({
            "Hostname": "c", "Cmd": ["sh"], "Env": ["A=1", "B=2"], "ExposedPorts": { "80/tcp": {} }, "Tty": true
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_request_without_a_configuration_keeps_the_container_s() {
        for body in [&b""[..], b"null", b"{}", b"{\"Cmd\": null}"] {
            let config = config(body, &container()).unwrap();
            assert_eq!(config.cmd, Some(vec!["sh".into()]));
            assert_eq!(config.env, ["A=1", "B=2"]);
            assert!(config.exposed_ports.contains_key("80/tcp"));
        }
    }

    #[test]
    fn a_request_s_configuration_goes_on_top() {
        let body =
            br#"{"Entrypoint": ["/e"], "Env": ["B=3"], "ExposedPorts": {"81/udp": {}}, "User": "u", "Tty": false}"#;
        let config = config(body, &container()).unwrap();
        assert_eq!((config.entrypoint, config.cmd), (Some(vec!["/e".into()]), None));
        assert_eq!(config.env, ["A=1", "B=3"]);
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp", "81/udp"]);
        assert_eq!(config.user, "u");
        assert!(super::config(b"[", &container()).is_err());
    }

    #[test]
    fn instructions_come_one_by_one_or_as_lines() {
        let config = ContainerConfig { env: vec!["A=1".to_owned()], ..ContainerConfig::default() };
        let changes = changes("changes=CMD+a&x=y&changes=ENV+A%3D%24A%0AUSER+u", &config).unwrap();
        assert_eq!(changes, ["CMD a", "ENV A=$A", "USER u"]);
        assert!(super::changes("changes=RUN+x", &config).unwrap_err().message().contains("not a valid change command"));
    }
}
