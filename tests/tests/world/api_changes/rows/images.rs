//! What changed about images and builds.

use super::{
    super::{
        Check::{AlwaysShows, Asks, By, Shows},
        Expect::{Absent, Empty, Is, Nothing, There},
    },
    BUSYBOX, Row,
};

pub(super) const ROWS: &[Row] = &[
    (
        52,
        "`GET /images/{name}/get` takes several",
        &[
            Asks("GET", "/images/busybox/get?platform={here}", None, 200, ""),
            Asks("GET", "/images/busybox/get?platform={here}&platform={elsewhere}", None, 400, "platform"),
        ],
    ),
    (
        52,
        "`POST /images/load` takes several",
        &[Asks("POST", "/images/load?platform={here}&platform={elsewhere}", None, 400, "platform")],
    ),
    (52, "leaves empty members of `Config` out", &[Shows(BUSYBOX, "/Config/Labels", Absent, Is("null"))]),
    (
        52,
        "the same for `Parent`",
        &[
            Shows(BUSYBOX, "/Parent", Absent, Is(r#""""#)),
            Shows(BUSYBOX, "/DockerVersion", Absent, Is(r#""""#)),
            Shows(BUSYBOX, "/Author", Absent, Is(r#""""#)),
        ],
    ),
    (51, "counts each image's `Containers`", &[Shows("/images/json", "/0/Containers", Is("3"), Is("-1"))]),
    (
        51,
        "`Parent` and `DockerVersion`",
        &[
            Shows(BUSYBOX, "/Parent", Is(r#""""#), Is(r#""""#)),
            Shows(BUSYBOX, "/DockerVersion", Is(r#""""#), Is(r#""""#)),
        ],
    ),
    (51, "`Config.DockerVersion`", &[AlwaysShows(BUSYBOX, "/Config/DockerVersion", Absent)]),
    (
        50,
        "takes `platforms`",
        &[By("tests/tests/world/image_life.rs an_image_for_another_platform_is_not_the_one_that_was_asked_for")],
    ),
    (50, "without members that only containers have", &[Shows(BUSYBOX, "/Config/Hostname", Absent, Is(r#""""#))]),
    (
        49,
        "takes a `platform`",
        &[
            Asks("GET", "/images/busybox/json?platform={here}", None, 200, ""),
            Asks("GET", "/images/busybox/json?platform={elsewhere}", None, 404, "platform"),
        ],
    ),
    (48, "`error` and `progress`", &[By("engine/src/wire/progress.rs lines_are_as_clients_know_them")]),
    (48, "`keep-storage`", &[Asks("POST", "/build/prune?keep-storage=1", None, 501, "keep-storage")]),
    (
        48,
        "`GET /images/{name}/history` takes",
        &[
            Asks("GET", "/images/busybox/history?platform={here}", None, 200, ""),
            Asks("GET", "/images/busybox/history?platform={elsewhere}", None, 404, "platform"),
        ],
    ),
    (
        48,
        "`load` and `GET /images/{name}/get`",
        &[By("tests/tests/world/round_trip.rs through_pipes_and_for_platforms")],
    ),
    (48, "have a `Descriptor`", &[Shows("/images/json", "/0/Descriptor", Absent, Absent)]),
    (48, "has `Manifests`, likewise", &[Shows(BUSYBOX, "/Manifests", Absent, Absent)]),
    (
        48,
        "takes `reserved-space`",
        &[
            Asks("POST", "/build/prune?reserved-space=1", None, 501, "reserved-space"),
            Asks("POST", "/build/prune?max-used-space=1", None, 501, "max-used-space"),
            Asks("POST", "/build/prune?min-free-space=1", None, 501, "min-free-space"),
        ],
    ),
    (47, "has `Manifests`, if asked for", &[Shows("/images/json?manifests=1", "/0/Manifests", Absent, Absent)]),
    (46, "`POST /images/{name}/push` takes", &[By("tests/tests/world/push.rs all_tags_a_platform_and_nothing_at_all")]),
    (
        46,
        "an event `create` of each image",
        &[
            Shows(TOLD_OF_CREATED, "", Nothing, Nothing),
            Asks("GET", TOLD_OF_IMAGES, None, 200, r#""Action":"build""#),
            Asks("GET", TOLD_OF_IMAGES, None, 200, r#""Action":"tag""#),
        ],
    ),
    (46, "that only containers have are to go", &[Shows(BUSYBOX, "/Config/Hostname", Is(r#""""#), Is(r#""""#))]),
    (45, "`is-automated` of searches", &[By("tests/tests/world/search.rs nothing_is_automated")]),
    (
        45,
        "without `Container` and `ContainerConfig`",
        &[Shows(BUSYBOX, "/Container", Absent, Is(r#""""#)), Shows(BUSYBOX, "/ContainerConfig", Absent, Empty)],
    ),
    (
        44,
        "filters by `until`",
        &[
            Asks("GET", "/images/json?filters=%7B%22until%22%3A%5B%222001-01-01%22%5D%7D", None, 200, "[]"),
            Asks("GET", "/images/json?filters=%7B%22until%22%3A%5B%220s%22%5D%7D", None, 200, "busybox"),
        ],
    ),
    (
        44,
        "no `VirtualSize`",
        &[Shows("/images/json", "/0/VirtualSize", Absent, There), Shows(BUSYBOX, "/VirtualSize", Absent, There)],
    ),
    (44, "`is_automated` of searches is to go", &[By("tests/tests/world/search.rs nothing_is_automated")]),
    (44, "the filter `is-automated`", &[By("tests/tests/world/search.rs nothing_is_automated")]),
    (44, "of images are to go", &[Shows(BUSYBOX, "/ContainerConfig", Empty, Empty)]),
    (44, "of unknown age", &[By("engine/src/translate/image/tests.rs an_image_by_itself")]),
    (43, "`<none>:<none>`", &[By("engine/src/translate/image/tests.rs an_image_in_a_list")]),
    (43, "`VirtualSize` of images is to go", &[Shows("/images/json", "/0/VirtualSize", There, There)]),
    (
        42,
        "takes `shared-size`",
        &[
            AlwaysShows("/images/json?shared-size=1", "/0/SharedSize", Is("0")),
            AlwaysShows("/images/json", "/0/SharedSize", Is("-1")),
        ],
    ),
    (42, "imports take an architecture", &[By("tests/tests/world/images.rs import_tag_history_rmi")]),
    (42, "`BuildCache.Parent` is to go", &[AlwaysShows("/system/df", "/BuildCache/0/Parent", Absent)]),
    (42, "`BuildCache.Parents`", &[Shows("/system/df", "/BuildCache/0/Parents", Absent, Absent)]),
    (
        41,
        "without `filter`",
        &[Asks("GET", "/images/json?filters=%7B%22reference%22%3A%5B%22nonesuch%22%5D%7D", None, 200, "[]")],
    ),
];

/// What was told of images until now, and of that what is called `create`.
const TOLD_OF_IMAGES: &str = "/events?since=0&until={now}&filters=%7B%22type%22%3A%5B%22image%22%5D%7D";
const TOLD_OF_CREATED: &str =
    "/events?since=0&until={now}&filters=%7B%22type%22%3A%5B%22image%22%5D%2C%22event%22%3A%5B%22create%22%5D%7D";
