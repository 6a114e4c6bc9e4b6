//! Wrong requests about images.

use super::{Wrong, refuses, town};

const ROWS: &[Wrong] = &[
    ("both", "rmi nonesuch", 1, &["No such image: nonesuch:latest"]),
    ("both", "rmi busybox", 1, &["conflict", "busybox"]),
    ("both", "tag nonesuch other", 1, &["No such image: nonesuch:latest"]),
    ("both", "tag busybox UPPER", 1, &["invalid reference format"]),
    ("both", "tag busybox a/b/:c", 1, &["invalid reference format"]),
    ("both", "history nonesuch", 1, &["No such image: nonesuch:latest"]),
    ("both", "image inspect nonesuch", 1, &["No such image: nonesuch"]),
    ("both", "images --filter nonesuch=1", 1, &["nonesuch"]),
    ("both", "pull busybox", 1, &["can't talk to https://registry-1.docker.io"]),
    ("both", "pull -a busybox:1", 1, &["tag can't be used with --all-tags/-a"]),
    ("both", "pull --platform no", 1, &[]),
    ("both", "push nonesuch", 1, &["nonesuch"]),
    ("both", "push busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000", 1, &["digest"]),
    ("both", "push -a busybox:1", 1, &["tag can't be used with --all-tags/-a"]),
    ("both", "search --limit 1000 busybox", 1, &["1000"]),
    ("both", "image prune -f --filter nonesuch=1", 1, &["nonesuch"]),
    ("both", "build /nonesuch", 1, &["/nonesuch"]),
    ("docker", "build -t UPPER /bin", 125, &["UPPER"]),
    ("both", "save -o /run/saved.tar busybox nonesuch", 1, &["No such image: nonesuch:latest"]),
    ("both", "save -o /nonesuch/saved.tar busybox", 1, &["/nonesuch"]),
];

#[test]
fn images() {
    refuses(town, ROWS);
}
