use proptest::prelude::*;

use super::*;

#[test]
fn names_are_completed_and_shortened() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let with_digest = |name: &str| format!("{name}@{digest}");
    let table = [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("someone/thing", "docker.io/someone/thing:latest", "someone/thing:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
        ("Host/x", "Host/x:latest", "Host/x:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("[fe80::1]/x", "[fe80::1]/x:latest", "[fe80::1]/x:latest"),
        ("quay.io/a/b_c/d--e/f__g", "quay.io/a/b_c/d--e/f__g:latest", "quay.io/a/b_c/d--e/f__g:latest"),
        ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"),
        ("docker.io/localhost/c", "docker.io/localhost/c:latest", "docker.io/localhost/c:latest"),
        ("localhost", "docker.io/library/localhost:latest", "localhost:latest"),
        ("a:_x.Y-9", "docker.io/library/a:_x.Y-9", "a:_x.Y-9"),
    ];
    for (typed, full, familiar) in table {
        let reference = Reference::parse(typed).expect(typed).or_latest();
        assert_eq!(reference.to_string(), full);
        assert_eq!(reference.familiar(), familiar);
    }
    let pinned = Reference::parse(&with_digest("busybox:1")).expect("tag and digest");
    assert_eq!(pinned.tag(), Some("1"));
    assert_eq!(pinned.clone().or_latest(), pinned);
    assert_eq!(pinned.familiar(), with_digest("busybox:1"));
    assert_eq!(
        Reference::parse(&with_digest("busybox")).expect("digest").or_latest().familiar(),
        with_digest("busybox")
    );
}

#[test]
fn what_is_no_reference_is_refused() {
    let long = "a".repeat(256);
    let id = "a".repeat(64);
    let long_tag = format!("a:{}", "b".repeat(129));
    let wrong = [
        "",
        ":",
        "/",
        "a/",
        "/a",
        "a//b",
        "a:",
        "a:b:c",
        "a b",
        "a\n",
        "-a",
        "a-",
        ".a",
        "a..b",
        "a___b",
        "a._b",
        "Busybox",
        "library/Busybox",
        "a@",
        "a@sha256:12",
        "a@sha512:00",
        "a:-b",
        "https://a/b",
        "a:b/c/d",
        "host-.x/a",
        "[::1/a",
        "[]/a",
        "[::g]/a",
        "host:/a",
        "host:8a/a",
        "ä",
        "a:ä",
        &long,
        &id,
        &long_tag,
    ];
    for text in wrong {
        assert!(Reference::parse(text).is_err(), "{text:?} was taken");
    }
    assert_eq!(
        Reference::parse("library/Foo").map_err(|e| e.to_string()),
        Err("invalid reference format: repository name (library/Foo) must be lowercase".into())
    );
    assert!(Reference::parse("A_b/c").is_err());
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,80}") {
        let _ = Reference::parse(&text);
    }

    #[test]
    fn odd_texts_of_the_right_letters_never_panic(text in "[a-cA0-9.:/@_\\[\\]-]{0,40}") {
        let Ok(reference) = Reference::parse(&text) else { return Ok(()) };
        prop_assert_eq!(&Reference::parse(&reference.to_string()), &Ok(reference.clone()));
        prop_assert_eq!(Reference::parse(&reference.familiar()), Ok(reference));
    }

    #[test]
    fn every_form_means_the_same(
        host in prop::option::of("[a-z]{1,5}\\.[a-z]{2,3}(:[0-9]{1,5})?"),
        path in "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){0,3}",
        tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        digest in prop::option::of(any::<[u8; 4]>()),
    ) {
        let host = host.map_or("docker.io/".into(), |host| format!("{host}/"));
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = digest.map(|seed| format!("@{}", Digest::of(&seed))).unwrap_or_default();
        let typed = format!("{host}{path}{tag}{digest}");
        let reference = Reference::parse(&typed);
        prop_assert!(reference.is_ok(), "{typed}");
        let reference = reference.expect("checked");
        prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference.clone()));
        prop_assert_eq!(Reference::parse(&reference.familiar()), Ok(reference));
    }
}
