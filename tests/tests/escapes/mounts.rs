//! Mounts and volumes: what a container is given of the host's file system, and what it can make of it.

use berth_tests::{Host, Outcome, World, started};

/// An image of busybox and whatever the script makes in its root directory.
fn image(host: &Host, name: &str, script: &str, changes: &[&str]) {
    host.sh(&format!(
        "rm -rf /run/image && mkdir -p /run/image/bin && cd /run/image && cp /bin/busybox bin && \
         for name in $(bin/busybox --list | grep -v busybox); do ln -s busybox bin/$name; done && {script} && tar -cf ../image.tar ."
    ))
    .ok();
    let changes = changes.iter().flat_map(|change| ["--change", change]);
    let arguments: Vec<&str> = ["import"].into_iter().chain(changes).chain(["/run/image.tar", name]).collect();
    host.docker(&arguments).ok();
}

fn run(host: &Host, flags: &[&str], image: &str, script: &str) -> Outcome {
    let arguments = [&["run", "--rm"], flags, &[image, "sh", "-c", script]].concat();
    host.docker(&arguments)
}

/// `run` is refused with these words, and nothing is left of it.
#[track_caller]
fn refused(host: &Host, flags: &[&str], image: &str, words: &[&str]) {
    let said = run(host, flags, image, "echo ran").fails_with(125);
    assert!(words.iter().all(|word| said.contains(word)), "{flags:?}: {said}");
    assert_eq!(host.docker(&["ps", "-aq"]).ok() + &host.docker(&["volume", "ls", "-q"]).ok(), "", "{flags:?}");
}

/// A host whose `/dev` is its own, with a few nodes more, and whose `/dev/shm` has something in it.
fn with_own_dev() -> (World, Host) {
    let (world, host) = started();
    host.sh("mkdir -p /run/dev && mount -t tmpfs -o mode=755 dev /run/dev && cd /run/dev && \
         cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx /dev/console . && \
         ln -s /proc/self/fd fd && mkdir pts shm mqueue odd odd/deep && mknod odd/deep/node c 1 3 && mknod odd/other c 1 5 && \
         chmod 640 odd/deep/node && chown 7:8 odd odd/deep odd/deep/node && chmod 750 odd && chmod 1711 odd/deep && \
         mount --bind /dev/pts pts && mount -t tmpfs shm shm && echo secret > shm/secret && mount --move /run/dev /dev")
        .ok();
    (world, host)
}

/// Everything about `/dev` but when it was read.
fn look_at_dev(host: &Host) -> String {
    host.sh("find /dev -xdev -exec stat -c '%n %N %F %i %f %u:%g %t:%T %s %y %z' {} + | sort; ls -l /dev/shm").ok()
}

