use super::*;

fn parse(text: &str) -> Result<Change, ChangeError> {
    text.parse()
}

#[test]
fn instructions_are_understood() {
    let table = [
        r#"CMD ["httpd", "-f"]"#,
        "cmd httpd -f | cat",
        r#"CMD ["not json]"#,
        "CMD []",
        r#"ENTRYPOINT ["/x"]"#,
        r#"ENV A=1 B="x y" C='$D' E=\$F G=a\ b"#,
        "ENV A some words",
        "LABEL a.b=c d=",
        "EXPOSE 80 53/udp 8000-8002/TCP 127.0.0.1:90:9/udp 7:8",
        "USER nobody:nogroup",
        "VOLUME /a /b",
        r#"VOLUME ["/a b"]"#,
        "WORKDIR /a/../b",
        "STOPSIGNAL SIGRTMIN+3",
        "STOPSIGNAL 9",
        "STOPSIGNAL quit",
        "ONBUILD RUN make",
        "ONBUILD some thing $X",
        "HEALTHCHECK NONE",
        r#"HEALTHCHECK --interval="1m30s" --timeout=500ms --retries=3 CMD ["true"]"#,
        "HEALTHCHECK --start-period=0s CMD curl -f localhost",
    ];
    let lines: Vec<String> = table.iter().map(|text| format!("{text} -> {:?}", parse(text).expect(text))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    CMD ["httpd", "-f"] -> Cmd(["httpd", "-f"])
    cmd httpd -f | cat -> Cmd(["/bin/sh", "-c", "httpd -f | cat"])
    CMD ["not json] -> Cmd(["/bin/sh", "-c", "[\"not json]"])
    CMD [] -> Cmd([])
    ENTRYPOINT ["/x"] -> Entrypoint(["/x"])
    ENV A=1 B="x y" C='$D' E=\$F G=a\ b -> Env([("A", "1"), ("B", "x y"), ("C", "$D"), ("E", "$F"), ("G", "a b")])
    ENV A some words -> Env([("A", "some words")])
    LABEL a.b=c d= -> Label([("a.b", "c"), ("d", "")])
    EXPOSE 80 53/udp 8000-8002/TCP 127.0.0.1:90:9/udp 7:8 -> Expose(["80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp", "9/udp", "8/tcp"])
    USER nobody:nogroup -> User("nobody:nogroup")
    VOLUME /a /b -> Volume(["/a", "/b"])
    VOLUME ["/a b"] -> Volume(["/a b"])
    WORKDIR /a/../b -> WorkingDir("/a/../b")
    STOPSIGNAL SIGRTMIN+3 -> StopSignal("SIGRTMIN+3")
    STOPSIGNAL 9 -> StopSignal("9")
    STOPSIGNAL quit -> StopSignal("quit")
    ONBUILD RUN make -> OnBuild("RUN make")
    ONBUILD some thing $X -> OnBuild("some thing $X")
    HEALTHCHECK NONE -> Healthcheck(Healthcheck { test: ["NONE"], interval_nanoseconds: 0, timeout_nanoseconds: 0, start_period_nanoseconds: 0, start_interval_nanoseconds: 0, retries: 0 })
    HEALTHCHECK --interval="1m30s" --timeout=500ms --retries=3 CMD ["true"] -> Healthcheck(Healthcheck { test: ["CMD", "true"], interval_nanoseconds: 90000000000, timeout_nanoseconds: 500000000, start_period_nanoseconds: 0, start_interval_nanoseconds: 0, retries: 3 })
    HEALTHCHECK --start-period=0s CMD curl -f localhost -> Healthcheck(Healthcheck { test: ["CMD-SHELL", "curl -f localhost"], interval_nanoseconds: 0, timeout_nanoseconds: 0, start_period_nanoseconds: 0, start_interval_nanoseconds: 0, retries: 0 })
    "#);
}

#[test]
fn wrong_instructions_are_refused_by_name() {
    let table = [
        "",
        "FOO bar",
        "RUN make",
        "FROM x",
        "CMD",
        "ENTRYPOINT",
        "ENV",
        "ENV A",
        "ENV =x",
        "ENV A=1 B",
        "ENV A='1",
        "ENV A=${B",
        "EXPOSE",
        "EXPOSE http",
        "EXPOSE 0",
        "EXPOSE 70000",
        "EXPOSE 90-80",
        "EXPOSE 80/icmp",
        "USER",
        "USER a b",
        "WORKDIR",
        "VOLUME",
        "VOLUME []",
        "STOPSIGNAL SIGFOO",
        "STOPSIGNAL 0",
        "ONBUILD",
        "ONBUILD ONBUILD RUN x",
        "ONBUILD FROM x",
        "HEALTHCHECK",
        "HEALTHCHECK CMD",
        "HEALTHCHECK NONE x",
        "HEALTHCHECK --interval=5 CMD x",
        "HEALTHCHECK --interval CMD x",
        "HEALTHCHECK --timeout=1ns CMD x",
        "HEALTHCHECK --retries=x CMD x",
        "HEALTHCHECK --what=1 CMD x",
    ];
    let lines: Vec<String> = table.iter().map(|text| format!("{text} -> {}", parse(text).expect_err(text))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
     -> an empty change: write an instruction such as CMD, ENV or EXPOSE
    FOO bar -> unknown instruction: FOO
    RUN make -> RUN is not a valid change command
    FROM x -> FROM is not a valid change command
    CMD -> CMD requires at least one argument
    ENTRYPOINT -> ENTRYPOINT requires at least one argument
    ENV -> ENV requires at least one argument
    ENV A -> ENV: can't find = in "A": write it as name=value
    ENV =x -> ENV names can not be blank
    ENV A=1 B -> ENV: can't find = in "B": write it as name=value
    ENV A='1 -> ENV: a quote in "'1" isn't closed
    ENV A=${B -> ENV: "${B" has a substitution that isn't one: write ${name}, or ${name:-default} and the like
    EXPOSE -> EXPOSE requires at least one argument
    EXPOSE http -> EXPOSE: invalid port "http": write it as 80, 80/tcp or 8000-8010/udp
    EXPOSE 0 -> EXPOSE: invalid port "0": write it as 80, 80/tcp or 8000-8010/udp
    EXPOSE 70000 -> EXPOSE: invalid port "70000": write it as 80, 80/tcp or 8000-8010/udp
    EXPOSE 90-80 -> EXPOSE: invalid port "90-80": write it as 80, 80/tcp or 8000-8010/udp
    EXPOSE 80/icmp -> EXPOSE: invalid port "80/icmp": write it as 80, 80/tcp or 8000-8010/udp
    USER -> USER requires at least one argument
    USER a b -> USER requires exactly one argument, not "a b"
    WORKDIR -> WORKDIR requires at least one argument
    VOLUME -> VOLUME requires at least one argument
    VOLUME [] -> VOLUME requires at least one argument
    STOPSIGNAL SIGFOO -> STOPSIGNAL: "SIGFOO" isn't a signal's name or number
    STOPSIGNAL 0 -> STOPSIGNAL: "0" isn't a signal's name or number
    ONBUILD -> ONBUILD requires at least one argument
    ONBUILD ONBUILD RUN x -> ONBUILD isn't allowed as an ONBUILD trigger
    ONBUILD FROM x -> FROM isn't allowed as an ONBUILD trigger
    HEALTHCHECK -> HEALTHCHECK: unknown type "": write CMD or NONE
    HEALTHCHECK CMD -> HEALTHCHECK: missing command after HEALTHCHECK CMD
    HEALTHCHECK NONE x -> HEALTHCHECK: NONE takes no arguments
    HEALTHCHECK --interval=5 CMD x -> HEALTHCHECK: --interval=5: write a time such as 30s, 1m30s or 500ms
    HEALTHCHECK --interval CMD x -> HEALTHCHECK: --interval needs a value: --interval=…
    HEALTHCHECK --timeout=1ns CMD x -> HEALTHCHECK: --timeout=1ns: cannot be less than 1ms
    HEALTHCHECK --retries=x CMD x -> HEALTHCHECK: --retries=x: write a number, 0 or more
    HEALTHCHECK --what=1 CMD x -> HEALTHCHECK: unknown flag --what
    "#);
}

#[test]
fn instructions_build_on_each_other() {
    let changes = ["ENV A=1", "ENV B=2 A=3", "WORKDIR /srv", "WORKDIR www/../html", "ONBUILD RUN a", "ONBUILD RUN b"];
    let changes: Vec<Change> = changes.iter().map(|text| parse(text).expect(text)).collect();
    let config = apply_changes(&changes, ContainerConfig::default());
    assert_eq!(config.env, ["B=2", "A=3"]);
    assert_eq!(config.working_dir, "/srv/html");
    assert_eq!(config.on_build.as_deref(), Some(&["RUN a".to_owned(), "RUN b".to_owned()][..]));
}

#[test]
fn variables_are_those_of_the_configuration_so_far() {
    let env = vec!["PATH=/bin".to_owned(), "P=80 81/udp".to_owned()];
    let config = ContainerConfig { env, working_dir: "/srv".to_owned(), ..ContainerConfig::default() };
    let changes = [
        "ENV PATH=/x:$PATH N=a",
        "ENV PATH=\"/y:${PATH}\" Q='$PATH' E=\\$PATH",
        "ENV OLD ${N}b c $NONE",
        "EXPOSE $P",
        "LABEL $N=${NONE:-x}",
        "WORKDIR $N",
        "USER ${N}:$N",
        "VOLUME /$N",
        "CMD echo $N",
        "ONBUILD RUN $N",
    ];
    let config = apply_written(&changes.map(str::to_owned), config).expect("applied");
    assert_eq!(
        config.env,
        ["P=80 81/udp", "N=a", "PATH=/y:/x:/bin", "Q=$PATH", "E=$PATH", "OLD=ab c "].map(str::to_owned)
    );
    assert_eq!(config.exposed_ports.into_keys().collect::<Vec<_>>(), ["80/tcp", "81/udp"]);
    assert_eq!((config.labels["a"].as_str(), &config.working_dir[..], &config.user[..]), ("x", "/srv/a", "a:a"));
    assert_eq!(config.volumes.into_keys().collect::<Vec<_>>(), ["/a"]);
    assert_eq!(config.cmd.as_deref().and_then(|cmd| cmd.last()).map(String::as_str), Some("echo $N"));
    assert_eq!(config.on_build.as_deref(), Some(&["RUN $N".to_owned()][..]));
    let path = apply_written(&["ENV PATH=/x:$PATH".to_owned()], ContainerConfig::default()).expect("applied").env;
    assert_eq!(path, [format!("PATH=/x:{DEFAULT_PATH}")]);
}

#[test]
fn a_new_entry_point_drops_the_old_command_but_not_a_new_one() {
    let base = || ContainerConfig { cmd: Some(vec!["old".to_owned()]), ..ContainerConfig::default() };
    let entry = parse("ENTRYPOINT /x").expect("an instruction");
    assert_eq!(apply_changes(std::slice::from_ref(&entry), base()).cmd, None);
    let both = [parse(r#"CMD ["new"]"#).expect("an instruction"), entry];
    assert_eq!(apply_changes(&both, base()).cmd, Some(vec!["new".to_owned()]));
}
