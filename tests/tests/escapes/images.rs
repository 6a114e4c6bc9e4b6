//! Images that attack who pulls, loads or keeps them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use berth_tests::{Host, Outcome, World, started, world::look};

use crate::copies::most_memory_mib;

/// A shell of somebody who isn't root, on a host. Not setpriv itself goes to the program: it has root's capabilities still.
const SOMEBODY: &str = "setpriv --reuid 1234 --regid 1234 --clear-groups sh -c";

/// CVE-2021-41091, CVE-2021-41103: what containers keep is open to all users of the host, with the setuid programs in it.
/// The directories of the daemons were there already, and open.
#[test]
fn somebody_on_the_host_reaches_no_program_of_an_image_a_container_or_a_volume() {
    let mut world = World::new();
    let mut host = world.host();
    host.sh("mkdir -p -m 755 /var/lib/berth /run/berth && chmod 755 /var/lib/berth /run/berth").ok();
    host.start();
    let setuid = "cp /bin/busybox /kept && chmod 4755 /kept/busybox && cp -a /kept/busybox /root";
    host.docker(&["run", "--name", "made", "-v", "kept:/kept", "busybox", "sh", "-c", setuid]).ok();
    host.docker(&["commit", "made", "made"]).ok();
    host.docker(&["run", "-d", "--name", "cc", "-v", "kept:/kept", "made", "sh", "-c", "echo up; exec sleep 1000"])
        .ok();
    host.wait_for_log("cc", "up");
    let programs = host.sh("find /var/lib/berth /run/berth -name busybox -perm -4000").ok();
    for place in ["/images/layers/", "/images/snapshots/", "/volumes/kept/"] {
        assert!(programs.contains(place), "there is one in {place}: {programs}");
    }
    for program in programs.lines() {
        host.sh(&format!("{program} true && ! {SOMEBODY} '{program} true'")).ok();
    }
    let found =
        host.sh(&format!("{SOMEBODY} 'find /var/lib/berth /run/berth -type f -perm /7000 2>/dev/null; true'")).ok();
    assert_eq!(found, "", "somebody sees them");
    // Nor anything else: which containers there are, and who has which address.
    let readable = "'find /var/lib/berth /run/berth ( -type f -o -type d ) -readable 2>/dev/null | sort'";
    let found = host.sh(&format!("{SOMEBODY} {}", readable.replace('(', "\\(").replace(')', "\\)"))).ok();
    assert_eq!(found, "/run/berth\n/run/berth/forwarding\n/var/lib/berth");
    // Bundles and logs, and through the processes' own roots.
    let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", "cc"]).ok();
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "cc"]).ok();
    for path in [
        format!("/run/berth/containers/{id}"),
        format!("/var/lib/berth/containers/{id}"),
        format!("/proc/{pid}/root/bin"),
    ] {
        host.sh(&format!("ls {path} && ! {SOMEBODY} 'ls {path}'")).ok();
    }
}

/// A tar's members, whatever they say.
fn tar(members: &[(&str, tar::EntryType, &str, u32)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, content, mode) in members {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("a GNU header").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(4321);
        header.set_gid(4321);
        let is_link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
        if is_link {
            header.set_link_name_literal(content).expect("a short target");
        }
        let content = if is_link { "" } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content.as_bytes()).expect("memory");
    }
    archive.into_inner().expect("memory")
}

fn piped(host: &Host, arguments: &[&str], input: &[u8]) -> Outcome {
    let mut command = host.docker_command();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let line = format!("{command:?}");
    let mut child = command.spawn().expect("docker");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A client that is refused doesn't read to the end.
    let _ = stdin.write_all(input);
    drop(stdin);
    Outcome::from_output(line, &child.wait_with_output().expect("its end"))
}

/// CVE-2021-32760: a hard link to a link, and whatever else has a mode and an owner, is unpacked over a link to a file of the
/// host. CVE-2014-9356: absolute links. Accepted or refused, the file stays as it is.
#[test]
fn unpacking_changes_no_file_that_a_link_leads_to() {
    use tar::EntryType::{Char, Directory, Fifo, Link, Regular, Symlink};
    let (_world, host) = started();
    let victim = host.directory().join("victim");
    std::fs::write(&victim, "as it was").expect("written");
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o600)).expect("set");
    let to = victim.display().to_string();
    let up = format!("{}{to}", "../".repeat(20));
    for target in [to.as_str(), &up] {
        for second in [
            ("b", Link, "a", 0o4777),
            ("a", Link, "a", 0o4777),
            ("a", Regular, "changed", 0o4777),
            ("a", Fifo, "", 0o4777),
            ("a", Char, "", 0o4777),
            ("a/", Directory, "", 0o4777),
            ("a/.", Directory, "", 0o4777),
            ("a", Symlink, "a", 0o4777),
            (".wh.a", Regular, "", 0o4777),
        ] {
            let archive = tar(&[("a", Symlink, target, 0o4777), second, ("after", Regular, "", 0o644)]);
            piped(&host, &["import", "-", "linked"], &archive);
            // What a container is made of it, and what is copied into that.
            piped(&host, &["create", "--name", "linked", "linked", "x"], b"");
            piped(&host, &["cp", "-", "linked:/"], &archive);
            piped(&host, &["rm", "linked"], b"");
            let found = std::fs::metadata(&victim).expect("it is there");
            assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, 0), "{target} {second:?}");
            assert_eq!(std::fs::read_to_string(&victim).expect("text"), "as it was", "{target} {second:?}");
        }
    }
}

