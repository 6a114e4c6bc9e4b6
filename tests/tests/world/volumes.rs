//! Volumes: named and anonymous, filled from images, shared between containers, options of `local`, faults.

use std::{os::unix::net::UnixListener, process::Stdio};

use berth_tests::{Host, started, volume_plugin::VolumePlugin};

/// An image that declares a volume with files in it.
fn load_with_volume(host: &Host) {
    host.sh("mkdir -p /run/v/srv/data/sub && cd /run/v && echo seed > srv/data/seed && chmod 640 srv/data/seed && \
         chown 7:8 srv/data && chmod 2750 srv/data && \
         mkdir bin && cp /bin/busybox bin/ && for name in sh cat ls stat mkdir rm ln sleep grep touch readlink; do \
         ln -s busybox bin/$name; done && tar -cf /run/v.tar . && rm -rf /run/v")
        .ok();
    host.docker(&["import", "-c", "VOLUME /srv/data", "-c", "CMD [\"sleep\", \"1000\"]", "/run/v.tar", "seeded"]).ok();
}

type Client = fn(&Host, &[&str]) -> berth_tests::Outcome;
const CLIENTS: [Client; 2] = [Host::docker, Host::berth];

#[test]
fn a_named_volume_outlives_its_containers() {
    let (_world, host) = started();
    for client in CLIENTS {
        let data = |host: &Host, arguments: &[&str]| client(host, arguments);
        assert_eq!(data(&host, &["volume", "create", "--label", "tier=db", "data"]).ok(), "data");
        host.docker(&["run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo kept > /data/file"]).ok();
        let read = ["run", "--rm", "-v", "data:/data:ro", "busybox", "sh", "-c", "touch /data/x 2>&1; cat /data/file"];
        let said = data(&host, &read).ok();
        assert!(said.ends_with("kept") && said.contains("Read-only file system"), "{said}");
        let shown =
            data(&host, &["volume", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Scope}} {{.Mountpoint}}", "data"]);
        assert_eq!(shown.ok(), "data local local /var/lib/berth/volumes/data/_data");
        assert_eq!(data(&host, &["volume", "ls", "-q", "--filter", "label=tier=db"]).ok(), "data");
        assert_eq!(data(&host, &["volume", "ls", "-q", "--filter", "label=tier=web"]).ok(), "");
        assert_eq!(data(&host, &["volume", "ls", "--format", "{{.Driver}} {{.Name}}"]).ok(), "local data");

        let user = data(&host, &["create", "-v", "data:/data", "busybox"]).ok();
        let said = data(&host, &["volume", "rm", "data"]).fails_with(1);
        assert!(said.contains(&format!("remove data: volume is in use - [{user}]")), "{said}");
        assert_eq!(data(&host, &["volume", "ls", "-q", "--filter", "dangling=true"]).ok(), "");
        assert_eq!(data(&host, &["ps", "-aq", "--no-trunc", "--filter", "volume=data"]).ok(), user);
        data(&host, &["rm", "-v", &user]).ok();
        assert_eq!(data(&host, &["volume", "ls", "-q"]).ok(), "data", "-v spares what has a name");
        assert_eq!(data(&host, &["volume", "rm", "data"]).ok(), "data");
        let said = data(&host, &["volume", "rm", "data"]).fails_with(1);
        assert!(said.contains("get data: no such volume"), "{said}");
        data(&host, &["volume", "rm", "-f", "data"]).ok();
        let said = data(&host, &["volume", "inspect", "data"]).fails_with(1);
        assert!(said.to_lowercase().contains("no such volume"), "{said}");
    }
    assert_eq!(host.sh("ls -A /var/lib/berth/volumes | grep -v ^.gone || true").ok(), "");
}

