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
    ("docker", "push busybox", 1, &["push"]),
    ("both", "save -o /run/saved.tar busybox nonesuch", 1, &["No such image: nonesuch:latest"]),
    ("both", "save -o /nonesuch/saved.tar busybox", 1, &["/nonesuch"]),
];

#[test]
fn images() {
    refuses(town, ROWS);
}
