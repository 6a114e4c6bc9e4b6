//! `scripts/install` puts berth on a machine, and takes it away again whole: on a host of its own, without systemd.

use berth_tests::on_a_fresh_machine;

const EMPTY: &str = "
    for place in /usr/local /run /var/lib; do mount -t tmpfs none $place; done
    mkdir /usr/local/bin
";

#[test]
fn programs_manual_and_completions_come_and_go() {
    let told = on_a_fresh_machine(
        EMPTY,
        r#"
        scripts/install --built $BUILT >/dev/null
        touch /usr/local/share/man/man1/berthold.1
        touch /usr/local/share/man/man1/berth-gone.1
        scripts/install --built $BUILT >/dev/null
        (cd /usr/local && find . -type f | sort)
        grep -l 'bb-\*' /etc/systemd/network/05-berth.network /etc/udev/rules.d/85-berth.rules \
            /etc/NetworkManager/conf.d/berth.conf || true
        echo CONTENT
        cd /usr/local/share
        head -c 200 man/man1/berth-net-create.1 | grep -m1 '^.TH'
        grep -c 'subnet' man/man1/berth-net-create.1
        grep -l _BERTH_COMPLETE bash-completion/completions/berth zsh/site-functions/_berth fish/vendor_completions.d/berth.fish
        head -1 zsh/site-functions/_berth
        echo REMOVED
        cd "$OLDPWD"
        scripts/install --remove >/dev/null
        find /usr/local -type f
        ls /etc/systemd/network/05-berth.network /etc/udev/rules.d/85-berth.rules 2>/dev/null || true
        "#,
    );
    let (files, rest) = told.split_once("CONTENT\n").expect("a list of files");
    let (content, left) = rest.split_once("REMOVED\n").expect("what is in them");
    for file in [
        "bin/berth",
        "bin/berthd",
        "bin/berth-monitor",
        "bin/berth-shim",
        "bin/netd",
        "bin/netd-keeper",
        "share/bash-completion/completions/berth",
        "share/fish/vendor_completions.d/berth.fish",
        "share/man/man1/berth.1",
        "share/man/man1/berth-run.1",
        "share/man/man1/berth-container-run.1",
        "share/man/man1/berth-net-create.1",
        "share/zsh/site-functions/_berth",
    ] {
        assert!(files.contains(&format!("./{file}\n")), "{file} isn't there: {files}");
    }
    // Who manages links leaves ours alone.
    for file in ["systemd/network/05-berth.network", "udev/rules.d/85-berth.rules", "NetworkManager/conf.d/berth.conf"]
    {
        assert!(files.contains(&format!("/etc/{file}\n")), "{file} isn't there: {files}");
    }
    assert!(!files.contains("berth-gone.1") && !files.contains("-help"), "{files}");
    assert!(content.starts_with(".TH berth-net-create 1"), "{content}");
    assert!(content.contains("bash-completion/completions/berth\nzsh/site-functions/_berth\nfish/"), "{content}");
    assert!(content.ends_with("#compdef berth\n"), "{content}");
    assert_eq!(left, "/usr/local/share/man/man1/berthold.1\n");
}

/// Who starts whom, and what a stop leaves, is the units' to say.
#[test]
fn units_start_each_daemon_alone_and_leave_what_it_has_started() {
    let unit = |name: &str| {
        let path = format!("{}/../packaging/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let has = |name: &str, lines: &[&str]| {
        let text = unit(name);
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{name} lacks {line}");
        }
    };
    let both = ["KillMode=process", "Restart=always", "StartLimitIntervalSec=0", "RuntimeDirectoryPreserve=yes"];
    has("netd.service", &both);
    has("berthd.service", &both);
    has("berthd.service", &["ExecStart=/usr/local/bin/berthd --start-netd=false", "Delegate=yes", "Wants=netd.socket"]);
    has("netd.socket", &["ListenStream=/run/berth/netd.sock"]);
    has("berthd.socket", &["ListenStream=/run/berth/berth.sock"]);
}
