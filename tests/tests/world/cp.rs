//! Files into containers and out of them, by docker's own client and by ours, whatever state the container is in.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use berth_tests::{Host, Outcome, started, world::binary};

/// Either client.
fn client(host: &Host, name: &str) -> Command {
    match name {
        "docker" => host.docker_command(),
        _ => host.command(&binary("berth").to_string_lossy()),
    }
}

fn ask(host: &Host, name: &str, arguments: &[&str]) -> Outcome {
    Outcome::of(client(host, name).args(arguments))
}

/// What a command makes of standard input.
fn piped(mut command: Command, input: &[u8]) -> Outcome {
    let line = format!("{command:?}");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a client");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A client that refuses doesn't read to the end.
    let _ = stdin.write_all(input);
    drop(stdin);
    Outcome::from_output(line, &child.wait_with_output().expect("its end"))
}

#[test]
fn in_and_out_whatever_the_state() {
    let (_world, host) = started();
    let directory = host.directory().join("cp");
    std::fs::create_dir_all(directory.join("in/sub")).expect("made");
    std::fs::write(directory.join("in/one"), "1").expect("written");
    std::fs::write(directory.join("in/sub/two"), "2").expect("written");
    std::os::unix::fs::symlink("one", directory.join("in/link")).expect("made");
    let local = |path: &str| directory.join(path).to_string_lossy().into_owned();
    host.docker(&["create", "--name", "created", "busybox", "cat", "/tmp/in/sub/two"]).ok();
    host.docker(&["run", "--name", "exited", "busybox", "true"]).ok();
    host.docker(&["run", "-d", "--name", "running", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--name", "paused", "busybox", "sleep", "1000"]).ok();
    host.docker(&["pause", "paused"]).ok();
    for container in ["created", "exited", "running", "paused"] {
        for name in ["docker", "berth"] {
            let out = local(&format!("{container}-{name}"));
            std::fs::create_dir(&out).expect("made");
            let cp = |from: &str, to: &str| ask(&host, name, &["cp", from, to]);
            let inside = |path: &str| format!("{container}:{path}");
            // A directory into one that is there, into one that isn't, and its content alone.
            cp(&local("in"), &inside("/tmp")).ok();
            cp(&local("in"), &inside(&format!("/tmp/new-{name}"))).ok();
            cp(&format!("{}/.", local("in")), &inside("/home")).ok();
            cp(&local("in/one"), &inside("/root/renamed")).ok();
            cp(&inside("/tmp/in"), &out).ok();
            cp(&inside(&format!("/tmp/new-{name}/.")), &format!("{out}/content")).ok();
            cp(&inside("/root/renamed"), &format!("{out}/file")).ok();
            cp(&inside("/home/sub/two"), &out).ok();
            let read = |path: &str| {
                std::fs::read_to_string(format!("{out}/{path}")).unwrap_or_else(|e| panic!("{out}/{path}: {e}"))
            };
            assert_eq!((read("in/one"), read("in/sub/two")), ("1".into(), "2".into()), "{container} {name}");
            assert_eq!((read("content/one"), read("file"), read("two")), ("1".into(), "1".into(), "2".into()));
            assert_eq!(std::fs::read_link(format!("{out}/in/link")).expect("a link").to_str(), Some("one"));
            // A link is a link, unless it is followed.
            cp(&inside("/tmp/in/link"), &format!("{out}/aslink")).ok();
            assert!(std::fs::symlink_metadata(format!("{out}/aslink")).expect("there").is_symlink());
            ask(&host, name, &["cp", "-L", &inside("/tmp/in/link"), &format!("{out}/followed")]).ok();
            assert_eq!(read("followed"), "1");
        }
    }
    assert_eq!(host.docker(&["start", "-a", "created"]).ok(), "2", "what was copied in is there when it starts");
    assert_eq!(host.docker(&["exec", "running", "cat", "/home/sub/two"]).ok(), "2");
}

#[test]
fn archives_through_pipes() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "cc", "busybox", "sleep", "1000"]).ok();
    for name in ["docker", "berth"] {
        let mut packing = client(&host, name);
        packing.args(["cp", "cc:/etc", "-"]);
        let tar = packing.output().expect("a client").stdout;
        let listed = piped(list_command(), &tar).ok();
        assert!(listed.contains("etc/passwd") && listed.starts_with("etc/\n"), "{listed}");
        let mut unpacking = client(&host, name);
        unpacking.args(["cp", "-", "cc:/tmp"]);
        piped(unpacking, &tar).ok();
        host.docker(&["exec", "cc", "cmp", "/etc/passwd", "/tmp/etc/passwd"]).ok();
        // With -a, everything belongs to the container's user; here there is none, and the archive decides.
        let mut into_file = client(&host, name);
        into_file.args(["cp", "-", "cc:/etc/passwd"]);
        let refusal = piped(into_file, &tar).fails_with(1);
        assert!(refusal.contains("must be a directory"), "{refusal}");
    }
    let root = host.docker_command().args(["cp", "cc:/", "-"]).output().expect("a client").stdout;
    assert!(piped(list_command(), &root).ok().contains("proc/"), "mounts are seen");
}

