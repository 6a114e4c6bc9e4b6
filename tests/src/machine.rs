//! A machine that nothing was installed on: for the scripts that put berth on one.

use std::{path::Path, process::Command};

use crate::world::binary;

/// Runs a script at the top of the tree, after mounts of its own, and tells what it wrote: without interfaces, with an
/// `/etc` of its own that has no group `berth`, and nobody else's processes. `$DIRECTORY` is there for the mounts and the
/// script, `$BUILT` is where the programs are. It ends at the first command that fails, and with it the test.
pub fn on_a_fresh_machine(mounts: &str, script: &str) -> String {
    let directory = tempfile::Builder::new().prefix("bt").tempdir_in("/tmp").expect("a directory");
    let prologue = "
        set -euo pipefail
        cp -a /etc $DIRECTORY/etc
        mount --bind $DIRECTORY/etc /etc
        sed -i /^berth:/d /etc/group /etc/gshadow
    ";
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c"])
        .arg(format!("{prologue}\n{mounts}\n{script}"))
        .env("DIRECTORY", directory.path())
        .env("BUILT", binary("berth").parent().expect("the target directory"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .expect("unshare (util-linux)");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}
