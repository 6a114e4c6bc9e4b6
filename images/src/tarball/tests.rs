use proptest::prelude::*;

use super::*;
use crate::testing::Tar;

fn members(tar: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, TarError> {
    let mut reader = TarReader::new(tar);
    let mut members = Vec::new();
    while let Some(member) = reader.next_member()? {
        members.push((member, reader.read_rest()?));
    }
    reader.drain()?;
    Ok(members)
}

#[test]
fn header_numbers_have_several_forms() {
    let table: [(&[u8], Option<i64>); 12] = [
        (b"0000644\0", Some(0o644)),
        (b"   644 \0", Some(0o644)),
        (b"644\0junk", Some(0o644)),
        (b"\0\0\0\0\0\0\0\0", Some(0)),
        (b"        ", Some(0)),
        (b"\x80\0\0\0\0\0\x01\0", Some(256)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
        (b"\xff\xff\xff\xff\xff\xff\xff\0", Some(-256)),
        (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
        (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        (b"9\0", None),
        (b"-1\0", None),
    ];
    for (field, expected) in table {
        assert_eq!(signed_number(field), expected, "{field:?}");
    }
}

#[test]
fn pax_times_round_down() {
    let table: [(&[u8], _); 8] = [
        (b"1", Some((1, 0))),
        (b"1.5", Some((1, 500_000_000))),
        (b"1.1234567899", Some((1, 123_456_789))),
        (b"-1", Some((-1, 0))),
        (b"-1.25", Some((-2, 750_000_000))),
        (b"", None),
        (b"1.x", None),
        (b"+1", None),
    ];
    for (text, expected) in table {
        assert_eq!(pax::time(text), expected, "{text:?}");
    }
}

#[test]
fn the_tar_crates_archives_are_read() {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "x/".repeat(80) + "file";
    for (path, content) in [("short", "1"), (&long, "2")] {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, path, content.as_bytes()).expect("written");
    }
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "link", &long).expect("written");
    let tar = builder.into_inner().expect("written");
    let members = members(&tar).expect("a good tar");
    let names: Vec<_> = members.iter().map(|(member, _)| String::from_utf8_lossy(&member.path).into_owned()).collect();
    assert_eq!(names, ["short", &long, "link"]);
    assert_eq!(members[1].1, b"2");
    assert_eq!(members[2].0.link, long.as_bytes());
}

#[test]
fn sparse_files_of_each_format_have_a_map() {
    let piece = |offset_bytes, length_bytes| Segment { offset_bytes, length_bytes };
    let old = Tar::new().member(
        "old",
        EntryType::GNUSparse,
        |header| {
            *header = {
                let mut gnu = Header::new_gnu();
                gnu.as_old_mut().name[..3].copy_from_slice(b"old");
                gnu.set_entry_type(EntryType::GNUSparse);
                gnu.set_size(6);
                gnu.set_mode(0o644);
                gnu.set_mtime(0);
                let fields = gnu.as_gnu_mut().expect("a GNU header");
                fields.realsize.copy_from_slice(b"00000020000\0");
                for (at, (offset, length)) in
                    [(b"00000000000\0", b"00000000004\0"), (b"00000010000\0", b"00000000002\0")].into_iter().enumerate()
                {
                    fields.sparse[at].offset.copy_from_slice(offset);
                    fields.sparse[at].numbytes.copy_from_slice(length);
                }
                gnu
            };
        },
        b"abcdef",
    );
    let pax_0_1 = Tar::new()
        .pax(&[("GNU.sparse.size", b"8192"), ("GNU.sparse.map", b"0,4,4096,2"), ("GNU.sparse.name", b"old")])
        .file("GNUSparseFile.0/old", "abcdef");
    let mut map = b"2\n0\n4\n4096\n2\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"abcdef");
    let pax_1_0 = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"old"),
            ("GNU.sparse.realsize", b"8192"),
        ])
        .member("GNUSparseFile.0/old", EntryType::Regular, |_| (), &map);
    for tar in [old, pax_0_1, pax_1_0] {
        let members = members(&tar.file("next", "!").finish()).expect("a good tar");
        let (member, content) = &members[0];
        assert_eq!(member.path, b"old");
        assert_eq!(member.size_bytes, 8192);
        let expected = MemberKind::File { segments: Some(vec![piece(0, 4), piece(4096, 2)]) };
        assert_eq!(member.kind, expected);
        assert_eq!(content, b"abcdef");
        assert_eq!(members[1].1, b"!");
    }
}

