//! Whose the directories and files are that builds make.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::*;

const PASSWD: &str = "root:x:0:0::/:/bin/sh\nworker:x:500:50::/:/bin/sh\nother:x:600:600::/:/bin/sh\n";

/// An image in which there are users, and a directory that is one user's alone.
fn base(step: &RunStep, _: &mut StepOutput<'_>) -> u8 {
    let upper = &step.rootfs.upper;
    let make = || {
        std::fs::create_dir_all(upper.join("etc"))?;
        std::fs::write(upper.join("etc/passwd"), PASSWD)?;
        std::fs::write(upper.join("etc/group"), "root:x:0:\nstaff:x:50:\nother:x:601:\n")?;
        std::fs::create_dir_all(upper.join("closed/inner"))?;
        std::fs::write(upper.join("closed/file"), "")?;
        for name in ["closed", "closed/inner", "closed/file"] {
            chown(upper.join(name), Some(600), Some(600))?;
            std::fs::set_permissions(upper.join(name), std::fs::Permissions::from_mode(0o700))?;
        }
        std::io::Result::Ok(())
    };
    make().map(|()| 0).expect("made")
}

/// What a build leads to.
struct Outcome {
    _dir: tempfile::TempDir,
    rootfs: Rootfs,
    image: Image,
}

fn build(text: &str, context: Tar) -> Result<Outcome, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    let request = BuildRequest { tags: vec![Reference::parse("made").expect("a name")], ..BuildRequest::default() };
    let built = Builder::new(&store).build_context(context.file("Dockerfile", text), &request, &base, &|_| ());
    built.map_err(|error| told(&error))?;
    let image = store.get("made").expect("there");
    let rootfs = store.prepare("c", &image.id).expect("a snapshot");
    Ok(Outcome { _dir: dir, rootfs, image })
}

impl Outcome {
    /// `mode uid:gid` of what is at a path; empty if nothing is.
    fn looks(&self, path: &str) -> String {
        let found = self.rootfs.lowers.iter().find_map(|lower| std::fs::symlink_metadata(lower.join(path)).ok());
        found.map_or(String::new(), |found| format!("{:o} {}:{}", found.mode() & 0o7777, found.uid(), found.gid()))
    }

    #[track_caller]
    fn assert(&self, table: &[(&str, &str)]) {
        for (path, looks) in table {
            assert_eq!(self.looks(path), *looks, "{path}");
        }
    }
}

fn has(outcome: &Outcome, path: &str) -> bool {
    outcome.rootfs.lowers.iter().any(|lower| Path::new(lower).join(path).exists())
}

#[test]
fn a_directory_that_a_copy_makes_is_root_s_or_whose_it_is_to_be() {
    let archive = Tar::new().dir("./", 0o700).dir("inner", 0o710).file("inner/x", "").finish();
    let context = Tar::new().dir("dir", 0o700).file("dir/x", "").dir("dir/below", 0o711).member(
        "a.tar",
        tar::EntryType::Regular,
        |_| (),
        &archive,
    );
    let text = "FROM scratch AS base\nRUN base\nFROM base\nCOPY --from=base /closed /new\nCOPY dir /deep/er\n\
                COPY --chown=worker --chmod=700 dir /owned/deep\nADD a.tar /unpacked\nCOPY --from=base /closed /closed/\n\
                COPY --from=base --parents /closed /parents\n";
    build(text, context).expect("built").assert(&[
        ("new", "755 0:0"),
        ("new/inner", "700 600:600"),
        ("new/file", "700 600:600"),
        ("deep", "755 0:0"),
        ("deep/er", "755 0:0"),
        ("deep/er/below", "711 0:0"),
        ("owned", "755 500:50"),
        ("owned/deep", "755 500:50"),
        ("owned/deep/below", "700 500:50"),
        ("unpacked", "755 0:0"),
        ("unpacked/inner", "710 0:0"),
        // It was there, or comes with all its parents.
        ("closed", "700 600:600"),
        ("parents/closed", "700 600:600"),
    ]);
}

#[test]
fn a_working_directory_is_the_user_s_who_works_there() {
    let text = "FROM scratch\nRUN base\nWORKDIR /root/dir\nUSER worker\nWORKDIR /new/deep\nWORKDIR below\n\
                USER 7:other\nWORKDIR /number\nUSER nobody-yet\nWORKDIR /unknown\nUSER worker\nWORKDIR /closed\n";
    let outcome = build(text, Tar::new()).expect("built");
    outcome.assert(&[
        ("root/dir", "755 0:0"),
        ("new", "755 500:50"),
        ("new/deep/below", "755 500:50"),
        ("number", "755 7:601"),
        ("unknown", "755 0:0"),
        ("closed", "700 600:600"),
    ]);
    assert_eq!(outcome.image.config.config.working_dir, "/closed");
}