/// libcontainer made and replaced nodes on the host before it failed.
#[test]
fn a_bind_of_dev_leaves_the_host_s_as_it_was() {
    let (_world, host) = with_own_dev();
    host.docker(&["volume", "create", "vol"]).ok();
    let before = look_at_dev(&host);
    let bind = "type=bind,source=/dev,target=/dev";
    for flags in [
        &["-v", "/dev:/dev"][..],
        &["-v", "/dev:/dev:ro"],
        &["-v", "/dev:/dev", "-t"],
        &["-v", "/dev:/dev", "-u", "7:8"],
        &["-v", "/dev:/dev", "--privileged"],
        &["-v", "/dev:/dev:ro", "--privileged", "-t"],
        &["-v", "/dev:/dev", "--ipc", "host", "--read-only"],
        &["-v", "/dev:/dev", "--device", "/dev/null:/dev/new/node"],
        &["-v", "/dev/odd:/dev/odd", "--privileged"],
        &["-v", "/dev/odd/deep:/dev/odd/deep", "-v", "/dev/null:/dev/null", "--privileged"],
        &["--mount", bind],
        &["--mount", &format!("{bind},readonly")],
    ] {
        let said = run(&host, flags, "busybox", "stat -c '%a %u:%g %t:%T' /dev/odd/deep/node; cat /dev/shm/secret");
        let whole = flags.iter().any(|flag| flag.contains("/dev:/dev") || flag.contains("target=/dev"));
        let expected = if whole { "640 7:8 1:3\nsecret" } else { "640 7:8 1:3" };
        assert_eq!(said.stdout.replace('\r', "").trim_end(), expected, "{flags:?}: {}", said.stderr);
        assert_eq!(look_at_dev(&host), before, "{flags:?}");
    }
    for flags in [
        &["-v", "vol:/dev"][..],
        &["-v", "vol:/dev", "-t"],
        &["-v", "/dev/shm:/dev/shm"],
        &["-v", "/dev/pts:/dev/pts", "-t"],
        &["-v", "/dev/null:/dev/console", "-t"],
        &["-v", "/dev/zero:/dev/null", "--privileged"],
        &["-v", "vol:/dev/mqueue"],
        &["--tmpfs", "/dev"],
        &["--tmpfs", "/dev/shm", "-v", "/dev:/dev"],
    ] {
        assert_eq!(run(&host, flags, "busybox", "echo ran").ok().trim_end(), "ran", "{flags:?}");
        assert_eq!(look_at_dev(&host), before, "{flags:?}");
    }
    assert_eq!(host.sh("ls -A /var/lib/berth/volumes/vol/_data").ok(), "");
    // Execs have terminals, and they aren't the host's.
    host.docker(&["run", "-d", "--name", "all", "-v", "/dev:/dev:ro", "busybox", "sleep", "1000"]).ok();
    let said = host.docker(&["exec", "-t", "-u", "1000", "all", "sh", "-c", "tty; ls /dev/pts | tr '\\n' ' '"]).ok();
    assert_eq!(said.replace('\r', ""), "/dev/pts/0\n0 ptmx ");
    assert_eq!(look_at_dev(&host), before);
}

/// They were open for everybody to write to.
#[test]
fn directories_of_devices_are_as_the_host_s() {
    let (_world, host) = with_own_dev();
    let look = "stat -c '%n %a %u:%g' /dev/odd /dev/odd/deep /dev/odd/deep/node /dev/odd/other";
    assert_eq!(run(&host, &["--privileged"], "busybox", look).ok(), host.sh(look).ok());
    let look = "stat -c '%a %u:%g' /dev/a /dev/a/b; stat -c %t:%T /dev/a/b/node";
    let devices = ["-u", "1000", "--device", "/dev/zero:/dev/a/b/node"];
    assert_eq!(run(&host, &devices, "busybox", look).ok(), "755 0:0\n755 0:0\n1:5");
}

