//! The two commands' first one, as a newcomer runs it, on a host of its own: network, mounts and processes.
//!
//! It builds with the profile `quick`, which takes minutes: `cargo nextest run --test quickstart --run-ignored only`.

use berth_tests::on_a_fresh_machine;

/// Debian's list of packages is all that there is in `/var/lib`.
const EMPTY: &str = "
    mkdir -p $DIRECTORY/lib/dpkg
    mount --bind /var/lib/dpkg $DIRECTORY/lib/dpkg
    mount --rbind $DIRECTORY/lib /var/lib
    mount -t tmpfs none /run
    ip link set lo up
";

#[test]
#[ignore = "builds with another profile, which takes minutes"]
fn it_serves_a_page_is_harmless_again_and_leaves_nothing() {
    let told = on_a_fresh_machine(
        EMPTY,
        "
        scripts/quickstart
        getent group berth
        [ $(stat -c %G /run/berth/berth.sock) = berth ]
        echo AGAIN
        before=$(target/quick/berth ps -q --no-trunc)
        scripts/quickstart
        [ \"$before\" = \"$(target/quick/berth ps -q --no-trunc)\" ]
        echo DOWN
        scripts/quickstart --down
        ! ls -d /run/berth /var/lib/berth 2>/dev/null
        ! ip -o link | grep -v ' lo:'
        ! nft list tables | grep .
        ! pgrep -x 'netd|berthd|berth-monitor|netd-keeper'
        ! getent group berth
        [ $(cat /proc/sys/net/ipv4/ip_forward) = 0 ]
        scripts/quickstart --down
        ",
    );
    let (first, again) = told.split_once("AGAIN").expect("the first run's end");
    assert!(first.contains("<h1>Hello from berth</h1>"), "{told}");
    assert!(again.contains("<h1>Hello from berth</h1>"), "{told}");
    assert!(!again.contains("making the image"), "{told}");
    assert!(told.contains("there is nothing to stop"), "{told}");
}

#[test]
#[ignore = "builds with another profile, which takes minutes"]
fn a_berth_that_was_there_before_stays() {
    let told = on_a_fresh_machine(
        EMPTY,
        "
        scripts/quickstart
        rm /var/lib/berth/quickstart
        scripts/quickstart --down
        target/quick/berth ps -aq
        target/quick/berth net ls -q | wc -l
        ",
    );
    assert!(told.ends_with("it stays\n3\n") || told.contains("it stays\x1b[0m\n3\n"), "{told}");
}
