//! Dockerfiles, contexts, images and steps that attack who builds.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use berth_tests::{Host, Outcome, started};

use crate::copies::{sh, trap};

/// A directory with a Dockerfile, where a host's clients find it.
fn context(host: &Host, name: &str, dockerfile: &str) -> PathBuf {
    let directory = host.directory().join(name);
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("Dockerfile"), dockerfile).expect("written");
    directory
}

fn build(host: &Host, context: &Path, flags: &str) -> Outcome {
    sh(host, &format!("docker build {flags} {}", context.display()))
}

/// Something of the host: an empty directory, an empty file and one that isn't empty.
fn victim(host: &Host) -> PathBuf {
    let victim = host.directory().join("victim");
    std::fs::create_dir_all(victim.join("directory")).expect("made");
    std::fs::write(victim.join("empty"), "").expect("written");
    std::fs::write(victim.join("file"), "of the host").expect("written");
    victim
}

fn assert_untouched(victim: &Path, what: &str) {
    let mut names: Vec<_> =
        std::fs::read_dir(victim).expect("there").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["directory", "empty", "file"], "{what}");
    assert_eq!(std::fs::read_dir(victim.join("directory")).expect("there").count(), 0, "{what}");
    assert_eq!(std::fs::read_to_string(victim.join("file")).expect("text"), "of the host", "{what}");
    assert_eq!(std::fs::read_to_string(victim.join("empty")).expect("text"), "", "{what}");
}

/// CVE-2024-1753, CVE-2024-23651: what is mounted for a step, or where, is a link to somewhere of the host.
#[test]
fn no_link_leads_a_mount_of_a_step_out() {
    let (_world, host) = started();
    let victim = victim(&host);
    let (out, up) = (victim.display(), format!("{}{}", "../".repeat(30), victim.display()));
    // Where the links lead there is something in the image and in the context as well.
    let dockerfile = format!(
        "FROM busybox\nRUN mkdir -p {out} && touch {out}/inside && ln -s {out} /out && ln -s {up} /up && ln -s / /root-link\n"
    );
    build(&host, &context(&host, "links", &dockerfile), "-t links").ok();
    let sources = context(&host, "sources", "");
    let inside = sources.join(victim.strip_prefix("/").expect("absolute"));
    std::fs::create_dir_all(&inside).expect("made");
    std::fs::write(inside.join("inside"), "").expect("written");
    for (name, target) in [("out", out.to_string()), ("up", up), ("root-link", "/".to_owned())] {
        symlink(target, sources.join(name)).expect("made");
    }
    for source in ["out", "up", "root-link", "root-link/../..", "sub/../../../.."] {
        for (from, flags) in [("", ""), ("", ",rw"), ("from=links,", ""), ("from=links,", ",rw")] {
            let look = "test ! -e /x/file -a ! -e /x/lost+found && ls /x/Dockerfile || ls /x/var/www/cgi-bin/client || ls /x/inside";
            let mount = format!("type=bind,{from}source={source},target=/x{flags}");
            let dockerfile = format!("FROM busybox\nRUN --mount={mount} touch /x/planted; {look}\n");
            context(&host, "sources", &dockerfile);
            build(&host, &sources, "--no-cache").ok();
            assert_untouched(&victim, &dockerfile);
        }
    }
    for target in ["/out", "/out/directory", "/up/made", "/out/empty", "/root-link/out"] {
        for kind in ["tmpfs", "cache", "secret,id=key", "bind,source=Dockerfile"] {
            let dockerfile =
                format!("FROM links\nRUN --mount=type={kind},target={target} echo planted > {target}/planted; true\n");
            let context = context(&host, "targets", &dockerfile);
            // The docker client of the classic builder sends no secrets.
            let secret = format!("--secret id=key,src={}/Dockerfile", context.display());
            let berth = berth_tests::world::binary("berth");
            sh(&host, &format!("{} build --no-cache {secret} {}", berth.display(), context.display()));
            assert_untouched(&victim, &dockerfile);
        }
    }
}

