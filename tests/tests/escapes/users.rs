//! Users and groups: who a container's processes are, and what they may ask of the kernel.

mod calls;

use std::fs;

use berth_tests::{Host, Outcome, probe::probe, started};

/// Builds an image of files that are beside its Dockerfile.
fn build(host: &Host, name: &str, dockerfile: &str, files: &[(&str, &[u8])]) -> Outcome {
    let directory = host.directory().join("lib").join(name);
    fs::create_dir_all(&directory).expect("a context");
    fs::write(directory.join("Dockerfile"), dockerfile).expect("written");
    for (file, content) in files {
        fs::write(directory.join(file), content).expect("written");
    }
    let mut command = host.docker_command();
    command.env("DOCKER_BUILDKIT", "0");
    Outcome::of(command.args(["build", "-q", "--no-cache", "-t", name, &format!("/var/lib/{name}")]))
}

/// An image `probe`, with the program that makes calls.
fn load_probe(host: &Host) {
    let program = fs::read(probe()).expect("the probe");
    build(host, "probe", "FROM busybox\nCOPY --chmod=755 probe /bin/probe\n", &[("probe", &program)]).ok();
}

const WHO: &str = "echo $(id -u):$(id -g) $(grep Groups: /proc/self/status)";

/// CVE-2016-3697: an image calls somebody 1000, and gives that one uid 0.
#[test]
fn a_user_who_is_called_a_number_is_not_who_the_number_means() {
    let (_world, host) = started();
    let passwd = b"1000:x:0:0::/root:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home:/bin/sh\n\
                   4711:x:0:0::/root:/bin/sh\n";
    let group = b"55:x:0:\nroot:x:0:4711\nguest:x:1000:\nwheel:x:10:guest\n";
    let dockerfile = format!(
        "FROM busybox\nCOPY passwd group /etc/\nCOPY --chown=1000:55 passwd /chowned\nCOPY --chown=4711 passwd /bare\n\
         USER 1000\nRUN {WHO} > /tmp/run && test \"$(id -u)\" = 1000\nUSER 4711:55\nRUN {WHO} > /tmp/group\n\
         HEALTHCHECK --interval=100ms CMD {WHO}\n"
    );
    build(&host, "numbers", &dockerfile, &[("passwd", passwd), ("group", group)]).ok();
    let run = |flags: &[&str], script: &str| {
        host.docker(&[&["run", "--rm", "--network", "none"], flags, &["numbers", "sh", "-c", script]].concat()).ok()
    };
    let guest = "1000:1000 Groups: 10 1000";
    assert_eq!(run(&["-u", "1000"], WHO), guest);
    assert_eq!(run(&["-u", "4711"], WHO), "4711:0 Groups: 0");
    assert_eq!(run(&["-u", "4711:55", "--group-add", "55"], WHO), "4711:55 Groups: 55");
    assert_eq!(run(&["-u", "guest", "--group-add", "55"], WHO), "1000:1000 Groups: 10 55 1000");
    assert_eq!(run(&[], WHO), "4711:55 Groups: 55", "USER of the image");
    assert_eq!(run(&[], "cat /tmp/run /tmp/group"), format!("{guest}\n4711:55 Groups: 55"), "RUN");
    assert_eq!(run(&[], "stat -c %u:%g /chowned /bare"), "1000:55\n4711:4711", "COPY --chown");

    host.docker(&["run", "-d", "--name", "long", "-u", "1000", "numbers", "sleep", "1000"]).ok();
    assert_eq!(host.docker(&["exec", "long", "sh", "-c", WHO]).ok(), guest);
    assert_eq!(host.docker(&["exec", "-u", "4711", "long", "sh", "-c", WHO]).ok(), "4711:0 Groups: 0");
    assert_eq!(host.docker(&["exec", "-u", "0:55", "long", "sh", "-c", WHO]).ok(), "0:55 Groups: 55");
    host.wait_for_events("long", "health_status: healthy", 1);
    let said = host.docker(&["inspect", "-f", "{{(index .State.Health.Log 0).Output}}", "long"]).ok();
    assert_eq!(said.trim(), guest, "a health check");
    host.docker(&["cp", "-a", "/etc/hostname", "long:/tmp/copied"]).ok();
    assert_eq!(host.docker(&["exec", "long", "stat", "-c", "%u:%g", "/tmp/copied"]).ok(), "1000:1000", "cp -a");
}