#[test]
fn root_needs_no_list_of_users_and_a_user_no_group_of_its_name() {
    let file = || Tar::new().file("f", "");
    let text = "FROM scratch\nCOPY --chown=root:root f /a\nCOPY --chown=5:root f /b\nCOPY --chown=root f /c\n\
                RUN base\nCOPY --chown=worker:worker f /d\nCOPY --chown=other:other f /e\nCOPY --chown=:staff f /f\n";
    build(text, file()).expect("built").assert(&[
        ("a", "644 0:0"),
        ("b", "644 5:0"),
        ("c", "644 0:0"),
        ("d", "644 500:50"),
        ("e", "644 600:601"),
        ("f", "644 0:50"),
    ]);
    for owner in ["worker", "root:staff"] {
        assert!(build(&format!("FROM scratch\nCOPY --chown={owner} f /\n"), file()).is_err(), "{owner}");
    }
}

#[test]
fn patterns_that_match_nothing_bring_nothing() {
    let text = "FROM scratch AS base\nRUN base\nFROM scratch\nCOPY --from=base /none/* /n/\nCOPY x* f /some/\n\
                COPY --from=base /clos?d/f* /more/\nCOPY no* /n/\n";
    let outcome = build(text, Tar::new().file("f", "")).expect("built");
    assert!(!has(&outcome, "n") && has(&outcome, "some/f") && has(&outcome, "more/file"));
    assert_eq!(outcome.image.layers.len(), 2);
    for text in ["COPY --from=base /none /n/", "COPY none f /n/", "COPY --from=base /etc/none /n/"] {
        let refused =
            build(&format!("FROM scratch AS base\nRUN base\nFROM scratch\n{text}\n"), Tar::new().file("f", ""));
        assert!(refused.err().is_some_and(|refusal| refusal.contains("none\" isn't there")), "{text}");
    }
}

#[test]
fn an_image_works_in_its_root_if_nothing_else_is_said() {
    let working_dir = |text: &str| build(text, Tar::new()).expect("built").image.config.config.working_dir;
    assert_eq!(working_dir("FROM scratch\nENV A=1\n"), "/");
    assert_eq!(working_dir("FROM scratch AS a\nLABEL a=b\nFROM a\nRUN base\n"), "/");
    assert_eq!(working_dir("FROM scratch\nWORKDIR a/./b/\n"), "/a/b");
}

#[test]
fn nothing_is_taken_from_a_stage_that_comes_later() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    let builder = Builder::new(&store);
    let tags = vec![Reference::parse("later").expect("a name")];
    let image = BuildRequest { tags, ..BuildRequest::default() };
    builder.build("FROM scratch\nRUN base\n", &image, &base).expect("an image of that name, with such a file");
    let refused = |text: &str| {
        // Were it carried out, that would be the failure.
        let fails = |_: &RunStep, _: &mut StepOutput<'_>| 99;
        let built = builder.build(text, &BuildRequest { no_cache: true, ..BuildRequest::default() }, &fails);
        told(&built.expect_err(text))
    };
    for text in [
        "FROM scratch AS first\nRUN x\nCOPY --from=later /etc/passwd /\nFROM scratch AS Later\nCOPY --from=first / /\n",
        "FROM scratch AS first\nRUN --mount=from=LATER,target=/x base\nFROM scratch AS later\nCOPY --from=first / /\n",
        "FROM scratch AS later\nFROM scratch AS first\nCOPY --from=later /etc/passwd /\nFROM scratch AS later\n\
         COPY --from=first / /\n",
        "FROM scratch AS later\nCOPY --from=later /etc/passwd /\n",
        "FROM scratch AS first\nARG S=later\nCOPY --from=$S /etc/passwd /\nFROM scratch AS later\nCOPY --from=first / /\n",
    ] {
        let refusal = refused(text).to_lowercase();
        assert!(refusal.contains("later") && refusal.contains("isn't an earlier stage"), "{refusal}");
    }
    let refusal = refused("FROM scratch\nCOPY --from=1 /x /\n");
    assert!(refusal.contains("there is no stage of this number"), "{refusal}");
}
