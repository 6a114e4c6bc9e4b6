//! Stages side by side.

use futures::executor::block_on;

use super::*;

#[test]
fn what_failed_first_is_why_the_build_fails() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    let request = BuildRequest::default();
    // The first stage ends because of the last, and the second waits for the first.
    let text = "FROM scratch AS slow\nRUN wait\nFROM slow AS after\nRUN true\nFROM scratch AS fails\nRUN fail\n\
                FROM scratch\nCOPY --from=after / /\nCOPY --from=fails / /\n";
    let command = |step: &RunStep, _: &mut dyn FnMut(&[u8])| match script(step) {
        "wait" => {
            block_on(request.called_off.cancelled());
            137
        }
        "fail" => 3,
        other => panic!("{other} runs"),
    };
    let error = Builder::new(&store).build(text, &request, &command).expect_err("a step fails");
    assert_eq!(error.exit_code(), Some(3), "{error:?}");
    assert!(error.to_string().ends_with(":6: RUN fail"), "{error}");
}
