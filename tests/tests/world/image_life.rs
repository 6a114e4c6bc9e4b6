//! Images from their coming to their going: lists and filters, names, removal, what keeps them, and what they take.

use berth_tests::{Host, Outcome, World};

/// A host with images that stand on `busybox` in different ways and were made one after another: `base:1` (also `base:2` and
/// `other:1`), `labelled:1`, and one without a name.
fn started() -> (World, Host) {
    let (world, host) = berth_tests::started();
    host.docker(&["run", "--name", "maker", "busybox", "sh", "-c", "echo 1 > /one"]).ok();
    host.docker(&["commit", "maker", "base:1"]).ok();
    for name in ["base:2", "other:1"] {
        host.docker(&["tag", "base:1", name]).ok();
    }
    host.docker(&["commit", "-c", "LABEL tier=web stage=test", "maker", "labelled:1"]).ok();
    host.docker(&["commit", "-m", "nameless", "maker"]).ok();
    host.docker(&["rm", "maker"]).ok();
    (world, host)
}

fn both(host: &Host, arguments: &[&str]) -> [Outcome; 2] {
    [host.docker(arguments), host.berth(arguments)]
}

fn id(host: &Host, name: &str) -> String {
    host.docker(&["image", "inspect", "-f", "{{.Id}}", name]).ok()
}

/// What a list shows, sorted.
fn listed(outcome: Outcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome.ok().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn lists_and_their_filters() {
    let (_world, host) = started();
    let names = |filters: &[&str]| {
        let mut arguments = vec!["images", "--format", "{{.Repository}}:{{.Tag}}"];
        arguments.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
        let [docker, berth] = both(&host, &arguments).map(listed);
        assert_eq!(docker, berth, "{filters:?}");
        docker
    };
    let all = ["<none>:<none>", "base:1", "base:2", "busybox:latest", "labelled:1", "other:1"];
    assert_eq!(names(&[]), all);
    assert_eq!(names(&["dangling=true"]), ["<none>:<none>"]);
    assert_eq!(names(&["dangling=false"]), all[1..]);
    assert_eq!(names(&["label=tier"]), ["labelled:1"]);
    assert_eq!(names(&["label=tier=web", "label=stage=test"]), ["labelled:1"]);
    assert_eq!(names(&["label=tier=db"]), Vec::<String>::new());
    assert_eq!(names(&["before=labelled:1"]), ["base:1", "base:2", "busybox:latest", "other:1"]);
    assert_eq!(names(&["since=base:1"]), ["<none>:<none>", "labelled:1"]);
    assert_eq!(names(&["reference=base"]), ["base:1", "base:2"]);
    assert_eq!(names(&["reference=*:1", "label=tier"]), ["labelled:1"]);
    assert_eq!(names(&["reference=b*:2"]), ["base:2"]);
    for outcome in both(&host, &["images", "-q", "--no-trunc", "base"]) {
        // Docker shows an image once for each name, and berth once.
        assert!(outcome.ok().lines().all(|line| line == id(&host, "base:1")));
    }
    for arguments in [["images", "-a"], ["images", "--digests"], ["images", "--no-trunc"]] {
        let [docker, berth] = both(&host, &arguments).map(Outcome::ok);
        assert_eq!((docker.lines().count(), berth.lines().count()), (7, 7), "{docker}\n{berth}");
    }
    let [docker, berth] = both(&host, &["images", "--filter", "since=nothing"]).map(|outcome| outcome.fails_with(1));
    assert!(docker.contains("No such image: nothing") && berth.contains("No such image: nothing"), "{docker}\n{berth}");
    for wrong in ["dangling=perhaps", "moon=full"] {
        for outcome in both(&host, &["images", "--filter", wrong]) {
            outcome.fails_with(1);
        }
    }
    let history =
        both(&host, &["history", "--no-trunc", "--format", "{{.ID}} {{.Comment}}", "base:1"]).map(Outcome::ok);
    assert_eq!(history[0], history[1]);
    assert!(history[0].starts_with(&id(&host, "base:1")) && history[0].contains("\n<missing> "), "{}", history[0]);
}

#[test]
fn removal_by_docker_s_rules() {
    let (_world, host) = started();
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        let base = id(&host, "base:1");
        let short = &base["sha256:".len()..][..12];
        let refusal = ask(&["rmi", short]).fails_with(1);
        assert!(
            refusal.contains(&format!(
                "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
            )),
            "{refusal}"
        );
        assert_eq!(ask(&["rmi", "base:2"]).ok(), "Untagged: base:2");
        ask(&["run", "-d", "--name", "user", "base:1", "sleep", "1000"]).ok();
        ask(&["rmi", "other:1"]).ok();
        let user = host.docker(&["inspect", "-f", "{{.Id}}", "user"]).ok()[..12].to_owned();
        let by_name = ask(&["rmi", "base:1"]).fails_with(1);
        assert!(
            by_name.contains(&format!("(must force) - container {user} is using its referenced image {short}")),
            "{by_name}"
        );
        let by_id = ask(&["rmi", "-f", &base]).fails_with(1);
        assert!(
            by_id.contains(&format!("(cannot be forced) - image is being used by running container {user}")),
            "{by_id}"
        );
        // By force the name goes, and the image stays as long as its container runs.
        assert_eq!(ask(&["rmi", "-f", "base:1"]).ok(), "Untagged: base:1");
        assert_eq!(host.docker(&["exec", "user", "cat", "/one"]).ok(), "1");
        host.docker(&["kill", "user"]).ok();
        host.docker(&["wait", "user"]).ok();
        let stopped = ask(&["rmi", &base]).fails_with(1);
        assert!(
            stopped.contains(&format!("(must be forced) - image is being used by stopped container {user}")),
            "{stopped}"
        );
        // Forced, the image goes; what its container stands on stays.
        assert_eq!(ask(&["rmi", "-f", "--no-prune", &base]).ok(), format!("Deleted: {base}"));
        host.docker(&["start", "user"]).ok();
        assert_eq!(host.docker(&["exec", "user", "cat", "/one"]).ok(), "1");
        host.docker(&["rm", "-f", "user"]).ok();
        let missing = ask(&["rmi", "labelled:1", "nothing:1"]);
        assert!(
            missing.stdout.contains("Untagged: labelled:1") && missing.stdout.contains("Deleted: sha256:"),
            "{missing:?}"
        );
        assert!(missing.fails_with(1).contains("No such image: nothing:1"));
        // For the other client.
        host.docker(&["run", "--name", "maker", "busybox", "sh", "-c", "echo 1 > /one"]).ok();
        host.docker(&["commit", "-c", "ENV again=1", "maker", "base:1"]).ok();
        host.docker(&["commit", "-c", "LABEL tier=web", "maker", "labelled:1"]).ok();
        host.docker(&["rm", "maker"]).ok();
        for name in ["base:2", "other:1"] {
            host.docker(&["tag", "base:1", name]).ok();
        }
    }
}

