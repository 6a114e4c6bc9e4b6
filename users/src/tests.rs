//! Whom texts mean, by files that are as they should be and by such as a stranger may write.

use std::io;

use super::*;

const PASSWD_TEXT: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\nalice:x:1000:100:Alice:/home/alice:/bin/sh\n\
                           bob:x:1001:1001::\n1001:x:0:0::/evil:\n7:x:700:700::/seven:\nbroken:x:y\n";
const GROUP_TEXT: &str = "root:x:0:\nusers:x:100:bob\nwheel:x:10:alice,bob\n55:x:0:\nnumeric:x:5:\nevil:x:0:7,1001\n";

fn lookup(user: &str, further: &[&str], passwd: &str, group: &str) -> Result<User, Error> {
    let further: Vec<String> = further.iter().map(|&group| group.to_owned()).collect();
    find(user, &further, passwd, group)
}

#[test]
fn users_are_found_as_docker_finds_them() {
    type Row = (&'static str, &'static [&'static str], (u32, u32, &'static [u32], &'static str));
    let table: &[Row] = &[
        ("", &[], (0, 0, &[0], "/root")),
        ("root", &["wheel"], (0, 0, &[0, 10], "/root")),
        ("alice", &[], (1000, 100, &[10, 100], "/home/alice")),
        ("1000", &[], (1000, 100, &[10, 100], "/home/alice")),
        ("+1000", &[], (1000, 100, &[10, 100], "/home/alice")),
        ("001000", &[], (1000, 100, &[10, 100], "/home/alice")),
        ("alice:wheel", &[], (1000, 10, &[10], "/home/alice")),
        ("alice:55", &["5", "users"], (1000, 55, &[5, 55, 100], "/home/alice")),
        ("bob", &["10"], (1001, 1001, &[10, 100, 1001], "/")),
        // Somebody else has each of these numbers for a name.
        ("1001", &[], (1001, 1001, &[10, 100, 1001], "/")),
        ("7", &[], (7, 0, &[0], "/")),
        ("7:55", &[], (7, 55, &[55], "/")),
        ("7:7", &["55"], (7, 7, &[7, 55], "/")),
        ("4711", &[], (4711, 0, &[0], "/")),
        ("4711:4712", &[], (4711, 4712, &[4712], "/")),
        ("2147483647:2147483647", &[], (2_147_483_647, 2_147_483_647, &[2_147_483_647], "/")),
        (":users", &[], (0, 100, &[100], "/root")),
    ];
    for (user, further, (uid, gid, additional_gids, home)) in table {
        let found = lookup(user, further, PASSWD_TEXT, GROUP_TEXT).unwrap_or_else(|error| panic!("{user}: {error}"));
        let (additional_gids, home) = (additional_gids.to_vec(), (*home).to_owned());
        assert_eq!(found, User { uid: *uid, gid: *gid, additional_gids, home }, "{user}");
    }
}

#[test]
fn who_isn_t_there_is_named() {
    let range = |number: &str| format!("uids and gids must be in range 0-2147483647: {number} is not");
    let table = [
        ("carol", "unable to find user carol: no matching entries in passwd file".to_owned()),
        ("broken", "unable to find user broken: no matching entries in passwd file".to_owned()),
        ("alice:staff", "unable to find group staff: no matching entries in group file".to_owned()),
        (" 1000", "unable to find user  1000: no matching entries in passwd file".to_owned()),
        ("0x3e8", "unable to find user 0x3e8: no matching entries in passwd file".to_owned()),
        ("-1", range("-1")),
        ("2147483648", range("2147483648")),
        ("4294967295", range("4294967295")),
        ("4294967296", range("4294967296")),
        ("alice:4294967296", range("4294967296")),
        ("18446744073709551616", range("18446744073709551616")),
    ];
    for (user, message) in table {
        let error = lookup(user, &[], PASSWD_TEXT, GROUP_TEXT).expect_err(user);
        assert_eq!(error.to_string(), message);
        let owner =
            owner(user, |path| Ok::<_, Error>(if path == PASSWD { PASSWD_TEXT } else { GROUP_TEXT }.to_owned()));
        assert_eq!(owner.expect_err(user), error);
    }
    let error = lookup("alice", &["2147483648"], PASSWD_TEXT, GROUP_TEXT).expect_err("too large");
    assert_eq!(error.to_string(), range("2147483648"));
}

#[test]
fn what_is_no_line_of_the_files_is_nobody() {
    let long = format!("{}:x:1:1::/:\n", "a".repeat(1 << 20));
    for passwd in [
        "",
        "\0\0\0",
        "eve",
        "eve:x:1",
        "eve:x:-1:0::/:",
        "eve:x:+1:0::/:",
        "eve:x:0:99999999999999999999::/:",
        "+eve:x:0:0::/:\n+::0:0::/:\n-eve:x:0:0::/:\n+",
        "eve:x:0:0::/\0:",
        "eve\0:x:0:0::/:",
        "#eve:x:0:0::/:",
        "eve:x:\u{661}:\u{661}::/:",
        ":x:0:0::/:",
        &long,
    ] {
        assert_eq!(lookup("eve", &[], passwd, ""), Err(Error::UnknownUser("eve".to_owned())), "{passwd:?}");
        assert_eq!(lookup("+eve", &[], passwd, ""), Err(Error::UnknownUser("+eve".to_owned())), "{passwd:?}");
        assert_eq!(lookup("", &[], passwd, "").expect("root").home, "/root", "{passwd:?}");
    }
}

/// -1 would tell the kernel to leave the id as it is.
#[test]
fn an_entry_with_an_id_out_of_range_is_refused() {
    let passwd = "eve:x:4294967295:0::/:\nmallory:x:5:4294967295::/:\ntrent:x:6:6::/:\n";
    let group = "large:x:4294967295:trent\nsmall:x:7:\n";
    for (user, further) in [("eve", None), ("mallory", None), ("5", None), ("trent", None), ("7", Some("large"))] {
        let further: Vec<&str> = further.into_iter().collect();
        assert_eq!(lookup(user, &further, passwd, group), Err(Error::OutOfRange("4294967295".to_owned())), "{user}");
    }
    assert_eq!(lookup("trent:small", &[], passwd, group).expect("not in the group then").additional_gids, [7]);
}

#[test]
fn owners_of_copies() {
    let text_of = |path: &str| Ok::<_, Error>(if path == PASSWD { PASSWD_TEXT } else { GROUP_TEXT }.to_owned());
    for (text, expected) in [
        ("55", (55, 55)),
        ("55:7", (55, 7)),
        ("1001", (1001, 1001)),
        ("1001:55", (1001, 55)),
        ("alice", (1000, 100)),
        ("alice:", (1000, 100)),
        ("alice:wheel", (1000, 10)),
        ("0:wheel", (0, 10)),
        ("alice:alice", (1000, 100)),
        (":wheel", (0, 10)),
    ] {
        assert_eq!(owner(text, text_of), Ok(expected), "{text}");
    }
    assert_eq!(owner("alice:bob", text_of), Err(Error::UnknownGroup("bob".to_owned())));
    let nothing = |_: &str| Ok::<_, Error>(String::new());
    assert_eq!((owner("root:root", nothing), owner("5:root", nothing)), (Ok((0, 0)), Ok((5, 0))));
    assert_eq!(owner("alice", nothing), Err(Error::UnknownUser("alice".to_owned())));
    let unread = |path: &str| -> Result<String, Error> { panic!("{path} isn't needed for numbers") };
    assert_eq!(owner("1:2", unread), Ok((1, 2)));
    let passwd = |_: &str| Ok::<_, Error>("eve:x:4294967295:0::/:".to_owned());
    assert_eq!(owner("eve", passwd), Err(Error::OutOfRange("4294967295".to_owned())));
}

#[test]
fn files_are_read_up_to_a_size() {
    assert!(matches!(read(io::repeat(b'a')), Err(Unreadable::TooLarge)));
    assert_eq!(read(&b"eve\xff:x:1:1::/:\n"[..]).expect("read"), "eve\u{fffd}:x:1:1::/:\n");
}
