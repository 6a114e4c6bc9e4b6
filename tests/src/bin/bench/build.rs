//! Figures about building: a Dockerfile of ten steps, beside buildah.

use berth_tests::{Host, world::binary};

use super::{Figure, images::seconds};

const DOCKERFILE: &str = r#"FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV A=b
RUN mkdir -p /srv/www
COPY files /srv/www
RUN find /srv/www -type f | wc -l > /count
WORKDIR /srv
RUN tar -cf /all.tar www
CMD ["sh"]
"#;

/// Measures; 200 files of 10 kB are copied.
pub(crate) fn measure(host: &Host) -> Vec<Figure> {
    let context = host.directory().join("build");
    std::fs::create_dir_all(context.join("files")).expect("a context");
    std::fs::write(context.join("Dockerfile"), DOCKERFILE).expect("a context");
    for number in 0_u32..200 {
        let content: Vec<u8> = (0..10_000_u32).map(|at| ((at * at) ^ number).to_le_bytes()[1]).collect();
        std::fs::write(context.join("files").join(number.to_string()), content).expect("a context");
    }
    host.sh(&format!("cp /usr/bin/busybox {}", context.display())).ok();
    let (context, berth) = (context.display(), binary("berth"));
    let berth = berth.display();
    let buildah = format!("buildah --root {context}.root --runroot {context}.run --storage-driver overlay");
    let by_buildah =
        seconds(host, &format!("{buildah} bud --layers -q -t ten {context}"), &format!("{buildah} rmi -af"));
    let build = format!("{berth} build -q -t ten {context}");
    let forget = format!("{berth} rmi ten && {berth} builder prune -af");
    let cold = seconds(host, &build, &forget);
    host.sh(&build).ok();
    let again = seconds(host, &build, "true");
    host.sh(&forget).ok();
    let figure = |what, measured, mark| Figure { what, measured, unit: "s", mark, docker: None };
    vec![
        figure("buildah bud --layers, ten steps", by_buildah, None),
        figure("berth build: 0.5 of buildah's", cold, Some(0.5 * by_buildah)),
        figure("berth build, nothing changed", again, Some(0.3)),
    ]
}
