//! Debian's `docker-registry` on a host, and images of two layers to put there.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{Host, world::look};

/// `ann` with the password `secret`, as htpasswd(1) has it.
pub const HTPASSWD: &str = "ann:$2y$04$PGwzoBKWI7sxm/zSPaV/A.39HssQRnXWxO/f7jrlQmTeieV4M06gm\n";

/// Starts a registry and returns when it listens. To its configuration come `http` settings and others; `DIR` in them is the
/// directory of its files, which is also returned.
///
/// # Panics
/// When it doesn't start.
pub fn start(host: &Host, port: u16, http: &str, others: &str) -> String {
    let directory = host.directory().join(format!("registry-{port}")).display().to_string();
    std::fs::create_dir_all(&directory).expect("a directory");
    let config = format!(
        "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: DIR/data}}}}\nhttp: {{addr: \":{port}\"{http}}}\n{others}"
    );
    let file = format!("{directory}/config.yml");
    std::fs::write(&file, config.replace("DIR", &directory)).expect("a file");
    let mut registry = host
        .command("docker-registry")
        .args(["serve", &file])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker-registry (Debian's docker-registry)");
    let mut log = BufReader::new(registry.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut said = String::new();
    let listens = log.by_ref().any(|line| {
        said += &format!("{line}\n");
        line.contains("listening on")
    });
    assert!(listens, "docker-registry doesn't listen:\n{said}");
    // It ends with its host; until then it isn't to wait for a reader.
    std::thread::spawn(move || {
        log.for_each(drop);
        let _ = registry.wait();
    });
    directory
}

/// Makes an OCI layout `src` in the host's directory, with an image `made` of two layers: busybox, and a file `/second`.
pub fn layout(host: &Host) {
    let archive = crate::image::busybox();
    look(&format!(
        "cd {} && umoci init --layout src && umoci new --image src:made && umoci unpack --image src:made bundle && \
         tar -xf {} -C bundle/rootfs && umoci repack --refresh-bundle --image src:made bundle && \
         echo second > bundle/rootfs/second && umoci repack --refresh-bundle --image src:made bundle && \
         umoci config --image src:made --config.cmd 'cat' --config.cmd /second --config.env PATH=/bin",
        host.directory().display(),
        archive.display()
    ))
    .ok();
}

/// Puts an index under the tag `all` into the registry on port 5000, which has `team/made:1`: of that and of the same for
/// another machine. Answers its digest.
pub fn put_index(host: &Host) -> String {
    host.sh(&format!(
        r#"set -e; cd {}; umoci config --image src:made --tag arm --architecture arm64
        skopeo copy -q --dest-tls-verify=false oci:src:arm docker://127.0.0.1:5000/team/made:2
        describe() {{
            skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/team/made:$1 > $2.json
            printf '{{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:%s", "size": %s,' \
                $(sha256sum < $2.json | cut -d' ' -f1) $(wc -c < $2.json)
            printf '"platform": {{"os": "linux", "architecture": "%s"}}}}' $2
        }}
        type=application/vnd.oci.image.index.v1+json
        printf '{{"schemaVersion": 2, "mediaType": "%s", "manifests": [%s, %s]}}' \
            $type "$(describe 2 arm64)" "$(describe 1 amd64)" > index.json
        curl -fsS -X PUT -H "Content-Type: $type" --data-binary @index.json \
            http://127.0.0.1:5000/v2/team/made/manifests/all"#,
        host.directory().display()
    ))
    .ok();
    host.sh(&format!("sha256sum < {}/index.json | cut -d' ' -f1", host.directory().display())).ok()
}
