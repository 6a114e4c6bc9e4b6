//! Building images, by the docker client's classic builder API and by ours.

use berth_tests::{Host, Outcome, started};

/// A build context on the host, made of files and their contents.
fn context(host: &Host, name: &str, files: &[(&str, &str)]) -> String {
    let directory = host.directory().join("lib").join(name);
    for (file, content) in files {
        let path = directory.join(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a context");
        std::fs::write(path, content).expect("a context");
    }
    format!("/var/lib/{name}")
}

fn docker_build(host: &Host, arguments: &[&str]) -> Outcome {
    let mut command = host.docker_command();
    command.env("DOCKER_BUILDKIT", "0").arg("build").args(arguments);
    Outcome::of(&mut command)
}

#[test]
fn a_dockerfile_becomes_an_image_once() {
    let (_world, host) = started();
    // What a step writes is waited for when it has become a layer.
    let dockerfile = "FROM busybox\nENV GREETING=hello\nRUN echo $GREETING from a step > /said && rm /var/www/index.html && \
                      grep -q '^overlay / .*volatile' /proc/mounts\n\
                      COPY file /copied\nWORKDIR /made\nCMD [\"cat\", \"/said\", \"/copied\"]\n";
    let context = context(&host, "ctx", &[("Dockerfile", dockerfile), ("file", "from the context\n")]);
    let said = docker_build(&host, &["-t", "made", &context]).ok();
    assert!(said.contains("Step 1/6 : FROM busybox\n"), "{said}");
    assert!(said.contains("Step 3/6 : RUN echo $GREETING"), "{said}");
    assert!(said.contains("Successfully built ") && said.ends_with("Successfully tagged made:latest"), "{said}");
    assert_eq!(host.docker(&["run", "--rm", "made"]).ok(), "hello from a step\nfrom the context");
    assert_eq!(host.docker(&["run", "--rm", "made", "pwd"]).ok(), "/made");
    assert_eq!(host.docker(&["run", "--rm", "made", "ls", "/var/www"]).ok(), "cgi-bin");
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "made"]).ok();
    let again = docker_build(&host, &["-t", "made", &context]).ok();
    assert_eq!(again.matches("---> Using cache").count(), 5, "{again}");
    assert_eq!(host.docker(&["inspect", "-f", "{{.Id}}", "made"]).ok(), id);
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "");
}

/// The same by either client.
fn builds(host: &Host, arguments: &[&str]) -> [Outcome; 2] {
    let ours = [&["build"], arguments].concat();
    [docker_build(host, arguments), host.berth(&ours)]
}

