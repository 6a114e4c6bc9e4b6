//! Caches that steps keep: who shares them, who waits for whom, and how long.

use std::sync::Barrier;
use std::sync::mpsc::channel;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    (dir, store)
}

/// Two stages side by side, each with a step that has these mounts.
fn two_stages(first: &str, second: &str) -> String {
    format!(
        "FROM scratch AS one\nRUN {first} one\nFROM scratch AS two\nRUN {second} two\n\
         FROM scratch\nRUN --mount=type=bind,from=one,target=/1 --mount=type=bind,from=two,target=/2 last\n"
    )
}

fn cache(id: &str, sharing: &str) -> String {
    format!("--mount=type=cache,id={id},target=/{id},sharing={sharing}")
}

fn place(step: &RunStep, at: usize) -> String {
    match &step.mounts[at].kind {
        StepMountKind::Bind(path) => path.display().to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn shared_by_steps_at_once_or_for_each_its_own() {
    for (sharing, directories) in [("shared", 1), ("private", 2)] {
        let (_dir, store) = store();
        let both = Barrier::new(2);
        let places = Notes::default();
        let mount = cache("kept", sharing);
        let command = |step: &RunStep, _: &mut StepOutput<'_>| {
            if script(step) != "last" {
                // Neither goes on before the other has come.
                both.wait();
                places.take_down(place(step, 0));
            }
            0
        };
        Builder::new(&store).build(&two_stages(&mount, &mount), &BuildRequest::default(), &command).expect("built");
        let mut places = places.all();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), directories, "{sharing}: {places:?}");
        assert!(places.iter().all(|place| std::path::Path::new(place).is_dir()), "{places:?}");
    }
}

#[test]
fn locked_by_one_step_after_the_other() {
    let mounts = [
        (cache("kept", "locked"), cache("kept", "locked")),
        // Whoever had one and waited for the other would wait for ever.
        (
            format!("{} {}", cache("a", "locked"), cache("b", "locked")),
            format!("{} {}", cache("b", "locked"), cache("a", "locked")),
        ),
        // A step doesn't wait for itself.
        (
            format!("{} --mount=type=cache,id=kept,target=/again,sharing=shared", cache("kept", "locked")),
            cache("kept", "shared"),
        ),
    ];
    for (first, second) in mounts {
        let (_dir, store) = store();
        let (notes, (waits, waiting)) = (Notes::default(), channel());
        let (waits, waiting) = (Mutex::new(waits), Mutex::new(waiting));
        let command = |step: &RunStep, _: &mut StepOutput<'_>| {
            let is_first = notes.all().is_empty();
            notes.take_down(format!("{} begins", script(step)));
            if is_first {
                waiting.lock().expect("no panic").recv().expect("another step that waits");
            }
            notes.take_down(format!("{} ends", script(step)));
            0
        };
        let told = |event: BuildEvent<'_>| {
            if matches!(event, BuildEvent::Waiting) {
                waits.lock().expect("no panic").send(()).expect("a test that listens");
            }
        };
        let text = two_stages(&first, &second);
        Builder::new(&store).build_told(&text, &BuildRequest::default(), &command, &told).expect("built");
        let notes = notes.all();
        let pairs: Vec<_> = notes.chunks(2).map(|pair| (&pair[0], pair[1].replace("ends", "begins"))).collect();
        assert!(pairs.iter().all(|(begins, ends)| *begins == ends), "{notes:?}");
    }
}

#[test]
fn nobody_waits_for_a_cache_in_a_build_that_is_called_off() {
    let (_dir, store) = store();
    let builder = Builder::new(&store);
    let text = format!("FROM scratch\nRUN {} x\n", cache("kept", "locked"));
    let other = BuildRequest { no_cache: true, ..BuildRequest::default() };
    let command = |_: &RunStep, _: &mut StepOutput<'_>| {
        // Meanwhile another build comes to its step, and waits.
        let waits = |event: BuildEvent<'_>| {
            if matches!(event, BuildEvent::Waiting) {
                other.called_off.cancel();
            }
        };
        let never = |_: &RunStep, _: &mut StepOutput<'_>| panic!("the cache is in use");
        let error = builder.build_told(&text, &other, &never, &waits).expect_err("called off");
        assert!(matches!(error, Error::CalledOff), "{error:?}");
        0
    };
    builder.build(&text, &BuildRequest::default(), &command).expect("built");
    assert_eq!(store.snapshots().expect("a list"), Vec::<String>::new());
    assert!(store.prune_caches().is_ok());
}
