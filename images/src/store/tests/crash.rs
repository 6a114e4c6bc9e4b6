//! What a process that ends at any step leaves behind, and files that aren't ours.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::ErrorKind;

#[test]
fn what_was_interrupted_is_swept_away() {
    let mut store = TestStore::new();
    let (one, two) = siblings();
    let id = store.load(&one);
    store.prepare("kept", &id).expect("a snapshot");
    store.load(&two);
    store.close();
    let root = store.root();
    // In the middle of taking in, of unpacking, between moving a layer and recording it, while making a snapshot,
    // while deleting: what each leaves.
    for path in ["tmp/archive-x/0", "tmp/work-x/abc/diff/f", "tmp/work-y/discarded/f"] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, "half").expect("written");
    }
    fs::create_dir_all(root.join("layers").join("0".repeat(64)).join("diff/etc")).expect("made");
    fs::create_dir_all(root.join("snapshots/half/upper")).expect("made");
    fs::remove_dir_all(store.dir.path().join("run")).expect("a reboot takes /run");
    store.reopen();
    store.assert_layers(3);
    assert_eq!(store.snapshots().expect("a list"), ["kept"]);
    assert_eq!(store.count("snapshots"), 1);
    let rootfs = store.rootfs("kept").expect("a snapshot");
    assert_eq!(read(rootfs.lowers[1].join("etc/base")), "base");
}

#[test]
fn layers_that_lost_their_image_go_at_the_next_start() {
    let mut store = TestStore::new();
    let (one, _) = siblings();
    let id = store.load(&one);
    {
        // As if the process had ended after a removal's commit with a lease held: records without an image.
        let inner = store.store().inner();
        inner.connection.execute("DELETE FROM name", []).expect("deleted");
        database::delete_image(&inner.connection, &id).expect("deleted");
    }
    store.reopen();
    store.assert_layers(0);
}

/// Reads an archive and ends the process where it is told to.
struct KillerReader {
    archive: File,
    left_bytes: usize,
}

impl Read for KillerReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left_bytes == 0 {
            kill_myself();
        }
        let wanted = buffer.len().min(self.left_bytes);
        let read = self.archive.read(&mut buffer[..wanted])?;
        self.left_bytes -= read;
        Ok(read)
    }
}

fn kill_myself() {
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::KILL).expect("SIGKILL arrives");
}

/// What the child does when this test program starts itself: a load that ends by SIGKILL after so many bytes of the
/// archive or so many events.
fn child(root: &Path, archive: &Path, bytes: usize, events: usize) {
    let left_events = AtomicUsize::new(events);
    let store = Store::open(root, &root.join("run")).expect("the store opens");
    let archive = KillerReader { archive: File::open(archive).expect("there"), left_bytes: bytes };
    let listen = |_| {
        if left_events.fetch_sub(1, Ordering::SeqCst) == 0 {
            kill_myself();
        }
    };
    store.load(archive, &listen).expect("loaded unless killed");
}

