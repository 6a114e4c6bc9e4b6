//! `GET /version`

use axum::Json;

use axum::extract::State;

use crate::engine::Engine;
use crate::host::Host;
use crate::version::{ApiVersion, RELEASE};
use crate::wire::models::{SystemVersion, SystemVersionComponents, SystemVersionPlatform};

pub(super) async fn version(State(engine): State<Engine>) -> Json<SystemVersion> {
    let host = Host::read();
    let details = [
        ("ApiVersion", ApiVersion::MAX.to_string()),
        ("MinAPIVersion", ApiVersion::MIN.to_string()),
        ("Os", "linux".to_owned()),
        ("Arch", images::Platform::host().architecture),
        ("KernelVersion", host.kernel_version.clone()),
        ("Experimental", "false".to_owned()),
        // Clients print these whether they are there or not.
        ("BuildTime", String::new()),
        ("GitCommit", String::new()),
        ("GoVersion", String::new()),
        // Who asks netd itself asks the one that this engine asks.
        ("NetdSocket", engine.config.netd_socket.to_string_lossy().into_owned()),
    ];
    let mut components = vec![SystemVersionComponents {
        name: "Engine".to_owned(),
        version: RELEASE.to_owned(),
        details: Some(details.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
    }];
    // A netd that is away is no reason to say nothing of the engine.
    if let Ok(netd) = engine.netd.client().handshake().await {
        components.push(SystemVersionComponents { name: "netd".to_owned(), version: netd.version, details: None });
    }
    Json(SystemVersion {
        platform: Some(SystemVersionPlatform { name: "berth".to_owned() }),
        components: Some(components),
        version: Some(RELEASE.to_owned()),
        api_version: Some(ApiVersion::MAX.to_string()),
        min_api_version: Some(ApiVersion::MIN.to_string()),
        git_commit: Some(String::new()),
        go_version: Some(String::new()),
        os: Some("linux".to_owned()),
        arch: Some(images::Platform::host().architecture),
        kernel_version: Some(host.kernel_version),
        experimental: None,
        build_time: Some(String::new()),
    })
}
