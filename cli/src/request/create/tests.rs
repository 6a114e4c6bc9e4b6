use super::super::tests::local;
use super::*;
use crate::flags::{self, Command, container::Verb};

/// The request of a `berth run` command line; words in it are divided as a shell would.
fn run(line: &str) -> Result<CreateRequest, String> {
    let words = shell_words::split(&format!("berth run {line}")).unwrap();
    let cli = flags::parse(words).unwrap_or_else(|rejected| panic!("{}", rejected.text));
    let Command::Verb(Verb::Run(run)) = cli.command else { panic!("{line} isn't a run") };
    create_request(&run.create, run.detach, &local()).map_err(|error| error.to_string())
}

fn body(line: &str) -> serde_json::Value {
    let mut body = serde_json::to_value(run(line).unwrap().body).unwrap();
    remove_nothings(&mut body);
    body
}

/// What says nothing would only drown the rest.
fn remove_nothings(value: &mut serde_json::Value) {
    if let serde_json::Value::Object(fields) = value {
        fields.values_mut().for_each(remove_nothings);
        fields.retain(|_, value| !value.is_null() && *value != serde_json::json!(false));
    }
}

#[test]
fn the_least() {
    insta::assert_json_snapshot!(body("busybox true"), @r#"
    {
      "AttachStderr": true,
      "AttachStdout": true,
      "Cmd": [
        "true"
      ],
      "HostConfig": {
        "NetworkMode": "default",
        "RestartPolicy": {
          "Name": "no"
        }
      },
      "Image": "busybox",
      "Labels": {}
    }
    "#);
}

#[test]
fn process_flags() {
    insta::assert_json_snapshot!(body(
        "-it -e A=1 -e HOME --env-file env -w /work -u 1000:users --group-add audio --entrypoint /init --init \
         --stop-signal INT --stop-timeout 3 image sh -c 'echo hi'"
    ), @r#"
    {
      "AttachStderr": true,
      "AttachStdin": true,
      "AttachStdout": true,
      "Cmd": [
        "sh",
        "-c",
        "echo hi"
      ],
      "Entrypoint": [
        "/init"
      ],
      "Env": [
        "FROM=file",
        "SPACED= value # kept",
        "HOME=/root",
        "A=1",
        "HOME=/root"
      ],
      "HostConfig": {
        "GroupAdd": [
          "audio"
        ],
        "Init": true,
        "NetworkMode": "default",
        "RestartPolicy": {
          "Name": "no"
        }
      },
      "Image": "image",
      "Labels": {},
      "OpenStdin": true,
      "StdinOnce": true,
      "StopSignal": "INT",
      "StopTimeout": 3,
      "Tty": true,
      "User": "1000:users",
      "WorkingDir": "/work"
    }
    "#);
}

#[test]
fn network_flags() {
    insta::assert_json_snapshot!(body(
        "--network lab --network-alias db --ip 10.9.0.7 --ip6 fd00::7 --mac-address 02:00:00:00:00:07 -h web \
         --domainname example -p 127.0.0.1:8080:80 -p 53:53/udp -P --expose 9000 --dns 9.9.9.9 --dns-search example.com \
         --dns-option ndots:2 --add-host db:10.0.0.1 image"
    ), @r#"
    {
      "AttachStderr": true,
      "AttachStdout": true,
      "Domainname": "example",
      "ExposedPorts": {
        "53/udp": {},
        "80/tcp": {},
        "9000/tcp": {}
      },
      "HostConfig": {
        "Dns": [
          "9.9.9.9"
        ],
        "DnsOptions": [
          "ndots:2"
        ],
        "DnsSearch": [
          "example.com"
        ],
        "ExtraHosts": [
          "db:10.0.0.1"
        ],
        "NetworkMode": "lab",
        "PortBindings": {
          "53/udp": [
            {
              "HostIp": "",
              "HostPort": "53"
            }
          ],
          "80/tcp": [
            {
              "HostIp": "127.0.0.1",
              "HostPort": "8080"
            }
          ]
        },
        "PublishAllPorts": true,
        "RestartPolicy": {
          "Name": "no"
        }
      },
      "Hostname": "web",
      "Image": "image",
      "Labels": {},
      "NetworkingConfig": {
        "EndpointsConfig": {
          "lab": {
            "Aliases": [
              "db"
            ],
            "IPAMConfig": {
              "IPv4Address": "10.9.0.7",
              "IPv6Address": "fd00::7"
            },
            "MacAddress": "02:00:00:00:00:07"
          }
        }
      }
    }
    "#);
}

#[test]
fn storage_and_limit_flags() {
    insta::assert_json_snapshot!(body(
        "-v ./www:/www:ro -v /data --mount type=tmpfs,target=/t --tmpfs /tmp:size=64m --read-only --shm-size 1g \
         --device /dev/null:/dev/zero:r -m 512m --memory-reservation 256m --memory-swap -1 --cpus 1.5 -c 512 \
         --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 100 --ulimit nofile=1024:2048 --oom-score-adj -500 \
         --cgroup-parent /berth image"
    ), @r#"
    {
      "AttachStderr": true,
      "AttachStdout": true,
      "HostConfig": {
        "Binds": [
          "/home/me/www:/www:ro"
        ],
        "CgroupParent": "/berth",
        "CpuShares": 512,
        "CpusetCpus": "0-1",
        "CpusetMems": "0",
        "Devices": [
          {
            "CgroupPermissions": "r",
            "PathInContainer": "/dev/zero",
            "PathOnHost": "/dev/null"
          }
        ],
        "Memory": 536870912,
        "MemoryReservation": 268435456,
        "MemorySwap": -1,
        "Mounts": [
          {
            "Target": "/t",
            "Type": "tmpfs"
          }
        ],
        "NanoCpus": 1500000000,
        "NetworkMode": "default",
        "OomScoreAdj": -500,
        "PidsLimit": 100,
        "ReadonlyRootfs": true,
        "RestartPolicy": {
          "Name": "no"
        },
        "ShmSize": 1073741824,
        "Tmpfs": {
          "/tmp": "size=64m"
        },
        "Ulimits": [
          {
            "Hard": 2048,
            "Name": "nofile",
            "Soft": 1024
          }
        ]
      },
      "Image": "image",
      "Labels": {},
      "Volumes": {
        "/data": {}
      }
    }
    "#);
}

#[test]
fn isolation_and_management_flags() {
    insta::assert_json_snapshot!(body(
        "--privileged --cap-add NET_ADMIN --cap-drop ALL --security-opt no-new-privileges --security-opt \
         systempaths=unconfined --ipc host --pid container:a --uts host --userns host --cgroupns host \
         --sysctl net.ipv4.ip_forward=1 --name web --restart on-failure:3 -l a=b --log-driver json-file \
         --log-opt max-size=10m --annotation x=y --runtime crun --platform linux/amd64 --pull never image"
    ), @r#"
    {
      "AttachStderr": true,
      "AttachStdout": true,
      "HostConfig": {
        "Annotations": {
          "x": "y"
        },
        "CapAdd": [
          "NET_ADMIN"
        ],
        "CapDrop": [
          "ALL"
        ],
        "CgroupnsMode": "host",
        "IpcMode": "host",
        "LogConfig": {
          "Config": {
            "max-size": "10m"
          },
          "Type": "json-file"
        },
        "MaskedPaths": [],
        "NetworkMode": "default",
        "PidMode": "container:a",
        "Privileged": true,
        "ReadonlyPaths": [],
        "RestartPolicy": {
          "MaximumRetryCount": 3,
          "Name": "on-failure"
        },
        "Runtime": "crun",
        "SecurityOpt": [
          "no-new-privileges"
        ],
        "Sysctls": {
          "net.ipv4.ip_forward": "1"
        },
        "UTSMode": "host",
        "UsernsMode": "host"
      },
      "Image": "image",
      "Labels": {
        "a": "b"
      }
    }
    "#);
}

#[test]
fn streams_follow_from_the_flags() {
    let streams = |line: &str| {
        let streams = run(line).unwrap().streams;
        (streams.stdin, streams.stdout, streams.stderr)
    };
    assert_eq!(streams("image"), (false, true, true));
    assert_eq!(streams("-i image"), (true, true, true));
    assert_eq!(streams("-d -i image"), (false, false, false));
    assert_eq!(streams("-a STDOUT image"), (false, true, false));
    assert_eq!(streams("-a stdin -a stderr -i image"), (true, false, true));
}

#[test]
fn an_empty_entry_point_removes_the_images() {
    assert_eq!(body("--entrypoint '' image")["Entrypoint"], serde_json::json!([""]));
}

#[test]
fn wrong_forms_are_refused_in_dockers_words() {
    for (line, expected) in [
        ("-m 10x x", "invalid argument \"10x\" for \"-m, --memory\" flag: invalid suffix: 'x'"),
        ("-m '' x", "invalid argument \"\" for \"-m, --memory\" flag: invalid size: ''"),
        ("--memory-swap -2 x", "invalid argument \"-2\" for \"--memory-swap\" flag: invalid size: '-2'"),
        ("--memory-reservation x x", "invalid argument \"x\" for \"--memory-reservation\" flag: invalid size: 'x'"),
        ("--shm-size x x", "invalid argument \"x\" for \"--shm-size\" flag: invalid size: 'x'"),
        ("--cpus x x", "invalid argument \"x\" for \"--cpus\" flag: failed to parse x as a rational number"),
        ("-p 99999:80 x", "invalid hostPort: 99999"),
        ("-p 80:80:80:80 x", "invalid IP address: 80:80"),
        ("--expose 80:80 x", "invalid port format for --expose: 80:80"),
        ("-v '' x", "invalid empty volume spec"),
        (
            "--mount type=foo x",
            "invalid argument \"type=foo\" for \"--mount\" flag: mount type unknown: \"foo\": use bind, tmpfs or volume",
        ),
        ("--tmpfs foo x", "invalid argument \"foo\" for \"--tmpfs\" flag: 'foo' is not an absolute path"),
        ("-e '' x", "invalid argument \"\" for \"-e, --env\" flag: invalid environment variable: "),
        ("--env-file /nope x", "open /nope"),
        ("--label-file /nope x", "open /nope"),
        ("--ulimit foo=1 x", "invalid argument \"foo=1\" for \"--ulimit\" flag: invalid ulimit type: foo"),
        ("--device x x", "invalid argument \"x\" for \"--device\" flag: 'x' is not an absolute path"),
        ("--ip 1.2.3 x", "invalid argument \"1.2.3\" for \"--ip\" flag: invalid IPv4 address: 1.2.3"),
        ("--ip6 1.2.3.4 x", "invalid argument \"1.2.3.4\" for \"--ip6\" flag: invalid IPv6 address: 1.2.3.4"),
        ("--mac-address x x", "x is not a valid mac address"),
        ("--network '' x", "no name set for network"),
        ("--network a --network a x", "network \"a\" is specified multiple times"),
        ("--dns x x", "invalid argument \"x\" for \"--dns\" flag: IP address is not correctly formatted: x"),
        ("--add-host x x", "invalid argument \"x\" for \"--add-host\" flag: bad format for add-host: \"x\""),
        ("--pid x x", "--pid: invalid PID mode 'x': use host or container:ID"),
        ("--sysctl x x", "invalid argument \"x\" for \"--sysctl\" flag: sysctl 'x' is not allowed"),
        ("--log-driver none --log-opt a=b x", "invalid logging opts for driver none"),
        ("--security-opt x x", "Invalid --security-opt: \"x\""),
        ("--pull x x", "invalid pull option: 'x': must be one of \"always\", \"missing\" or \"never\""),
        ("--restart on-failure:x x", "invalid restart policy format: maximum retry count must be an integer"),
        ("--rm --restart always x", "conflicting options: cannot specify both --restart and --rm"),
        (
            "--cpus 1 --cpu-quota 1000 x",
            "conflicting options: cannot specify --cpus together with --cpu-period or --cpu-quota",
        ),
        ("-d -a stdout x", "conflicting options: cannot specify both --attach and --detach"),
        ("-a x x", "invalid argument \"x\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR"),
        ("''", "invalid reference format: the image's name is empty"),
        ("--storage-opt size x", "invalid storage option: size: give NAME=VALUE"),
        ("--link a:b:c x", "invalid argument \"a:b:c\" for \"--link\" flag: bad format for links: a:b:c"),
        (
            "--platform x/y/z/w x",
            "error parsing specified platform: \"x/y/z/w\": give OS[/ARCH[/VARIANT]], as in linux/amd64",
        ),
    ] {
        assert_eq!(run(line).expect_err(line), expected, "{line}");
    }
}
