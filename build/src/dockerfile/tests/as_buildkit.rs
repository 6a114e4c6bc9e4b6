//! Forms that Dockerfiles in the wild have, and what BuildKit reads in them.

use super::*;

fn sources(text: &str) -> (Vec<String>, String) {
    let Instruction::Copy(copy) = steps(text).remove(0) else { panic!("no COPY") };
    let shown = copy.sources.iter().map(|source| match source {
        Copied::Named(word) => word.clone(),
        Copied::HereDocument(HereDocument { name, expands, content, .. }) => format!("{name} {expands} {content:?}"),
    });
    (shown.collect(), copy.destination)
}

fn mounts_of(text: &str) -> Vec<Mount> {
    let variable = |name: &str| (name == "N").then(|| "5".to_owned());
    let expand = |text: &str| {
        let expanded = Expander { escape: '\\', variable: &variable }.word(text);
        expanded.map_err(|error| Problem::Unknown(error.to_string()))
    };
    let mounts = run(&format!("RUN {text} x")).mounts;
    mounts.iter().map(|mount| mount.expanded(expand)).collect::<Result<_, _>>().expect("mounts")
}

#[test]
fn front_ends_that_are_docker_s_own_whoever_keeps_them() {
    for known in [
        "docker/dockerfile",
        "docker/dockerfile:1",
        "docker.io/docker/dockerfile:1.7@sha256:00",
        "docker/dockerfile:1 # why",
        "docker/dockerfile-upstream:master-labs",
        "registry.example:5000/mirror/docker/dockerfile:1.4",
        "localhost:5000/docker/dockerfile",
        "registry.example/dockerfile:1",
    ] {
        parse(&format!("# syntax = {known}\nFROM a\n"));
    }
    for other in ["docker/other", "registry.example/docker/dockerfile-x:1", "dockerfile", "me/mine:dockerfile"] {
        assert!(refusal(&format!("#syntax={other}\nFROM a\n")).contains("no other front end's"), "{other}");
    }
}

#[test]
fn of_stages_with_one_name_the_last_counts() {
    let dockerfile = parse("FROM a AS x\nFROM X AS X\nFROM b AS other\nFROM x\nFROM c AS scratch\nFROM d AS x\n");
    assert_eq!(dockerfile.stage("X"), Some(5));
    let before: Vec<_> = (0..6).map(|index| dockerfile.stage_named("x", index)).collect();
    assert_eq!(before, [None, Some(0), Some(1), Some(1), Some(1), Some(1)]);
}

#[test]
fn arguments_that_are_taken_as_they_are() {
    let name = |name: &str, default: Option<&str>| (name.to_owned(), default.map(str::to_owned));
    assert_eq!(
        steps("ARG ${NAME} my-name a.b=$X\nUSER a b # c\nSTOPSIGNAL SIGTERM \n"),
        [
            Instruction::Arg(vec![name("${NAME}", None), name("my-name", None), name("a.b", Some("$X"))]),
            Instruction::User("a b # c".into()),
            Instruction::StopSignal("SIGTERM".into()),
        ]
    );
    let Instruction::Copy(copy) = steps("COPY --from= --chown=\"a:b\" --link=TRUE --exclude='x y' a b").remove(0)
    else {
        panic!("no COPY")
    };
    assert_eq!(
        (copy.from, copy.chown.as_deref(), copy.link, &copy.excludes[..]),
        (None, Some("a:b"), true, &["x y".into()][..])
    );
    // What is escaped continues nothing.
    assert_eq!(run("RUN echo \\\\\nUSER x").command, Command::Shell("echo \\\\".into()));
    assert_eq!(run("RUN a \\\n\\\n b").command, Command::Shell("a  b".into()));
}

