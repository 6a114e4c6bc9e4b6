//! Tables and golden JSON for images.

use images::{DiffId, Digest, ImageConfig, ImageId};

use super::*;

fn image(names: &[&str]) -> Image {
    let config: ImageConfig = serde_json::from_value(serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2026-11-21T10:00:00Z", "comment": "Imported from -",
        "config": {"Cmd": ["sh"], "Env": ["A=b"], "Labels": {"tier": "web"}, "ExposedPorts": {"80/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"layer").to_string()]},
    }))
    .expect("a document");
    Image {
        id: ImageId(Digest::of(b"image")),
        references: names.iter().map(|name| Reference::parse(name).expect("a reference")).collect(),
        layers: ChainId::stack(&[DiffId(Digest::of(b"layer"))]),
        config,
        size_bytes: 4096,
        loaded_at: "2026-11-21T11:00:00Z".parse().expect("a timestamp"),
    }
}

const NEWEST: ApiVersion = ApiVersion::MAX;

#[test]
fn an_image_in_a_list() {
    let text = serde_json::to_string(&summary(&image(&["shop:1"]), Some(2), None, NEWEST)).expect("plain values");
    let id = Digest::of(b"image");
    assert_eq!(
        text,
        format!(
            r#"{{"Containers":2,"Created":1795255200,"Id":"{id}","Labels":{{"tier":"web"}},"ParentId":"","RepoDigests":[],"RepoTags":["shop:1"],"SharedSize":-1,"Size":4096}}"#
        )
    );
    let old = serde_json::to_value(summary(&image(&[]), None, Some(1), ApiVersion::MIN)).expect("plain values");
    assert_eq!(old["RepoTags"][0], "<none>:<none>");
    assert_eq!((old["VirtualSize"].as_u64(), old["SharedSize"].as_u64()), (Some(4096), Some(1)));
}