fn list_command() -> Command {
    let mut list = Command::new("tar");
    list.args(["-tf", "-"]);
    list
}

#[test]
fn what_is_mounted_and_what_is_read_only() {
    let (_world, host) = started();
    let bound = host.directory().join("bound");
    std::fs::create_dir(&bound).expect("made");
    let bind = format!("{}:/bound", bound.display());
    let readonly = format!("{}:/ro:ro", bound.display());
    let file = host.directory().join("file");
    std::fs::write(&file, "content").expect("written");
    let file = file.to_string_lossy();
    for (name, verb) in [("running", vec!["run", "-d"]), ("created", vec!["create"])] {
        let mounts = ["--name", name, "--read-only", "-v", &bind, "-v", &readonly, "--tmpfs", "/memory"];
        host.docker(&[&verb[..], &mounts, &["busybox", "sleep", "1000"]].concat()).ok();
        host.docker(&["cp", &file, &format!("{name}:/bound/{name}")]).ok();
        assert_eq!(std::fs::read_to_string(bound.join(name)).expect("written"), "content");
        let out = host.directory().join(format!("out-{name}"));
        host.docker(&["cp", &format!("{name}:/ro/{name}"), &out.to_string_lossy()]).ok();
        assert_eq!(std::fs::read_to_string(out).expect("written"), "content");
        let refusal = host.docker(&["cp", &file, &format!("{name}:/tmp")]).fails_with(1);
        assert!(refusal.contains("container rootfs is marked read-only"), "{refusal}");
        let refusal = host.docker(&["cp", &file, &format!("{name}:/ro")]).fails_with(1);
        assert!(refusal.contains("mounted volume is marked read-only"), "{refusal}");
    }
    host.docker(&["cp", &file, "running:/memory/kept"]).ok();
    assert_eq!(host.docker(&["exec", "running", "cat", "/memory/kept"]).ok(), "content");
    assert_eq!(host.docker(&["start", "created"]).ok(), "created", "nothing is left mounted");
}

/// With -a, what comes in belongs to the container's user, if it has one, and to whom it belonged if not; what comes out
/// keeps its owner. Without it, what comes out belongs to who asked for it.
#[test]
fn owners_in_archive_mode() {
    let (_world, host) = started();
    host.docker(&["create", "--name", "root", "busybox"]).ok();
    host.docker(&["create", "--name", "guest", "--user", "guest", "busybox"]).ok();
    let directory = host.directory().join("owned");
    std::fs::create_dir(&directory).expect("made");
    std::fs::write(directory.join("file"), "").expect("written");
    for path in [directory.clone(), directory.join("file")] {
        std::os::unix::fs::chown(path, Some(1234), Some(2345)).expect("given away");
    }
    let owners = |path: &Path| {
        [path.to_owned(), path.join("file")].map(|path| {
            let found = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (found.uid(), found.gid())
        })
    };
    for name in ["docker", "berth"] {
        for (container, expected) in [("root", (1234, 2345)), ("guest", (1000, 1000))] {
            let inside = format!("{container}:/home/{name}");
            ask(&host, name, &["cp", "-a", &directory.to_string_lossy(), &inside]).ok();
            let out = |arguments: &[&str], to: &str| {
                let out = host.directory().join(format!("{name}-{container}-{to}"));
                host.berth(&[arguments, &[&inside, &out.to_string_lossy()]].concat()).ok();
                owners(&out)
            };
            assert_eq!(out(&["cp", "-a"], "kept"), [expected; 2], "{name} {container}");
            assert_eq!(out(&["cp"], "mine"), [(0, 0); 2], "{name} {container}");
        }
    }
}

