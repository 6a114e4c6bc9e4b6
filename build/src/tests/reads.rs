//! What Dockerfiles in the wild have, and builds do with it as BuildKit does.

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    (dir, store)
}

/// What each step is told to run, with the names of what stands in its mounts.
fn ran(text: &str) -> Result<Vec<String>, String> {
    let (_dir, store) = store();
    let notes = Notes::default();
    let command = |step: &RunStep, _: &mut StepOutput<'_>| {
        let mounts = step.mounts.iter().map(|mount| {
            let names = match &mount.kind {
                StepMountKind::Bind(path) if path.is_dir() => {
                    let entries = std::fs::read_dir(path).expect("a directory");
                    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
                    names.sort();
                    format!("{names:?}")
                }
                other => format!("{other:?}"),
            };
            format!(" {}={names}", mount.target.display())
        });
        notes.take_down(format!("{}{}", script(step), mounts.collect::<String>()));
        for mount in &step.mounts {
            if let (StepMountKind::Bind(path), false) = (&mount.kind, mount.readonly) {
                std::fs::write(path.join("left"), "").expect("written");
            }
        }
        std::fs::create_dir_all(step.rootfs.upper.join("made/by")).expect("made");
        std::fs::write(step.rootfs.upper.join("made/by").join(script(step).split(' ').next().expect("a word")), "")
            .map(|()| 0)
            .expect("written")
    };
    let built = Builder::new(&store).build(text, &BuildRequest::default(), &command);
    built.map(|_| notes.all()).map_err(|error| told(&error))
}

#[test]
fn mounts_begin_with_what_they_say_and_go_where_the_step_works() {
    let text = "FROM scratch AS base\nRUN first\nFROM scratch\nARG T=/made\nWORKDIR /here\nRUN --mount=type=bind second\n\
                RUN --mount=type=cache,from=base,source=$T,target=/c third\n\
                RUN --mount=type=cache,from=base,source=${T},target=/c --mount=type=cache,target=/c fourth\n\
                RUN --mount=type=ssh --mount=type=bind,from=,source=/,target=x fifth\n";
    let ran = ran(text).expect("built");
    assert_eq!(
        ran,
        [
            "first",
            "second /here=[\"Dockerfile\"]",
            "third /c=[\"by\"]",
            // Another than that of the same name which began empty.
            "fourth /c=[\"by\", \"left\"] /c=[]",
            "fifth /here/x=[\"Dockerfile\"]",
        ]
    );
    for (text, reason) in [
        ("FROM scratch\nRUN --mount=type=bind x\n", "invalid mount target \"/\""),
        ("FROM scratch\nRUN --mount=type=ssh,required=true x\n", "an SSH agent is required"),
        ("FROM scratch\nRUN --security=insecure x\n", "steps don't get more rights"),
        ("FROM scratch\nADD --keep-git-dir=1 https://a.example/b.git /\n", "git repositories aren't fetched"),
        ("FROM scratch\nADD --keep-git-dir Dockerfile /\n", "--keep-git-dir is for repositories of git"),
        ("FROM scratch\nARG M=x\nRUN --mount=type=cache,target=/c,mode=$M x\n", "mode=x isn't a number"),
    ] {
        let refused = self::ran(text).expect_err("refused");
        assert!(refused.contains(reason), "{refused}");
    }
}

#[test]
fn stages_of_one_name_and_arguments_named_by_others() {
    let text = "ARG N=FROM_OUTSIDE\nARG $N=scratch\nFROM $FROM_OUTSIDE AS x\nRUN first\nFROM x AS x\nRUN second\n\
                FROM scratch\nARG N=INNER\nARG ${N}=set ${NONE}\nCOPY --from=x /made /made\n\
                RUN --mount=type=bind,target=/$INNER third\n";
    assert_eq!(ran(text).expect("built"), ["first", "second", "third /set=[\"Dockerfile\"]"]);
}

#[test]
fn a_shell_gets_several_here_documents_as_they_are_written() {
    let text = "FROM scratch\nRUN a <<A <<-B\n1\nA\n\t2\n\tB\nRUN << C\nc\nC\n";
    assert_eq!(ran(text).expect("built"), ["a <<A <<-B\n1\nA\n\t2\n\tB", "c\n"]);
}

#[test]
fn here_documents_that_are_copied_lose_their_escapes() {
    let (_dir, store) = store();
    let text = "# escape=`\nFROM scratch\nARG X=x\nCOPY <<a << 'b' /to/\n$X \\$X \\\\ \\n \"$X\" `\na\n$X \\\\\nb\n";
    let request = BuildRequest { tags: vec![Reference::parse("made").expect("a name")], ..BuildRequest::default() };
    Builder::new(&store).build(text, &request, &|_, _| panic!("nothing runs")).expect("built");
    let image = store.get("made").expect("there");
    let rootfs = store.prepare("c", &image.id).expect("a snapshot");
    let read = |name: &str| std::fs::read_to_string(rootfs.lowers[0].join("to").join(name)).expect(name);
    assert_eq!((read("a"), read("b")), ("x $X \\ n \"x\" `\n".into(), "$X \\\\\n".into()));
}
