//! Elements with a timeout in the real kernel, each test in a network namespace of its own.

#[path = "../../../tests/kernel/host.rs"]
mod host;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    time::{Duration, Instant},
};

use cnm::firewall::Element;

use self::host::{in_fresh_host, run};
use super::{
    super::{
        Firewall,
        element::SetElement,
        set::{Declaration, Expiring, Set},
        sets::SETS,
        transaction::Transaction,
    },
    policy,
};
use crate::{AdminChains, Repaired};

const NAMED: Set<Expiring<(Ipv4Addr, Ipv4Addr)>> = Set::new("named");
const LEADING: Set<Expiring<Ipv4Addr>, Ipv6Addr> = Set::new("leading");

const HOUR: Duration = Duration::from_secs(3600);

/// A firewall whose table has these sets besides its own.
fn firewall(run_dir: &Path, sets: &[Declaration]) -> Firewall {
    let mut firewall = Firewall::new(run_dir).expect("nftables");
    firewall.sets = [&SETS[..], sets].concat().leak();
    firewall
}

fn sync(firewall: &Firewall) -> Repaired {
    let elements = [Element::Network(policy())].into();
    firewall.sync(&elements, &AdminChains::default(), [].into()).expect("a sync")
}

fn named(number: u16, timeout: Duration) -> SetElement {
    let [third, fourth] = number.to_be_bytes();
    NAMED.member(Expiring { key: (Ipv4Addr::new(172, 18, 0, 2), Ipv4Addr::new(198, 18, third, fourth)), timeout })
}

fn leading(timeout: Duration) -> SetElement {
    LEADING.entry(Expiring { key: Ipv4Addr::new(192, 0, 2, 1), timeout }, Ipv6Addr::LOCALHOST)
}

fn add(firewall: &Firewall, elements: Vec<SetElement>) {
    let mut transaction = Transaction::default();
    transaction.add(elements);
    firewall.lock().socket.commit(&transaction).expect("the elements");
}

fn remove(firewall: &Firewall, elements: Vec<SetElement>) {
    let mut transaction = Transaction::default();
    transaction.remove(elements);
    firewall.lock().socket.commit(&transaction).expect("they are gone");
}

/// Whether the table holds just these, each with a time left that is at most a minute less.
#[track_caller]
fn assert_held(firewall: &Firewall, mut expected: Vec<SetElement>) {
    let key = |element: &SetElement| (element.set, element.key.bytes.clone());
    let mut held = firewall.expiring().expect("what is held");
    held.sort_by_key(key);
    expected.sort_by_key(key);
    for (held, expected) in held.iter_mut().zip(&expected) {
        let (left, timeout) = (held.timeout.expect("a timeout"), expected.timeout.expect("a timeout"));
        assert!(left <= timeout && timeout - left < Duration::from_secs(60), "{held} should have {expected}");
        held.timeout = expected.timeout;
    }
    assert_eq!(held, expected);
}

#[test]
fn they_are_added_given_a_new_timeout_and_removed_whether_there_or_not() {
    in_fresh_host(|run_dir| {
        let firewall = firewall(run_dir, &[NAMED.declaration, LEADING.declaration]);
        assert_held(&firewall, vec![]);
        sync(&firewall);
        assert_held(&firewall, vec![]);
        add(&firewall, vec![named(1, HOUR), named(2, HOUR), leading(HOUR)]);
        assert_held(&firewall, vec![named(1, HOUR), named(2, HOUR), leading(HOUR)]);
        add(&firewall, vec![named(2, 3 * HOUR), named(3, 2 * HOUR), leading(HOUR / 2)]);
        let held = vec![named(1, HOUR), named(2, 3 * HOUR), named(3, 2 * HOUR), leading(HOUR / 2)];
        assert_held(&firewall, held);
        remove(&firewall, vec![named(1, HOUR), named(4, HOUR), leading(HOUR)]);
        assert_held(&firewall, vec![named(2, 3 * HOUR), named(3, 2 * HOUR)]);
        // More than goes into a message, some of it there already.
        let many = || (0..1000).map(|number| named(number, 4 * HOUR)).collect();
        add(&firewall, many());
        assert_held(&firewall, many());
    });
}

#[test]
fn they_expire_and_no_sync_calls_that_a_change() {
    in_fresh_host(|run_dir| {
        let firewall = firewall(run_dir, &[NAMED.declaration]);
        sync(&firewall);
        add(&firewall, vec![named(1, Duration::from_millis(200)), named(2, HOUR)]);
        let deadline = Instant::now() + Duration::from_secs(10);
        while firewall.expiring().expect("what is held").len() > 1 {
            assert!(Instant::now() < deadline, "it stays");
            assert_eq!(sync(&firewall), Repaired::Unchanged);
        }
        assert_held(&firewall, vec![named(2, HOUR)]);
        assert_eq!(sync(&firewall), Repaired::Unchanged);
    });
}

#[test]
fn they_outlive_a_sync_a_repair_a_daemon_and_a_table_made_anew() {
    const FOUR: Set<Ipv4Addr> = Set::new("other");
    const SIX: Set<Ipv6Addr> = Set::new("other");
    in_fresh_host(|run_dir| {
        let before = firewall(run_dir, &[NAMED.declaration, LEADING.declaration, FOUR.declaration]);
        sync(&before);
        let held = || vec![named(1, HOUR), named(2, 2 * HOUR), leading(HOUR)];
        add(&before, held());
        assert_eq!(sync(&before), Repaired::Unchanged);
        assert_held(&before, held());
        for wound in
            [&["flush", "chain", "inet", "berth", "forward"][..], &["flush", "set", "inet", "berth", "bridges"]]
        {
            run("nft", wound);
            assert_eq!(before.repair().expect("a repair"), Repaired::Changed);
            assert_held(&before, held());
        }
        drop(before);
        // A set of another shape can't be had in place.
        let after = firewall(run_dir, &[NAMED.declaration, LEADING.declaration, SIX.declaration]);
        assert_eq!(sync(&after), Repaired::Changed);
        assert!(run("nft", &["list", "set", "inet", "berth", "other"]).contains("ipv6_addr"));
        assert_held(&after, held());
    });
}