/// CVE-2022-36109 and CVE-2023-25173: whoever isn't in their main group, or still in root's, passes what denies it to a group.
#[test]
fn no_setgid_program_sheds_a_group_that_is_denied_a_file() {
    let (_world, host) = started();
    let program = fs::read(probe()).expect("the probe");
    let dockerfile = "FROM busybox\nCOPY --chmod=755 probe /bin/probe\nCOPY --chmod=2755 --chown=0:55 probe /bin/shed\n\
                      COPY --chown=0:1000 --chmod=604 secret /secret\nCOPY --chmod=604 --chown=0:10 secret /wheels\n\
                      COPY --chmod=640 secret /roots\nUSER guest\n\
                      RUN for file in secret wheels roots; do /bin/shed print /$file && exit 7; done; true\n";
    build(&host, "shed", dockerfile, &[("probe", &program), ("secret", b"secret\n")]).ok();
    host.docker(&["run", "-d", "--name", "long", "shed", "sleep", "1000"]).ok();
    for tool in ["probe", "shed"] {
        for file in ["/secret", "/wheels", "/roots"] {
            let command = [&format!("/bin/{tool}"), "print", file];
            let run = host.docker(&[&["run", "--rm", "--network", "none", "shed"][..], &command].concat());
            assert_eq!((run.code, run.stdout.as_str()), (13, ""), "run {command:?}");
            let exec = host.docker(&[&["exec", "-u", "guest", "long"][..], &command].concat());
            assert_eq!((exec.code, exec.stdout.as_str()), (13, ""), "exec {command:?}");
        }
    }
    // Whoever isn't in the group may, so the file's mode is what denies it above; and nobody is in root's group unasked.
    let stranger = ["run", "--rm", "--network", "none", "-u", "4711:4711", "shed", "/bin/probe", "print"];
    assert_eq!(host.docker(&[&stranger[..], &["/secret"]].concat()).ok(), "secret");
    assert_eq!(host.docker(&[&stranger[..], &["/roots"]].concat()).code, 13);
}

/// CVE-2024-40635: a number that turns into another one on its way to the kernel, 0 or one that changes nothing.
#[test]
fn an_id_that_no_id_can_be_is_refused_everywhere() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "--name", "long", "busybox", "sleep", "1000"]).ok();
    let sentence = |number: &str| format!("uids and gids must be in range 0-2147483647: {number} is not");
    for number in ["2147483648", "4294967295", "4294967296", "18446744073709551616", "-1"] {
        let expected = sentence(number);
        for user in [number.to_owned(), format!("0:{number}"), format!("{number}:{number}")] {
            let run = ["run", "--rm", "--network", "none", "-u", &user, "busybox", "id"];
            let said = host.docker(&run).fails_with(125);
            assert!(said.contains(&expected), "run -u {user}: {said}");
            let exec = host.docker(&["exec", "-u", &user, "long", "id"]);
            assert!(exec.code == 1 && exec.stderr.contains(&expected), "exec -u {user}: {exec:?}");
        }
        let group = ["run", "--rm", "--network", "none", "--group-add", number, "busybox", "id"];
        let said = host.docker(&group).fails_with(125);
        assert!(said.contains(&expected), "--group-add {number}: {said}");
        for step in [format!("COPY --chown={number} a /a"), format!("COPY --chown=0:{number} a /a")] {
            let said = build(&host, "refused", &format!("FROM busybox\n{step}\n"), &[("a", b"")]);
            assert!(said.code != 0 && said.stderr.contains(&expected), "{step}: {said:?}");
        }
        let said = build(&host, "refused", &format!("FROM busybox\nUSER {number}\nRUN id\n"), &[]);
        assert!(said.code != 0 && said.stderr.contains(&expected), "USER {number}: {said:?}");
    }
    // By names, which an image gives numbers: -1 would leave the process root's.
    let passwd = b"root:x:0:0::/root:/bin/sh\nevil:x:4294967295:4294967295::/:/bin/sh\nwrapped:x:4294967296:0::/:\n";
    let files: [(&str, &[u8]); 2] = [("passwd", passwd), ("group", b"evil:x:4294967295:\n")];
    build(&host, "evil", "FROM busybox\nCOPY passwd group /etc/\nUSER evil\n", &files).ok();
    let run = |flags: &[&str]| host.docker(&[&["run", "--rm", "--network", "none"], flags, &["evil", "id"]].concat());
    for flags in [&[][..], &["-u", "0:evil"], &["-u", "0", "--group-add", "evil"]] {
        let said = run(flags).fails_with(125);
        assert!(said.contains(&sentence("4294967295")), "{flags:?}: {said}");
    }
    let said = run(&["-u", "wrapped"]).fails_with(125);
    assert!(said.contains("unable to find user wrapped: no matching entries in passwd file"), "{said}");
    let said = build(&host, "refused", "FROM evil\nCOPY --chown=evil a /a\n", &[("a", b"")]);
    assert!(said.code != 0 && said.stderr.contains(&sentence("4294967295")), "{said:?}");
    assert_eq!(host.docker(&["ps", "-aq"]).ok().lines().count(), 1, "nothing is left of what was refused");
}