/// An archive for `load` of an image without layers.
fn archive(manifest: &str, config: &str) -> Vec<u8> {
    use tar::EntryType::Regular;
    tar(&[("manifest.json", Regular, manifest, 0o644), ("c", Regular, config, 0o644)])
}

/// CVE-2021-21285: an image whose documents aren't what they should be ends the daemon, when it is pulled or later.
#[test]
fn no_document_ends_the_daemon() {
    const GOOD: &str = r#"[{"Config":"c","RepoTags":["odd:1"],"Layers":null}]"#;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let odd =
        |members: &str| format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers"}},{members}}}"#);
    let (_world, host) = started();
    let before = host.processes("berthd");
    for manifest in
        ["null", "{}", "[null]", "[[]]", r#"[{"Config":null}]"#, r#"[{"Config":""}]"#, r#"[{"Config":"."}]"#, &deep]
    {
        piped(&host, &["load"], &archive(manifest, "{}")).fails_with(1);
    }
    // Whatever comes of each.
    let use_of_it =
        "docker() { curl -s -m 20 --unix-socket /run/berth/berth.sock -X $1 http://d/$2 -H 'Content-Type: application/json' \
         -d '{}' > /dev/null; }
         docker GET images/odd:1/json; docker GET images/odd:1/history; docker GET images/json; docker GET images/odd:1/get
         curl -s --unix-socket /run/berth/berth.sock http://d/containers/create?name=odd -H 'Content-Type: application/json' \
         -d '{\"Image\": \"odd:1\", \"HostConfig\": {\"PublishAllPorts\": true}}'
         docker POST containers/odd/start; docker GET containers/odd/json; docker GET containers/json?all=1; docker GET containers/odd/archive?path=/
         docker DELETE 'containers/odd?force=1&v=1'
         printf 'FROM odd:1\nLABEL a=b\n' > /run/Dockerfile; tar -c -C /run Dockerfile | curl -s -m 20 --unix-socket /run/berth/berth.sock \
         http://d/build -H 'Content-Type: application/x-tar' -T - -X POST; docker DELETE images/odd:1?force=1";
    let mut loaded = 0;
    for config in [
        "null".to_owned(),
        "[]".to_owned(),
        deep.clone(),
        r#"{"rootfs":null}"#.to_owned(),
        odd(r#""config":null,"history":null"#),
        odd(r#""config":{"Env":null,"Cmd":null,"Volumes":null,"ExposedPorts":null,"Labels":null}"#),
        odd(
            r#""config":{"Env":["","=","=x","a"],"Cmd":[""],"Entrypoint":[],"User":":","WorkingDir":"","StopSignal":""}"#,
        ),
        odd(
            r#""config":{"ExposedPorts":{"":{},"x":{},"99999/tcp":{},"1-65535/udp":{}},"Volumes":{"":{},"..":{},"/":null}}"#,
        ),
        odd(r#""config":{"Healthcheck":{"Test":[]}}"#),
        odd(r#""config":{"Healthcheck":{"Test":["CMD"],"Interval":-1,"Timeout":9223372036854775807,"Retries":-1}}"#),
        odd(
            r#""history":[{},{"created":"0001-01-01T00:00:00Z"},{"empty_layer":false}],"created":"9999-12-31T23:59:59Z""#,
        ),
        odd(r#""config":{"OnBuild":["","FROM x","ONBUILD ONBUILD"],"Shell":[],"StopSignal":"SIG"}"#),
        odd(&format!(r#""config":{{"Labels":{{"x":{deep}}}}}"#)),
        odd(&format!(r#""history":[{}{{}}]"#, "{},".repeat(9_000))),
    ] {
        let outcome = piped(&host, &["load"], &archive(GOOD, &config));
        let short = &config[..config.len().min(200)];
        if outcome.code != 0 {
            assert!(outcome.stderr.contains("invalid image archive"), "{short}: {}", outcome.stderr);
            continue;
        }
        loaded += 1;
        host.sh(use_of_it);
        assert_eq!(host.processes("berthd"), before, "{short}");
    }
    assert!(loaded > 5, "{loaded} are images");
    host.docker(&["run", "--rm", "busybox", "true"]).ok();
}

/// CVE-2023-25153: a document of an archive is read however large it is.
#[test]
fn no_document_of_an_archive_fills_the_memory() {
    const BOUND_MIB: u64 = 48;
    let (_world, host) = started();
    let directory = host.directory().join("large");
    std::fs::create_dir(&directory).expect("made");
    let at = directory.display();
    let before = most_memory_mib(&host);
    let refused = |script: &str, said: &str| {
        look(&format!("cd {at} && rm -rf a && mkdir a && cd a && {script} && tar -czf ../a.tar.gz *")).ok();
        let stderr = host.docker(&["load", "-i", &format!("{at}/a.tar.gz")]).fails_with(1);
        assert!(stderr.contains(said), "{script}: {stderr}");
        let more = most_memory_mib(&host) - before;
        assert!(more < BOUND_MIB, "{more} MiB after {script}");
    };
    let zeros = "head -c 80M /dev/zero >";
    for name in ["index.json", "manifest.json"] {
        refused(&format!("{zeros} {name}"), "is larger than any document of an image");
    }
    let manifest = r#"echo '[{"Config":"c","Layers":[]}]' > manifest.json"#;
    refused(&format!("{manifest} && {zeros} c"), "is larger than any document of an image");
    // A few bytes each, and every one of them a thing to keep.
    let steps = r#"(printf '{"rootfs":{},"history":[{}'; head -c 2M /dev/zero | sed 's/\x0/,{}/g'; printf ']}') > c"#;
    refused(&format!("{manifest} && {steps}"), "more than 10000 steps");
}

/// Answers requests, each on a connection of its own, and keeps what was asked.
fn serve(listener: TcpListener, answer: impl Fn(&str) -> String + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = vec![0; 16 << 10];
            let length = client.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let _ = client.write_all(answer(&request).as_bytes());
            // Others say hello in TLS.
            if request.starts_with("GET ") {
                kept.lock().expect("no panic").push(request);
            }
        }
    });
    asked
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn sha256(text: &str) -> String {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum (coreutils)");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("its end");
    format!("sha256:{}", String::from_utf8_lossy(&output.stdout[..64]))
}

/// A client's configuration directory with a password for a registry.
fn password(host: &Host, registry: &str) -> String {
    let directory = host.directory().join("client");
    std::fs::create_dir(&directory).expect("made");
    // ann:secret
    let config = format!(r#"{{"auths":{{"{registry}":{{"auth":"YW5uOnNlY3JldA=="}}}}}}"#);
    std::fs::write(Path::new(&directory).join("config.json"), config).expect("written");
    directory.display().to_string()
}

/// CVE-2020-15157: an image says that its layers are elsewhere, or its registry does; there somebody asks for the password.
#[test]
fn nobody_elsewhere_is_told_the_password_of_a_registry() {
    let (_world, host) = started();
    let (registry, thief) = ("127.0.0.1:5001", "127.0.0.1:5002");
    let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let describe = |kind: &str, more: &str| {
        format!(
            r#"{{"mediaType":"application/vnd.docker.{kind}","size":{},"digest":"{}"{more}}}"#,
            config.len(),
            sha256(config)
        )
    };
    let manifest = |layers: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[{layers}]}}"#,
            describe("container.image.v1+json", "")
        )
    };
    let foreign =
        manifest(&describe("image.rootfs.foreign.diff.tar.gzip", &format!(r#","urls":["http://{thief}/layer"]"#)));
    let plain = manifest("");
    let stolen = serve(host.listen(5002), move |_| {
        let challenge = format!("www-authenticate: Bearer realm=\"http://{thief}/token\",service=\"s\"\r\n");
        answer("401 Unauthorized", &challenge, "")
    });
    let asked = serve(host.listen(5001), move |request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        if !request.contains("YW5uOnNlY3JldA==") {
            return answer("401 Unauthorized", "www-authenticate: Basic realm=\"registry\"\r\n", "");
        }
        match path {
            "/v2/x/manifests/foreign" => answer("200 OK", "", &foreign),
            "/v2/y/manifests/elsewhere" => answer("200 OK", "", &plain),
            _ if path.starts_with("/v2/x/blobs/") => answer("200 OK", "", config),
            _ => answer("307 Temporary Redirect", &format!("location: http://{thief}/blob\r\n"), ""),
        }
    });
    let directory = password(&host, registry);
    for (name, said) in [("x:foreign", "layers that are kept elsewhere"), ("y:elsewhere", "denied")] {
        let mut pull = host.docker_command();
        pull.env("DOCKER_CONFIG", &directory).args(["pull", &format!("{registry}/{name}")]);
        let stderr = Outcome::of(&mut pull).fails_with(1);
        assert!(stderr.contains(said), "{name}: {stderr}");
    }
    let asked = asked.lock().expect("no panic").concat();
    assert!(asked.contains("/v2/y/manifests/elsewhere") && asked.contains("YW5uOnNlY3JldA=="), "{asked}");
    let stolen = stolen.lock().expect("no panic");
    assert!(!stolen.is_empty() && stolen.iter().all(|request| request.starts_with("GET /blob ")), "{stolen:?}");
    assert!(!stolen.concat().to_lowercase().contains("authorization"), "{stolen:?}");
}