#[test]
fn mounts_of_every_kind() {
    let owner = |uid, gid, mode| mount::FileOwner { uid, gid, mode };
    let mount = |target: Option<&str>, readonly, kind| Mount { target: target.map(str::to_owned), readonly, kind };
    let source = |from: Option<&str>, path: &str| MountSource { from: from.map(str::to_owned), path: path.to_owned() };
    let cache = |id: Option<&str>, owner, begins_with| MountKind::Cache {
        id: id.map(str::to_owned),
        sharing: CacheSharing::Shared,
        owner,
        begins_with,
    };
    let secret = |id: &str| MountKind::Secret {
        id: Some(id.to_owned()),
        is_required: false,
        variable: None,
        owner: owner(0, 0, None),
    };
    let table = [
        ("--mount=type=bind,rw", mount(None, false, MountKind::Bind(source(None, "/")))),
        ("--mount=type=BIND,from=,source=a,target=/b", mount(Some("/b"), true, MountKind::Bind(source(None, "a")))),
        (
            "--mount=\"type=bind,source=a b,target=/c d\"",
            mount(Some("/c d"), true, MountKind::Bind(source(None, "a b"))),
        ),
        (
            "--mount=type=cache,from=x,src=/opt,target=/opt,ro",
            mount(Some("/opt"), true, cache(None, owner(0, 0, None), Some(source(Some("x"), "/opt")))),
        ),
        (
            "--mount=type=cache,target=/c/$N,id=c-${N},uid=$N,gid=${N},mode=0${N}5",
            mount(Some("/c/5"), false, cache(Some("c-5"), owner(5, 5, Some(0o55)), None)),
        ),
        ("--mount=type=cache", mount(None, false, cache(None, owner(0, 0, None), None))),
        ("--mount=type=secret,source=key", mount(None, true, secret("key"))),
        ("--mount=type=tmpfs", mount(None, false, MountKind::Tmpfs { size_bytes: None })),
        ("--mount=type=ssh", mount(None, true, MountKind::Ssh { is_required: false })),
        ("--mount=type=ssh,id=x,required", mount(None, true, MountKind::Ssh { is_required: true })),
    ];
    for (text, expected) in table {
        assert_eq!(mounts_of(text), [expected], "{text}");
    }
    let written =
        run("RUN --mount=from=x,target=/$N --mount=from=,target=/b --mount=type=cache,from=y,target=/c z").mounts;
    assert_eq!(written.iter().map(WrittenMount::from).collect::<Vec<_>>(), [Some("x"), None, Some("y")]);
}

#[test]
fn here_documents_with_their_names_apart_or_escaped() {
    let documents = |text: &str| {
        let run = run(text);
        let all = run.here_documents.into_iter().map(|document| (document.name, document.expands, document.raw));
        all.collect::<Vec<_>>()
    };
    let document = |name: &str, expands, raw: &str| (name.to_owned(), expands, raw.to_owned());
    assert_eq!(documents("RUN cat << EOF > x\na\nEOF\n"), [document("EOF", true, "a\nEOF")]);
    assert_eq!(
        documents("RUN cat <<-  'E F' 3<< G\n\ta\n\tE F\nG"),
        [document("E F", false, "\ta\n\tE F"), document("G", true, "G")]
    );
    assert_eq!(documents("RUN cat <<\\EOF\nEOF"), [document("EOF", true, "EOF")]);
    // What has no end is something else, if its name stands apart.
    assert_eq!(documents("RUN echo $(( 1 << 2 ))\nUSER x"), []);
    assert_eq!(documents("RUN cat <<< EOF\nUSER x"), []);
    assert_eq!(documents("RUN [\"cat\", \"x\", \"<<EOF\"]\nUSER x"), []);
    assert_eq!(refusal("FROM a\nRUN cat <<EOF\nx"), refusal("FROM a\nRUN cat 2>&1 <<EOF\nx"));
    let (all, to) = sources("COPY << one <<\"two\" three /to/\n$1\none\n2\ntwo\n");
    assert_eq!(
        (all, to),
        (vec!["one true \"$1\\n\"".into(), "two false \"2\\n\"".into(), "three".into()], "/to/".into())
    );
}

#[test]
fn triggers_keep_several_here_documents_as_they_are() {
    let Instruction::OnBuild(text) = steps("ONBUILD RUN cat <<a - <<b\n1\na\n2\nb\n").remove(0) else {
        panic!("no ONBUILD")
    };
    assert_eq!(text, "RUN cat <<a - <<b\n1\na\n2\nb");
}

#[test]
fn letters_of_other_encodings_where_they_decide_about_nothing() {
    let read = |bytes: &[u8]| Dockerfile::read(bytes, "Dockerfile").map_err(|error| error.to_string());
    let text = b"# Jos\xe9\nFROM a\nMAINTAINER Jos\xe9\n  # \xff\nLABEL by=Jos\xe9\n";
    assert_eq!(read(text).expect("read").stages[0].steps.len(), 2);
    let refused = read(b"FROM a\nRUN echo \xe9\n").expect_err("refused");
    assert_eq!(refused, "Dockerfile:2: it isn't UTF-8 text: save the file in that encoding");
}