/// The five sets of capabilities: inheritable, permitted, effective, bounding, ambient.
fn sets(status: &str) -> Vec<u64> {
    let sets = status.lines().filter(|line| line.starts_with("Cap")).map(|line| {
        let (_, digits) = line.split_once(':').expect("a set");
        u64::from_str_radix(digits.trim(), 16).expect("hexadecimal")
    });
    sets.collect()
}

/// CVE-2016-8867: ambient capabilities of a user who isn't root. CVE-2022-24769 and CVE-2022-29162: inheritable ones, which a
/// file with capabilities in the image makes permitted ones.
#[test]
fn a_user_has_no_capabilities_and_gets_none_from_files() {
    const DEFAULT: u64 = 0xa804_25fb;
    const NET_ADMIN: u64 = 1 << 12;
    let (_world, host) = started();
    let program = fs::read(probe()).expect("the probe");
    let status = "/bin/taken print /proc/self/status";
    let dockerfile = format!(
        "FROM busybox\nCOPY --chmod=755 probe /bin/probe\nRUN cp /bin/probe /bin/taken && /bin/probe mark /bin/taken\n\
         RUN {status} > /root-built\nUSER guest\nRUN {status} > /tmp/built\nUSER 0\n\
         HEALTHCHECK --interval=100ms CMD {status} && cp /bin/probe /tmp/healthy\n"
    );
    build(&host, "taken", &dockerfile, &[("probe", &program)]).ok();
    let print = |path: &str| -> Vec<String> { ["/bin/taken", "print", path].map(str::to_owned).to_vec() };
    let ask = |before: &[&str], after: &[String]| {
        let after: Vec<&str> = after.iter().map(String::as_str).collect();
        sets(&host.docker(&[before, &after].concat()).ok())
    };
    let own = print("/proc/self/status");
    let run = ["run", "--rm", "--network", "none"];
    for (flags, bounding) in [(&[][..], DEFAULT), (&["--cap-add", "NET_ADMIN"], DEFAULT | NET_ADMIN)] {
        let root = ask(&[&run, flags, &["taken"]].concat(), &own);
        assert_eq!(root, [0, bounding, bounding, bounding, 0], "run, {flags:?}");
        for user in ["guest", "1000", "4711:10"] {
            let sets = ask(&[&run, flags, &["-u", user, "taken"]].concat(), &own);
            assert_eq!(sets, [0, 0, 0, bounding, 0], "run -u {user}, {flags:?}");
        }
        host.docker(&[&["run", "-d", "--name", "long"], flags, &["-u", "guest", "taken", "sleep", "1000"]].concat())
            .ok();
        assert_eq!(ask(&["exec", "long"], &own), [0, 0, 0, bounding, 0], "exec, {flags:?}");
        let root = ask(&["exec", "-u", "root", "long"], &own);
        assert_eq!(root, [0, bounding, bounding, bounding, 0], "exec -u root, {flags:?}");
        let all = ask(&["exec", "--privileged", "long"], &own);
        assert_eq!((all[0], all[1], all[2], all[4]), (0, 0, 0, 0), "exec --privileged, {flags:?}");
        host.wait_for_events("long", "health_status: healthy", 1);
        let said = host.docker(&["inspect", "-f", "{{(index .State.Health.Log 0).Output}}", "long"]).ok();
        assert_eq!(sets(&said), [0, 0, 0, bounding, 0], "a health check, {flags:?}");
        host.docker(&["rm", "-f", "long"]).ok();
    }
    let built = |path: &str| ask(&[&run[..], &["taken"]].concat(), &print(path));
    assert_eq!(built("/root-built"), [0, DEFAULT, DEFAULT, DEFAULT, 0], "RUN as root");
    assert_eq!(built("/tmp/built"), [0, 0, 0, DEFAULT, 0], "RUN as guest");
    let privileged = ask(&[&run[..], &["--privileged", "-u", "guest", "taken"]].concat(), &own);
    assert_eq!((privileged[0], privileged[1], privileged[2], privileged[4]), (0, 0, 0, 0), "--privileged -u guest");
    // The mark works: where something is inheritable, it is had.
    let script =
        "setpriv --inh-caps +chown --reuid 1000 --regid 1000 --clear-groups /tmp/taken print /proc/self/status";
    let marked = host.directory().join("lib/marked");
    fs::copy(probe(), &marked).expect("copied");
    let marked = marked.display();
    let script = format!("{marked} mark {marked} && {}", script.replace("/tmp/taken", &marked.to_string()));
    assert_eq!(sets(&host.sh(&script).ok())[..3], [1, 1, 1]);
}
