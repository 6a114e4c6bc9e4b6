//! Which steps of builds are known to the next one, and how long.

use std::io::Write as _;
use std::time::SystemTime;

use super::*;

const DOCKERFILE: &str = "FROM scratch AS first\nENV A=1\nRUN one\nFROM scratch\nENV B=1\nRUN two\n\
                          COPY --from=first / /\nLABEL a=b\nCMD [\"x\"]\n";

/// Writes the same whenever it is carried out, the time of the file too.
fn writes(step: &RunStep, _: &mut StepOutput<'_>) -> u8 {
    let mut file = std::fs::File::create(step.rootfs.upper.join(script(step))).expect("made");
    file.write_all(b"written").and_then(|()| file.set_modified(SystemTime::UNIX_EPOCH)).expect("written");
    0
}

/// What a default prune forgets.
fn unused(store: &Store) -> Vec<String> {
    let steps = store.cached_steps().expect("a list");
    let mut unused: Vec<_> = steps.into_iter().filter(|step| !step.is_shared).map(|step| step.instruction).collect();
    unused.sort();
    unused
}

#[test]
fn an_image_needs_the_steps_that_it_was_built_by_as_long_as_it_is_there() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    let builder = Builder::new(&store);
    let request = |name: &str, label: &str| BuildRequest {
        tags: vec![Reference::parse(name).expect("a name")],
        labels: BTreeMap::from([("label".to_owned(), label.to_owned())]),
        ..BuildRequest::default()
    };
    let id = builder.build(DOCKERFILE, &request("image", "1"), &writes).expect("built").id;
    assert_eq!(unused(&store), ["ENV A=1", "RUN one"], "no image has what only another stage needed");
    let (forgotten, _) = store.prune_steps(|step| !step.is_shared).expect("pruned");
    assert_eq!(forgotten.len(), 2);
    let nothing_runs = |step: &RunStep, _: &mut StepOutput<'_>| match script(step) {
        // Whoever prunes has it carried out again; what comes of it is the same.
        "one" => writes(step, &mut |_, _| ()),
        other => panic!("{other} runs"),
    };
    let again = builder.build(DOCKERFILE, &request("image", "1"), &nothing_runs).expect("built again");
    assert_eq!(again.id, id);
    // Another image shares all but the last step.
    builder.build(DOCKERFILE, &request("other", "2"), &nothing_runs).expect("built");
    store.remove("image", false, &[]).expect("removed");
    assert_eq!(unused(&store), ["ENV A=1", "LABEL label=1", "RUN one"]);
    store.remove("other", false, &[]).expect("removed");
    while !store.prune_steps(|step| !step.is_shared).expect("pruned").0.is_empty() {}
    assert_eq!(store.cached_steps().expect("a list"), []);
    let layers = std::fs::read_dir(dir.path().join("root/layers")).expect("a directory").count();
    assert_eq!(layers, 0);
}
