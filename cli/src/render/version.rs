//! Versions of berth, and of the engine that it talks to.

use bollard_stubs::models::SystemVersion;
use serde::Serialize;

/// What `version --format` shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Versions {
    client: Client,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<SystemVersion>,
}

/// berth itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Client {
    version: &'static str,
    api_version: &'static str,
    os: &'static str,
    arch: &'static str,
}

impl Versions {
    /// Ours, and the engine's as far as it could be asked.
    pub(crate) fn new(api_version: &'static str, server: Option<SystemVersion>) -> Self {
        let client =
            Client { version: env!("CARGO_PKG_VERSION"), api_version, os: std::env::consts::OS, arch: architecture() };
        Self { client, server }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let client = &self.client;
        let mut text = format!(
            "Client: berth\n Version:     {}\n API version: {}\n OS/Arch:     {}/{}\n",
            client.version, client.api_version, client.os, client.arch
        );
        if let Some(server) = &self.server {
            text += &server_text(server);
        }
        text
    }
}

/// Go's word for our processor, as Docker's CLI and every image say it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn server_text(server: &SystemVersion) -> String {
    let platform = server.platform.as_ref().map_or("engine", |platform| &platform.name);
    let field = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut text = format!(
        "\nServer: {platform}\n Version:     {}\n API version: {} (minimum version {})\n OS/Arch:     {}/{}\n Kernel:      {}\n",
        field(&server.version),
        field(&server.api_version),
        field(&server.min_api_version),
        field(&server.os),
        field(&server.arch),
        field(&server.kernel_version),
    );
    for component in server.components.iter().flatten() {
        text += &format!(" {}:\n  Version:    {}\n", component.name, component.version);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides() {
        let server = serde_json::from_value(serde_json::json!({
            "Platform": {"Name": "berth"}, "Version": "0.1.0", "ApiVersion": "1.51", "MinAPIVersion": "1.24", "Os": "linux",
            "Arch": "amd64", "KernelVersion": "6.18", "Components": [{"Name": "netd", "Version": "0.1.0"}],
        }));
        insta::assert_snapshot!(Versions::new("1.44", Some(server.unwrap())).text(), @r"
        Client: berth
         Version:     0.1.0
         API version: 1.44
         OS/Arch:     linux/amd64

        Server: berth
         Version:     0.1.0
         API version: 1.51 (minimum version 1.24)
         OS/Arch:     linux/amd64
         Kernel:      6.18
         netd:
          Version:    0.1.0
        ");
        assert!(!Versions::new("1.44", None).text().contains("Server"));
    }
}
