//! `POST /containers/create`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body;
use crate::error::{Error, Result};
use crate::wire::models::{ContainerConfig, HostConfig, NetworkingConfig};

/// Query of `POST /containers/create`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct CreateQuery {
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) platform: Option<String>,
}

/// Body of `POST /containers/create`.
#[derive(Debug, Clone, Default)]
pub(crate) struct CreateBody {
    pub(crate) config: ContainerConfig,
    pub(crate) host: HostConfig,
    pub(crate) networking: NetworkingConfig,
    /// Clients older than API 1.44 give the first endpoint's MAC address here.
    pub(crate) mac_address: Option<String>,
}

/// Reply of `POST /containers/create`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateReply {
    pub(crate) id: String,
    pub(crate) warnings: Vec<String>,
}

impl CreateBody {
    /// Parses the body; everything in it is still as the client wrote it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut value = body::value(bytes)?;
        let members = body::members(&mut value, &["Cmd", "Entrypoint", "HostConfig", "NetworkingConfig", "MacAddress"])
            .ok_or_else(|| Error::invalid("config cannot be empty in order to create a container"))?;
        for key in ["Cmd", "Entrypoint"] {
            // Both may be one word instead of a list of words.
            if let Some(word @ Value::String(_)) = members.get_mut(key) {
                *word = Value::Array(vec![word.take()]);
            }
        }
        let mut take = |key| members.remove(key).unwrap_or_default();
        Ok(Self {
            host: body::from_member("HostConfig", take("HostConfig"))?,
            networking: body::from_member("NetworkingConfig", take("NetworkingConfig"))?,
            mac_address: match members.remove("MacAddress") {
                Some(Value::String(mac)) if !mac.is_empty() => Some(mac),
                _ => None,
            },
            config: body::from_value(value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send() {
        let body = br#"{"Image":"busybox","Cmd":"true","Entrypoint":null,"ExposedPorts":{"80/tcp":{}},"Volumes":null,
            "HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},"CgroupnsMode":"",
            "RestartPolicy":{"Name":"","MaximumRetryCount":0},"ConsoleSize":[0,0],"BlkioDeviceReadBps":[]},
            "NetworkingConfig":{"EndpointsConfig":null},"MacAddress":""}"#;
        let parsed = CreateBody::parse(body).unwrap();
        assert_eq!(parsed.config.cmd, Some(vec!["true".to_owned()]));
        assert_eq!(parsed.config.entrypoint, None);
        assert_eq!(parsed.config.exposed_ports, Some(vec!["80/tcp".to_owned()]));
        assert_eq!(parsed.mac_address, None);
        assert_eq!(parsed.host.console_size, Some(vec![0, 0]));
        assert_eq!(parsed.networking.endpoints_config, None);
    }

    #[test]
    fn what_is_no_config_is_refused() {
        for (bytes, text) in [
            (&b"[]"[..], "config cannot be empty in order to create a container"),
            (b"", "invalid JSON: got EOF while reading request body"),
            (br#"{"Image": 7}"#, "invalid JSON: Image: invalid type"),
            (br#"{"HostConfig": {"Memory": "much"}}"#, "invalid JSON: HostConfig.Memory: invalid type"),
            (br#"{"NetworkingConfig": 7}"#, "invalid JSON: NetworkingConfig: invalid type"),
            (
                br#"{"HostConfig": {"RestartPolicy": {"Name": "x"}}}"#,
                "invalid JSON: HostConfig.RestartPolicy.Name: invalid restart policy: unknown policy 'x'; use",
            ),
        ] {
            let message = CreateBody::parse(bytes).unwrap_err().message();
            assert!(message.starts_with(text), "{message}");
        }
    }
}