#[test]
fn every_instruction_does_what_it_says() {
    let (_world, host) = started();
    let dockerfile = r#"# syntax=docker/dockerfile:1
ARG BASE=busybox
FROM ${BASE} AS first
ARG WHO=first
FROM first AS tools
RUN mkdir -p /out/sub && echo $WHO > /out/tool && ln /out/tool /out/sub/hard && chown 1000:10 /out/tool
FROM busybox
MAINTAINER somebody
ARG VERSION=1
ARG GREETING
ENV A=1 B="two words" C=${VERSION}-$A
LABEL version=$VERSION "quoted key"='single $VERSION'
RUN echo "$GREETING $C" > /args \
  # a comment in between
  && echo done
RUN ["/bin/sh", "-c", "echo exec > /exec"]
RUN <<EOF
echo script > /script
echo more >> /script
EOF
RUN <<-"END" cat > /here
	$A stays
	END
COPY --chown=guest:wheel --chmod=640 a.txt b.txt /text/
COPY --from=tools /out /out
COPY --exclude=*.md dir /dir
COPY <<one <<"two" /docs/
value $A
one
value $A
two
COPY --link a.txt /linked/here
ADD archive.tar.gz /unpacked
ADD --unpack=false archive.tar.gz /packed/
ADD wild*.txt missing*.txt /wild/
WORKDIR /place
WORKDIR sub
USER guest
EXPOSE 80 53/udp
VOLUME /data
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD true
SHELL ["/bin/sh", "-e", "-c"]
ENTRYPOINT ["cat"]
CMD ["/args"]
ONBUILD RUN echo triggered > /tmp/trigger
"#;
    let context = context(
        &host,
        "all",
        &[
            ("Dockerfile", dockerfile),
            ("a.txt", "a"),
            ("b.txt", "b"),
            ("dir/sub/kept", "x"),
            ("dir/left.md", "x"),
            ("wild1.txt", "1"),
            ("wild2.txt", "2"),
            ("ignored", "x"),
            (".dockerignore", "ignored\nDockerfile\n"),
        ],
    );
    host.sh(&format!(
        "cd {context} && mkdir in && echo inside > in/file && tar -czf archive.tar.gz -C in . && rm -r in"
    ))
    .ok();
    let arguments = ["--build-arg", "GREETING=hello", "--label", "by=flag", "-t", "all", &context];
    let [by_docker, by_berth] = builds(&host, &arguments);
    let said = by_docker.ok();
    assert!(said.contains(" : ARG VERSION=1\n"), "{said}");
    assert!(by_berth.ok().matches("---> Using cache").count() >= 28, "the same for both");
    let run = |script: &str| host.docker(&["run", "--rm", "--entrypoint", "sh", "-u", "0", "all", "-c", script]).ok();
    assert_eq!(host.docker(&["run", "--rm", "all"]).ok(), "hello 1-");
    assert_eq!(run("cat /exec /script /here; id -u; pwd"), "exec\nscript\nmore\n$A stays\n0\n/place/sub");
    assert_eq!(run("stat -c '%a %u:%g' /text/a.txt /text/b.txt"), "640 1000:10\n640 1000:10");
    assert_eq!(run("cat /out/tool"), "first", "a stage's variables come along");
    assert_eq!(run("stat -c '%u:%g %h' /out/tool /out/sub/hard"), "1000:10 2\n1000:10 2");
    assert_eq!(
        run("find /dir /wild /linked /unpacked /packed -type f | sort"),
        "/dir/sub/kept\n/linked/here\n/packed/archive.tar.gz\n/unpacked/file\n/wild/wild1.txt\n/wild/wild2.txt"
    );
    assert_eq!(run("cat /docs/one /docs/two"), "value 1\nvalue $A");
    let config = host.docker(&["inspect", "-f", "{{json .Config}}", "all"]).ok();
    for part in [
        r#""A=1","B=two words","C=1-""#,
        r#""by":"flag""#,
        r#""version":"1""#,
        r#""quoted key":"single $VERSION""#,
        r#""User":"guest""#,
        r#""53/udp":{}"#,
        r#""/data":{}"#,
        r#""StopSignal":"SIGINT""#,
        r#""Entrypoint":["cat"]"#,
        r#""Cmd":["/args"]"#,
        r#""CMD-SHELL","true""#,
        r#""OnBuild":["RUN echo triggered"#,
        r#""Shell":["/bin/sh","-e","-c"]"#,
    ] {
        assert!(config.contains(part), "{part}: {config}");
    }
    let child = self::context(&host, "child", &[("Dockerfile", "FROM all\nUSER root\n")]);
    assert!(docker_build(&host, &["-t", "child", &child]).ok().contains("# Executing 1 build trigger"));
    assert_eq!(host.docker(&["run", "--rm", "child", "/tmp/trigger"]).ok(), "triggered");
}

