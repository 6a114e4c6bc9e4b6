//! Stages side by side.

use std::net::TcpListener;
use std::time::{Duration, Instant};

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
    let command = |step: &RunStep, _: &mut StepOutput<'_>| match script(step) {
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

#[test]
fn nobody_waits_for_a_silent_server_in_a_build_that_has_failed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).expect("the store opens");
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let text = format!(
        "FROM scratch AS waits\nADD http://{}/file /\nFROM scratch AS fails\nRUN fail\n\
         FROM scratch\nCOPY --from=waits / /\nCOPY --from=fails / /\n",
        server.local_addr().expect("its address")
    );
    // Kept open until the build is over.
    let asked = Mutex::new(None);
    let command = |_: &RunStep, _: &mut StepOutput<'_>| {
        *asked.lock().expect("no panic") = Some(server.accept().expect("a client"));
        3
    };
    let begun = Instant::now();
    let error = Builder::new(&store).build(&text, &BuildRequest::default(), &command).expect_err("a step fails");
    assert_eq!(error.exit_code(), Some(3), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for the server");
}
