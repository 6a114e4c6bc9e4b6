use super::*;

fn volumes(spec: &str) -> Result<Volumes, String> {
    Volumes::parse(&[spec.to_owned()], Path::new("/home/me")).map_err(|error| error.to_string())
}

#[test]
fn volume_flags() {
    for (spec, bind) in [
        ("/a:/b", "/a:/b"),
        ("/a:/b:ro", "/a:/b:ro"),
        ("./a:/b", "/home/me/a:/b"),
        (".:/b:ro,z", "/home/me:/b:ro,z"),
        ("../x/./y:/b", "/home/x/y:/b"),
        ("data:/b", "data:/b"),
    ] {
        assert_eq!(volumes(spec).unwrap().binds, [bind], "{spec}");
    }
    assert_eq!(volumes("/data").unwrap().anonymous, ["/data"]);
    for (spec, expected) in [
        ("", "invalid empty volume spec"),
        (":/x", "invalid spec: :/x: empty section between colons"),
        ("/a:", "invalid spec: /a:: empty section between colons"),
        ("/a:/b:ro:x", "invalid spec: /a:/b:ro:x: too many colons"),
    ] {
        assert_eq!(volumes(spec).unwrap_err(), expected);
    }
}

#[test]
fn mount_flags() {
    let mount = |spec: &str| serde_json::to_value(parse_mount(spec, Path::new("/home/me")).unwrap()).unwrap();
    insta::assert_snapshot!(mount("type=bind,src=./a,dst=/b,ro,bind-propagation=rslave"), @r#"{"BindOptions":{"Propagation":"rslave"},"ReadOnly":true,"Source":"/home/me/a","Target":"/b","Type":"bind"}"#);
    insta::assert_snapshot!(mount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770"), @r#"{"Target":"/t","TmpfsOptions":{"Mode":1016,"SizeBytes":67108864},"Type":"tmpfs"}"#);
    insta::assert_snapshot!(mount("source=data,target=/d,volume-nocopy,volume-label=a=b"), @r#"{"Source":"data","Target":"/d","Type":"volume","VolumeOptions":{"Labels":{"a":"b"},"NoCopy":true}}"#);
    insta::assert_snapshot!(mount("Type=BIND,Source=/a,Destination=/b,readonly=false"), @r#"{"ReadOnly":false,"Source":"/a","Target":"/b","Type":"bind"}"#);
}

#[test]
fn wrong_mounts_are_refused_in_dockers_words() {
    for (spec, expected) in [
        ("", "it is empty: give type=…,source=…,target=…"),
        ("type", "invalid field 'type' must be a key=value pair"),
        ("type=bind", "target is required"),
        ("type=foo,target=/x", "mount type unknown: \"foo\": use bind, tmpfs or volume"),
        ("foo=bar,target=/x", "unexpected key 'foo' in 'foo=bar'"),
        ("type=tmpfs,target=/x,tmpfs-size=foo", "invalid value for tmpfs-size: foo"),
        ("type=tmpfs,target=/x,tmpfs-mode=999", "invalid value for tmpfs-mode: 999"),
        ("type=bind,src=/a,dst=/b,ro=maybe", "invalid value for ro: maybe"),
        ("type=bind,src=/a,dst=/b,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
        ("type=tmpfs,dst=/b,bind-propagation=shared", "cannot mix 'bind-*' options with mount type 'tmpfs'"),
        ("type=bind,src=/a,dst=/b,bind-nonrecursive=x", "invalid value for bind-nonrecursive: x"),
        (
            "type=bind,src=/a,dst=/b,bind-recursive=x",
            "invalid value for bind-recursive: x (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
        ),
        (
            "type=bind,src=/a,dst=/b,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
        ),
    ] {
        let error = parse_mount(spec, Path::new("/")).unwrap_err().to_string();
        assert_eq!(error, format!("invalid argument \"{spec}\" for \"--mount\" flag: {expected}"));
    }
}
