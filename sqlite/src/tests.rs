//! What is opened, and what is refused and left as it is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::*;

const FIRST: &str = "CREATE TABLE first (id INTEGER PRIMARY KEY) STRICT";
const SECOND: &str = "CREATE TABLE second (id INTEGER PRIMARY KEY) STRICT";

fn schema(migrations: &'static [&'static str]) -> Schema {
    Schema { application_id: 7, migrations, unmarked_up_to: 0, whole: "the file" }
}

fn version_and_mark(connection: &Connection) -> (i64, i64) {
    (pragma(connection, "user_version").unwrap(), pragma(connection, "application_id").unwrap())
}

#[test]
fn a_file_is_made_marked_and_migrated() {
    for (access, synchronous) in
        [(Access::Alone, Synchronous::Full), (Access::Shared, Synchronous::Normal), (Access::Alone, Synchronous::Off)]
    {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let made = open(&path, &schema(&[FIRST]), access, synchronous).unwrap();
        assert_eq!(version_and_mark(&made), (1, 7));
        made.execute("INSERT INTO first VALUES (3)", ()).unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{entry:?} is nobody else's business");
            assert!(access == Access::Shared || !entry.file_name().to_string_lossy().ends_with("-shm"));
        }
        drop(made);
        let migrated = open(&path, &schema(&[FIRST, SECOND]), access, synchronous).unwrap();
        assert_eq!(version_and_mark(&migrated), (2, 7));
        assert_eq!(migrated.query_row("SELECT id FROM first", (), |row| row.get::<_, i64>(0)).unwrap(), 3);
        migrated.execute("INSERT INTO second VALUES (3)", ()).unwrap();
    }
}

#[test]
fn a_file_of_before_the_mark_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let before = Connection::open(&path).unwrap();
    before.execute_batch(FIRST).unwrap();
    before.pragma_update(None, "user_version", 1).unwrap();
    drop(before);
    let unmarked_up_to = |version| Schema { unmarked_up_to: version, ..schema(&[FIRST]) };
    let opened = |schema: &Schema| open(&path, schema, Access::Shared, Synchronous::Full);
    assert!(matches!(opened(&unmarked_up_to(0)), Err(OpenError::Foreign { .. })));
    assert_eq!(version_and_mark(&opened(&unmarked_up_to(1)).unwrap()), (1, 7));
    assert_eq!(version_and_mark(&opened(&unmarked_up_to(0)).unwrap()), (1, 7));
}

#[test]
fn what_isnt_ours_or_is_damaged_or_newer_stays_as_it_is() {
    let refused = |access: Access, make: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        make(&path);
        let before = fs::read(&path).unwrap();
        let error = open(&path, &schema(&[FIRST]), access, Synchronous::Full).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), before, "it was written to");
        error.to_string().replace(&dir.path().display().to_string(), "DIR")
    };
    let sql = |statements: &'static str| {
        move |path: &Path| Connection::open(path).unwrap().execute_batch(statements).unwrap()
    };
    for access in [Access::Alone, Access::Shared] {
        assert_eq!(
            refused(access, &sql("PRAGMA application_id = 7; PRAGMA user_version = 99")),
            "DIR/x.db has schema version 99, this program knows up to 1: it is left as it is; run the newer program, or move \
             the file away"
        );
        let foreign = "DIR/x.db isn't a database of this program: it is left as it is; move the file away";
        for statements in ["PRAGMA application_id = 1", "PRAGMA user_version = 1", "CREATE TABLE another (id)"] {
            assert_eq!(refused(access, &sql(statements)), foreign, "{statements}");
        }
        assert_eq!(
            refused(access, &|path| fs::write(path, "not a database".repeat(100)).unwrap()),
            "DIR/x.db is damaged (file is not a database): it is left as it is; restore it, or move the file away"
        );
        let damage = |path: &Path| {
            drop(open(path, &schema(&[FIRST]), access, Synchronous::Full).unwrap());
            let mut content = fs::read(path).unwrap();
            content[4096..].fill(0xff);
            fs::write(path, content).unwrap();
        };
        assert!(refused(access, &damage).starts_with("DIR/x.db is damaged ("));
    }
}