#[test]
fn prune_and_what_is_taken() {
    let (_world, host) = started();
    let layers = || host.sh("ls /var/lib/berth/images/layers | wc -l").ok();
    host.docker(&[
        "run",
        "--name",
        "user",
        "labelled:1",
        "sh",
        "-c",
        "dd if=/dev/zero of=/large bs=1M count=3 2>/dev/null",
    ])
    .ok();
    let df = |format: &str| both(&host, &["system", "df", "--format", format]).map(Outcome::ok);
    let [docker, berth] = df("{{.Type}} {{.TotalCount}} {{.Active}}");
    assert_eq!(docker, berth);
    assert!(docker.starts_with("Images 4 1\nContainers 1 0\n"), "{docker}");
    let [docker, berth] = df("{{.Size}} {{.Reclaimable}}");
    assert_eq!(docker.lines().nth(1).map(|line| &line[..4]), Some("3.14"), "{docker}");
    assert_eq!(docker, berth);
    for outcome in both(&host, &["system", "df", "-v"]) {
        let said = outcome.ok();
        assert!(said.contains("labelled") && said.contains("user") && said.contains("UNIQUE SIZE"), "{said}");
    }
    let nameless = host.docker(&["images", "-q", "--no-trunc", "--filter", "dangling=true"]).ok();
    let later = host.berth(&["image", "prune", "-f", "--filter", "until=1h"]).ok();
    assert_eq!(later, "Total reclaimed space: 0B");
    let said = host.berth(&["image", "prune", "-f"]).ok();
    assert!(said.contains(&format!("Deleted: {nameless}")), "{said}");
    assert_eq!(layers(), "2", "it shared its layers");
    let said = host.docker(&["image", "prune", "-a", "-f", "--filter", "label=tier"]).ok();
    assert!(!said.contains("labelled"), "a container has it: {said}");
    let said = host.docker(&["image", "prune", "-a", "-f"]).ok();
    assert!(said.contains("untagged: base:1") && said.contains("untagged: busybox:latest"), "{said}");
    assert_eq!(listed(host.docker(&["images", "--format", "{{.Repository}}"])), ["labelled"]);
    assert_eq!(layers(), "2", "what a container stands on stays");
    assert_eq!(host.docker(&["start", "-a", "user"]).code, 0);
    host.docker(&["network", "create", "unused"]).ok();
    let user = host.docker(&["inspect", "-f", "{{.Id}}", "user"]).ok();
    let said = host.berth(&["system", "prune", "-a", "-f"]).ok();
    for gone in
        [format!("Deleted Containers:\n{user}"), "Deleted Networks:\nunused".into(), "Untagged: labelled:1".into()]
    {
        assert!(said.contains(&gone), "{gone}: {said}");
    }
    assert_eq!(layers(), "0");
    assert_eq!(host.sh("ls /var/lib/berth/images/snapshots | wc -l").ok(), "0");
    host.docker(&["import", &berth_tests::image::busybox().to_string_lossy(), "busybox"]).ok();
    host.docker(&["run", "--name", "ended", "busybox", "true"]).ok();
    assert!(host.docker(&["system", "prune", "-f"]).ok().starts_with("Deleted Containers:\n"));
    host.berth(&["system", "prune", "-f", "--volumes", "--filter", "until=1h"]).fails_with(1);
    for client in [Host::docker, Host::berth] {
        client(&host, &["system", "prune", "-f", "--volumes", "--filter", "label=none"]).ok();
    }
    assert_eq!(host.berth(&["system", "prune", "-f", "--filter", "until=1h"]).ok(), "Total reclaimed space: 0B");
    host.docker(&["run", "--name", "ended", "busybox", "true"]).ok();
    assert!(host.berth(&["container", "prune", "-f"]).ok().starts_with("Deleted Containers:\n"));
    assert_eq!(listed(host.docker(&["images", "--format", "{{.Repository}}"])), ["busybox"]);
    // The docker client makes whole seconds of `0s`: what happened in this one would be missing.
    let now = host.sh("date +%s.%N").ok();
    let told = ["events", "--since", "1h", "--until", &now, "--filter", "event=prune", "--format", "{{.Type}}"];
    let mut kinds = listed(host.docker(&told));
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["builder", "container", "image", "network", "volume"]);
}