#[test]
fn refusals_are_docker_s() {
    let (_world, host) = started();
    host.docker(&["create", "--name", "cc", "--user", "guest", "busybox"]).ok();
    let directory = host.directory().join("d");
    std::fs::create_dir_all(directory.join("passwd")).expect("made");
    std::fs::write(directory.join("tmp"), "").expect("written");
    let local = |path: &str| directory.join(path).to_string_lossy().into_owned();
    for name in ["docker", "berth"] {
        let refused = |from: &str, to: &str| ask(&host, name, &["cp", from, to]).fails_with(1);
        let said = refused("cc:/absent", ".");
        assert!(said.contains("Could not find the file /absent in container cc"), "{said}");
        assert!(refused(&local("tmp"), "cc:/absent/dir/").contains("no such directory"));
        let said = refused(&local("passwd"), "cc:/etc/");
        assert!(said.contains("cannot overwrite non-directory \"/etc/passwd\" with directory"), "{said}");
        let said = refused(&format!("{}/.", local("")), "cc:/");
        assert!(said.contains("cannot overwrite directory \"/tmp\" with non-directory"), "{said}");
        let said = refused(&local("passwd"), "cc:/etc/passwd");
        assert!(said.contains("cannot copy directory"), "{said}");
        assert!(refused("cc:/a", "cc:/b").contains("copying between containers is not supported"));
        assert!(refused("a", "b").contains("must specify at least one container source"));
        assert!(refused("nobody:/a", ".").contains("No such container: nobody"));
        // The container's user becomes the owner with -a.
        ask(&host, name, &["cp", "-a", &local("tmp"), "cc:/home/owned"]).ok();
    }
    host.docker(&["cp", "cc:/home/owned", &local("owned")]).ok();
    let (status, body) = host.http("/run/berth/berth.sock", "PUT", "/containers/cc/archive", Some("x"));
    assert_eq!((status, body.contains("path cannot be empty")), (400, true), "{body}");
    let (status, body) =
        host.http("/run/berth/berth.sock", "PUT", "/containers/cc/archive?path=/etc/passwd", Some("x"));
    assert_eq!((status, body.contains("extraction point is not a directory")), (400, true), "{body}");
    let (status, body) = host.http("/run/berth/berth.sock", "PUT", "/containers/cc/archive?path=/tmp", Some("no tar"));
    assert_eq!((status, body.contains("isn't a tar archive")), (400, true), "{body}");
    let said = host
        .sh("tar -c --owner 0 --group 0 -C / etc/hostname --transform s,etc/hostname,x/../../e, -P | \
        curl -s --unix-socket /run/berth/berth.sock -T - 'http://l/containers/cc/archive?path=/tmp'")
        .ok();
    assert!(said.contains("leads out of the root by '..'"), "{said}");
}