#[test]
fn what_fails_says_where_and_what_it_said_last() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\n\nRUN echo kept > /kept\nRUN echo the last words >&2 && exit 7\nRUN true\n";
    let context = context(&host, "fails", &[("Dockerfile", dockerfile)]);
    for outcome in builds(&host, &[&context]) {
        let said = outcome.fails_with(7);
        assert!(said.contains("Dockerfile:4: RUN echo the last words"), "{said}");
        assert!(said.contains("returned a non-zero code: 7") && said.ends_with("the last words"), "{said}");
    }
    assert_eq!(host.docker(&["images", "-q"]).ok().lines().count(), 1, "nothing half-there");
    let fixed = dockerfile.replace("exit 7", "exit 0");
    self::context(&host, "fails", &[("Dockerfile", &fixed)]);
    assert_eq!(docker_build(&host, &[&context]).ok().matches("Using cache").count(), 1, "what was done is known");
    for (text, complaint) in [
        ("FROM busybox\nRUNN true\n", "Dockerfile:2: unknown instruction: RUNN"),
        ("RUN true\n", "Dockerfile:1: RUN before the first FROM"),
        ("# nothing\n", "there is no instruction in it"),
        ("FROM busybox\nCOPY --frm=x a b\n", "Dockerfile:2: COPY: unknown flag: --frm"),
        ("FROM busybox\nRUN --mount=type=ssh,required true\n", "an SSH agent is required, and none is forwarded here"),
        ("FROM busybox AS a\nCOPY --from=a /x /\n", "Dockerfile:2: COPY: a isn't an earlier stage"),
        ("FROM busybox\nCOPY nothing /\n", "Dockerfile:2: COPY nothing /: \"nothing\" isn't there"),
        ("FROM busybox\nCOPY ../../etc/passwd /stolen\n", "Dockerfile:2: COPY ../../etc/passwd"),
        ("FROM busybox\nRUN cat <<END\n", "Dockerfile:2: the here-document \"END\" has no end"),
        (
            "FROM busybox\nENV A=\"${B:?is needed}\"\n",
            "Dockerfile:2: ENV A=\"${B:?is needed}\": variable B isn't set: is needed",
        ),
        ("# syntax=other/frontend\nFROM busybox\n", "Dockerfile:1: parser directive syntax"),
        ("FROM busybox\nUSER nobody-here\nRUN true\n", "Dockerfile:3: RUN true"),
        ("FROM busybox\nCOPY . /etc/passwd\n", "cannot copy to non-directory: /etc/passwd"),
        ("FROM busybox\nRUN touch /etc/.wh.passwd\n", "/etc/.wh.passwd can't be in an image"),
        ("FROM busybox\nCOPY Dockerfile /etc/.wh.passwd\n", "/etc/.wh.passwd can't be in an image"),
        ("FROM busybox\nWORKDIR /etc/passwd\n", "Cannot mkdir: /etc/passwd is not a directory"),
    ] {
        self::context(&host, "wrong", &[("Dockerfile", text)]);
        for outcome in builds(&host, &["/var/lib/wrong"]) {
            let said = outcome.fails_with(1);
            assert!(said.contains(complaint), "{text:?}: {said}");
        }
    }
    self::context(&host, "wrong", &[("Dockerfile", "FROM busybox\nADD x.tar.lz4 /\n")]);
    host.sh("printf '\\004\\042\\115\\030' > /var/lib/wrong/x.tar.lz4").ok();
    assert!(docker_build(&host, &["/var/lib/wrong"]).fails_with(1).contains("lz4 compression isn't supported"));
    assert!(docker_build(&host, &["--squash", &context]).fails_with(1).contains("squash"));
    assert!(docker_build(&host, &["--target", "none", &context]).fails_with(1).contains("build target none"));
    let left = "find /var/lib/berth/images/tmp /var/lib/berth/images/snapshots -mindepth 1";
    assert_eq!(host.sh(left).ok(), "");
}

#[test]
fn what_a_step_writes_to_its_standard_error_is_red() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\nRUN --mount=type=ssh echo wrong >&2; echo right\n";
    let context = context(&host, "red", &[("Dockerfile", dockerfile)]);
    for outcome in builds(&host, &["--no-cache", &context]) {
        let said = outcome.ok();
        assert!(said.contains("\x1b[91mwrong\n\x1b[0m") && said.contains("right\n"), "{said:?}");
    }
}

