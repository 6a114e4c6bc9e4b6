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
    assert!(!files.contains("berth-gone.1") && !files.contains("-help"), "{files}");
    assert!(content.starts_with(".TH berth-net-create 1"), "{content}");
    assert!(content.contains("bash-completion/completions/berth\nzsh/site-functions/_berth\nfish/"), "{content}");
    assert!(content.ends_with("#compdef berth\n"), "{content}");
    assert_eq!(left, "/usr/local/share/man/man1/berthold.1\n");
}