#[test]
fn a_killed_load_leaves_nothing_and_a_finished_one_all() {
    const NAME: &str = "store::tests::crash::a_killed_load_leaves_nothing_and_a_finished_one_all";
    if let Ok(order) = std::env::var("IMAGES_TEST_KILLED_LOAD") {
        let words: Vec<&str> = order.split(' ').collect();
        let number = |at: usize| words[at].parse().expect("a number");
        return child(Path::new(words[0]), Path::new(words[1]), number(2), number(3));
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (one, two) = siblings();
    let content = docker_archive([&one, &two]);
    let archive = dir.path().join("archive.tar");
    fs::write(&archive, &content).expect("written");
    let all = usize::MAX;
    let by_bytes = [0, 1, 512, 600, 2048, content.len() / 2, content.len() - 1].map(|bytes| (bytes, all));
    let by_events = [0, 1, 2].map(|events| (all, events));
    let plans = by_bytes.into_iter().chain(by_events).map(|plan| (plan, 0)).chain([((all, all), 2)]);
    for (at, ((bytes, events), expected)) in plans.enumerate() {
        let root = dir.path().join(at.to_string());
        let order = format!("{} {} {bytes} {events}", root.display(), archive.display());
        let status = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", NAME, "--quiet"])
            .env("IMAGES_TEST_KILLED_LOAD", order)
            .stdout(std::process::Stdio::null())
            .status()
            .expect("started");
        assert_eq!(status.success(), expected == 2, "{bytes} bytes, {events} events: {status}");
        let store = Store::open(&root, &root.join("run")).expect("it opens again");
        assert_eq!(store.list().expect("a list").len(), expected);
        let count = |dir: &str| fs::read_dir(root.join(dir)).expect("a directory").count();
        assert_eq!((count("layers"), count("tmp")), (if expected == 2 { 3 } else { 0 }, 0));
        store.load(&content[..], &NoProgress).expect("the next try works");
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_next_try_works() {
    const NAME: &str = "store::tests::crash::a_full_disk_is_an_error_and_the_next_try_works";
    if let Some(root) = std::env::var_os("IMAGES_TEST_FULL_DISK") {
        let root = Path::new(&root);
        let store = Store::open(root, &root.join("run")).expect("the store opens");
        let large = TestImage::new("large:1", vec![layer("f", &"x".repeat(3 << 20))]);
        let error = store.load(&docker_archive([&large])[..], &NoProgress).expect_err("it doesn't fit");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.chain().ends_with("No space left on device (os error 28)"), "{}", error.chain());
        let (small, _) = siblings();
        store.load(&docker_archive([&small])[..], &NoProgress).expect("it fits");
        assert_eq!(fs::read_dir(root.join("tmp")).expect("a directory").count(), 0);
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Once too small for the archive, once for the archive and its layer.
    for size in ["2m", "5m"] {
        let output = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(format!(
                "mount -t tmpfs -o size={size} tmpfs \"$IMAGES_TEST_FULL_DISK\" && exec \"$0\" --exact {NAME}"
            ))
            .arg(std::env::current_exe().expect("this test"))
            .env("IMAGES_TEST_FULL_DISK", dir.path())
            .output()
            .expect("unshare of util-linux");
        assert!(output.status.success(), "{size}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn one_process_at_a_time() {
    let store = TestStore::new();
    let error = store.open().err().expect("it is in use");
    assert!(error.to_string().ends_with("is in use by another process"), "{error}");
}

#[test]
fn a_database_that_isnt_ours_stays_as_it_is() {
    let refused = |content: &dyn Fn(&Path)| {
        let mut store = TestStore::new();
        store.close();
        let path = store.root().join("images.db");
        content(&path);
        let before = fs::read(&path).expect("a file");
        let error = store.open().err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(fs::read(&path).expect("a file"), before, "it was written to");
        let root = store.root().display().to_string();
        error.chain().replace(&root, "ROOT")
    };
    let sql = |statement: &'static str| {
        move |path: &Path| {
            let connection = Connection::open(path).expect("a database");
            connection.execute_batch(statement).expect("changed");
        }
    };
    insta::assert_snapshot!(refused(&sql("PRAGMA user_version = 99")), @"ROOT/images.db has schema version 99, this program knows up to 4: it is left as it is; run the newer program, or move the whole directory away");
    insta::assert_snapshot!(refused(&sql("PRAGMA application_id = 1")), @"ROOT/images.db isn't a database of this program: it is left as it is; move the whole directory away");
    insta::assert_snapshot!(refused(&|path| fs::write(path, "not a database".repeat(100)).expect("written")), @"ROOT/images.db is damaged (file is not a database): it is left as it is; restore it, or move the whole directory away");
    let damage = |path: &Path| {
        let mut content = fs::read(path).expect("a file");
        content[4096..].fill(0xff);
        fs::write(path, content).expect("written");
    };
    assert!(refused(&damage).contains("is damaged"), "{}", refused(&damage));
}

#[test]
fn without_its_database_nothing_is_swept() {
    let mut store = TestStore::new();
    let (one, _) = siblings();
    store.load(&one);
    store.close();
    for name in ["images.db", "images.db-wal", "images.db-shm"] {
        let _ = fs::remove_file(store.root().join(name));
    }
    let error = store.open().err().expect("refused");
    assert!(error.to_string().contains("but no images.db"), "{error}");
    assert_eq!(store.count("layers"), 2);
}

#[test]
fn a_damaged_image_is_named() {
    let store = TestStore::new();
    let (one, _) = siblings();
    let id = store.load(&one);
    store.inner().connection.execute("UPDATE image SET document = x'00'", []).expect("changed");
    let error = store.get("one:1").expect_err("damaged");
    assert_eq!(error.to_string(), format!("the record of image {id} is damaged: remove the image and load it again"));
    store.remove("one:1", false, &[]).expect("it can be removed");
    store.assert_layers(0);
}