#[test]
fn a_new_volume_has_what_the_image_has_there() {
    let (_world, host) = started();
    load_with_volume(&host);
    let look = "stat -c '%u:%g %a' /srv/data; cat /srv/data/seed; stat -c %a /srv/data/seed";
    let seeded = "7:8 2750\nseed\n640";
    assert_eq!(host.docker(&["run", "--name", "one", "seeded", "sh", "-c", look]).ok(), seeded);
    let anonymous = host.docker(&["volume", "ls", "-q"]).ok();
    assert_eq!(anonymous.len(), 64, "{anonymous}");
    let label = ["volume", "ls", "-q", "--filter", "label=com.docker.volume.anonymous"];
    assert_eq!(host.docker(&label).ok(), anonymous);
    host.docker(&["rm", "-v", "one"]).ok();
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "");

    assert_eq!(host.docker(&["run", "--rm", "-v", "named:/srv/data", "seeded", "sh", "-c", look]).ok(), seeded);
    // What has files isn't filled again.
    host.docker(&["run", "--rm", "-v", "named:/srv/data", "seeded", "sh", "-c", "rm /srv/data/seed"]).ok();
    let list = ["run", "--rm", "-v", "named:/srv/data", "seeded", "ls", "/srv/data"];
    assert_eq!(host.docker(&list).ok(), "sub");
    for flags in [&["-v", "empty:/srv/data:nocopy"][..], &["--mount", "source=mt,target=/srv/data,volume-nocopy"]] {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend_from_slice(flags);
        arguments.extend_from_slice(&["seeded", "ls", "/srv/data"]);
        assert_eq!(host.docker(&arguments).ok(), "");
    }
    // --rm takes anonymous volumes along, and leaves those with names.
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "empty\nmt\nnamed");
    host.docker(&["run", "-d", "--rm", "--name", "three", "seeded"]).ok();
    host.docker(&["create", "--rm", "--name", "four", "seeded"]).ok();
    host.docker(&["rm", "-f", "three", "four"]).ok();
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "empty\nmt\nnamed", "however it goes");
    // Without -v a container leaves its own, until somebody prunes.
    host.docker(&["run", "--name", "two", "seeded", "ls"]).ok();
    host.docker(&["rm", "two"]).ok();
    let said = host.berth(&["volume", "prune", "-f"]).ok();
    assert!(said.starts_with("Deleted Volumes:\n") && said.contains("Total reclaimed space: 5B"), "{said}");
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "empty\nmt\nnamed");
    // What keeps its files elsewhere isn't anybody's to prune.
    host.docker(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/tmp", "elsewhere"]).ok();
    host.docker(&["volume", "prune", "-f", "-a", "--filter", "label!=x"]).ok();
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "elsewhere");
}

