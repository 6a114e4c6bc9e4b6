//! Dockerfiles as text and what is made of them.

mod as_buildkit;
mod recorded;

use images::words::Expander;
use insta::assert_snapshot;
use proptest::prelude::*;

use super::line::HereDocument;
use super::mount::Mount;
use super::*;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text, "Dockerfile").expect("a Dockerfile")
}

fn steps(text: &str) -> Vec<Instruction> {
    let text = format!("FROM scratch\n{text}");
    parse(&text).stages.remove(0).steps.into_iter().map(|step| step.instruction).collect()
}

fn refusal(text: &str) -> String {
    Dockerfile::parse(text, "Dockerfile").expect_err("no Dockerfile").to_string()
}

fn run(text: &str) -> Run {
    match steps(text).remove(0) {
        Instruction::Run(run) => run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_go_on_behind_an_escape_and_comments_are_passed_over() {
    let shell = |text: &str| match run(text).command {
        Command::Shell(line) => line,
        Command::Exec(words) => panic!("{words:?}"),
    };
    assert_eq!(shell("RUN a \\\n  # comment\n\n  && b\n"), "a   && b");
    assert_eq!(shell("run\ta\\  \nb"), "ab");
    assert_eq!(shell("  RUN a # no comment"), "a # no comment");
    assert_eq!(shell("RUN a \\"), "a");
    let windows = parse("# escape=`\nFROM scratch\nRUN a `\n b \\\n");
    assert_eq!(windows.stages[0].steps[0].text, "RUN a  b \\");
    assert_eq!(windows.escape, '`');
}

#[test]
fn places_are_where_instructions_begin() {
    let dockerfile = parse("\n# a comment\nFROM scratch\nRUN a \\\n b\nRUN <<X\nfoo\nX\nUSER x\n");
    let lines: Vec<usize> = dockerfile.stages[0].steps.iter().map(|step| step.place.line).collect();
    assert_eq!(lines, [4, 6, 9]);
}

#[test]
fn here_documents() {
    let documents = run("RUN <<-A cat 3<<\"B\" > x\n\ta $X\n\tA\n$Y\nB\n").here_documents;
    assert_eq!(
        documents[0],
        HereDocument { name: "A".into(), expands: true, content: "a $X\n".into(), raw: "\ta $X\n\tA".into() }
    );
    assert_eq!((documents[1].expands, documents[1].content.as_str()), (false, "$Y\n"));
    assert!(run("RUN cat <<<here").here_documents.is_empty());
    assert!(run("RUN echo $((1<<2))").here_documents.is_empty());
    let Instruction::Copy(copy) = steps("COPY a <<b /c/\ntext\nb\n").remove(0) else { panic!("no COPY") };
    assert_eq!(copy.sources[0], Copied::Named("a".into()));
    assert!(matches!(&copy.sources[1], Copied::HereDocument(document) if document.content == "text\n"));
    let Instruction::OnBuild(text) = steps("ONBUILD COPY <<b /c\ntext\nb\nUSER x").remove(0) else {
        panic!("no ONBUILD")
    };
    assert_eq!(text, "COPY <<b /c\ntext\nb");
    let step = Step::trigger(&text, Location { file: "x".into(), line: 1 }, '\\').expect("a trigger");
    assert!(matches!(step.instruction, Instruction::Copy(_)));
}

#[test]
fn stages_have_names_and_numbers() {
    let dockerfile = parse("ARG A=1\nFROM --platform=$BUILDPLATFORM a:$A AS Build\nFROM b\nFROM build as last\n");
    assert_eq!(
        (dockerfile.stage("BUILD"), dockerfile.stage("1"), dockerfile.stage("last")),
        (Some(0), Some(1), Some(2))
    );
    assert_eq!((dockerfile.stage("3"), dockerfile.stage("other")), (None, None));
    assert_eq!(dockerfile.stages[0].platform.as_deref(), Some("$BUILDPLATFORM"));
    assert_eq!(dockerfile.global_args.len(), 1);
}

#[test]
fn mounts() {
    let written: Vec<WrittenMount> =
        run("RUN --mount=target=/src --mount=type=cache,target=/c,sharing=locked,uid=5,mode=700 \
         --mount=type=secret,id=key,env=KEY --mount=type=tmpfs,dst=/t,size=64m --mount=from=x,src=a,dst=b,rw true")
        .mounts;
    let owner = |uid, mode| mount::FileOwner { uid, gid: 0, mode };
    let source = |from: Option<&str>, path: &str| MountSource { from: from.map(str::to_owned), path: path.into() };
    let mount = |target: Option<&str>, readonly, kind| Mount { target: target.map(str::to_owned), readonly, kind };
    let as_written = |mount: &WrittenMount| mount.expanded(|value| Ok::<_, Problem>(value.to_owned()));
    assert_eq!(
        written.iter().map(as_written).collect::<Result<Vec<_>, _>>().expect("mounts"),
        [
            mount(Some("/src"), true, MountKind::Bind(source(None, "/"))),
            mount(
                Some("/c"),
                false,
                MountKind::Cache {
                    id: None,
                    sharing: CacheSharing::Locked,
                    owner: owner(5, Some(0o700)),
                    begins_with: None
                }
            ),
            mount(
                None,
                true,
                MountKind::Secret {
                    id: Some("key".into()),
                    is_required: false,
                    variable: Some("KEY".into()),
                    owner: owner(0, None)
                }
            ),
            mount(Some("/t"), false, MountKind::Tmpfs { size_bytes: Some(64 << 20) }),
            mount(Some("b"), false, MountKind::Bind(source(Some("x"), "a"))),
        ]
    );
}

#[test]
fn forms_of_arguments() {
    assert_eq!(run(r#"RUN ["a", "b c"]"#).command, Command::Exec(vec!["a".into(), "b c".into()]));
    assert_eq!(run("RUN [ -e x ] && y").command, Command::Shell("[ -e x ] && y".into()));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        steps("ENV a=1 b='2 3'\nENV old style value\nARG x y=1"),
        [
            Instruction::Env(vec![pair("a", "1"), pair("b", "'2 3'")]),
            Instruction::Env(vec![pair("old", "style value")]),
            Instruction::Arg(vec![("x".into(), None), ("y".into(), Some("1".into()))]),
        ]
    );
    assert_eq!(
        steps("VOLUME [\"/a b\"]\nEXPOSE 80 $PORT\nSHELL [\"/bin/x\"]"),
        [
            Instruction::Volume(vec!["/a b".into()]),
            Instruction::Expose(vec!["80".into(), "$PORT".into()]),
            Instruction::Shell(vec!["/bin/x".into()]),
        ]
    );
}

#[test]
fn refusals_name_the_line_and_what_is_wrong() {
    let all: Vec<String> = [
        "",
        "USER x",
        "FROM a b",
        "FROM a AS 1x",
        "FROM a\nFETCH x",
        "FROM a\n\nCOPY x",
        "FROM a\nCOPY --chown x y",
        "FROM a\nADD --from=x y z",
        "FROM a\nENV x",
        "FROM a\nENV x=1 y",
        "FROM a\nARG =x",
        "FROM a\nCMD [\"a\", 1]",
        "FROM a\nCOPY x <<EOF\nEOF",
        "FROM a\nSHELL sh",
        "FROM a\nRUN []",
        "FROM a\nRUN --network=some x",
        "FROM a\nRUN --security=all x",
        "FROM a\nRUN --mount=type=cache,target=/x,size=1 y",
        "FROM a\nONBUILD FROM b",
        "FROM a\nONBUILD FETCH b",
        "FROM a\nCOPY <<x /y\nz",
        "# escape=x\nFROM a",
        "# syntax=me/mine\nFROM a",
    ]
    .map(refusal)
    .to_vec();
    assert_snapshot!(all.join("\n"), @r#"
    Dockerfile: there is no instruction in it: begin with FROM
    Dockerfile:1: USER before the first FROM: only ARG can stand there
    Dockerfile:1: FROM: write it as FROM image [AS name]
    Dockerfile:1: FROM: invalid stage name "1x": begin with a letter, and go on with those, digits, '_', '-' and '.'
    Dockerfile:2: unknown instruction: FETCH
    Dockerfile:3: COPY: say what to copy, and where to
    Dockerfile:2: COPY: --chown needs a value: --chown=…
    Dockerfile:2: ADD: unknown flag: --from
    Dockerfile:2: ENV: can't find = in "x": write it as name=value
    Dockerfile:2: ENV: can't find = in "y": write it as name=value
    Dockerfile:2: ARG: a name is empty: write it as name or name=default
    Dockerfile:2: CMD: 1 is no text: write "1" in the JSON list
    Dockerfile:2: COPY: the here-document "EOF" can't be where to copy to: write a path behind it
    Dockerfile:2: SHELL: write it as a JSON list: SHELL ["/bin/sh", "-c"]
    Dockerfile:2: RUN: there is nothing to run in []
    Dockerfile:2: RUN: --network=some: write default, none or host
    Dockerfile:2: RUN: --security=all: write sandbox
    Dockerfile:2: RUN: --mount=type=cache,target=/x,size=1: unknown option "size"
    Dockerfile:2: FROM isn't allowed as an ONBUILD trigger
    Dockerfile:2: unknown instruction: FETCH
    Dockerfile:2: the here-document "x" has no end: put x on a line of its own behind it
    Dockerfile:1: parser directive escape=x: write a backslash or a backtick
    Dockerfile:1: parser directive syntax=me/mine: berth understands Dockerfiles itself, and no other front end's files
    "#);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(FROM a\n)?((RUN|COPY|ENV|ADD|ARG|ONBUILD|HEALTHCHECK|[A-Z]{1,6})[ -~\n]{0,40}\n){0,6}") {
        let _ = Dockerfile::parse(&text, "Dockerfile");
    }
}
