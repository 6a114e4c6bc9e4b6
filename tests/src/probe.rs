//! A static program for tests to run inside of containers, built when it is first wanted: `probe.c` beside this file.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use crate::{Outcome, world::binary};

/// The program, to be copied into an image. Its arguments are system calls such as `native:165:0,0` or `i386:21:0,0`, and it
/// prints a line for each: the errno, 0, or the signal that ended it. `print FILE`, `mark FILE` and `ping ADDRESS` are its other ways,
/// which end with the errno.
///
/// # Panics
/// When there is no C compiler, which whatever builds this crate needs as well.
pub fn probe() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            // Beside the programs under test, written whole: many test processes make it at once.
            let directory = binary("berth").parent().expect("the target directory").to_owned();
            let source = directory.join("probe.c");
            let place = |content: &[u8], path: &PathBuf| {
                let file = tempfile::NamedTempFile::new_in(&directory).expect("a file");
                std::fs::write(file.path(), content).expect("written");
                file.persist(path).expect("a file");
            };
            place(include_bytes!("probe.c"), &source);
            let built =
                tempfile::Builder::new().prefix("probe").tempfile_in(&directory).expect("a file").into_temp_path();
            let mut compiler = Command::new("cc");
            compiler.args(["-O1", "-static", "-no-pie", "-o"]).arg(&built).arg(&source);
            Outcome::of(&mut compiler).ok();
            let path = directory.join("probe");
            built.persist(&path).expect("a file");
            path
        })
        .clone()
}