/// CVE-2024-9675: the name of a cache, or where it is to be, climbs out.
#[test]
fn a_cache_s_name_is_no_path() {
    let (_world, host) = started();
    let victim = victim(&host);
    let up = format!("{}{}", "../".repeat(30), victim.display());
    for mount in [
        format!("type=cache,id={up},target=/x"),
        format!("type=cache,id={},target=/x", victim.display()),
        "type=cache,id=..,target=/x,sharing=private".to_owned(),
        format!("type=cache,target=/x/../../../..{}", victim.display()),
        format!("type=cache,id=/,target={up},sharing=locked,mode=0777,uid=1234"),
    ] {
        let target = if mount.contains("target=/x,") || mount.ends_with("target=/x") {
            "/x".into()
        } else {
            victim.display().to_string()
        };
        let dockerfile =
            format!("FROM busybox\nRUN --mount={mount} echo planted > {target}/planted && ! ls {target}/file\n");
        build(&host, &context(&host, "cached", &dockerfile), "").ok();
        assert_untouched(&victim, &mount);
    }
    let caches = host.sh("cd /var/lib/berth/images/caches && find . -mindepth 1 | sort && ls -d ./* | wc -l").ok();
    assert!(caches.ends_with("\n4"), "{caches}");
}

/// CVE-2024-23652: a step puts a link where something was made for a mount, and what it leads to is cleared away.
#[test]
fn a_link_in_a_mount_point_s_place_has_nothing_of_the_host_removed() {
    let (_world, host) = started();
    let victim = victim(&host);
    let dockerfile = format!(
        "FROM busybox\n\
         RUN --mount=type=tmpfs,target=/a/b/directory --mount=type=bind,source=Dockerfile,target=/a/b/empty \
         --mount=type=cache,target=/c/directory mv /a/b /gone && ln -s {0} /a/b && mv /c /gone-too && ln -s {0} /c\n",
        victim.display()
    );
    build(&host, &context(&host, "removing", &dockerfile), "-t made").ok();
    assert_untouched(&victim, "after the build");
    assert_eq!(
        host.docker(&["run", "--rm", "made", "readlink", "/c"]).ok(),
        victim.display().to_string(),
        "it was there"
    );
}

/// CVE-2024-9407, CVE-2024-23651: options of mounts that reach out of the step.
#[test]
fn options_of_mounts_that_nobody_needs_are_refused() {
    let (_world, host) = started();
    for (mount, said) in [
        ("type=bind,target=/x,bind-propagation=shared", "unknown option \"bind-propagation\""),
        ("type=bind,target=/x,relabel=shared", "unknown option"),
        ("type=bind,target=/x,z", "unknown option"),
        ("type=bind,target=/x,source=/,rshared", "unknown option"),
        ("type=bind,target=/x,bind-recursive=disabled", "unknown option"),
        ("type=tmpfs,target=/x,tmpcopyup", "unknown option"),
        ("type=devpts,target=/x", "unknown type"),
    ] {
        let refused =
            build(&host, &context(&host, "options", &format!("FROM busybox\nRUN --mount={mount} true\n")), "");
        assert!(
            format!("{}{}", refused.stdout, refused.stderr).contains(said) && refused.code == 1,
            "{mount}: {refused:?}"
        );
    }
}

/// CVE-2024-23651's class: what a cache begins with is behind a link in the stage that it is taken from.
#[test]
fn what_a_cache_begins_with_is_never_the_host_s() {
    let (_world, host) = started();
    let victim = victim(&host);
    let (out, up) = (victim.display(), format!("{}{}", "../".repeat(30), victim.display()));
    let links = format!(
        "FROM busybox AS links\nRUN mkdir -p {out} && touch {out}/inside && ln -s {out} /out && ln -s {up} /up && \
         mkdir /taken && ln -s {out}/file /taken/file\n"
    );
    for source in ["out", "up", "../../../../up"] {
        let look = "test -e /x/inside && ! test -e /x/file && touch /x/planted";
        let mount = format!("type=cache,target=/x,from=links,source={source}");
        let dockerfile = format!("{links}FROM busybox\nRUN --mount={mount} {look}\n");
        build(&host, &context(&host, "begins", &dockerfile), "--no-cache").ok();
        assert_untouched(&victim, source);
    }
    // A link within is kept as it is, and followed in the step's own files.
    let look = "readlink /x/file && ! cat /x/file && chmod -R 777 /x";
    let dockerfile =
        format!("{links}FROM busybox\nRUN --mount=type=cache,target=/x,from=links,source=taken {look}; true\n");
    let said = build(&host, &context(&host, "begins", &dockerfile), "--no-cache").ok();
    assert!(said.contains(&format!("{out}/file")), "{said}");
    assert_untouched(&victim, "a link within");
}

