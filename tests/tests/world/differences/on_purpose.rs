//! What docs/differences-from-docker.md says is different on purpose is so: every row of that chapter and of the next is shown
//! by a test of its own, or here on one host.

use berth_tests::{Host, World};

use super::{asked, shown::SHOWN};
use crate::named::assert_is_test;

/// Words of a row, and what shows on a host that they are true.
type Asked = (&'static str, fn(&mut Host));

/// Each leaves the host to the next as it was.
const ASKED: &[Asked] = &[
    ("what the engine says follows as `Error response from daemon: …`", asked::what_the_engine_says_follows),
    ("`/etc/docker/daemon.json` isn't read", asked::configuration_is_read_at_the_start),
    ("SIGHUP reloads nothing: a restart does", asked::configuration_is_read_at_the_start),
    ("no longer knows of it", asked::execs_outlive_berthd),
    ("Host and container have permanent neighbour entries of each other", asked::neighbours_are_permanent),
    ("needs `ip route add THEIR-SUBNET via CONTAINER` on the host", asked::who_routes_for_others_needs_a_route),
    ("also through several hands", asked::files_of_a_shared_network_are_the_first_one_s),
    ("a working directory can't be named by any other link of `/proc` either", asked::an_exec_s_program_is_not_its_own),
    ("of a running container is `/proc/PID/root`", asked::a_file_system_is_mounted_for_its_container),
    ("come in alphabetical order", asked::members_are_in_order),
    ("networks get subnets with 24 bits, of 172.18.0.0", asked::networks_have_24_bits_and_bridges_their_ids),
    (
        "A network's bridge is `bb-` and the first 12 digits of its id",
        asked::networks_have_24_bits_and_bridges_their_ids,
    ),
    ("is `berth` unless a request names `runc` or `io.containerd.runc.v2`", asked::runtimes_have_the_names_asked_for),
    ("there are no variables of the other's ports", asked::links_bring_no_variables),
    ("With network mode `none` it is refused", asked::links_bring_no_variables),
    ("but without `/`, control characters or `container:` at the beginning", asked::names_of_networks),
    ("and that nobody knows is refused", asked::unknown_options_of_ours_are_refused),
    ("is tried again like a run that failed", asked::a_restart_that_fails_is_tried_again),
    ("the limit with swap moves along unless it was set", asked::the_limit_with_swap_moves_along),
    ("and `--mount` with other options", asked::volumes_keep_their_options),
    ("its name is free then", asked::what_removes_itself_is_gone),
    ("A `.dockerignore` holds also for a context that comes as a tar", asked::a_dockerignore_in_a_tar_counts),
    ("leaves the build cache alone", asked::a_prune_by_labels_leaves_the_build_cache),
    ("a network that `berth net` makes is in `docker events` too", asked::networks_of_netd_are_told),
    ("`labels-regex` and `env-regex` know no classes of Unicode", asked::options_of_logs),
    ("`--log-driver none` takes `mode` and `max-buffer-size` and nothing else", asked::options_of_logs),
    ("takes a number or `all`", asked::unknown_values_are_refused),
    ("it can't be started", asked::what_is_copied_out_of_is_not_started),
    ("Attachable networks", asked::every_network_is_attachable),
    ("speaks the classic builder's API", asked::steps_are_in_no_list),
    ("A container called `add`, `rm` or `remove` is named to `port` by its id", asked::a_container_called_as_a_verb),
    ("`man-pages`", asked::what_only_berth_has),
    ("the docker client has; `start --checkpoint`", asked::what_only_docker_has),
];

/// The points of both chapters, each on one line.
fn points(document: &str) -> Vec<String> {
    let (_, chapters) = document.split_once("\n## Different on purpose\n").expect("the chapter");
    assert_eq!(chapters.matches("\n## ").count(), 1, "a chapter has come that nobody goes through");
    assert!(chapters.contains("\n## The command line\n"));
    let points = chapters.split("\n- ").skip(1).map(|point| point.split("\n\n").next().unwrap_or(point));
    points.map(|point| point.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_point_is_shown_by_somebody() {
    let points = points(include_str!("../../../../docs/differences-from-docker.md"));
    assert!(points.len() > 50, "the chapter has changed its form: {points:?}");
    let words = SHOWN.iter().map(|(words, _)| *words).chain(ASKED.iter().map(|(words, _)| *words));
    for words in words.clone() {
        let found = points.iter().filter(|point| point.contains(words)).count();
        assert_eq!(found, 1, "in so many points the document says {words:?}");
    }
    for point in &points {
        assert!(words.clone().any(|words| point.contains(words)), "nobody shows that this is true: {point}");
    }
    for test in SHOWN.iter().flat_map(|(_, tests)| *tests) {
        assert_is_test(test);
    }
}

#[test]
fn what_nobody_else_shows_is_as_the_document_says() {
    let mut world = World::new();
    let mut host = world.host();
    // Its own /etc, so that it may have files of Docker's and ours.
    host.sh("mkdir -p /run/etc/upper /run/etc/work && mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work etc /etc").ok();
    host.sh("mkdir -p /etc/docker && echo '{ this would keep dockerd from starting' > /etc/docker/daemon.json").ok();
    host.start();
    host.docker(&["run", "-d", "--name", "web", "--expose", "80", "busybox", "sleep", "4711"]).ok();
    let mut done: Vec<fn(&mut Host)> = Vec::new();
    for (_, shows) in ASKED {
        if !done.iter().any(|known| std::ptr::fn_addr_eq(*known, *shows)) {
            shows(&mut host);
            done.push(*shows);
        }
    }
    assert_eq!(host.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "web", "each takes away what it has made");
}
