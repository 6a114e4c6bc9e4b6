//! What the fuzz target checks, beyond that nothing panics. Compiled for it only.

use images::words::Expander;

use crate::dockerfile::Dockerfile;

/// What is wrong is in the text, and so is every instruction; its words can be expanded or are refused.
pub fn dockerfile(text: &str) {
    let lines = text.lines().count();
    match Dockerfile::parse(text, "Dockerfile") {
        Err(error) => assert!(error.place.line <= lines.max(1), "{error}: there are {lines} lines"),
        Ok(dockerfile) => {
            assert!(!dockerfile.stages.is_empty(), "nothing to build was accepted");
            let variable = |name: &str| (name.len() % 2 == 0).then(|| format!("${name}"));
            let expander = Expander { escape: dockerfile.escape, variable: &variable };
            for stage in &dockerfile.stages {
                let places = stage.steps.iter().map(|step| &step.place).chain([&stage.place]);
                places.for_each(|place| assert!((1..=lines).contains(&place.line), "{place}: there are {lines} lines"));
                // Refusals are fine, panics are not.
                expander.word(&stage.base).ok();
                stage.steps.iter().for_each(|step| drop(expander.text(&step.text)));
            }
        }
    }
}