/// Capabilities and notes of files and of the directory itself, whether the image has one layer or several.
#[test]
fn a_new_volume_has_the_image_s_attributes() {
    let (_world, host) = started();
    let data = host.directory().join("run/root/data");
    std::fs::create_dir_all(&data).expect("made");
    std::fs::write(data.join("tool"), "").expect("written");
    // CAP_NET_BIND_SERVICE and CAP_NET_RAW, permitted and effective.
    let capability = [1, 0, 0, 2, 0, 0x24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let attributes =
        [("tool", "security.capability", &capability[..]), ("tool", "user.note", b"a\n"), (".", "user.note", b"b")];
    for (file, name, value) in attributes {
        rustix::fs::setxattr(data.join(file), name, value, rustix::fs::XattrFlags::empty()).expect("set");
    }
    host.sh("cd /run/root && cp /bin/busybox . && echo 'FROM one\nCOPY Dockerfile /' > Dockerfile && \
         tar --xattrs --xattrs-include='*' -cf ../root.tar .")
        .ok();
    host.docker(&["import", "/run/root.tar", "one"]).ok();
    host.docker(&["build", "-t", "several", "/run/root"]).ok();
    for image in ["one", "several"] {
        host.docker(&["run", "--rm", "-v", &format!("{image}:/data"), image, "/busybox", "true"]).ok();
        let volume = host.directory().join(format!("lib/berth/volumes/{image}/_data"));
        for (file, name, expected) in attributes {
            let mut value = [0; 64];
            let length = rustix::fs::getxattr(volume.join(file), name, &mut value).expect(name);
            assert_eq!(&value[..length], expected, "{image}: {file} {name}");
        }
    }
}

#[test]
fn many_containers_begin_with_one_new_volume() {
    let (_world, host) = started();
    load_with_volume(&host);
    let start = "for n in 1 2 3 4 5 6 7 8; do docker run --rm -v fresh:/srv/data seeded sh -c \
                 'cat /srv/data/seed; echo $0 > /srv/data/$0' $n & done; wait";
    let said = host.sh(&format!("export DOCKER_HOST=unix:///run/berth/berth.sock; {start}")).ok();
    assert_eq!(said, ["seed"; 8].join("\n"));
    let list = host.sh("cd /var/lib/berth/volumes; stat -c %a .; ls fresh; ls fresh/_data").ok();
    assert_eq!(list, "700\n_data\n1\n2\n3\n4\n5\n6\n7\n8\nseed\nsub", "nobody's was replaced");
}

#[test]
fn the_api_answers_as_dockers() {
    let (_world, host) = started();
    let call = |method: &str, path: &str, body: Option<&str>| host.http("/run/berth/berth.sock", method, path, body);
    let (status, body) =
        call("POST", "/v1.52/volumes/create", Some(r#"{"Name":"data","Labels":null,"DriverOpts":{}}"#));
    let made: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &made["Name"], &made["Options"]), (201, &"data".into(), &serde_json::Value::Null));
    assert_eq!(call("POST", "/volumes/create", Some(r#"{"Name":"data"}"#)).0, 201, "it is there already");
    let (_, body) = call("POST", "/volumes/create", None);
    let drawn: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(drawn["Name"].as_str().map(str::len), Some(64), "{body}");
    host.docker(&["create", "--name", "user", "-v", "data:/data", "busybox"]).ok();
    let refused = |text: &str| format!("{{\"message\":\"{text}\"}}");
    for (method, path, body, status, text) in [
        ("GET", "/volumes/absent", None, 404, refused("get absent: no such volume")),
        ("GET", "/volumes/..%2fx", None, 404, refused("get ../x: no such volume")),
        ("DELETE", "/volumes/absent", None, 404, refused("get absent: no such volume")),
        ("DELETE", "/volumes/absent?force=1", None, 204, String::new()),
        ("DELETE", "/volumes/data?force=1", None, 409, "volume is in use".to_owned()),
        ("GET", "/volumes?filters=%7B%22size%22%3A%5B%221%22%5D%7D", None, 400, "invalid filter 'size'".to_owned()),
        ("POST", "/volumes/create", Some(r#"{"Name":7}"#), 400, "invalid JSON".to_owned()),
        ("POST", "/volumes/create", Some(r#"{"Name":"../../x"}"#), 400, "includes invalid characters".to_owned()),
        ("POST", "/volumes/create", Some(r#"{"Name":"data","Driver":"other"}"#), 409, "already exists".to_owned()),
        ("POST", "/volumes/create", Some(r#"{"Name":"new","Driver":"../x"}"#), 404, "not found".to_owned()),
    ] {
        let answer = call(method, path, body);
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
        assert!(answer.1.contains(&text), "{method} {path}: {}", answer.1);
    }
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok().lines().count(), 2);
}

#[test]
fn containers_share_volumes() {
    let (_world, host) = started();
    load_with_volume(&host);
    host.docker(&["run", "-d", "--name", "one", "-v", "logs:/logs", "-v", "/etc:/host:ro", "seeded"]).ok();
    host.docker(&["exec", "one", "sh", "-c", "echo shared > /logs/file; echo more > /srv/data/more"]).ok();
    let both = ["sh", "-c", "cat /logs/file /srv/data/more; ls /host/passwd; touch /logs/x 2>&1 | grep -o Read-only"];
    for (client, mode, end) in [(CLIENTS[0], "one", ""), (CLIENTS[1], "one:ro", "\nRead-only")] {
        let mut arguments = vec!["run", "--rm", "--volumes-from", mode, "busybox"];
        arguments.extend_from_slice(&both);
        let said = client(&host, &arguments);
        assert_eq!(said.stdout.trim_end(), format!("shared\nmore\n/host/passwd{end}"), "{}", said.stderr);
    }
    // A volume without a name stays while one of both has it.
    host.docker(&["create", "--name", "two", "--volumes-from", "one", "busybox"]).ok();
    let anonymous = host.docker(&["volume", "ls", "-q", "--filter", "name=^[0-9a-f]{64}$"]).ok();
    host.docker(&["rm", "-fv", "one"]).ok();
    assert!(host.docker(&["volume", "ls", "-q"]).ok().contains(&anonymous));
    host.docker(&["rm", "-v", "two"]).ok();
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "logs");
    let said = host.docker(&["create", "--volumes-from", "absent", "busybox"]).fails_with(1);
    assert!(said.contains("No such container: absent"), "{said}");
}

#[test]
fn another_container_s_volume_is_filled_from_that_one_s_image() {
    let (_world, host) = started();
    load_with_volume(&host);
    host.docker(&["create", "--name", "first", "-v", "/srv/data", "busybox"]).ok();
    assert_eq!(host.docker(&["run", "--rm", "--volumes-from", "first", "seeded", "ls", "-A", "/srv/data"]).ok(), "");
    // A container that only holds data never runs.
    host.docker(&["create", "--name", "holder", "seeded"]).ok();
    host.docker(&["create", "--name", "second", "--volumes-from", "holder", "busybox"]).ok();
    let look = ["--volumes-from", "second:ro", "busybox", "cat", "/srv/data/seed"];
    assert_eq!(host.docker(&[&["run", "--rm"][..], &look].concat()).ok(), "seed");
    host.docker(&["create", "--name", "empty", "-v", "none:/srv/data:nocopy", "seeded"]).ok();
    assert_eq!(host.docker(&["run", "--rm", "--volumes-from", "empty", "seeded", "ls", "-A", "/srv/data"]).ok(), "");
}

#[test]
fn a_part_of_a_volume_begins_with_what_the_image_has() {
    let (_world, host) = started();
    load_with_volume(&host);
    let make = "mkdir /p/sub /p/not /p/full && echo own > /p/full/own && echo file > /p/file && ln -s sub /p/link";
    host.docker(&["run", "--rm", "-v", "parts:/p", "busybox", "sh", "-c", make]).ok();
    let part = |options: &str, look: &str| {
        let mount = format!("type=volume,source=parts,target=/srv/data,{options}");
        host.docker(&["run", "--rm", "--mount", &mount, "seeded", "sh", "-c", look]).ok()
    };
    let look = "ls /srv/data && cat /srv/data/seed && stat -c '%a %u:%g' /srv/data";
    assert_eq!(part("volume-subpath=link", look), "seed\nsub\nseed\n2750 7:8");
    assert_eq!(part("volume-subpath=not,volume-nocopy", "ls -A /srv/data"), "");
    assert_eq!(part("volume-subpath=full", "ls -A /srv/data"), "own");
    let file = "type=volume,source=parts,target=/srv/data/seed,volume-subpath=file";
    assert_eq!(host.docker(&["run", "--rm", "--mount", file, "seeded", "cat", "/srv/data/seed"]).ok(), "file");
    let all = host.docker(&["run", "--rm", "-v", "parts:/p", "busybox", "sh", "-c", "cd /p && find . | sort"]).ok();
    assert_eq!(all, ".\n./file\n./full\n./full/own\n./link\n./not\n./sub\n./sub/seed\n./sub/sub");
    assert_eq!(host.sh("ls -A /run/berth/subpaths").ok(), "", "nothing of the starts is left");
}

#[test]
fn a_part_of_a_volume() {
    let (_world, host) = started();
    let make = "mkdir /data/sub && echo inside > /data/sub/file && ln -s /etc /data/out && ln -s sub /data/link";
    host.docker(&["run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", make]).ok();
    let part = |client: Client, subpath: &str| {
        let mount = format!("type=volume,source=data,target=/part,volume-subpath={subpath}");
        client(&host, &["run", "--rm", "--mount", &mount, "busybox", "sh", "-c", "cat /part/file || cat /part"])
    };
    for client in CLIENTS {
        assert_eq!(part(client, "sub").ok(), "inside");
        assert_eq!(part(client, "link").ok(), "inside");
        assert_eq!(part(client, "sub/file").stdout, "inside\n");
        let whole = "type=volume,source=data,target=/whole,volume-subpath=.";
        assert_eq!(
            client(&host, &["run", "--rm", "--mount", whole, "busybox", "cat", "/whole/sub/file"]).ok(),
            "inside"
        );
        for bad in ["absent", "out", "../sub"] {
            let outcome = part(client, bad);
            assert_eq!(outcome.code, 125, "{bad}: {}", outcome.stderr);
        }
    }
    assert_eq!(host.sh("ls -A /run/berth/subpaths").ok(), "", "nothing of the starts is left");
}

#[test]
fn options_of_local() {
    let (_world, host) = started();
    let create = |client: Client, name: &str, options: &[&str]| {
        let mut arguments = vec!["volume", "create"];
        for option in options {
            arguments.extend_from_slice(&["-o", option]);
        }
        arguments.push(name);
        client(&host, &arguments)
    };
    create(CLIENTS[0], "memory", &["type=tmpfs", "device=tmpfs", "o=size=1m,uid=7"]).ok();
    let mounted = "grep -c /volumes/memory/_data /proc/mounts || true";
    assert_eq!(host.sh(mounted).ok(), "0", "not before it is used");
    host.docker(&["run", "-d", "--name", "aa", "-v", "memory:/m", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--name", "bb", "-v", "memory:/m", "busybox", "sleep", "1000"]).ok();
    assert_eq!(
        host.docker(&["exec", "aa", "sh", "-c", "echo hi > /m/x; stat -c %u /m; grep ' /m ' /proc/mounts"])
            .ok()
            .lines()
            .next(),
        Some("7")
    );
    assert_eq!(host.docker(&["exec", "bb", "cat", "/m/x"]).ok(), "hi");
    host.docker(&["rm", "-f", "aa"]).ok();
    assert_eq!(host.docker(&["exec", "bb", "cat", "/m/x"]).ok(), "hi");
    assert_eq!(host.sh(mounted).ok(), "1");
    host.docker(&["rm", "-f", "bb"]).ok();
    assert_eq!(host.sh(mounted).ok(), "0", "it went with the last one");

    host.sh("mkdir /run/www && echo page > /run/www/index").ok();
    create(CLIENTS[1], "www", &["type=none", "o=bind,ro", "device=/run/www"]).ok();
    let read = [
        "run",
        "--rm",
        "-v",
        "www:/www",
        "busybox",
        "sh",
        "-c",
        "cat /www/index; touch /www/x 2>&1 | grep -o Read-only",
    ];
    assert_eq!(host.berth(&read).ok(), "page\nRead-only");
    host.docker(&["volume", "rm", "www"]).ok();
    assert_eq!(host.sh("cat /run/www/index").ok(), "page", "what was mounted isn't the volume's");

    create(CLIENTS[0], "files", &["type=nfs", "device=:/export", "o=addr=127.0.0.1,soft,timeo=1,retry=0"]).ok();
    create(CLIENTS[0], "absent", &["type=none", "device=/nonesuch", "o=bind"]).ok();
    for (volume, cause) in
        [("files", "failed to mount local volume: mount :/export:"), ("absent", "No such file or directory")]
    {
        let mount = format!("{volume}:/x");
        let said = host.docker(&["run", "--rm", "-v", &mount, "busybox", "true"]).fails_with(125);
        assert!(said.contains("error while mounting volume") && said.contains(cause), "{said}");
    }
    for (options, cause) in [
        (&["size=1g"][..], "quota size requested but no quota support"),
        (&["type=tmpfs"], "missing required option: \"device\""),
        (&["flavour=1"], "invalid option: \"flavour\""),
    ] {
        let said = create(CLIENTS[0], "bad", options).fails_with(1);
        assert!(said.contains(cause), "{said}");
    }
    let said = create(CLIENTS[1], "b/d", &[]).fails_with(1);
    assert!(said.contains("includes invalid characters for a local volume name"), "{said}");
}

#[test]
fn a_killed_berthd_loses_no_volume_and_leaves_no_mount() {
    let (_world, mut host) = started();
    host.docker(&["volume", "create", "--label", "keep=1", "data"]).ok();
    host.docker(&["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]).ok();
    host.docker(&["run", "-d", "--name", "aa", "-v", "memory:/m", "-v", "data:/d", "busybox", "sleep", "1000"]).ok();
    host.docker(&["exec", "aa", "sh", "-c", "echo one > /m/x; echo two > /d/x"]).ok();
    let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", "aa"]).ok();
    host.kill_berthd();
    // A removal that was cut short, half of a new volume, and one whose record is lost.
    host.sh("cd /var/lib/berth/volumes && mkdir -p .gone-1/_data half/_data lost/_data && touch .gone-1/_data/x lost/_data/x").ok();
    host.start_berthd();
    assert_eq!(host.docker(&["exec", "aa", "cat", "/m/x", "/d/x"]).ok(), "one\ntwo");
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "data\nlost\nmemory");
    assert_eq!(host.docker(&["volume", "inspect", "-f", "{{.Labels.keep}}", "data"]).ok(), "1");
    host.docker(&["volume", "rm", "data"]).fails_with(1);
    assert_eq!(host.sh("ls /var/lib/berth/volumes").ok(), "data\nlost\nmemory");
    host.kill_berthd();
    host.sh(&format!("kill -9 {pid}")).ok();
    host.start_berthd();
    assert_eq!(host.docker(&["inspect", "-f", "{{.State.Status}}", "aa"]).ok(), "exited");
    assert_eq!(host.sh("grep -c _data /proc/mounts || true").ok(), "0");
    host.docker(&["rm", "aa"]).ok();
    host.docker(&["volume", "rm", "data", "memory", "lost"]).ok();
}

#[test]
fn events_and_disk_usage() {
    let (_world, host) = started();
    host.docker(&["run", "--name", "aa", "-v", "data:/d", "busybox", "sh", "-c", "echo 1234567 > /d/x"]).ok();
    let line = host.docker(&["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}}"]).ok();
    assert!(line.contains("Local Volumes 1 1 8B"), "{line}");
    host.docker(&["rm", "aa"]).ok();
    host.docker(&["volume", "rm", "data"]).ok();
    let format = "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.driver}}";
    let now = host.sh("date +%s").ok().parse::<u64>().expect("seconds") + 1;
    let until = now.to_string();
    let events = host
        .docker(&["events", "--since", "1h", "--until", &until, "--filter", "volume=data", "--format", format])
        .ok();
    assert_eq!(events, "create data local\nmount data local\nunmount data local\ndestroy data local");
}

#[test]
fn a_plugin_keeps_volumes() {
    let (_world, mut host) = started();
    let plugin = VolumePlugin::serve(&host, "keeper");
    for (name, client) in [("one", Host::docker as Client), ("two", Host::berth)] {
        assert_eq!(client(&host, &["volume", "create", "-d", "keeper", "-o", "size=1", name]).ok(), name);
        assert_eq!(plugin.calls(), [format!("Create {name}")]);
        let format = "{{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Options.size}} {{.Status.kept}}";
        let shown = client(&host, &["volume", "inspect", "-f", format, name]).ok();
        assert_eq!(shown, format!("keeper global /run/kept/{name} 1 yes"));
        let mount = format!("{name}:/data");
        client(&host, &["run", "--rm", "-v", &mount, "busybox", "sh", "-c", "echo kept > /data/x"]).ok();
        assert_eq!(host.sh(&format!("cat /run/kept/{name}/x")).ok(), "kept");
        assert_eq!(plugin.calls(), [format!("Mount {name}"), format!("Unmount {name}")]);
        client(&host, &["volume", "rm", name]).ok();
        assert_eq!(plugin.calls(), [format!("Remove {name}")]);
    }
    // Made with its container, and known by a berthd that is killed over it.
    let run =
        ["run", "-d", "--name", "web", "--volume-driver", "keeper", "-v", "logs:/logs", "busybox", "sleep", "1000"];
    host.docker(&run).ok();
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(host.docker(&["volume", "ls", "--format", "{{.Driver}} {{.Name}}"]).ok(), "keeper logs");
    host.docker(&["rm", "-f", "web"]).ok();
    assert_eq!(plugin.calls(), ["Create logs", "Mount logs", "Unmount logs"]);

    let said = host.docker(&["volume", "create", "-d", "keeper", "-o", "fail=yes", "bad"]).fails_with(1);
    assert!(said.contains("create bad: VolumeDriver.Create: no room for it"), "{said}");
    for arguments in [
        &["volume", "create", "-d", "absent", "bad"][..],
        &["create", "--volume-driver", "absent", "-v", "bad:/x", "busybox"],
    ] {
        let said = host.docker(arguments).fails_with(1);
        assert!(said.contains("error looking up volume plugin absent: plugin \"absent\" not found"), "{said}");
    }
    let said = host.docker(&["volume", "create", "-d", "local", "logs"]).fails_with(1);
    let words = ["a volume named \"logs\" already exists with the \"keeper\" driver", "volume name must be unique"];
    assert!(words.iter().all(|words| said.contains(words)), "{said}");
    // A plugin that is gone: its volumes can be forgotten by force only.
    host.sh("rm /run/docker/plugins/keeper.sock").ok();
    host.docker(&["volume", "rm", "logs"]).fails_with(1);
    host.docker(&["volume", "rm", "-f", "logs"]).ok();
    assert_eq!(host.docker(&["volume", "ls", "-q"]).ok(), "");
}

#[test]
fn what_a_plugin_was_not_told_to_unmount_it_is_told_by_the_next_berthd() {
    let (_world, mut host) = started();
    let plugin = VolumePlugin::serve(&host, "keeper");
    for (flags, verb, left) in
        [(&[][..], &["kill"][..], "exited 137"), (&["--rm"], &["kill"], ""), (&[], &["rm", "-f"], "")]
    {
        let run = ["run", "-d", "--name", "web", "--volume-driver", "keeper", "-v", "logs:/logs"];
        let command = ["busybox", "sleep", "1000"];
        host.docker(&run.iter().chain(flags).chain(&command).copied().collect::<Vec<_>>()).ok();
        plugin.wait_for("Mount logs");
        plugin.hold_unmounts(true);
        let mut client = host.docker_command();
        let client = client.args(verb).arg("web").stdout(Stdio::null()).stderr(Stdio::null());
        let mut client = client.spawn().expect("docker");
        plugin.wait_for("Unmount logs");
        host.kill_berthd();
        client.wait().expect("docker ends");
        plugin.hold_unmounts(false);
        host.start_berthd();
        plugin.wait_for("Unmount logs");
        let format = "{{.State.Status}} {{.State.ExitCode}}";
        assert_eq!(host.docker(&["inspect", "-f", format, "web"]).stdout.trim(), left, "{flags:?} {verb:?}");
        host.docker(&["rm", "-f", "web"]);
        assert_eq!(plugin.calls(), [""; 0], "once is enough");
    }
}

#[test]
fn what_only_a_plugin_knows_is_there_too() {
    let (_world, host) = started();
    let plugin = VolumePlugin::serve(&host, "keeper");
    plugin.add("theirs");
    plugin.add("taken");
    host.docker(&["volume", "create", "ours"]).ok();
    // Somebody who ended without taking his socket along.
    drop(UnixListener::bind(host.directory().join("run/docker/plugins/dead.sock")).expect("a socket"));
    for client in CLIENTS {
        let list = client(&host, &["volume", "ls", "--format", "{{.Driver}} {{.Name}}"]);
        assert_eq!(list.stdout.trim(), "local ours\nkeeper taken\nkeeper theirs");
        assert_eq!(client(&host, &["volume", "ls", "-q", "--filter", "driver=local"]).ok(), "ours");
        let shown =
            client(&host, &["volume", "inspect", "-f", "{{.Driver}} {{.Mountpoint}} {{.Status.kept}}", "theirs"]);
        assert_eq!(shown.ok(), "keeper /run/kept/theirs yes");
    }
    let warning = host.berth(&["volume", "ls"]).stderr;
    assert!(warning.contains("list dead: calling Plugin.Activate of plugin \"dead\": Connection refused"), "{warning}");
    // By its name alone it is used, and removed.
    host.docker(&["run", "--rm", "-v", "taken:/data", "busybox", "touch", "/data/x"]).ok();
    assert_eq!(plugin.calls(), ["Mount taken", "Unmount taken"]);
    host.docker(&["volume", "rm", "theirs", "taken"]).ok();
    assert_eq!(plugin.calls(), ["Remove theirs", "Remove taken"]);
    let said = host.docker(&["volume", "rm", "theirs"]).fails_with(1);
    assert!(said.contains("get theirs: no such volume"), "{said}");
}
