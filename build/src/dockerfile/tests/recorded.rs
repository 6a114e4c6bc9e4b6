//! A collection of Dockerfiles, each with what BuildKit reads in it, as `record.py` wrote that down: BuildKit's own parser read
//! all of them but those few that only later ones than that parser know, whose readings are written by hand.

use super::*;

/// Line, instruction, whether it is a JSON list, its words, and its here-documents by name.
type Told = (usize, String, bool, Vec<String>, Vec<(String, String)>);

#[derive(serde::Deserialize)]
struct Recorded {
    text: String,
    /// None: it is refused.
    read: Option<Vec<Told>>,
}

/// What is read by us, in the same form.
fn told(dockerfile: &Dockerfile) -> Vec<Told> {
    let mut all: Vec<Told> = dockerfile.global_args.iter().map(of_step).collect();
    for stage in &dockerfile.stages {
        let name = stage.name.iter().flat_map(|name| ["as".to_owned(), name.clone()]);
        let words = std::iter::once(stage.base.clone()).chain(name).collect();
        all.push((stage.place.line, "FROM".to_owned(), false, words, Vec::new()));
        all.extend(stage.steps.iter().map(of_step));
    }
    all
}

fn of_step(step: &Step) -> Told {
    let pairs =
        |pairs: &[(String, String)]| pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
    let command = |command: &Command| match command {
        Command::Shell(line) => (false, vec![line.clone()]),
        Command::Exec(words) => (true, words.clone()),
    };
    let mut documents = Vec::new();
    let mut document = |document: &HereDocument| documents.push((document.name.clone(), document.content.clone()));
    let (is_json, words) = match &step.instruction {
        Instruction::Arg(args) => {
            let word = |(name, default): &(String, Option<String>)| match default {
                Some(default) => format!("{name}={default}"),
                None => name.clone(),
            };
            (false, args.iter().map(word).collect())
        }
        Instruction::Env(all) | Instruction::Label(all) => (false, pairs(all)),
        Instruction::Run(run) => {
            run.here_documents.iter().for_each(&mut document);
            command(&run.command)
        }
        Instruction::Copy(copy) => {
            let mut word = |source: &Copied| match source {
                Copied::Named(word) => word.clone(),
                Copied::HereDocument(of) => {
                    document(of);
                    format!("<<{}", of.name)
                }
            };
            let mut words: Vec<String> = copy.sources.iter().map(&mut word).collect();
            words.push(copy.destination.clone());
            (step.text.ends_with(']'), words)
        }
        Instruction::Cmd(of) | Instruction::Entrypoint(of) => command(of),
        Instruction::Expose(words) => (false, words.clone()),
        Instruction::Volume(words) => (step.text.ends_with(']'), words.clone()),
        Instruction::Shell(words) => (true, words.clone()),
        Instruction::WorkingDir(text)
        | Instruction::User(text)
        | Instruction::Healthcheck(text)
        | Instruction::OnBuild(text)
        | Instruction::StopSignal(text)
        | Instruction::Maintainer(text) => (false, vec![text.clone()]),
    };
    (step.place.line, step.keyword().to_ascii_uppercase(), is_json, words, documents)
}

/// The record in the form that doesn't depend on how names are written: those of stages have no case, those of here-documents
/// no quotes. Tabs that a shell strips are gone already, and so are the ends that lines have on Windows, which BuildKit leaves
/// in here-documents, where no shell can do anything with them.
fn plain((line, keyword, is_json, mut words, mut documents): Told) -> Told {
    let strips_tabs = words.iter().any(|word| word.contains("<<-"));
    for (_, content) in &mut documents {
        *content = content.replace("\r\n", "\n");
        if strips_tabs {
            *content = content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect();
        }
    }
    for (at, word) in words.iter_mut().enumerate() {
        match keyword.as_str() {
            "FROM" if at > 0 => *word = word.to_lowercase(),
            "COPY" if word.starts_with("<<") => *word = word.replace('"', ""),
            _ => {}
        }
    }
    (line, keyword, is_json, words, documents)
}

#[test]
fn a_collection_is_read_as_buildkit_reads_it() {
    let collection: Vec<Recorded> = serde_json::from_str(include_str!("recorded.json")).expect("the record");
    assert!(collection.iter().filter(|recorded| recorded.read.is_none()).count() > 5 && collection.len() > 150);
    let mut differences = Vec::new();
    for Recorded { text, read } in collection {
        let ours = Dockerfile::parse(&text, "Dockerfile").map(|dockerfile| told(&dockerfile));
        let theirs = read.map(|read| read.into_iter().map(plain).collect::<Vec<_>>());
        if ours.as_ref().ok() != theirs.as_ref() {
            differences.push(format!("{text}\nBuildKit: {theirs:?}\nberth: {ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{} differ:\n\n{}", differences.len(), differences.join("\n\n"));
}