#[test]
fn an_image_by_itself() {
    let id = Digest::of(b"image").to_string();
    let layer = Digest::of(b"layer").to_string();
    let value = inspect(image(&["shop:1"]), NEWEST);
    assert_eq!((value["Id"].as_str(), value["RootFS"]["Layers"][0].as_str()), (Some(&*id), Some(&*layer)));
    insta::assert_json_snapshot!(value["Config"], @r#"
    {
      "Cmd": [
        "sh"
      ],
      "Env": [
        "A=b"
      ],
      "ExposedPorts": {
        "80/tcp": {}
      },
      "Labels": {
        "tier": "web"
      }
    }
    "#);
    assert_eq!((value.get("Author"), value["Comment"].as_str()), (None, Some("Imported from -")));
    let old = |minor| inspect(image(&["shop:1"]), ApiVersion::new(1, minor));
    assert_eq!((old(43)["Config"]["Hostname"].as_str(), old(43)["VirtualSize"].as_u64()), (Some(""), Some(4096)));
    assert_eq!((old(44).get("Container"), old(45).get("Container")), (Some(&"".into()), None));
    assert_eq!(old(44)["ContainerConfig"]["Cmd"], Value::Null);
    let with_empty = &old(51)["Config"];
    for (name, empty) in [("Entrypoint", Value::Null), ("OnBuild", Value::Null), ("User", "".into())] {
        assert_eq!(with_empty.get(name), Some(&empty), "{name}");
    }
    assert_eq!(old(51)["Parent"], "");
    let mut undated = image(&[]);
    undated.config.created = None;
    undated.config.config.cmd = Some(vec![]);
    assert_eq!(inspect(undated.clone(), ApiVersion::new(1, 43))["Created"], NEVER);
    assert_eq!(inspect(undated.clone(), ApiVersion::new(1, 51)).get("Created"), None);
    assert_eq!(inspect(undated, ApiVersion::new(1, 51))["Config"].get("Cmd"), Some(&Value::Null));
}

#[test]
fn lists_are_filtered_as_asked() {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a timestamp");
    let created = |name: &str| match name {
        "older" => Ok(Some("2026-11-20T10:00:00Z".parse().expect("a timestamp"))),
        "newer" => Ok(Some("2026-11-21T10:30:00Z".parse().expect("a timestamp"))),
        _ => Err(Error::not_found(format!("No such image: {name}"))),
    };
    let named = image(&["shop:1", "registry.example:5000/team/shop:2"]);
    let dangling = image(&[]);
    for (filters, expected) in [
        ("{}", (true, true)),
        (r#"{"dangling":["true"]}"#, (false, true)),
        (r#"{"dangling":["false"]}"#, (true, false)),
        (r#"{"label":["tier=web"]}"#, (true, true)),
        (r#"{"label":["tier=db"]}"#, (false, false)),
        (r#"{"reference":["shop"]}"#, (true, false)),
        (r#"{"reference":["sh*:?"]}"#, (true, false)),
        (r#"{"reference":["*:9"]}"#, (false, false)),
        (r#"{"reference":["team/*"]}"#, (false, false)),
        (r#"{"reference":["docker.io/library/shop"]}"#, (true, false)),
        (r#"{"reference":["docker.io/library/sh*:1"]}"#, (true, false)),
        (r#"{"reference":["docker.io/*:2"]}"#, (false, false)),
        (r#"{"reference":["registry.example:5000/*/shop"]}"#, (true, false)),
        (r#"{"since":["older"],"before":["newer"]}"#, (true, true)),
        (r#"{"since":["newer"]}"#, (false, false)),
        (r#"{"until":["1h"]}"#, (true, true)),
        (r#"{"until":["3h"]}"#, (false, false)),
    ] {
        let selection =
            Selection::for_list(Filters::parse(Some(filters)).expect(filters), now, created).expect(filters);
        assert_eq!((selection.takes(&named), selection.takes(&dangling)), expected, "{filters}");
    }
    for filters in [r#"{"colour":["red"]}"#, r#"{"reference":["[a"]}"#, r#"{"since":["nobody"]}"#] {
        Selection::for_list(Filters::parse(Some(filters)).expect(filters), now, created).expect_err(filters);
    }
}

#[test]
fn prune_takes_dangling_images_unless_told_otherwise() {
    let (named, dangling) = (image(&["shop:1"]), image(&[]));
    for (filters, expected) in [
        ("{}", (false, true)),
        (r#"{"dangling":["true"]}"#, (false, true)),
        (r#"{"dangling":["false"]}"#, (true, true)),
        (r#"{"dangling":["false"],"label!":["tier"]}"#, (false, false)),
    ] {
        let selection = Selection::for_prune(Filters::parse(Some(filters)).expect(filters), Timestamp::now());
        let selection = selection.expect(filters);
        assert_eq!((selection.takes(&named), selection.takes(&dangling)), expected, "{filters}");
    }
}

#[test]
fn repo_and_tag_make_a_name() {
    for (repo, tag, expected) in [
        ("shop", "", "shop:latest"),
        ("shop:1", "", "shop:1"),
        ("shop", "2", "shop:2"),
        ("a.b/shop:1", "2", "a.b/shop:2"),
    ] {
        assert_eq!(reference(repo, tag).expect(repo).familiar(), expected);
    }
    for (repo, tag) in [("Shop", ""), ("shop", "no tag"), ("", "")] {
        reference(repo, tag).expect_err(repo);
    }
}

#[test]
fn a_removal_names_one_platform() {
    let parse = |query: &str| only_platform(query, "platforms").map_err(|error| error.message());
    let arm64 = Platform { os: "linux".into(), architecture: "arm64".into(), variant: String::new() };
    assert_eq!(parse("force=1"), Ok(None));
    for one in ["linux%2Farm64", "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D"] {
        assert_eq!(parse(&format!("platforms={one}&force=1")), Ok(Some(arm64.clone())));
    }
    assert!(parse("platforms=linux/arm64&platforms=linux/amd64").unwrap_err().starts_with("multiple platforms"));
    assert!(parse("platforms=arm64").unwrap_err().starts_with("invalid platform"));
}