#[test]
fn system_prune_leaves_what_its_filters_leave() {
    let (_world, host) = berth_tests::started();
    let build = |name: &str, label: &str| {
        let made = format!("printf 'FROM busybox\\nLABEL {label}\\n' | docker build -q -t {name} -");
        host.sh(&format!("export DOCKER_HOST=unix:///run/berth/berth.sock DOCKER_BUILDKIT=0; {made}")).ok();
    };
    let left = |arguments: &[&str]| {
        let mut names = listed(host.docker(arguments));
        names.retain(|name| name.len() == 2);
        names.sort_unstable();
        names.concat()
    };
    for client in [Host::docker as fn(&Host, &[&str]) -> Outcome, Host::berth] {
        for (name, label) in [("aa", "tier=web"), ("bb", "tier=db"), ("cc", "keep=yes")] {
            host.docker(&["create", "--name", name, "--label", label, "busybox", "true"]).ok();
            host.docker(&["network", "create", "--label", label, name]).ok();
            build(name, label);
        }
        let prune = |filters: &[&str]| {
            let filters: Vec<_> = filters.iter().flat_map(|filter| ["--filter", *filter]).collect();
            client(&host, &[&["system", "prune", "-a", "-f"][..], &filters].concat()).ok();
            [
                left(&["ps", "-a", "--format", "{{.Names}}"]),
                left(&["network", "ls", "--format", "{{.Name}}"]),
                left(&["images", "--format", "{{.Repository}}"]),
            ]
        };
        let all = |names: &str| [names; 3].map(str::to_owned);
        assert_eq!(prune(&["label=none"]), all("aabbcc"));
        assert_eq!(prune(&["label=tier", "until=1h"]), all("aabbcc"));
        assert_eq!(prune(&["label=tier=web"]), all("bbcc"));
        assert_eq!(prune(&["label!=keep"]), all("cc"));
        assert_eq!(prune(&[]), all(""));
        // That took the image as well.
        host.docker(&["import", &berth_tests::image::busybox().to_string_lossy(), "busybox"]).ok();
    }
}

#[test]
fn an_image_for_another_platform_is_not_the_one_that_was_asked_for() {
    let (_world, host) = berth_tests::started();
    let ask = |method, path: &str| host.http("/run/berth/berth.sock", method, path, None);
    let other = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22s390x%22%7D";
    for (method, path) in [
        ("GET", "/images/busybox/json?platform="),
        ("GET", "/images/busybox/history?platform="),
        ("DELETE", "/images/busybox?platforms="),
    ] {
        let (status, said) = ask(method, &format!("{path}{other}"));
        assert_eq!(status, 404, "{said}");
        assert!(said.contains("does not match the specified platform (linux/s390x)"), "{said}");
    }
    let (status, said) = ask("DELETE", &format!("/images/busybox?platforms={other}&platforms={other}"));
    assert_eq!(status, 400, "{said}");
    let platform = host.docker(&["image", "inspect", "-f", "{{.Os}}%2F{{.Architecture}}", "busybox"]).ok();
    let (status, said) = ask("GET", &format!("/images/busybox/json?platform={platform}"));
    assert_eq!(status, 200, "{said}");
    let (status, said) = ask("DELETE", &format!("/images/busybox?platforms={platform}"));
    assert_eq!(status, 200, "{said}");
}
