//! The Engine API as clients other than docker's newest speak it: what they send, and the words that they look for.

use berth_tests::{Host, Outcome, started, world::binary};
use serde_json::{Value, json};

const SOCKET: &str = "/run/berth/berth.sock";
const NO_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

/// A request with headers of one's own, and nothing else that curl would add to a body.
fn ask(host: &Host, method: &str, path: &str, headers: &[&str], body: Option<&str>) -> (u16, String) {
    let mut command = host.command("curl");
    command.args(["-s", "-w", "\n%{http_code}", "--unix-socket", SOCKET, "-X", method]);
    if let Some(body) = body {
        command.args(["-H", "Content-Type:", "--data-binary", body]);
    }
    for header in headers {
        command.args(["-H", header]);
    }
    let answer = Outcome::of(command.arg(format!("http://localhost{path}"))).ok();
    let (body, status) = answer.rsplit_once('\n').expect("a status line");
    (status.parse().expect("a status"), body.to_owned())
}

fn message((status, body): (u16, String)) -> (u16, String) {
    let said: Value = serde_json::from_str(&body).unwrap_or_default();
    (status, said["message"].as_str().unwrap_or(&body).to_owned())
}

#[test]
fn bodies_and_queries_are_read_as_docker_reads_them() {
    let (_world, host) = started();
    let json = ["Content-Type: application/json"];
    // Whatever the case of a name, in every body and however deep; of what comes twice in a query the first counts.
    let body = r#"{"image": "busybox", "CMD": ["true"], "env": ["A=b"], "hostconfig": {"networkmode": "none",
        "memory": 67108864, "restartPolicy": {"name": "on-failure", "maximumRetryCount": 3}, "Binds": null}}"#;
    let (status, made) = ask(&host, "POST", "/v1.43/containers/create?name=cased&name=other", &json, Some(body));
    assert_eq!(status, 201, "{made}");
    let format = "{{.HostConfig.NetworkMode}} {{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.MaximumRetryCount}} {{index .Config.Env 1}}";
    assert_eq!(host.docker(&["inspect", "-f", format, "cased"]).ok(), "none 67108864 3 A=b");
    let net = r#"{"name": "cased", "ipam": {"config": [{"subnet": "10.41.0.0/24"}]}, "labels": {"Key": "v"}}"#;
    assert_eq!(ask(&host, "POST", "/networks/create", &json, Some(net)).0, 201);
    let format = "{{(index .IPAM.Config 0).Subnet}} {{.Labels}}";
    assert_eq!(host.docker(&["network", "inspect", "-f", format, "cased"]).ok(), "10.41.0.0/24 map[Key:v]");
    // A network with nothing said about it is one nevertheless.
    let null = r#"{"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"cased": null}}, "HostConfig": {"NetworkMode": "cased"}}"#;
    assert_eq!(ask(&host, "POST", "/containers/create?name=null", &json, Some(null)).0, 201);
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
    assert_eq!(host.docker(&["inspect", "-f", format, "null"]).ok(), "cased");

    let unsupported = |given: &str| format!("unsupported Content-Type header ({given}): must be 'application/json'");
    let (text, form) = ("Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded");
    for path in ["/containers/create", "/volumes/create", "/networks/create", "/containers/cased/exec", "/auth"] {
        let refused = message(ask(&host, "POST", path, &[text], Some("{}")));
        assert_eq!(refused, (400, unsupported("text/plain")), "{path}");
    }
    host.docker(&["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]).ok();
    let exec = ask(&host, "POST", "/containers/runs/exec", &json, Some(r#"{"Cmd": ["true"]}"#)).1;
    let exec: Value = serde_json::from_str(&exec).expect("JSON");
    let start = format!("/exec/{}/start", exec["Id"].as_str().expect("an id"));
    let refused = message(ask(&host, "POST", &start, &[form], Some("{}")));
    assert_eq!(refused, (400, unsupported("application/x-www-form-urlencoded")));
    let refused = message(ask(&host, "POST", "/volumes/create", &[], Some("{}")));
    assert_eq!(refused, (400, "malformed Content-Type header (): mime: no media type".to_owned()));
    assert_eq!(ask(&host, "POST", "/volumes/create", &[], None).0, 201, "nothing at all");
    for (path, body, said) in [
        ("/containers/create", "", "invalid JSON: got EOF while reading request body"),
        ("/containers/create", "{} {}", "unexpected content after JSON"),
        ("/containers/create", r#"{"Image": 5}"#, "invalid JSON: Image: invalid type: integer `5`"),
        ("/containers/create", r#"{"HostConfig": {"CgroupnsMode": "x"}}"#, "CgroupnsMode: \"x\" is not known: use"),
        (
            "/containers/cased/update",
            r#"{"restartpolicy": {"name": "x"}}"#,
            "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
    ] {
        let (status, refusal) = message(ask(&host, "POST", path, &json, Some(body)));
        assert!(status == 400 && refusal.contains(said), "{body}: {refusal}");
    }
    // Who has no password says so in many ways: base64 of null and of nothing, and what is no base64.
    host.sh("printf 'FROM busybox\\nRUN true\\n' > /run/Dockerfile && tar -C /run -cf /run/context.tar Dockerfile")
        .ok();
    for header in ["X-Registry-Config: bnVsbA==", "X-Registry-Config: e30=", "X-Registry-Config: !"] {
        let (status, said) = ask(
            &host,
            "POST",
            "/build?t=made",
            &["Content-Type: application/x-tar", header],
            Some("@/run/context.tar"),
        );
        assert!(status == 200 && said.contains("Successfully tagged made:latest"), "{header}: {said}");
    }
    for header in ["X-Registry-Auth: bnVsbA==", "X-Registry-Auth: !", "X-Registry-Auth;"] {
        let (_, said) = message(ask(&host, "POST", "/images/nowhere.invalid%2Fx/push?tag=1", &[header], None));
        assert!(said.contains("does not exist") || said.contains("No such image"), "{header}: {said}");
    }
}

#[test]
fn a_host_is_in_no_swarm_and_has_no_plugins_of_its_own() {
    let (_world, host) = started();
    for (method, path) in [
        ("GET", "/swarm"),
        ("GET", "/swarm/unlockkey"),
        ("POST", "/swarm/update?version=1"),
        ("GET", "/nodes"),
        ("GET", "/nodes/self"),
        ("GET", "/services?status=true"),
        ("POST", "/services/create"),
        ("GET", "/tasks"),
        ("GET", "/secrets"),
        ("POST", "/configs/create"),
        ("DELETE", "/secrets/x"),
    ] {
        assert_eq!(message(ask(&host, method, path, &[], None)), (503, NO_MANAGER.to_owned()), "{method} {path}");
    }
    let left = message(ask(&host, "POST", "/swarm/leave", &[], None));
    assert_eq!(left, (503, "This node is not part of a swarm".to_owned()));
    assert_eq!(ask(&host, "GET", "/swarm/nonesuch", &[], None).0, 404);
    assert_eq!(ask(&host, "GET", "/plugins", &[], None), (200, "[]".to_owned()));
    assert_eq!(ask(&host, "GET", "/plugins?filters=%7B%22x%22:%5B%22y%22%5D%7D", &[], None).0, 400);
    let missing = (404, "plugin \"a/b:c\" not found".to_owned());
    for (method, path) in
        [("GET", "/plugins/a/b:c/json"), ("POST", "/plugins/a/b:c/enable"), ("DELETE", "/plugins/a/b:c")]
    {
        assert_eq!(message(ask(&host, method, path, &[], None)), missing, "{path}");
    }
    // What the client makes of it.
    assert_eq!(host.docker(&["plugin", "ls", "-q"]).ok(), "");
    for (arguments, said) in [
        (&["node", "ls"][..], NO_MANAGER),
        (&["service", "ls"], NO_MANAGER),
        (&["swarm", "leave"], "This node is not part of a swarm"),
        (&["swarm", "init"], "swarm mode (docker swarm init): not supported by berth"),
        (&["swarm", "join", "--token", "x", "10.0.0.1"], "swarm mode (docker swarm join): not supported by berth"),
        (&["plugin", "install", "--grant-all-permissions", "a/b"], "(docker plugin install): not supported by berth"),
        (&["plugin", "inspect", "a/b"], "plugin \"a/b\" not found"),
    ] {
        let refusal = host.docker(arguments).fails_with(1);
        assert!(refusal.contains(said), "{arguments:?}: {refusal}");
    }
    assert!(!host.logs().contains(" ERROR "), "that is no fault of berthd's: {}", host.logs());
}

/// The events since a moment, as `action id name label`.
fn image_events(host: &Host, since: &str, filters: &[&str]) -> Vec<String> {
    let format = "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.Actor.Attributes.tier}}";
    let until = host.sh("date +%s.%N").ok();
    let mut arguments =
        vec!["events", "--since", since, "--until", &until, "--format", format, "--filter", "type=image"];
    filters.iter().for_each(|filter| arguments.extend(["--filter", filter]));
    host.docker(&arguments).ok().lines().map(str::to_owned).collect()
}

#[test]
fn events_of_images_carry_labels_and_ids() {
    let (_world, host) = started();
    host.sh(
        "printf 'FROM busybox\\nLABEL tier=web\\n' > /run/Dockerfile && tar -C /run -cf /run/context.tar Dockerfile",
    )
    .ok();
    let built = ask(&host, "POST", "/build?t=shop:1", &["Content-Type: application/x-tar"], Some("@/run/context.tar"));
    assert_eq!(built.0, 200);
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "shop:1"]).ok();
    let start = host.sh("date +%s.%N").ok();
    host.docker(&["tag", "shop:1", "shop:2"]).ok();
    host.docker(&["save", "-o", "/run/shop.tar", "shop:1"]).ok();
    host.docker(&["rmi", "shop:2"]).ok();
    host.docker(&["rmi", "shop:1"]).ok();
    host.docker(&["load", "-i", "/run/shop.tar"]).ok();
    host.docker(&["image", "prune", "-af", "--filter", "label=tier"]).ok();
    let of_image = [
        format!("tag {id} shop:2 web"),
        format!("save {id} shop:1 web"),
        format!("untag {id} shop:2 web"),
        format!("untag {id} shop:1 web"),
        format!("delete {id} {id} web"),
        format!("load {id} {id} web"),
        format!("tag {id} shop:1 web"),
        format!("untag {id} shop:1 web"),
        format!("delete {id} {id} web"),
    ];
    assert_eq!(image_events(&host, &start, &["label=tier=web"]), of_image);
    assert_eq!(image_events(&host, &start, &[&format!("image={id}")]), of_image);
    let named: Vec<_> = of_image.iter().filter(|event| event.contains("shop:")).cloned().collect();
    assert_eq!(image_events(&host, &start, &["image=shop"]), named);
    assert_eq!(image_events(&host, &start, &["image=docker.io/library/shop:2"]), [&*of_image[0], &*of_image[2]]);
    assert_eq!(image_events(&host, &start, &["label=tier=db"]), [""; 0]);
    // A container's connections to networks are its own events, too.
    let container = host.docker(&["create", "--name", "till", "busybox", "true"]).ok();
    host.docker(&["start", "-a", "till"]).ok();
    let until = host.sh("date +%s.%N").ok();
    let filter = format!("container={container}");
    let format = "{{.Type}} {{.Action}}";
    let events =
        host.docker(&["events", "--since", &start, "--until", &until, "--format", format, "--filter", &filter]).ok();
    assert!(events.contains("network connect") && events.contains("container die"), "{events}");
}

#[test]
fn lists_know_names_in_full_and_names_that_have_moved() {
    let (_world, host) = started();
    let images = |filter: &str| {
        let list = host.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", filter]).ok();
        list.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    host.docker(&["tag", "busybox", "team/shop:1"]).ok();
    for pattern in ["docker.io/library/busybox", "docker.io/library/busy*:latest", "busybox"] {
        assert_eq!(images(&format!("reference={pattern}")), ["busybox:latest"], "{pattern}");
    }
    assert_eq!(images("reference=docker.io/team/shop:1"), ["team/shop:1"]);
    // As clients from before filters ask for one name.
    let names = |path: &str| {
        let (status, list) = ask(&host, "GET", path, &[], None);
        let list: Value = serde_json::from_str(&list).expect("JSON");
        (status, list.as_array().expect("a list").iter().map(|image| image["RepoTags"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(names("/v1.24/images/json?filter=team/shop"), (200, vec![json!(["team/shop:1"])]));
    assert_eq!(names("/v1.24/images/json?filter=nobody"), (200, vec![]));
    assert_eq!(names("/v1.41/images/json?filter=nobody").1.len(), 1, "it is no parameter any more");

    host.sh("mkdir -p /run/source").ok();
    host.docker(&["create", "--name", "bound", "-v", "/run/source:/data", "busybox", "true"]).ok();
    host.docker(&["create", "--name", "named", "-v", "vol:/data", "team/shop:1", "true"]).ok();
    let by_volume = |value: &str| {
        let filter = format!("volume={value}");
        host.docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &filter]).ok()
    };
    let answers = ["/run/source", "vol", "/data", "/run"].map(by_volume);
    assert_eq!(answers, ["bound", "vol", "named\nbound", ""].map(|name| name.replace("vol", "named")));

    let of = |name: &str| {
        let filter = format!("name={name}");
        host.docker(&["ps", "-a", "--no-trunc", "--format", "{{.Image}}", "--filter", &filter]).ok()
    };
    let id = host.docker(&["inspect", "-f", "{{.Image}}", "named"]).ok();
    assert_eq!(of("named"), "team/shop:1");
    host.docker(&["commit", "named", "team/shop:1"]).ok();
    assert_eq!((of("named"), of("bound")), (id.clone(), "busybox".to_owned()));
    host.docker(&["tag", "busybox", "team/shop:1"]).ok();
    assert_eq!(of("named"), "team/shop:1", "it has come back");

    // Names that no container has go, with or without an image.
    host.docker(&["commit", "named", "spare:1"]).ok();
    host.docker(&["tag", "busybox", "spare:2"]).ok();
    let said = host.docker(&["image", "prune", "-af"]).ok();
    assert!(said.contains("untagged: spare:1") && said.contains("untagged: spare:2"), "{said}");
    let mut left = images("dangling=false");
    left.sort();
    assert_eq!(left, ["busybox:latest", "team/shop:1"]);
}

#[test]
fn tools_find_the_words_that_they_look_for() {
    let (_world, host) = started();
    host.docker(&["create", "--name", "plain", "busybox", "true"]).ok();
    let id = host.docker(&["create", "--name", "hosted", "--network", "host", "busybox", "true"]).ok();
    let short = &id[..12];
    host.docker(&["network", "create", "lan"]).ok();
    host.docker(&["create", "--name", "landed", "--network", "lan", "busybox", "true"]).ok();
    for (arguments, status, said) in [
        (
            &["network", "connect", "host", "plain"][..],
            1,
            "cannot connect container to host network - container must be created in host network mode",
        ),
        (
            &["network", "disconnect", "host", "hosted"],
            1,
            "cannot disconnect container from host network - container was created in host network mode",
        ),
        (
            &["network", "connect", "none", "plain"],
            1,
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ),
        (
            &["network", "connect", "lan", "hosted"],
            1,
            "container sharing network namespace with another container or host cannot be connected to any other network",
        ),
        (
            &["run", "--ip", "172.17.0.9", "busybox"],
            125,
            "user specified IP address is supported on user defined networks only",
        ),
        (
            &["network", "connect", "--ip", "172.17.0.9", "bridge", "landed"],
            1,
            "user specified IP address is supported on user defined networks only",
        ),
        (
            &["cp", &format!("{short}:/nowhere"), "-"],
            1,
            &format!("Could not find the file /nowhere in container {short}"),
        ),
        (&["cp", "hosted:/nowhere", "-"], 1, "Could not find the file /nowhere in container hosted"),
        (
            &["run", "--log-driver", "loki", "busybox"],
            125,
            "error looking up logging plugin loki: plugin \"loki\" not found",
        ),
        (&["run", "--log-driver", "syslog", "busybox"], 125, "log driver \"syslog\" is not supported yet"),
    ] {
        let refusal = host.docker(arguments).fails_with(status);
        assert!(refusal.contains(said), "{arguments:?}: {refusal}");
    }
    // An archive that is none: the reply has begun, as with Docker.
    let (status, said) = ask(&host, "POST", "/images/load", &["Content-Type: application/x-tar"], Some("nonsense"));
    assert!(status == 200 && said.contains("\"errorDetail\":{\"message\":"), "{status} {said}");
    assert!(host.sh("head -c 2000 /dev/urandom > /run/noise").code == 0);
    host.docker(&["load", "-i", "/run/noise"]).fails_with(1);

    let build = |dockerfile: &str| {
        host.sh(&format!("printf '{dockerfile}' > /run/Dockerfile && tar -C /run -cf /run/context.tar Dockerfile"))
            .ok();
        ask(&host, "POST", "/build", &["Content-Type: application/x-tar"], Some("@/run/context.tar"))
    };
    for (dockerfile, said) in [
        ("", "dockerfile parse error: Dockerfile: there is no instruction in it"),
        ("# only words\\n", "there is no instruction in it"),
        ("FROM busybox\\nRUNN true\\n", "dockerfile parse error on line 2: Dockerfile:2: unknown instruction: RUNN"),
        ("FROM busybox\\nHEALTHCHECK foo\\n", "dockerfile parse error on line 2: Dockerfile:2: HEALTHCHECK"),
    ] {
        let (status, refusal) = message(build(dockerfile));
        assert!(status == 400 && refusal.contains(said), "{dockerfile:?}: {status} {refusal}");
    }
    let (status, said) = build("FROM busybox\\nRUN exit 3\\n");
    assert!(status == 200 && said.contains("\"errorDetail\":{\"code\":3,"), "{status} {said}");
}

#[test]
fn prunes_take_what_their_filters_leave_and_volumes_keep_their_options() {
    let (_world, host) = started();
    let prepare = || {
        for (name, label) in [("aa", "keep=yes"), ("bb", "tier=web"), ("cc", "tier=db")] {
            host.docker(&["create", "--name", name, "--label", label, "busybox", "true"]).ok();
            host.docker(&["volume", "create", "--label", label, name]).ok();
            host.docker(&["network", "create", "--label", label, name]).ok();
        }
    };
    let left = || {
        let names = |arguments: &[&str]| {
            let list = host.docker(arguments).ok();
            let mut names: Vec<_> = list.lines().filter(|name| name.len() == 2).collect();
            names.sort_unstable();
            names.concat()
        };
        let containers = names(&["ps", "-a", "--format", "{{.Names}}"]);
        [containers, names(&["volume", "ls", "-q"]), names(&["network", "ls", "--format", "{{.Name}}"])].join(" ")
    };
    let prune = |filters: &[&str]| {
        for what in ["container", "volume", "network"] {
            let mut arguments = vec![what, "prune", "-f"];
            arguments.extend(["--all"].iter().filter(|_| what == "volume"));
            filters.iter().for_each(|filter| arguments.extend(["--filter", filter]));
            host.docker(&arguments).ok();
        }
    };
    prepare();
    prune(&["label=tier", "label!=tier=db"]);
    assert_eq!(left(), "aacc aacc aacc");
    host.docker(&["container", "prune", "-f", "--filter", "until=1h"]).ok();
    assert_eq!(left(), "aacc aacc aacc");
    host.docker(&["container", "prune", "-f", "--filter", "label=tier", "--filter", "until=0s"]).ok();
    assert_eq!(left(), "aa aacc aacc");

    // What the docker client's configuration says holds for every prune.
    host.sh(r#"mkdir /run/config && echo '{"pruneFilters": ["label!=keep"]}' > /run/config/config.json"#).ok();
    host.docker(&["rm", "aa"]).ok();
    host.docker(&["volume", "rm", "aa", "cc"]).ok();
    host.docker(&["network", "rm", "aa", "cc"]).ok();
    prepare();
    for what in [&["container", "prune", "-f"][..], &["volume", "prune", "-af"], &["net", "prune", "-f"]] {
        let mut command = host.command(&binary("berth").to_string_lossy());
        Outcome::of(command.env("DOCKER_CONFIG", "/run/config").args(what)).ok();
    }
    assert_eq!(left(), "aa aa aa");

    let create = |options: &[&str]| {
        let mut arguments = vec!["volume", "create", "fast"];
        options.iter().for_each(|option| arguments.extend(["-o", option]));
        host.docker(&arguments)
    };
    let memory = ["type=tmpfs", "device=tmpfs", "o=size=1m"];
    create(&memory).ok();
    create(&memory).ok();
    create(&[]).ok();
    let refusal = create(&["type=tmpfs", "device=tmpfs", "o=size=2m"]).fails_with(1);
    let already = "a volume named \"fast\" already exists with the options device=tmpfs o=size=1m type=tmpfs";
    assert!(refusal.contains(already) && refusal.contains("volume name must be unique"), "{refusal}");
    host.docker(&["volume", "create", "plain"]).ok();
    let body = r#"{"Name": "plain", "DriverOpts": {"type": "none", "device": "/srv", "o": "bind"}}"#;
    let (status, said) = host.http(SOCKET, "POST", "/volumes/create", Some(body));
    assert!(status == 409 && said.contains("already exists without options"), "{status} {said}");
    assert_eq!(host.docker(&["volume", "inspect", "-f", "{{.Options}}", "plain"]).ok(), "map[]");
}