/// A directory of the image may be a link: it is filled where it leads to, which is never outside of the image.
#[test]
fn copies_go_through_the_image_s_links_and_stay_in_it() {
    let (_world, host) = started();
    let outside = host.directory().join("outside");
    std::fs::create_dir(&outside).expect("made");
    let up = format!("{}{}", "../".repeat(30), outside.display());
    let dockerfile = format!(
        "FROM busybox AS merged\n\
         RUN mkdir -p /usr/lib && echo of the image > /usr/lib/mine && ln -s usr/lib /lib && ln -s {up} /up && ln -s {0} /out\n\
         FROM merged\nCOPY tree /\nADD tree.tar /\nCOPY --from=0 /lib/mine /lib/other/\nCOPY tree/lib /up\nADD tree.tar /out/\n\
         FROM merged AS linked\nCOPY --link tree /\n",
        outside.display()
    );
    let context =
        context(&host, "links", &[("Dockerfile", &dockerfile), ("tree/lib/copied", ""), ("tar/lib/added", "")]);
    host.sh(&format!("cd {context} && tar -cf tree.tar -C tar .")).ok();
    let list = |image: &str, directory: &str| {
        host.docker(&["run", "--rm", image, "find", directory, "-type", "f"]).ok().lines().count()
    };
    host.docker(&["build", "-q", "--target", "1", "-t", "through", &context]).ok();
    let look = "readlink /lib && cd /usr/lib && find . -type f | sort && cat other/mine";
    assert_eq!(
        host.docker(&["run", "--rm", "through", "sh", "-c", look]).ok(),
        "usr/lib\n./added\n./copied\n./mine\n./other/mine\nof the image"
    );
    assert_eq!(list("through", &outside.to_string_lossy()), 2, "within the image");
    assert_eq!(std::fs::read_dir(&outside).expect("there").count(), 0, "nothing outside");
    host.docker(&["build", "-q", "-t", "linked", &context]).ok();
    assert_eq!(host.docker(&["run", "--rm", "linked", "ls", "/lib"]).ok(), "copied", "--link looks at no image");
}

/// As `tar -P` makes them; and what is unpacked through a link that climbs stays within the root.
#[test]
fn names_in_archives_may_begin_with_a_slash() {
    let (_world, host) = started();
    let dockerfile = "FROM slashed AS other\nFROM busybox\nADD slash.tar /added/\nADD slash.tar /added/up/\n\
                      COPY --from=other / /copied/\n";
    context(&host, "slash", &[("Dockerfile", dockerfile), ("slash/etc/berth-within", "within\n")]);
    let script = "export DOCKER_HOST=unix:///run/berth/berth.sock DOCKER_BUILDKIT=0 && cd /var/lib/slash && \
         ln -s ../../../../../../run slash/up && tar -cPf slash.tar --transform s,^slash,,S slash/etc slash/up && \
         tar -tPf slash.tar && docker import slash.tar slashed && \
         tar -cP --transform s,^,/, Dockerfile slash.tar | docker build -t made - && \
         docker create --name cc busybox && docker cp - cc:/home < slash.tar && docker start cc && docker wait cc && \
         docker cp cc:/home/etc/berth-within -";
    let said = host.sh(script).ok();
    assert!(said.contains("\n/etc/berth-within\n/up\n") && said.contains("within"), "{said}");
    let look = "readlink /added/up && readlink /copied/up && find / -xdev -name berth-within | sort";
    assert_eq!(
        host.docker(&["run", "--rm", "made", "sh", "-c", look]).ok(),
        "../../../../../../run\n../../../../../../run\n\
         /added/etc/berth-within\n/copied/etc/berth-within\n/run/etc/berth-within"
    );
    host.sh("test ! -e /etc/berth-within && test ! -e /run/etc").ok();
}

#[test]
fn what_a_failed_build_leaves_is_counted_once() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\nRUN head -c 1000 /dev/zero > /one\nRUN head -c 500 /dev/zero > /two\nRUN exit 1\n";
    let context = context(&host, "fails", &[("Dockerfile", dockerfile)]);
    let usage = |kind: &str| {
        let arguments = ["system", "df", "--format", "{{.Type}}: {{.TotalCount}} {{.Size}}"];
        let [docker, berth] = [host.docker(&arguments).ok(), host.berth(&arguments).ok()];
        assert_eq!(docker, berth);
        let line = docker.lines().find_map(|line| line.strip_prefix(kind).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {kind} in {docker}"))
    };
    let image = usage("Images: 1 ");
    docker_build(&host, &[&context]).fails_with(1);
    assert_eq!(usage("Images: 1 "), image);
    assert_eq!(usage("Build Cache: "), "2 1.5kB");
    assert_eq!(usage("Containers: "), "0 0B");
    // Its layers are there for the steps' sake only.
    host.docker(&["rmi", "busybox"]).ok();
    assert_eq!(usage("Images: "), "0 0B");
    assert_ne!(usage("Build Cache: 2 "), "1.5kB");
    assert!(host.berth(&["builder", "prune", "-f"]).ok().contains("Total"));
    assert_eq!(usage("Build Cache: "), "0 0B");
    assert_eq!(host.sh("ls /var/lib/berth/images/layers").ok(), "");
}