/// A container that puts links in the way, and one that never stops doing so: neither gets a copy out of its root.
#[test]
fn links_and_races_lead_nowhere_else() {
    let (_world, host) = started();
    let secret = host.directory().join("secret");
    std::fs::create_dir(&secret).expect("made");
    std::fs::write(secret.join("file"), "of the host").expect("written");
    let (secret, up) = (secret.to_string_lossy().into_owned(), "../".repeat(30));
    let script = format!(
        "mkdir -p /a/real && echo inside > /a/real/file && ln -s {secret} /absolute && ln -s {up}{secret} /climbing && \
         ln -s /a/real /fine && mkfifo /a/pipe && ln -s {secret} /a/evil && mkdir /a/spare && echo ready && \
         while :; do mv -T /a/spare /a/swap 2>/dev/null; rm -rf /a/swap; ln -sn {secret} /a/swap; \
         rm -rf /a/swap; mkdir /a/swap; echo inside > /a/swap/file; rm -rf /a/swap; done"
    );
    host.docker(&["run", "-d", "--name", "cc", "busybox", "sh", "-c", &script]).ok();
    host.wait_for_log("cc", "ready");
    let input = host.directory().join("file");
    std::fs::write(&input, "from outside").expect("written");
    let input = input.to_string_lossy();
    let out = host.directory().join("out");
    for link in ["absolute", "climbing"] {
        for path in [format!("cc:/{link}/file"), format!("cc:/{link}/."), format!("cc:/{link}/")] {
            host.docker(&["cp", &path, &out.to_string_lossy()]).fails_with(1);
            host.docker(&["cp", "-L", &path, &out.to_string_lossy()]).fails_with(1);
        }
        host.docker(&["cp", &input, &format!("cc:/{link}/file")]).fails_with(1);
        assert!(!out.exists());
    }
    host.docker(&["cp", "cc:/fine/file", &out.to_string_lossy()]).ok();
    assert_eq!(std::fs::read_to_string(&out).expect("copied"), "inside\n");
    // A pipe without a writer keeps nobody waiting.
    host.docker(&["cp", "cc:/a/pipe", &host.directory().join("pipe").to_string_lossy()]).ok();
    let socket = "--unix-socket /run/berth/berth.sock";
    let archive = "http://l/containers/cc/archive?path=";
    // Many times over one connection, while the directory becomes a link and a directory again.
    let read = format!(
        "for i in $(seq 60); do curl -s {socket} {archive}/a/swap/file; curl -s {socket} {archive}/a; done | grep -ac 'of the host'"
    );
    assert_eq!(host.sh(&read).stdout.trim(), "0", "something of the host came out");
    let write = format!(
        "cd /tmp && tar -c -f {0}.tar -C $(dirname {0}) file && for i in $(seq 60); do \
         curl -s {socket} -T {0}.tar {archive}/a/swap; curl -s {socket} -T {0}.tar {archive}/a/evil; done > /dev/null",
        input
    );
    host.sh(&write).ok();
    assert_eq!(std::fs::read_to_string(format!("{secret}/file")).expect("there"), "of the host");
    assert_eq!(std::fs::read_dir(&secret).expect("there").count(), 1, "something went in");
    // What a link hides is not in a diff, a commit or an export of it either.
    host.docker(&["diff", "cc"]).ok();
    let commit = "commit --pause=false cc raced";
    host.docker(&commit.split(' ').collect::<Vec<_>>()).ok();
    let found = "docker save raced 2>/dev/null | grep -ac 'of the host'; docker export cc | grep -ac 'of the host'";
    let found = host.sh(&format!("export DOCKER_HOST=unix:///run/berth/berth.sock; {found}; true")).ok();
    assert_eq!(found, "0\n0");
    // The image made of it has the links, and they lead nowhere else either.
    assert_eq!(host.docker(&["run", "--rm", "raced", "readlink", "/climbing"]).ok(), format!("{up}{secret}"));
    host.docker(&["create", "--name", "again", "raced"]).ok();
    host.docker(&["cp", "again:/climbing/file", &out.to_string_lossy()]).fails_with(1);
    host.docker(&["cp", &input, "again:/climbing/"]).fails_with(1);
    assert_eq!(std::fs::read_dir(&secret).expect("there").count(), 1, "something went in");
}

#[test]
fn a_container_that_is_not_there_is_named_however_much_is_sent() {
    let (_world, host) = started();
    host.sh("head -c 50000000 /dev/zero > /run/large").ok();
    for name in ["docker", "berth"] {
        let said = ask(&host, name, &["cp", "/run/large", "nosuch:/x"]).fails_with(1);
        assert!(said.contains("No such container: nosuch"), "{said}");
    }
}
