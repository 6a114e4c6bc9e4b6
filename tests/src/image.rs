//! Images for tests, made of Debian's busybox-static: nothing is fetched.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::world::binary;

/// A root filesystem of busybox as a tar archive: every applet in /bin, a few users, an empty web page.
pub fn busybox() -> PathBuf {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE
        .get_or_init(|| {
            // Beside the programs under test, written whole: many test processes make it at once.
            let directory = binary("berth").parent().expect("the target directory").to_owned();
            let path = directory.join("busybox-rootfs.tar");
            let file = tempfile::NamedTempFile::new_in(&directory).expect("a file");
            write_busybox(file.path()).expect("busybox (Debian's busybox-static)");
            file.persist(&path).expect("a file");
            path
        })
        .clone()
}

fn write_busybox(path: &Path) -> std::io::Result<()> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.ok_or(std::io::ErrorKind::NotFound)?;
    let applets = Command::new(busybox).arg("--list").output()?;
    let mut archive = tar::Builder::new(std::fs::File::create(path)?);
    for directory in ["bin", "etc", "tmp", "root", "var", "var/www", "var/www/cgi-bin", "home", "dev", "proc", "sys"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(if directory == "tmp" { 0o1777 } else { 0o755 });
        header.set_size(0);
        archive.append_data(&mut header, format!("{directory}/"), std::io::empty())?;
    }
    let mut file = |name: &str, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content)
    };
    file("bin/busybox", 0o755, &std::fs::read(busybox)?)?;
    file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:guest:/home:/bin/sh\n")?;
    file("etc/group", 0o644, b"root:x:0:\nguest:x:1000:\nwheel:x:10:guest\n")?;
    file("var/www/index.html", 0o644, b"Hello from berth\n")?;
    // Tells its client's address, to see whether the way here kept it.
    file(
        "var/www/cgi-bin/client",
        0o755,
        b"#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s\\n' \"$REMOTE_ADDR\"\n",
    )?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|applet| *applet != "busybox") {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        archive.append_link(&mut header, format!("bin/{applet}"), "/bin/busybox")?;
    }
    archive.into_inner()?.sync_all()
}