/// The host's `/dev/shm` was mounted, through a link whose text is `/`.
#[test]
fn shared_memory_is_the_other_container_s() {
    let (_world, host) = with_own_dev();
    let donor = |name: &str, flags: &[&str], script: &str| {
        let script = format!("{script} && echo ready && exec sleep 1000");
        let arguments = [&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", script.as_str()]].concat();
        host.docker(&arguments).ok();
        host.wait_for_log(name, "ready");
    };
    let shareable = ["--ipc", "shareable"];
    donor("own", &shareable, "echo of the donor > /dev/shm/file");
    // Also by way of a second one, and as another user.
    donor("second", &["--ipc", "container:own", "-u", "1000"], "echo of the second > /dev/shm/new");
    for other in ["own", "second"] {
        let ipc = format!("container:{other}");
        let look = "cd /dev/shm; ls; cat *; readlink /proc/self/ns/ipc";
        let said = run(&host, &["--ipc", &ipc], "busybox", look).ok();
        let namespace = host.docker(&["exec", "own", "readlink", "/proc/self/ns/ipc"]).ok();
        assert_eq!(said, format!("file\nnew\nof the donor\nof the second\n{namespace}"));
    }
    assert_eq!(host.docker(&["exec", "own", "ls", "/dev/shm"]).ok(), "file\nnew");
    assert_eq!(host.sh("ls /dev/shm").ok(), "secret", "the host's");
    // Asked for by name, it is the host's.
    donor("of-host", &["--ipc", "host"], "true");
    for ipc in ["host", "container:of-host"] {
        assert_eq!(run(&host, &["--ipc", ipc], "busybox", "cat /dev/shm/secret").ok(), "secret");
    }

    donor("private", &[], "true");
    donor("of-volume", &["--ipc", "shareable", "--tmpfs", "/dev/shm"], "true");
    donor("of-private", &["--ipc", "private"], "true");
    for other in ["private", "of-volume", "of-private"] {
        let created = host.docker(&["create", "--ipc", &format!("container:{other}"), "busybox"]).ok();
        let said = host.docker(&["start", &created]).fails_with(1);
        assert!(said.contains("non-shareable IPC") && said.contains("IpcMode:shareable"), "{said}");
        let start = host.http("/run/berth/berth.sock", "POST", &format!("/containers/{created}/start"), None);
        assert_eq!(start.0, 400, "{start:?}");
    }
    // One that may mount has put something else there.
    let may_mount = ["--ipc", "shareable", "--cap-add", "SYS_ADMIN"];
    let instead = [
        ("link", "umount /dev/shm && rmdir /dev/shm && ln -s / /dev/shm"),
        ("far", "umount /dev/shm && rmdir /dev/shm && ln -s /proc/1/root /dev/shm"),
        ("bare", "umount /dev/shm"),
        ("bound", "mount --bind /etc /dev/shm"),
    ];
    for (name, script) in instead {
        donor(name, &may_mount, script);
        let said = run(&host, &["--ipc", &format!("container:{name}")], "busybox", "ls /dev/shm").fails_with(125);
        assert!(said.contains("/dev/shm"), "{name}: {said}");
    }
}

/// libcontainer took the text of such a link for the path.
#[test]
fn a_link_of_proc_is_no_source_of_a_bind() {
    let (_world, host) = started();
    let donor = host.docker(&["run", "-d", "busybox", "sleep", "1000"]).ok();
    let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", &donor]).ok();
    host.sh("ln -s /proc/self/root /run/link && exec 9</etc && mkdir -p /run/plain && echo fine > /run/plain/file")
        .ok();
    let words = ["invalid bind source", "leads through a link of /proc"];
    for source in [
        "/proc/self/root",
        "/proc/self/root/etc",
        "/proc/thread-self/root/etc",
        "/proc/self/cwd",
        "/proc/self/fd/0",
        "/proc/self/root/run/made",
        "/run/link/etc",
        &format!("/proc/{pid}/root"),
        &format!("/proc/{pid}/root/dev/shm"),
        &format!("/proc/{pid}/ns/net"),
    ] {
        for flags in [["-v", &format!("{source}:/x")], ["--mount", &format!("type=bind,source={source},target=/x")]] {
            let said = run(&host, &flags, "busybox", "ls /x").fails_with(125);
            assert!(words.iter().chain([&source]).all(|word| said.contains(word)), "{said}");
        }
    }
    assert_eq!(
        host.sh("ls -d /run/made 2>&1 || true").ok(),
        "ls: cannot access '/run/made': No such file or directory"
    );
    let body = r#"{"Image":"busybox","HostConfig":{"Binds":["/proc/self/root:/x"]}}"#;
    assert_eq!(host.http("/run/berth/berth.sock", "POST", "/containers/create", Some(body)).0, 400);
    let options = ["-o", "type=none", "-o", "o=bind", "-o", "device=/proc/self/root"];
    host.docker(&[&["volume", "create"], &options[..], &["bound"]].concat()).ok();
    let said = run(&host, &["-v", "bound:/x"], "busybox", "ls /x").fails_with(125);
    assert!(said.contains(words[0]), "{said}");
    // It may have become one since.
    let created = host.docker(&["create", "-v", "/run/plain:/x", "busybox", "ls", "/x"]).ok();
    host.sh("mv /run/plain /run/was && ln -s /proc/self/root /run/plain").ok();
    let said = host.docker(&["start", &created]).fails_with(1);
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    let said = host.docker(&["cp", &format!("{created}:/x"), "-"]).fails_with(1);
    assert!(said.contains(words[0]), "{said}");
    // Links of the host are what they say, and so is /proc by its own names.
    host.sh("rm /run/plain && ln -s was /run/plain").ok();
    let flags = ["-v", "/run/plain:/x", "-v", "/proc:/host/proc:ro"];
    assert_eq!(run(&host, &flags, "busybox", "cat /x/file; test -d /host/proc/1 && echo there").ok(), "fine\nthere");
}

/// CVE-2019-16884, CVE-2015-3631: what is mounted over /proc hides what is hidden or guarded there.
#[test]
fn nothing_is_mounted_over_proc_and_sys() {
    let (_world, host) = started();
    let kernel_s =
        ["/proc", "/proc/keys", "/proc/sys/kernel", "/proc/self/attr", "/sys", "/sys/firmware", "/sys/fs/cgroup"];
    for (number, path) in kernel_s.into_iter().enumerate() {
        let words = ["invalid mount path", path, "kernel's", "choose another path"];
        let (name, archive) = (format!("volume{number}"), berth_tests::image::busybox());
        let change = format!("VOLUME {path}");
        host.docker(&["import", "--change", &change, &archive.to_string_lossy(), &name]).ok();
        refused(&host, &[], &name, &words);
        refused(&host, &["-v", &format!("vol:{path}")], "busybox", &words);
        refused(&host, &["-v", path], "busybox", &words);
        refused(&host, &["--tmpfs", &format!("{path}/")], "busybox", &words);
        refused(&host, &["--mount", &format!("type=tmpfs,target=/./{path}")], "busybox", &words);
        refused(&host, &["--mount", &format!("type=volume,source=vol,target={path}")], "busybox", &words);
        let body = format!(r#"{{"Image":"busybox","Volumes":{{"{path}":{{}}}}}}"#);
        assert_eq!(host.http("/run/berth/berth.sock", "POST", "/containers/create", Some(&body)).0, 400, "{path}");
    }
    for bind in ["/proc:/proc", "/proc/keys:/proc/keys", "/etc:/proc/acpi", "/etc:/sys", "/etc:/sys/fs"] {
        refused(&host, &["-v", bind], "busybox", &["invalid mount path"]);
    }
    // Whoever can change one would say where what lies within goes.
    refused(&host, &["-v", "/etc:/sys/kernel", "-v", "/etc:/sys/kernel/debug"], "busybox", &["lies within"]);
    // What others than the kernel may tell, and what is the host's own, is as with Docker.
    host.sh("echo 1.00 2.00 > /run/uptime && echo uuid > /run/uuid").ok();
    let flags = ["-v", "/run/uptime:/proc/uptime", "-v", "/proc/meminfo:/proc/meminfo:ro"];
    assert_eq!(run(&host, &flags, "busybox", "cat /proc/uptime; grep -c MemTotal /proc/meminfo").ok(), "1.00 2.00\n1");
    let flags = ["-v", "/run/uuid:/sys/kernel/notes"];
    assert_eq!(run(&host, &flags, "busybox", "cat /sys/kernel/notes").ok(), "uuid");
}

/// The host's own `/sys` and its cgroups are what monitoring and init systems in containers are given.
#[test]
fn what_is_bound_of_sys_and_the_cgroups_is_the_host_s() {
    let (_world, host) = started();
    let names = host.sh("ls /sys/fs/cgroup | tr '\\n' ' '").ok();
    for (bind, place) in [
        ("/sys/fs/cgroup:/sys/fs/cgroup:ro", "/sys/fs/cgroup"),
        ("/sys:/sys:ro", "/sys/fs/cgroup"),
        ("/sys/fs/cgroup:/cgroups:ro", "/cgroups"),
        ("/:/host:ro", "/host/sys/fs/cgroup"),
    ] {
        let look = format!("ls {place} | tr '\\n' ' '; mkdir {place}/x 2>&1; cat /proc/keys; ls -A /sys/firmware");
        for flags in [&["-v", bind][..], &["-v", bind, "--read-only", "-u", "0"]] {
            let said = run(&host, flags, "busybox", &look).ok();
            assert!(said.starts_with(&format!("{names}\n")) || said.starts_with(&names), "{flags:?}: {said}");
            assert!(said.contains("Read-only file system") && said.lines().count() <= 2, "{flags:?}: {said}");
        }
    }
}

/// CVE-2015-3630, CVE-2018-10892: what /proc tells and takes of the host isn't namespaced.
#[test]
fn the_host_s_part_of_proc_is_hidden_or_read_only() {
    let (_world, host) = started();
    let look = "for path in acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats; do \
                [ ! -e /proc/$path ] || [ \"$(stat -c %F:%t:%T /proc/$path)\" = 'character special file:1:3' ] || \
                { [ -d /proc/$path ] && [ -z \"$(ls -A /proc/$path)\" ] && ! touch /proc/$path/x 2>/dev/null; } || \
                echo $path is there; done; \
                for path in bus fs irq sys; do \
                grep -q \" /proc/$path proc ro,\" /proc/mounts || [ ! -e /proc/$path ] || echo $path is writable; done; \
                for path in sysrq-trigger sys/kernel/panic irq/default_smp_affinity; do \
                [ ! -e /proc/$path ] || (echo 1 > /proc/$path) 2>&1; done; \
                for path in firmware devices/virtual/powercap; do ls -A /sys/$path 2>/dev/null; done; mkdir /sys/x 2>&1; true";
    for flags in [&[][..], &["-u", "0"], &["--cap-add", "SYS_ADMIN", "--cap-add", "SYS_RESOURCE"]] {
        let said = run(&host, flags, "busybox", look);
        let lines: Vec<&str> = said.stdout.lines().chain(said.stderr.lines()).collect();
        assert!(lines.len() >= 2 && lines.iter().all(|line| line.contains("Read-only file system")), "{said:?}");
    }
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: /proc itself, or the way to a mount, is a link. And libcontainer made
/// and removed files of the host by paths through a /dev that is one.
#[test]
fn a_link_in_the_image_leads_nothing_to_the_kernel_s_files_or_away_from_them() {
    let (_world, host) = started();
    host.sh("mkdir /run/victim && echo precious > /run/victim/ptmx && echo precious > /run/victim/stdin").ok();
    for (name, script) in [
        ("dev", "ln -s /run/victim"),
        ("dev", "ln -s ../../../../../run/victim"),
        ("dev", "touch"),
        ("proc", "ln -s /run/victim"),
        ("sys", "ln -s /run/victim"),
    ] {
        image(&host, "linked", &format!("mkdir -p run/victim && {script} {name}"), &[]);
        refused(&host, &[], "linked", &[&format!("invalid image \"/{name}\""), "a directory must be"]);
    }
    assert_eq!(host.sh("cd /run/victim && ls && cat *").ok(), "ptmx\nstdin\nprecious\nprecious");
    let links =
        "mkdir proc sys dev etc && ln -s /proc x && ln -s ../../sys y && ln -s x/../proc/keys k && ln -s /dev d";
    image(&host, "links", links, &[]);
    for place in ["/x", "/x/keys", "/x/acpi/new", "/y/firmware", "/y", "/k", "/d", "/d/null", "/d/new/node"] {
        let words = ["invalid mount path", place, "a link in the image or in another mount leads it to"];
        let directory = !["/x/keys", "/k", "/d/null"].contains(&place);
        let source = if directory { "/etc" } else { "/etc/passwd" };
        refused(&host, &["-v", &format!("{source}:{place}")], "links", &words);
        if directory {
            refused(&host, &["--tmpfs", place], "links", &words);
        }
        let said = run(&host, &["-v", &format!("vol:{place}")], "links", "echo ran").fails_with(125);
        assert!(said.contains("a link in the image"), "{said}");
        host.docker(&["volume", "prune", "-af"]).ok();
    }
    // The same by an image's own volumes, and by a link in a volume.
    image(&host, "declared", links, &["VOLUME /x/sys"]);
    let said = run(&host, &[], "declared", "echo ran").fails_with(125);
    assert!(said.contains("a link in the image"), "{said}");
    run(&host, &["-v", "vol:/v"], "busybox", "ln -s /proc /v/proc; ln -s /dev /v/dev").ok();
    for place in ["/v/proc/keys", "/v/proc/sys", "/v/dev/new"] {
        let said =
            run(&host, &["-v", "vol:/v", "-v", &format!("other:{place}")], "busybox", "echo ran").fails_with(125);
        assert!(said.contains("a link in the image or in another mount leads it to"), "{place}: {said}");
    }
}

/// CVE-2022-23648, CVE-2024-1753, CVE-2021-30465: neither the place of a mount nor what a volume is filled from is outside.
#[test]
fn a_link_in_the_image_does_not_lead_a_volume_out() {
    let (_world, host) = started();
    host.sh("mkdir -p /run/victim/deep && echo secret > /run/victim/secret && mkdir /run/source && echo mine > /run/source/file")
        .ok();
    let before = host.sh("find /run/victim | sort").ok();
    // Where these lead is there in the image as well, so that it can be mounted on.
    let links = "mkdir -p run/victim/deep && echo own > run/victim/own && ln -s /run/victim abs && \
                 ln -s ../../../../../../../../run/victim up && ln -s /proc/self/root/run/victim magic";
    image(&host, "links", links, &[]);
    image(&host, "declared", links, &["VOLUME /abs/deep", "VOLUME /up"]);
    let look = "ls /run/victim /run/victim/deep; cat /run/victim/own";
    let own = "/run/victim:\ndeep\nown\n\n/run/victim/deep:\nown";
    assert_eq!(run(&host, &[], "declared", look).ok(), own);
    for place in ["/abs", "/up", "/abs/deep", "/up/deep/new", "/abs/new/one"] {
        for flags in [["-v", &format!("/run/source:{place}")], ["-v", &format!("vol:{place}")], ["--tmpfs", place]] {
            assert_eq!(run(&host, &flags, "links", "echo ran").ok(), "ran", "{flags:?}");
        }
        let created = host.docker(&["create", "-v", &format!("/run/source:{place}"), "links", "true"]).ok();
        host.docker(&["cp", &format!("{created}:{place}/file"), "-"]).ok();
        assert_eq!(host.sh("find /run/victim | sort").ok(), before, "{place}");
    }
    let secret = host.sh("grep -rl secret /var/lib/berth/volumes || true").ok();
    assert_eq!(secret, "", "a volume was filled from the host");
    run(&host, &["-v", "/run/source:/magic"], "links", "true").fails_with(125);
    assert_eq!(host.sh("find /run/victim | sort").ok(), before);
    for path in ["/../../run/victim", "/a/../../../run/victim"] {
        let body = format!(r#"{{"Image":"busybox","Volumes":{{"{path}":{{}}}}}}"#);
        let (status, said) = host.http("/run/berth/berth.sock", "POST", "/containers/create", Some(&body));
        assert!(status == 400 && said.contains("must not contain '..'"), "{status} {said}");
    }
}

/// Where a link leads to that isn't there is made, and within the root: a link of the image, one in another mount, and the
/// host's directory that has it is changed only where the container sees it.
#[test]
fn what_a_dangling_link_leads_to_is_made_in_the_container() {
    let (_world, host) = started();
    host.sh("mkdir -p /run/victim /run/source /run/holder && echo mine > /run/source/file && echo one > /run/one && \
         cd /run/holder && ln -s /run/victim/by/holder out && ln -s ../../../../../run/victim/up up && ln -s sub/new in")
        .ok();
    let links = "ln -s /run/victim/new abs && ln -s ../../../../../../../run/victim/up up && ln -s abs/deep/ again && \
                 ln -s /run/victim/file one && ln -s about round && ln -s round about && mkdir proc sys dev && \
                 ln -s /proc/self/root/run/victim magic && ln -s /proc/new kernel";
    image(&host, "dangling", links, &[]);
    let before = host.sh("find /run/victim | sort").ok();
    for (flags, look, expected) in [
        (&["-v", "/run/source:/abs"][..], "cat /abs/file /run/victim/new/file", "mine\nmine"),
        (&["-v", "/run/source:/abs/deep/er"], "cat /run/victim/new/deep/er/file", "mine"),
        (&["-v", "/run/source:/again"], "cat /run/victim/new/deep/file", "mine"),
        (&["-v", "/run/source:/up"], "cat /run/victim/up/file", "mine"),
        (&["-v", "/run/one:/one"], "cat /run/victim/file", "one"),
        (&["-v", "vol:/abs"], "echo kept > /abs/x && cat /run/victim/new/x", "kept"),
        (&["--tmpfs", "/up"], "grep -c ' /run/victim/up tmpfs ' /proc/mounts", "1"),
        (&["-v", "/run/holder:/h", "-v", "/run/source:/h/out"], "cat /run/victim/by/holder/file", "mine"),
        (&["-v", "/run/holder:/h", "-v", "/run/source:/h/up/on"], "cat /run/victim/up/on/file", "mine"),
        (&["-v", "/run/holder:/h", "-v", "/run/source:/h/in"], "cat /h/sub/new/file", "mine"),
        (&["-w", "/abs/work"], "pwd -P", "/run/victim/new/work"),
    ] {
        assert_eq!(run(&host, flags, "dangling", look).ok(), expected, "{flags:?}");
        let created = host.docker(&[&["create"], flags, &["dangling", "true"]].concat()).ok();
        let place = flags.last().and_then(|flag| flag.rsplit(':').next()).expect("a place");
        let copied = host.docker(&["cp", &format!("{created}:{place}"), "-"]);
        // A working directory isn't made before it starts.
        assert!(copied.code == 0 || flags[0] == "-w", "{copied:?}");
        assert_eq!(host.sh("find /run/victim | sort").ok(), before, "{flags:?}");
    }
    assert_eq!(host.sh("find /run/holder -type d | sort").ok(), "/run/holder\n/run/holder/sub\n/run/holder/sub/new");
    assert_eq!(host.sh("ls /run/source; cat /run/one").ok(), "file\none");
    let created = host.docker(&["ps", "-aq"]).ok();
    let created: Vec<&str> = created.lines().collect();
    host.docker(&[&["rm", "-f"], &created[..]].concat()).ok();
    host.docker(&["volume", "rm", "vol"]).ok();
    for place in ["/round", "/round/a", "/magic", "/magic/a", "/kernel", "/kernel/a"] {
        let words = ["invalid mount path", place, "a link in the image or in another mount leads it"];
        refused(&host, &["-v", &format!("/run/source:{place}")], "dangling", &words);
    }
    assert_eq!(host.sh("find /run/victim | sort").ok(), before);
}

/// CVE-2021-30465: a container that shares a volume exchanges a directory and a link while another one is being started
/// that has a mount within.
#[test]
fn a_link_put_in_the_way_while_a_container_starts_leads_nothing_out() {
    const TRIES: usize = 8;
    let (_world, host) = started();
    host.sh("mkdir -p /run/victim/deep /run/source && echo mine > /run/source/file").ok();
    run(&host, &["-v", "shared:/s"], "busybox", "mkdir -p /s/way/deep /s/other/deep && ln -s / /s/link").ok();
    let swap = "while :; do mv /s/way /s/was && mv /s/link /s/way && mv /s/way /s/link && mv /s/was /s/way; done";
    host.docker(&["run", "-d", "--name", "attacker", "-v", "shared:/s", "busybox", "sh", "-c", swap]).ok();
    let look =
        "grep -v ' /\\(proc\\|sys\\|dev\\|etc\\)[/ ]' /proc/self/mountinfo | cut -d' ' -f5; grep -c . /proc/keys";
    let mut ran = 0;
    for place in ["/s/way/run/victim/new", "/s/way/run/victim/deep", "/s/way/proc", "/s/way/dev/shm", "/s/way/deep"] {
        for _ in 0..TRIES {
            let said = run(&host, &["-v", "shared:/s", "-v", &format!("/run/source:{place}")], "busybox", look);
            if said.code != 125 {
                ran += 1;
                assert!(said.stdout.ends_with("0\n"), "{place}: {said:?}");
            }
        }
    }
    assert!(ran > 0, "none was started");
    assert_eq!(
        host.sh("find /run/victim /run/source | sort").ok(),
        "/run/source\n/run/source/file\n/run/victim\n/run/victim/deep"
    );
    assert_eq!(host.sh("grep -c 'victim\\|source' /proc/self/mountinfo || true").ok(), "0");
}

/// CVE-2025-31133: what hides files is bound from a `/dev/null` that the image or a volume may bring.
#[test]
fn hidden_paths_are_hidden_by_the_real_null() {
    let (_world, host) = started();
    image(&host, "null", "mkdir dev proc sys && ln -s /proc/sysrq-trigger dev/null", &[]);
    run(&host, &["-v", "vol:/v"], "busybox", "ln -s /proc/sys/kernel/core_pattern /v/null; echo forged > /v/zero").ok();
    host.sh("echo forged > /run/forged").ok();
    let look =
        "stat -c %t:%T /proc/keys /proc/timer_list; grep -c . /proc/keys; grep -c . /proc/sys/kernel/core_pattern";
    for (image, flags) in
        [("null", &[][..]), ("busybox", &["-v", "vol:/dev"]), ("busybox", &["-v", "/run/forged:/dev/null"])]
    {
        let said = run(&host, flags, image, look);
        assert_eq!(said.stdout, "1:3\n1:3\n0\n1\n", "{image} {flags:?}: {said:?}");
    }
}

/// CVE-2025-52565: the terminal is bound over a `/dev/console` that the image or a volume has made a link.
#[test]
fn the_console_is_bound_over_no_link() {
    let (_world, host) = started();
    image(&host, "console", "mkdir dev proc sys && ln -s /proc/sysrq-trigger dev/console && ln -s / dev/pts", &[]);
    let links = "ln -s /proc/sysrq-trigger /v/console; ln -s /proc/self/root /v/pts; ln -s /etc/passwd /v/ptmx";
    run(&host, &["-v", "vol:/v"], "busybox", links).ok();
    let look = "awk '/ - devpts /{print $5}' /proc/self/mountinfo | sort | tr '\\n' ' '";
    for (image, flags, places) in [
        ("console", &["-t"][..], "/dev/console /dev/pts "),
        ("busybox", &["-t", "-v", "vol:/dev"], ""),
        ("busybox", &["-v", "vol:/dev"], ""),
    ] {
        assert_eq!(run(&host, flags, image, look).ok().trim_end(), places.trim_end(), "{image} {flags:?}");
    }
    assert_eq!(run(&host, &["-t", "-v", "vol:/dev"], "busybox", "wc -l < /etc/passwd").ok().trim_end(), "2");
}