/// CVE-2024-9676, CVE-2019-14271's class: the image's files of users are links to the host's, pipes or without end.
#[test]
fn files_of_users_lead_to_no_file_of_the_host_and_fill_no_memory() {
    let (_world, host) = started();
    let victim = victim(&host);
    std::fs::write(victim.join("file"), "thief:x:4242:4242::/:/bin/sh\n").expect("written");
    let before = crate::copies::most_memory_mib(&host);
    let out = victim.join("file").display().to_string();
    for made in [
        format!("ln -s {out} /etc/passwd"),
        format!("ln -s {}{out} /etc/passwd", "../".repeat(30)),
        "mkfifo /etc/passwd".to_owned(),
        "ln -s /proc/self/exe /etc/passwd".to_owned(),
        "ln -s /etc/passwd /etc/passwd".to_owned(),
        "mkdir /etc/passwd".to_owned(),
        "truncate -s 96M /etc/passwd".to_owned(),
        "mknod /etc/passwd c 1 5".to_owned(),
    ] {
        let dockerfile = format!("FROM busybox\nRUN rm /etc/passwd && {made}\n");
        build(&host, &context(&host, "users", &dockerfile), "-t users").ok();
        for step in ["USER thief\nRUN true", "COPY --chown=thief Dockerfile /x", "RUN true"] {
            let dockerfile = format!("FROM users\n{step}\nRUN true\n");
            let outcome = build(&host, &context(&host, "used", &dockerfile), "--no-cache");
            assert!(outcome.code != 0 || step == "RUN true", "{made} {step}: {outcome:?}");
        }
        host.docker(&["run", "--rm", "--user", "thief", "users", "true"]).fails_with(125);
    }
    let more = crate::copies::most_memory_mib(&host) - before;
    assert!(more < 48, "{more} MiB");
}

/// CVE-2019-13139: what stands for a repository is an option of git, which runs a program.
#[test]
fn no_repository_is_fetched_by_a_program() {
    let (_world, host) = started();
    for remote in [
        "git://127.0.0.1/x.git%23--upload-pack=touch%20/run/planted",
        "--upload-pack=touch%20/run/planted",
        "ext::sh%20-c%20touch%25%20/run/planted",
        "https://127.0.0.1:9/x.git%23master:../..",
    ] {
        let (status, body) = host.http("/run/berth/berth.sock", "POST", &format!("/build?remote={remote}"), None);
        assert!(status >= 400 && body.contains("message"), "{remote}: {status} {body}");
    }
    for source in
        ["git@127.0.0.1:x --upload-pack=touch", "https://127.0.0.1:9/x.git#--upload-pack=touch${IFS}/run/planted"]
    {
        let refused = build(&host, &context(&host, "git", &format!("FROM busybox\nADD {source} /x\n")), "");
        assert!(refused.code == 1, "{source}: {refused:?}");
    }
    host.sh("test ! -e /run/planted").ok();
}

