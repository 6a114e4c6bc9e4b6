//! Archives to load and to import that are cut short, lie about themselves or try to write where they must not.

use std::{fs, path::Path};

use berth_tests::{Host, World};

use super::{Wrong, refuses, town};

const ROWS: &[Wrong] = &[
    ("both", "load -i /run/archives/nowhere.tar", 1, &["/run/archives/nowhere.tar"]),
    ("both", "load -i /run/archives/empty", 1, &["archive"]),
    ("both", "load -i /run/archives/words", 1, &["isn't a tar archive"]),
    ("both", "load -i /run/archives/noise", 1, &["isn't a tar archive"]),
    ("both", "import /run/archives/noise x", 1, &["isn't a tar archive"]),
    ("both", "load -i /run/archives/no-manifest.tar", 1, &["manifest.json"]),
    ("both", "load -i /run/archives/manifest-of-words.tar", 1, &["manifest.json"]),
    ("both", "load -i /run/archives/no-config.tar", 1, &["config.json"]),
    ("both", "load -i /run/archives/no-layer.tar", 1, &["layer.tar"]),
    ("both", "load -i /run/archives/wrong-digest.tar", 1, &["sha256:00000000"]),
    ("both", "load -i /run/archives/more-layers.tar", 1, &["layer"]),
    ("both", "load -i /run/archives/bad-name.tar", 1, &["BAD:NAME"]),
    ("both", "load -i /run/archives/cut.tar", 1, &["cut short"]),
    ("both", "load -i /run/archives/cut.tar.gz", 1, &["cut short"]),
    ("both", "load -i /run/archives/climbs.tar", 1, &["../outside"]),
    ("both", "load -i /run/archives/link-out.tar", 1, &["way-out"]),
    ("both", "load -i /run/archives/hard-link-out.tar", 1, &["../../etc/passwd"]),
    ("both", "import /run/archives/nowhere.tar x", 1, &["/run/archives/nowhere.tar"]),
    ("both", "import /run/archives/words x", 1, &["isn't a tar archive", "gzip"]),
    ("both", "import /run/archives/cut.tar x", 1, &["cut short"]),
    ("both", "import /run/archives/rootfs-climbs.tar x", 1, &["../outside"]),
    ("both", "import /run/archives/rootfs.tar UPPER", 1, &["invalid reference format"]),
    ("both", "import --change NONESUCH=1 /run/archives/rootfs.tar x", 1, &["NONESUCH"]),
    ("both", "import --platform nonesuch /run/archives/rootfs.tar x", 1, &["nonesuch"]),
    ("docker", "import http://127.0.0.1:9/rootfs.tar x", 1, &["http://127.0.0.1:9/rootfs.tar"]),
];

/// What a member of a tar archive is.
enum Member<'a> {
    File(&'a [u8]),
    Symlink(&'a str),
    Hardlink(&'a str),
}

/// A tar archive; names are written as they are, however wrong.
fn tar(members: &[(&str, Member<'_>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, member) in members {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("a GNU header").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        let (kind, target, content): (_, _, &[u8]) = match member {
            Member::File(content) => (tar::EntryType::Regular, None, content),
            Member::Symlink(target) => (tar::EntryType::Symlink, Some(target), &[]),
            Member::Hardlink(target) => (tar::EntryType::Link, Some(target), &[]),
        };
        header.set_entry_type(kind);
        if let Some(target) = target {
            header.set_link_name_literal(target).expect("a short target");
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content).expect("memory");
    }
    archive.into_inner().expect("memory")
}

fn digest(directory: &Path, content: &[u8]) -> String {
    let file = directory.join("to-digest");
    fs::write(&file, content).expect("a file");
    let said = berth_tests::world::look(&format!("sha256sum {}", file.display())).ok();
    said.split(' ').next().expect("a digest").to_owned()
}

/// A docker-archive around one layer; the parts can be made wrong.
struct Image<'a> {
    layer: &'a [u8],
    diff_ids: Vec<String>,
    name: &'a str,
}

impl Image<'_> {
    fn manifest(&self) -> String {
        format!(r#"[{{"Config":"config.json","RepoTags":["{}"],"Layers":["layer.tar"]}}]"#, self.name)
    }

    fn config(&self) -> String {
        let diff_ids: Vec<_> = self.diff_ids.iter().map(|digest| format!(r#""sha256:{digest}""#)).collect();
        format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            diff_ids.join(",")
        )
    }

    fn archive(&self) -> Vec<u8> {
        tar(&[
            ("manifest.json", Member::File(self.manifest().as_bytes())),
            ("config.json", Member::File(self.config().as_bytes())),
            ("layer.tar", Member::File(self.layer)),
        ])
    }
}

/// Writes every archive that the table names.
fn write_archives(directory: &Path) {
    fs::create_dir(directory).expect("a directory");
    let write = |name: &str, content: &[u8]| fs::write(directory.join(name), content).expect("a file");
    let noise: Vec<u8> = (0..200_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let layer = tar(&[("file", Member::File(&noise))]);
    let layer_digest = digest(directory, &layer);
    let good = Image { layer: &layer, diff_ids: vec![layer_digest.clone()], name: "x:1" };

    write("empty", b"");
    // Refused at its first block, with most of it not sent yet.
    write("noise", &noise.repeat(40));
    write("words", "words that are no archive at all. ".repeat(100).as_bytes());
    write("no-manifest.tar", &layer);
    write("manifest-of-words.tar", &tar(&[("manifest.json", Member::File(b"words"))]));
    write("no-config.tar", &tar(&[("manifest.json", Member::File(good.manifest().as_bytes()))]));
    write(
        "no-layer.tar",
        &tar(&[
            ("manifest.json", Member::File(good.manifest().as_bytes())),
            ("config.json", Member::File(good.config().as_bytes())),
        ]),
    );
    write("wrong-digest.tar", &Image { diff_ids: vec!["0".repeat(64)], ..good }.archive());
    write("more-layers.tar", &Image { diff_ids: vec![layer_digest.clone(); 2], ..good }.archive());
    write("bad-name.tar", &Image { diff_ids: vec![layer_digest.clone()], name: "BAD:NAME", ..good }.archive());
    let whole = Image { diff_ids: vec![layer_digest], ..good }.archive();
    write("cut.tar", &whole[..whole.len() / 2]);
    write("whole.tar", &whole);
    berth_tests::world::look(&format!("cd {} && gzip -c whole.tar | head -c 100000 > cut.tar.gz", directory.display()))
        .ok();

    let climbs = tar(&[("../outside", Member::File(b"out"))]);
    let link_out = tar(&[("way-out", Member::Symlink("/run/archives")), ("way-out/planted", Member::File(b"out"))]);
    let hard_link_out = tar(&[("stolen", Member::Hardlink("../../etc/passwd"))]);
    for (name, layer) in [("climbs.tar", &climbs), ("link-out.tar", &link_out), ("hard-link-out.tar", &hard_link_out)] {
        write(name, &Image { layer, diff_ids: vec![digest(directory, layer)], name: "x:1" }.archive());
    }
    write("rootfs-climbs.tar", &climbs);
    write("rootfs.tar", &tar(&[("file", Member::File(b"content"))]));
}

fn town_with_archives(world: &mut World) -> Host {
    let host = town(world);
    write_archives(&host.directory().join("run/archives"));
    host
}

#[test]
fn archives() {
    refuses(town_with_archives, ROWS);
}
