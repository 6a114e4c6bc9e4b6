//! Searching the index of a registry: one of the tests' own.

use axum::{Json, Router, extract::RawQuery, routing::get};
use berth_tests::World;
use serde_json::{Value, json};

/// What it knows, whatever is asked for; the question becomes a result.
async fn answer(RawQuery(query): RawQuery) -> Json<Value> {
    Json(json!({
        "query": query,
        "num_results": 3,
        "results": [
            {"name": "team/nginx", "description": "Ours,\nwhich is a description that no table has room for", "star_count": 3},
            {"name": "nginx", "description": "Official build", "star_count": 20_000, "is_official": true},
            {"name": "asked", "description": query, "star_count": 1, "is_official": false, "is_automated": true},
        ]
    }))
}

#[test]
fn docker_and_berth_search() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd().start_berthd();
    crate::token_server::serve(host.listen(5000), Router::new().route("/v1/search", get(answer)));
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        let table = ask(&["search", "127.0.0.1:5000/nginx"]).ok();
        let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[0], "NAME         DESCRIPTION                                     STARS     OFFICIAL",
            "{client}"
        );
        assert_eq!(lines[2], "nginx        Official build                                  20000     [OK]", "{client}");
        assert_eq!(lines[1], "team/nginx   Ours, which is a description that no table h…   3", "{client}");
        let named = |flags: &[&str]| {
            let flags = ["search", "--no-trunc", "--format", "{{.Name}}"].iter().chain(flags).copied();
            ask(&flags.chain(["127.0.0.1:5000/a b"]).collect::<Vec<_>>()).ok()
        };
        assert_eq!(named(&[]), "team/nginx\nnginx\nasked", "{client}");
        assert_eq!(named(&["--filter", "is-official=true"]), "nginx", "{client}");
        assert_eq!(named(&["--filter", "is-official=false", "--filter", "stars=3"]), "team/nginx", "{client}");
        assert_eq!(named(&["--limit", "1"]), "team/nginx", "{client}");
        let asked = ask(&["search", "--no-trunc", "--format", "{{.Description}}", "127.0.0.1:5000/a b"]).ok();
        assert!(asked.contains("q=a+b&n=25"), "{client}: {asked}");
        let refusal = |arguments: &[&str]| ask(arguments).fails_with(1);
        let said = refusal(&["search", "--limit", "101", "127.0.0.1:5000/x"]);
        assert!(said.contains("limit 101 is outside the range of [1, 100]"), "{said}");
        let said = refusal(&["search", "--filter", "colour=red", "127.0.0.1:5000/x"]);
        assert!(said.contains("invalid filter 'colour'"), "{said}");
        let said = refusal(&["search", "127.0.0.1:5001/x"]);
        assert!(said.contains("can't talk to http://127.0.0.1:5001") || said.contains("can't talk to https"), "{said}");
    }
}

#[test]
fn nothing_is_automated() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd().start_berthd();
    crate::token_server::serve(host.listen(5000), Router::new().route("/v1/search", get(answer)));
    let found = |version: &str, automated: &str| -> Vec<Value> {
        let filters = match automated {
            "" => String::new(),
            is => format!("&filters=%7B%22is-automated%22%3A%5B%22{is}%22%5D%7D"),
        };
        let path = format!("/{version}/images/search?term=127.0.0.1%3A5000%2Fx{filters}");
        let (status, found) = host.http("/run/berth/berth.sock", "GET", &path, None);
        assert_eq!(status, 200, "{path}: {found}");
        serde_json::from_str(&found).expect("JSON")
    };
    // Whatever the index says.
    for version in ["v1.24", "v1.43", "v1.44", "v1.45", "v1.52"] {
        for filter in ["", "false"] {
            let found = found(version, filter);
            assert_eq!(found.len(), 3, "{version} {found:?}");
            assert!(found.iter().all(|found| found["is_automated"] == false), "{version} {found:?}");
        }
        assert_eq!(found(version, "true"), Vec::<Value>::new(), "{version}");
    }
}
