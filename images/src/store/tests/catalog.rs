//! Finding, listing, naming, importing; history.

use super::*;
use crate::error::ErrorKind;
use crate::reference::Reference;
use crate::{Import, Platform};

fn reference(text: &str) -> Reference {
    Reference::parse(text).expect("a reference")
}

#[test]
fn an_image_is_found_by_name_id_and_prefix() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let id = store.load(&one);
    let hex = id.0.hex();
    for name in
        ["one:1", "docker.io/library/one:1", &id.to_string(), &hex, &hex[..12], &format!("sha256:{}", &hex[..8])]
    {
        assert_eq!(store.get(name).expect(name).id, id);
    }
    let missing = |name: &str| {
        let error = store.get(name).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        error.to_string()
    };
    assert_eq!(missing("one"), "No such image: one:latest");
    assert_eq!(missing("docker.io/library/none:x"), "No such image: none:x");
    assert_eq!(missing("quay.io/a/b"), "No such image: quay.io/a/b:latest");
    let other = format!("sha256:{}", "0".repeat(64));
    assert_eq!(missing(&other), format!("No such image: {other}"));
    let invalid = store.get("Not An Image").expect_err("not a reference");
    assert_eq!(invalid.kind(), ErrorKind::InvalidParameter);
    assert!(invalid.to_string().starts_with("invalid reference format"));
}

#[test]
fn a_name_that_looks_like_an_id_is_a_name_and_short_prefixes_are_ambiguous() {
    let store = TestStore::new();
    let mut by_first_digit = HashMap::new();
    for number in 0..20 {
        let image = TestImage::new("cafe:latest", vec![layer("f", &number.to_string())]);
        let id = store.load(&image);
        by_first_digit.entry(id.0.hex()[..1].to_owned()).or_insert_with(Vec::new).push(id);
    }
    assert_eq!(store.get("cafe").expect("a name").references.len(), 1);
    let (digit, _) = by_first_digit.iter().find(|(_, ids)| ids.len() > 1).expect("20 ids, 16 digits");
    let error = store.get(digit).expect_err("ambiguous");
    assert_eq!(error.to_string(), format!("image id prefix {digit:?} matches more than one image: give more digits"));
}

#[test]
fn tags_are_given_and_moved() {
    let store = TestStore::new();
    let (one, two) = siblings();
    let (one, two) = (store.load(&one), store.load(&two));
    assert_eq!(store.tag("one:1", &reference("my/own")).expect("tagged"), None);
    assert_eq!(store.get("my/own:latest").expect("tagged").id, one);
    assert_eq!(store.tag("one:1", &reference("my/own")).expect("again"), None);
    assert_eq!(store.tag("two:2", &reference("my/own")).expect("moved"), Some(one));
    assert_eq!(store.get("my/own").expect("moved").id, two);
    let pinned = reference(&format!("x@{one}"));
    let error = store.tag("one:1", &pinned).expect_err("a digest is no tag");
    assert_eq!(error.kind(), ErrorKind::InvalidParameter);
    assert_eq!(store.tag("none", &reference("x")).expect_err("no image").kind(), ErrorKind::NotFound);
}

#[test]
fn history_tells_each_layers_size() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let id = store.load(&one);
    let history = store.history("one:1").expect("a history");
    let steps: Vec<_> = history.iter().map(|s| (s.created_by.as_str(), s.size_bytes, s.id)).collect();
    assert_eq!(steps, [("step 1", 1, Some(id)), ("step 0", 4, None)]);
    assert_eq!(history[0].references, [reference("one:1")]);
}

#[test]
fn a_root_file_system_becomes_an_image() {
    let store = TestStore::new();
    let import = Import {
        reference: Some(reference("friendlyname")),
        changes: ["CMD [\"httpd\", \"-f\"]", "EXPOSE 80", "ENV A=1 B='x y'"].map(str::to_owned).to_vec(),
        message: "Imported from -".to_owned(),
        platform: "linux/amd64".parse().expect("a platform"),
        created: "2026-01-02T03:04:05Z".parse().expect("a time"),
    };
    let rootfs = crate::testing::gzip(&Tar::new().dir("./", 0o755).file("bin/httpd", "#!").finish());
    let id = store.import(&rootfs[..], &import, &NoProgress).expect("imported");
    let image = store.get("friendlyname:latest").expect("named");
    assert_eq!((image.id, image.layers.len(), image.size_bytes), (id, 1, 2));
    assert_eq!(image.config.config.env, ["A=1", "B=x y"]);
    assert!(image.config.config.exposed_ports.contains_key("80/tcp"));
    assert_eq!(image.config.created, Some(import.created));
    assert_eq!(store.history("friendlyname").expect("history")[0].comment, "Imported from -");
    // Content decides: again is the same, and under no name it is still there.
    let again = store.import(&rootfs[..], &Import { reference: None, ..import.clone() }, &NoProgress);
    assert_eq!(again.expect("imported"), id);
    let document = String::from_utf8(store.document(&id).expect("a document")).expect("JSON is text");
    insta::assert_snapshot!(document, @r#"{"architecture":"amd64","os":"linux","comment":"Imported from -","created":"2026-01-02T03:04:05Z","config":{"ExposedPorts":{"80/tcp":{}},"Env":["A=1","B=x y"],"Cmd":["httpd","-f"]},"rootfs":{"type":"layers","diff_ids":["sha256:43c92d7ecd46bdab90fdb3233f49e46ae1042bc7b6076896964fbe781c5e5e57"]},"history":[{"created":"2026-01-02T03:04:05Z","comment":"Imported from -"}]}"#);
    store.assert_layers(1);
    let cut = &rootfs[..rootfs.len() / 2];
    let error = store.import(cut, &import, &NoProgress).expect_err("cut short");
    assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{}", error.chain());
    assert!(error.chain().contains("cut short after"), "{}", error.chain());
    let error = store.import(&b"hello"[..], &import, &NoProgress).expect_err("words");
    assert_eq!(
        error.chain(),
        "can't unpack the root file system: it isn't a tar archive: give a tar, plain or compressed with gzip, zstd, bzip2 or xz"
    );
    store.assert_layers(1);
}

#[test]
fn the_newest_image_is_listed_first() {
    let store = TestStore::new();
    let import = |content: &str, created: &str| {
        let import = Import {
            reference: None,
            changes: Vec::new(),
            message: String::new(),
            platform: Platform::host(),
            created: created.parse().expect("a time"),
        };
        store.import(&layer("f", content)[..], &import, &NoProgress).expect("imported")
    };
    let middle = import("1", "2025-01-01T00:00:00Z");
    let newest = import("2", "2026-01-01T00:00:00Z");
    let oldest = import("3", "2024-01-01T00:00:00Z");
    let listed: Vec<_> = store.list().expect("a list").iter().map(|image| image.id).collect();
    assert_eq!(listed, [newest, middle, oldest]);
}