#[test]
fn every_stage_has_a_path() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\nCOPY <<END /said\n$PATH\nEND\nENV PATH=$PATH:/own\nCMD cat /said && echo $PATH\n";
    let context = context(&host, "path", &[("Dockerfile", dockerfile)]);
    let default = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (name, outcome) in ["one", "two"].iter().zip(builds(&host, &["-t", "one", "-t", "two", &context])) {
        outcome.ok();
        assert_eq!(host.docker(&["run", "--rm", name]).ok(), format!("{default}\n{default}:/own"));
    }
    self::context(&host, "path", &[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    host.berth(&["build", "-t", "bare", &context]).ok();
    assert_eq!(host.docker(&["inspect", "-f", "{{.Config.Env}}", "bare"]).ok(), format!("[PATH={default}]"));
}

#[test]
fn stages_side_by_side_and_only_those_that_are_needed() {
    let (_world, host) = started();
    // Each waits for the other: one after the other they would never end.
    let wait = "for i in $(seq 100); do test -e /meet/$OTHER && break; sleep 0.1; done; test -e /meet/$OTHER";
    let stage = |mine: &str, other: &str| {
        format!(
            "FROM busybox AS {mine}\nRUN --mount=type=cache,target=/meet echo {mine} begins && touch /meet/{mine} && \
             OTHER={other} && {wait} && echo {mine} > /made && printf '{mine} ends'\n"
        )
    };
    let dockerfile = format!(
        "{}{}FROM busybox AS unneeded\nRUN false\nFROM busybox\nCOPY --from=one /made /one\nCOPY --from=1 /made /two\n",
        stage("one", "two"),
        stage("two", "one")
    );
    let context = context(&host, "stages", &[("Dockerfile", &dockerfile)]);
    let said = docker_build(&host, &["-t", "both", &context]).ok();
    assert!(!said.contains("RUN false"), "{said}");
    // One after the other for those who listen, and line by line.
    let position =
        |what: &str| said.lines().position(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {said}"));
    let order = [
        "Step 1/7",
        "Step 2/7",
        "one begins",
        "one ends",
        "Step 3/7",
        "Step 4/7",
        "two begins",
        "two ends",
        "Step 5/7",
    ];
    assert!(order.map(position).is_sorted(), "{said}");
    assert!(said.lines().any(|line| line == "one ends") && said.lines().any(|line| line == "two ends"), "{said}");
    assert_eq!(host.docker(&["run", "--rm", "both", "cat", "/one", "/two"]).ok(), "one\ntwo");
    let said = host.berth(&["build", "--target", "one", "-t", "first", &context]).ok();
    assert!(said.contains("Step 2/2"), "{said}");
    host.docker(&["run", "--rm", "first", "cat", "/made"]).ok();
}

#[test]
fn what_is_told_is_why_and_not_who_waited() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox AS slow\nRUN sleep 1000\nFROM slow AS waits\nFROM busybox AS fails\nRUN exit 3\n\
                      FROM scratch\nCOPY --from=waits / /\nCOPY --from=fails / /\n";
    let context = context(&host, "why", &[("Dockerfile", dockerfile)]);
    for outcome in builds(&host, &[&context]) {
        assert!(outcome.fails_with(3).contains("Dockerfile:5: RUN exit 3: "));
    }
}

#[test]
fn permissions_parents_and_archives_as_todays_dockerfiles_have_them() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\nCOPY --chmod=u=rwX,go=rX tree /mode/\nCOPY --chmod=+x tree/a/deep/file /run\n\
                      COPY --parents tree/**/file /deep/\nCOPY --parents ./tree/./a/*/file /pivot/\n\
                      ADD one.tar.xz two.tar.bz2 /unpacked/\n";
    let files = [("Dockerfile", dockerfile), ("tree/file", "1"), ("tree/a/deep/file", "2"), ("tree/a/other", "3")];
    let context = context(&host, "today", &files);
    host.sh(&format!("cd {context} && chmod -R 700 tree && chmod 600 tree/file tree/a/deep/file")).ok();
    host.sh(&format!("cd {context} && tar -cJf one.tar.xz tree/file && tar -cjf two.tar.bz2 tree/a")).ok();
    docker_build(&host, &["-t", "today", &context]).ok();
    let script = "stat -c '%a %n' /mode/a /mode/file /mode/a/other /run; find /deep /pivot /unpacked -type f | sort";
    assert_eq!(
        host.docker(&["run", "--rm", "today", "sh", "-c", script]).ok(),
        "755 /mode/a\n644 /mode/file\n755 /mode/a/other\n711 /run\n/deep/tree/a/deep/file\n/deep/tree/file\n\
         /pivot/a/deep/file\n/unpacked/tree/a/deep/file\n/unpacked/tree/a/other\n/unpacked/tree/file"
    );
}

#[test]
fn the_same_context_gives_the_same_image_on_another_day() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\nRUN mkdir /made && echo x > /made/file\nCOPY . /context/\nWORKDIR /new/dir\n\
                      COPY <<text /doc\nhello\ntext\nCMD [\"true\"]\n";
    let files = [("Dockerfile", dockerfile), ("file", "content"), ("sub/other", "content")];
    let mut digests = Vec::new();
    for (name, epoch, touched) in
        [("here", "1700000000", 1_790_000_000), ("elsewhere", "1700000000", 1_000_000_000), ("later", "1700000001", 0)]
    {
        let context = context(&host, name, &files);
        host.sh(&format!("find {context} -exec touch -d @{touched} {{}} +")).ok();
        let arg = format!("SOURCE_DATE_EPOCH={epoch}");
        let iidfile = format!("/run/{name}.id");
        host.berth(&["build", "-q", "--no-cache", "--build-arg", &arg, "--iidfile", &iidfile, &context]).ok();
        digests.push(host.sh(&format!("cat {iidfile}")).ok());
    }
    assert!(digests[0].starts_with("sha256:"), "{digests:?}");
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
    assert_eq!(host.docker(&["inspect", "-f", "{{.Created}}", &digests[0]]).ok(), "2023-11-14T22:13:20Z");
}

#[test]
fn contexts_secrets_mounts_and_what_is_kept() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\n\
        RUN --mount=type=secret,id=token,required cat /run/secrets/token | wc -c > /length\n\
        RUN --mount=type=cache,id=kept,target=/cache echo x >> /cache/lines && wc -l < /cache/lines > /lines\n\
        RUN --mount=type=bind,target=/src --mount=type=tmpfs,target=/scratch touch /scratch/x && cp /src/file /copied && \
        ! touch /src/no\n";
    let files = [("Dockerfile", dockerfile), ("file", "from the context\n"), ("token", "secret")];
    let context = context(&host, "ctx", &files);
    let refusal = host.berth(&["build", &context]).fails_with(1);
    assert!(refusal.contains("Dockerfile:2: RUN --mount=type=secret"), "{refusal}");
    assert!(refusal.contains("secret token isn't given"), "{refusal}");
    let secret = format!("id=token,src={context}/token");
    host.berth(&["build", "-q", "--secret", &secret, "-t", "one", &context]).ok();
    let said = host.docker(&["run", "--rm", "one", "cat", "/length", "/lines", "/copied"]).ok();
    assert_eq!(said, "6\n1\nfrom the context");
    host.berth(&["build", "-q", "--no-cache", "--secret", &secret, "-t", "two", &context]).ok();
    assert_eq!(host.docker(&["run", "--rm", "two", "cat", "/lines"]).ok(), "2", "the cache is kept");
    let left = "ls -d /cache /src /scratch /run 2> /dev/null";
    assert_eq!(host.docker(&["run", "--rm", "two", "sh", "-c", left]).stdout, "", "mount points go");
    // Dockerfiles and contexts from elsewhere.
    let berth = berth_tests::world::binary("berth");
    let berth = berth.display();
    let piped = |script: &str, flags: &str| host.sh(&format!("{script} | {berth} build -q {flags}")).ok();
    let id = piped("printf 'FROM busybox\\nCOPY . /all\\n'", &format!("-f - -t stdin {context}"));
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(host.docker(&["run", "--rm", "stdin", "ls", "/all"]).ok(), "Dockerfile\nfile\ntoken");
    piped("printf 'FROM busybox\\nCMD echo bare\\n'", "-t bare -");
    assert_eq!(host.docker(&["run", "--rm", "bare"]).ok(), "bare");
    host.sh("mkdir -p /run/none && echo '*' > /run/none/.dockerignore").ok();
    piped("printf 'FROM busybox\\nCOPY . /all\\n'", "-f - -t nothing /run/none");
    assert_eq!(host.docker(&["run", "--rm", "nothing", "ls", "-A", "/all"]).ok(), "");
    host.sh("mkdir -p /run/t && cd /run/t && printf 'FROM busybox\\nCOPY x /\\n' > D && echo tar > x").ok();
    piped("tar -cz -C /run/t .", "-t tarred -f D -");
    assert_eq!(host.docker(&["run", "--rm", "tarred", "cat", "/x"]).ok(), "tar");
    // Steps keep what they need, until they are pruned.
    host.docker(&["rmi", "-f", "one", "two", "stdin", "bare", "tarred", "nothing"]).ok();
    let cache = host.docker(&["system", "df", "-v", "--format", "{{json .BuildCache}}"]).ok();
    assert!(cache.contains(r#""CacheType":"exec.cachemount""#), "{cache}");
    let pruned = host.berth(&["builder", "prune", "-f"]).ok();
    assert!(pruned.starts_with("Deleted build cache objects:\n"), "{pruned}");
    assert_eq!(host.sh("ls /var/lib/berth/images/layers | wc -l; ls /var/lib/berth/images/caches").ok(), "1");
    let id = docker_build(&host, &["-q", "--no-cache", "--label", "a=b", "-t", "x", "/run/t", "-f", "/run/t/D"]).ok();
    assert_eq!(id, host.docker(&["inspect", "-f", "{{.Id}}", "x"]).ok());
}

#[test]
fn steps_have_the_network_that_they_are_given() {
    let (_world, host) = started();
    host.serve("web", &[]);
    let address = host.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]).ok();
    let dockerfile = format!(
        "FROM busybox\nRUN wget -qO /page http://{address}/\n\
         RUN --network=none ! wget -T 1 -qO /none http://{address}/\n\
         RUN --network=host ip address show eth0 | grep -o 10.99.0.1 > /host\nRUN grep extra /etc/hosts > /extra\n"
    );
    let context = context(&host, "net", &[("Dockerfile", &dockerfile)]);
    docker_build(&host, &["-t", "net", "--add-host", "extra:10.1.2.3", &context]).ok();
    assert_eq!(
        host.docker(&["run", "--rm", "net", "cat", "/page", "/host", "/extra"]).ok(),
        "Hello from berth\n10.99.0.1\n10.1.2.3\textra"
    );
    let said = docker_build(&host, &["--no-cache", "--network", "none", &context]).fails_with(1);
    assert!(said.contains("Dockerfile:2"), "{said}");
    let none = "FROM busybox\nRUN grep extra /etc/hosts && ! ip -4 -o address | grep -v ' lo '\n\
                RUN --network=none grep extra /etc/hosts\n";
    let bare = self::context(&host, "none", &[("Dockerfile", none)]);
    docker_build(&host, &["--network", "none", "--add-host", "extra:10.1.2.3", &bare]).ok();
}

#[test]
fn what_quickstart_builds_serves_its_page() {
    let (_world, host) = started();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/friendlyname");
    host.sh(&format!("mkdir /run/ctx && cp {sources}/* $(command -v busybox) /run/ctx")).ok();
    host.berth(&["build", "-t", "friendlyname", "/run/ctx"]).ok();
    host.berth(&["run", "-d", "--name", "friendly", "-p", "4000:80", "friendlyname"]).ok();
    let fetch = "curl -sS --retry 50 --retry-delay 1 --retry-connrefused --noproxy '*' http://127.0.0.1:4000";
    assert!(host.sh(fetch).ok().contains("<h1>Hello from berth</h1>"));
}

#[test]
fn files_are_fetched_and_checked_and_images_come_from_registries() {
    let (_world, host) = started();
    host.sh("mkdir -p /run/www && echo fetched > /run/www/file && tar -czf /run/www/x.tar.gz -C /run/www file").ok();
    host.sh("cd /run/www && (setsid busybox httpd -f -p 127.0.0.1:8000 -h . > /dev/null 2>&1 &)").ok();
    host.sh(
        "curl -sS --retry 50 --retry-delay 1 --retry-connrefused --noproxy '*' -o /dev/null http://127.0.0.1:8000/file",
    )
    .ok();
    let digest = host.sh("sha256sum /run/www/file | cut -d ' ' -f 1").ok();
    let url = "http://127.0.0.1:8000";
    let dockerfile = format!(
        "FROM busybox\nADD --checksum=sha256:{digest} {url}/file /named\nADD {url}/file {url}/x.tar.gz /dir/\n\
         ADD --unpack=true {url}/x.tar.gz /unpacked/\nADD --chmod=755 {url}/file /dir/mode\n"
    );
    let context = context(&host, "url", &[("Dockerfile", &dockerfile)]);
    host.berth(&["build", "-t", "fetched", &context]).ok();
    let script = "cat /named /dir/file /unpacked/file; ls /dir; stat -c %a /named /dir/mode";
    let said = host.docker(&["run", "--rm", "fetched", "sh", "-c", script]).ok();
    assert_eq!(said, "fetched\nfetched\nfetched\nfile\nmode\nx.tar.gz\n600\n755");
    let wrong = dockerfile.replace(&digest, &digest.replace(|_: char| true, "0"));
    self::context(&host, "url", &[("Dockerfile", &wrong)]);
    assert!(host.berth(&["build", &context]).fails_with(1).contains("its content has digest"));
    self::context(&host, "url", &[("Dockerfile", &format!("FROM busybox\nADD {url}/none /\n"))]);
    assert!(host.berth(&["build", &context]).fails_with(1).contains("the server answered 404"));
    // What the client goes away from ends, and leaves nothing.
    self::context(&host, "url", &[("Dockerfile", "FROM busybox\nRUN echo begun && sleep 1000\n")]);
    let script = format!(
        "mkfifo /run/said; DOCKER_BUILDKIT=0 DOCKER_HOST=unix:///run/berth/berth.sock docker build {context} > /run/said & \
         client=$! && grep -m 1 '^begun' /run/said && step=$(pgrep -f '^slee[p] 1000') && kill $client && \
         timeout 20 tail --pid=$step -f /dev/null"
    );
    host.sh(&script).ok();
}

#[test]
fn steps_of_an_image_that_was_built_elsewhere_are_known() {
    let (_world, host) = started();
    let dockerfile = "FROM busybox\nENV A=1\nRUN echo x > /made\nCOPY file /copied\nWORKDIR /new\nCMD [\"true\"]\n";
    let context = context(&host, "ctx", &[("Dockerfile", dockerfile), ("file", "content")]);
    docker_build(&host, &["-q", "-t", "cache", &context]).ok();
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "cache"]).ok();
    // Only the image is left of that build.
    host.berth(&["builder", "prune", "-af"]).ok();
    let said = host.berth(&["build", "-t", "again", "--cache-from", "cache", "--cache-from", "missing", &context]).ok();
    assert_eq!(said.matches("Using cache").count(), 5, "{said}");
    assert_eq!(host.docker(&["inspect", "-f", "{{.Id}}", "again"]).ok(), id);
    host.berth(&["builder", "prune", "-af"]).ok();
    self::context(&host, "ctx", &[("file", "other content")]);
    let said = docker_build(&host, &["--cache-from", "cache", "-t", "other", &context]).ok();
    assert_eq!(said.matches("Using cache").count(), 2, "{said}");
    assert_eq!(host.docker(&["run", "--rm", "other", "cat", "/copied"]).ok(), "other content");
}

#[test]
fn a_dockerfile_can_stand_outside_of_the_context() {
    let (_world, host) = started();
    let context = context(&host, "within", &[("file", "here\n")]);
    let outside =
        self::context(&host, "without", &[("Other", "FROM busybox\nCOPY file /file\nCMD [\"cat\", \"/file\"]\n")]);
    let dockerfile = format!("{outside}/Other");
    for outcome in builds(&host, &["-f", &dockerfile, "-t", "apart", &context]) {
        outcome.ok();
        assert_eq!(host.docker(&["run", "--rm", "apart"]).ok(), "here");
    }
    let wrong = self::context(&host, "wrong", &[("Dockerfile", "FROM busybox\nCOPY --from=5 /x /x\n")]);
    for outcome in builds(&host, &[&wrong]) {
        assert!(outcome.fails_with(1).contains("no stage of this number"));
    }
}
