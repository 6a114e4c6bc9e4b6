//! Processes that end between any two steps of a build: what is there afterwards is whole, nothing is left over, and the next
//! build works.

use images::testing::{Operation, wherever_it_ends};

use super::*;

/// Two stages, with a step of every kind that makes a layer.
const DOCKERFILE: &str = "FROM one:1 AS tools\nRUN tool\nFROM one:1\nENV A=1\n\
    RUN --mount=type=cache,target=/cache,uid=5,mode=0711 first\nCOPY file /copied\nWORKDIR /new\n\
    COPY --from=tools /tool /\nRUN last\n";

#[test]
fn build_may_end_anywhere() {
    let work = |store: &Store, _: &str| {
        let request = BuildRequest {
            tags: vec![Reference::parse("made:1").expect("a name")],
            build_args: [("SOURCE_DATE_EPOCH".to_owned(), "0".to_owned())].into(),
            ..BuildRequest::default()
        };
        let context = Tar::new().file("Dockerfile", DOCKERFILE).file("file", "content");
        let writes = |step: &RunStep, _: &mut StepOutput<'_>| {
            between_steps();
            std::fs::write(step.rootfs.upper.join(script(step)), "written").expect("written");
            between_steps();
            0
        };
        Builder::new(store).build_context(context, &request, &writes, &|_| ()).expect("built");
        Ok(())
    };
    let operation = Operation { name: "build", before: &|_| (), told: &String::new, work: &work };
    wherever_it_ends("tests::ends::build_may_end_anywhere", &operation);
}
