use super::*;

fn published(specs: &[&str]) -> Result<Vec<String>, String> {
    let specs: Vec<String> = specs.iter().map(|&spec| spec.to_owned()).collect();
    let ports = Ports::parse(&specs, &[]).map_err(|error| error.to_string())?;
    let line = |(key, (address, port)): (&PortKey, &(String, String))| format!("{} {address}:{port}", name(key));
    let all = ports.bindings.iter().flat_map(|(key, bindings)| bindings.iter().map(move |binding| (key, binding)));
    Ok(all.map(line).collect())
}

#[test]
fn right_forms() {
    for (specs, expected) in [
        (&["80"][..], &["80/tcp :"][..]),
        (&["8080:80"], &["80/tcp :8080"]),
        (&["0:80"], &["80/tcp :0"]),
        (&[":80"], &["80/tcp :"]),
        (&["53:53/udp", "53:53"], &["53/tcp :53", "53/udp :53"]),
        (&["80:80/SCTP"], &["80/sctp :80"]),
        (&["127.0.0.1::80"], &["80/tcp 127.0.0.1:"]),
        (&["127.0.0.1:8080:80"], &["80/tcp 127.0.0.1:8080"]),
        (&["[::1]:8080:80"], &["80/tcp ::1:8080"]),
        (&["::1:8080:80"], &["80/tcp ::1:8080"]),
        (&["6000-6002:7000-7002/udp"], &["7000/udp :6000", "7001/udp :6001", "7002/udp :6002"]),
        (&["1-2"], &["1/tcp :", "2/tcp :"]),
        (&["8000-8010:80"], &["80/tcp :8000-8010"]),
        (&["8080:80", "127.0.0.1:8081:80"], &["80/tcp :8080", "80/tcp 127.0.0.1:8081"]),
    ] {
        assert_eq!(published(specs).unwrap(), expected, "{specs:?}");
    }
}

#[test]
fn wrong_forms_are_refused_in_dockers_words() {
    for (spec, expected) in [
        ("99999:80", "invalid hostPort: 99999"),
        ("80:99999", "invalid containerPort: 99999"),
        ("80:0", "invalid containerPort: 0"),
        ("80:80:80:80", "invalid IP address: 80:80"),
        ("80/foo", "invalid proto: foo"),
        ("abc", "invalid containerPort: abc"),
        ("", "no port specified: <empty>"),
        ("80:", "no port specified: 80:<empty>"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("host:80:80", "invalid IP address: host"),
        ("80-70:80", "invalid hostPort: 80-70"),
        ("80-90:80-85", "invalid ranges specified for container and host Ports: 80-85 and 80-90"),
        ("-p", "invalid containerPort: -p"),
        (" 80:80", "invalid hostPort:  80"),
        ("+80:80", "invalid hostPort: +80"),
        ("80-:80", "invalid hostPort: 80-"),
    ] {
        assert_eq!(published(&[spec]).unwrap_err(), expected, "{spec}");
    }
}

#[test]
fn exposed_ports() {
    let expose = |spec: &str| Ports::parse(&[], &[spec.to_owned()]).map(|ports| ports.exposed());
    assert_eq!(expose("80").unwrap(), ["80/tcp"]);
    assert_eq!(expose("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
    for wrong in ["80-70", "abc", "", "99999", "80:80", "80/foo", "0"] {
        assert!(expose(wrong).is_err(), "{wrong}");
    }
    let both = Ports::parse(&["8080:80".to_owned()], &["80".to_owned(), "443".to_owned()]).unwrap();
    assert_eq!(both.exposed(), ["80/tcp", "443/tcp"]);
    assert_eq!(both.bindings().len(), 1, "exposing doesn't publish");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[0-9:\\-./a-z\\[\\]]{0,24}") {
        let _ = published(&[&text]);
    }

    #[test]
    fn ranges_map_one_to_one(host in 1_u16..60_000, container in 1_u16..60_000, length in 1_u16..64) {
        let spec = format!("{host}-{}:{container}-{}", host + length - 1, container + length - 1);
        let ports = Ports::parse(&[spec], &[]).unwrap();
        proptest::prop_assert_eq!(ports.bindings().len(), usize::from(length));
        let last = &ports.bindings()[&format!("{}/tcp", container + length - 1)];
        let last = last.as_ref().unwrap()[0].host_port.clone().unwrap();
        proptest::prop_assert_eq!(last, (host + length - 1).to_string());
    }
}