#[test]
fn wrong_tars_are_refused() {
    let sparse =
        |map: &[u8]| Tar::new().pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", map)]).file("a", "abc").finish();
    let table = [
        ("checksum", Tar::new().file("a", "").raw(b"x").finish(), "wrong checksum"),
        (
            "a hole between members",
            Tar::new().raw(&[0; 512]).file("a", "").finish(),
            "a block of zeros between members",
        ),
        ("PAX without a member", Tar::new().pax(&[("path", b"a")]).finish(), "an extension header without a member"),
        (
            "PAX of no length",
            Tar::new().member("x", EntryType::XHeader, |_| (), b"path=a\n").file("a", "").finish(),
            "malformed PAX records",
        ),
        (
            "PAX beyond its end",
            Tar::new().member("x", EntryType::XHeader, |_| (), b"99 path=a\n").file("a", "").finish(),
            "malformed PAX records",
        ),
        (
            "PAX size",
            Tar::new().pax(&[("size", b"-1")]).file("a", "").finish(),
            "a PAX record isn't the number that it should be",
        ),
        ("unknown kind", Tar::new().member("a", EntryType::new(b'Z'), |_| (), &[]).finish(), "unknown kind of member"),
        ("sparse overlap", sparse(b"0,2,1,1"), "malformed map of a sparse file"),
        ("sparse too long", sparse(b"9,3"), "malformed map of a sparse file"),
        ("sparse too little", sparse(b"0,2"), "malformed map of a sparse file"),
        ("sparse odd", sparse(b"0,2,1"), "malformed map of a sparse file"),
        ("sparse overflow", sparse(b"18446744073709551615,3"), "malformed map of a sparse file"),
    ];
    for (what, tar, expected) in table {
        let error = members(&tar).expect_err(what).to_string();
        assert!(error.starts_with("invalid tar header at byte ") && error.ends_with(expected), "{what}: {error}");
    }
    let cut = Tar::new().file("a", "content").unfinished();
    for end in [513, 518] {
        let error = members(&cut[..end]).expect_err("cut short");
        assert_eq!(error.to_string(), format!("the archive is cut short after {end} bytes"));
    }
    for text in [&cut[..100], b"hello", "words. ".repeat(100).as_bytes()] {
        let error = members(text).expect_err("no tar");
        assert_eq!(
            error.to_string(),
            "it isn't a tar archive: give a tar, plain or compressed with gzip, zstd, bzip2 or xz"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _ = members(&bytes);
    }

    #[test]
    fn any_pax_content_is_read_or_refused(content in "[0-9]{1,3} (path|size|mtime|GNU.sparse.map|x)=[0-9a,.\n-]{0,20}\n?") {
        let _ = members(&Tar::new().member("x", EntryType::XHeader, |_| (), content.as_bytes()).file("a", "").finish());
    }

    #[test]
    fn what_the_tar_crate_writes_comes_back(files in prop::collection::vec(("[a-z]{1,150}", prop::collection::vec(any::<u8>(), 0..2000)), 0..8)) {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in &files {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, &content[..]).expect("written");
        }
        let read = members(&builder.into_inner().expect("written")).expect("a good tar");
        let read: Vec<_> = read.into_iter().map(|(m, content)| (String::from_utf8(m.path).expect("letters"), content)).collect();
        prop_assert_eq!(read, files);
    }
}
