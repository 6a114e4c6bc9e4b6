//! What is copied through links of the image.

use std::os::unix::fs::symlink;

use images::Digest;
use images::testing::layer_tar;

use super::*;

const DOCKERFILE: &str = "FROM scratch\nRUN links\nCOPY tree /\nADD archive.tar /\nCOPY tree/lib /up/\n";

/// A directory that is a link, and a link that climbs.
fn links(step: &RunStep, _: &mut StepOutput<'_>) -> u8 {
    let root = &step.rootfs.upper;
    std::fs::create_dir_all(root.join("usr/lib")).expect("made");
    symlink("usr/lib", root.join("lib")).expect("made");
    symlink("../../../../..", root.join("up")).expect("made");
    0
}

#[test]
fn layers_that_went_through_links_are_the_same_everywhere_and_known_again() {
    let archive = Tar::new().file("/lib/added", "added").finish();
    let context = Tar::new()
        .file("Dockerfile", DOCKERFILE)
        .file("tree/lib/copied", "copied")
        .symlink("tree/climbing", "../../..")
        .member("archive.tar", tar::EntryType::Regular, |_| (), &archive);
    let request = BuildRequest {
        tags: vec![Reference::parse("made").expect("a name")],
        build_args: BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), "1".to_owned())]),
        ..BuildRequest::default()
    };
    let ids = [(); 2].map(|()| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
        let builder = Builder::new(&store);
        let built = builder.build_context(context.clone(), &request, &links, &|_| ()).expect("built");
        let again = builder.build_context(context.clone(), &request, &|_, _| panic!("everything is known"), &|_| ());
        assert_eq!(again.expect("built again").id, built.id);
        let image = store.get("made").expect("there");
        let mut members = Vec::new();
        for (layer, diff_id) in image.layers.iter().zip(&image.config.rootfs.diff_ids) {
            let tar = layer_tar(&dir.path().join("root"), layer);
            assert_eq!(Digest::of(&tar), diff_id.0);
            for member in tar::Archive::new(&tar[..]).entries().expect("a tar") {
                let path = member.expect("a member").path_bytes().into_owned();
                members.push(String::from_utf8(path).expect("text"));
            }
        }
        let run = ["lib", "up", "usr/", "usr/lib/"];
        let copies = ["climbing", "usr/lib/", "usr/lib/copied", "usr/lib/", "usr/lib/added", "copied"];
        assert_eq!(members, [&run[..], &copies[..]].concat());
        built.id
    });
    assert_eq!(ids[0], ids[1]);
}