/// CVE-2014-9357: an archive is unpacked by programs, which the image brings.
#[test]
fn archives_are_unpacked_by_no_program_of_the_image() {
    let (_world, host) = started();
    let directory = host.directory().join("trap");
    trap(&host, &directory);
    let dockerfile = "FROM busybox AS trapped\nRUN cd /bin && rm tar xz unxz xzcat gzip gunzip bzip2 /usr/bin/xz; mkdir -p -m 777 /run\n\
        COPY trap /bin/tar\nCOPY trap /bin/xz\nCOPY trap /bin/unxz\nCOPY trap /bin/xzcat\nCOPY trap /usr/bin/xz\nCOPY trap /bin/gzip\n\
        COPY trap /bin/gunzip\nCOPY trap /bin/bzip2\nCOPY trap /bin/unzstd\nCOPY trap /bin/git\n\
        FROM trapped\nADD a.tar.xz /xz/\nADD a.tar.gz /gz/\nADD a.tar.bz2 /bz2/\nRUN test -e /xz/trap.c -a -e /gz/trap.c -a -e /bz2/trap.c -a ! -e /run/sprung\n";
    std::fs::write(directory.join("Dockerfile"), dockerfile).expect("written");
    host.sh(&format!("cd {} && for c in xz gz bz2; do tar -caf a.tar.$c trap.c; done", directory.display())).ok();
    build(&host, &directory, "").ok();
    host.sh("test ! -e /run/sprung").ok();
}

/// CVE-2024-24557: an image that was loaded says that it came by the steps that are to be carried out, and stands for them.
#[test]
fn an_image_that_says_how_it_was_built_stands_for_no_step() {
    let (_world, host) = started();
    let right = context(&host, "right", "FROM busybox\nRUN echo right > /made\nHEALTHCHECK CMD true\n");
    build(&host, &right, "-t right").ok();
    let forged = host.directory().join("forged");
    sh(&host, &format!("mkdir {0} && cd {0} && docker save right | tar -x && mkdir t && echo wrong > t/made && tar -C t -cf wrong.tar made", forged.display())).ok();
    let read = |name: &str| {
        let text = std::fs::read(forged.join(name)).expect("there");
        serde_json::from_slice::<serde_json::Value>(&text).expect("JSON")
    };
    let mut manifest = read("manifest.json");
    let mut config = read(manifest[0]["Config"].as_str().expect("a name"));
    let digest = host.sh(&format!("sha256sum < {}/wrong.tar", forged.display())).ok();
    config["rootfs"]["diff_ids"][1] = format!("sha256:{}", &digest[..64]).into();
    (manifest[0]["Layers"][1], manifest[0]["Config"]) = ("wrong.tar".into(), "c".into());
    manifest[0]["RepoTags"] = serde_json::json!(["forged:latest"]);
    std::fs::write(forged.join("c"), config.to_string()).expect("written");
    std::fs::write(forged.join("manifest.json"), manifest.to_string()).expect("written");
    // Nothing is left of the first build.
    host.docker(&["rmi", "-f", "right"]).ok();
    host.berth(&["builder", "prune", "-af"]).ok();
    sh(&host, &format!("cd {} && rm -f index.json && tar -c . | docker load", forged.display())).ok();
    assert_eq!(host.docker(&["run", "--rm", "forged", "cat", "/made"]).ok(), "wrong");
    let said = build(&host, &right, "-t right").ok();
    assert!(!said.contains("Using cache"), "{said}");
    assert_eq!(host.docker(&["run", "--rm", "right", "cat", "/made"]).ok(), "right");
    // It does for who trusts it by name: there is nothing else wrong with it.
    host.docker(&["rmi", "-f", "right"]).ok();
    host.berth(&["builder", "prune", "-af"]).ok();
    let said = build(&host, &right, "-t right --cache-from forged").ok();
    assert!(said.contains("Using cache"), "{said}");
}

/// CVE-2019-16884's class: something is mounted for a step over what shields the kernel's files.
#[test]
fn nothing_is_mounted_for_a_step_over_the_kernel_s_files() {
    let (_world, host) = started();
    build(&host, &context(&host, "link", "FROM busybox\nRUN ln -s ../../proc /link\n"), "-t link").ok();
    for target in ["/proc", "/proc/sys", "/proc/self/attr", "/sys", "/sys/fs/cgroup", "/x/../proc/sys", "/link/sys"] {
        for kind in ["tmpfs", "cache", "bind,source=Dockerfile"] {
            let dockerfile = format!("FROM link\nRUN --mount=type={kind},target={target} true\n");
            let refused = build(&host, &context(&host, "kernel", &dockerfile), "");
            assert!(
                refused.code == 1 && refused.stderr.contains("the kernel's own files"),
                "{dockerfile}: {refused:?}"
            );
        }
    }
}
