use super::*;
use crate::flags::container::Verb;
use crate::flags::{Command as Typed, container, image, network, parse, system, volume};
use crate::render::format::Columns;
use crate::render::inspect::{Documents, View};
use crate::render::network::{details, tests::lab};
use crate::render::{
    attachment as attachments, container as containers, disk, image as images, network as networks, stats,
    volume as volumes,
};
use crate::request::create::create_request;
use crate::request::tests::local;

/// Every command that does something, with its path.
fn leaves() -> Vec<Command> {
    fn walk(command: &Command, found: &mut Vec<Command>) {
        let mut below = command.get_subcommands().filter(|command| command.get_name() != "help").peekable();
        if below.peek().is_none() {
            found.push(command.clone());
        }
        below.for_each(|command| walk(command, found));
    }
    let mut found = Vec::new();
    walk(&documented(), &mut found);
    found
}

fn after_help(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The command lines of berth in the examples of a help text, without what is said about them behind.
fn examples(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    let typed = lines.map(|line| line.split("  ").next().unwrap_or(line));
    let words = typed.flat_map(|line| {
        let words = shell_words::split(line).expect(line);
        words.split(|word| ["|", "&&"].contains(&word.as_str())).map(<[String]>::to_vec).collect::<Vec<_>>()
    });
    let berth = words.filter(|words| words.first().is_some_and(|word| word == "berth"));
    berth.map(|words| words.into_iter().take_while(|word| word != ">").collect()).collect()
}

#[test]
fn every_command_and_every_flag_is_explained() {
    fn walk(command: &Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&documented());
}

#[test]
fn every_command_of_the_top_level_is_in_one_group() {
    let root = documented();
    let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut there: Vec<&str> = root.get_subcommands().map(Command::get_name).collect();
    grouped.sort_unstable();
    there.sort_unstable();
    assert_eq!(grouped, there);
}

#[test]
fn every_command_has_examples_that_work() {
    for command in leaves() {
        let text = after_help(&command);
        let name = command.get_bin_name().unwrap_or_default().to_owned();
        let examples = examples(&text);
        assert!(text.starts_with("Examples:\n") && !examples.is_empty(), "{name} has no examples");
        for words in examples {
            let cli = parse(&words).unwrap_or_else(|rejected| panic!("{words:?}: {}", rejected.text));
            check_values(&words, cli.command);
        }
    }
    examples(&after_help(&documented())).iter().for_each(|words| {
        parse(words).unwrap_or_else(|rejected| panic!("{words:?}: {}", rejected.text));
    });
}

/// Values that are only looked at behind the parser: a container's flags, and templates against what is there.
fn check_values(words: &[String], command: Typed) {
    match command {
        Typed::Verb(Verb::Run(flags)) | Typed::Container { command: container::Command::Verb(Verb::Run(flags)) } => {
            create_request(&flags.create, flags.detach, &local()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        }
        Typed::Verb(Verb::Create(flags)) => {
            create_request(&flags, false, &local()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        }
        Typed::Net { command: network::Command::Inspect(flags) } => {
            let view = View::parse(flags.shape.format.as_deref()).expect("a template");
            Documents::of(&details(&lab(), &[])).render(&view).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        }
        _ => {}
    }
}

#[test]
fn examples_fit_a_terminal_of_80_columns() {
    for command in leaves().iter().chain([&documented()]) {
        for line in after_help(command).lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn the_fields_of_lists_are_named() {
    for (text, columns) in [
        (container::LIST_EXAMPLES, &containers::COLUMNS),
        (container::STATS_EXAMPLES, &stats::COLUMNS),
        (image::LIST_EXAMPLES, &images::COLUMNS),
        (image::HISTORY_EXAMPLES, &images::HISTORY_COLUMNS),
        (network::LIST_EXAMPLES, &networks::COLUMNS),
        (network::PS_EXAMPLES, &attachments::COLUMNS),
        (system::DF_EXAMPLES, &disk::COLUMNS),
        (volume::LIST_EXAMPLES, &volumes::COLUMNS),
    ] {
        let Columns { headings, .. } = columns;
        let fields: Vec<&str> = headings.iter().map(|(name, _)| *name).collect();
        let named = format!("Fields of --format: {}", fields.join(", "));
        assert!(text.contains(&named), "{named} isn't in {text}");
    }
}

#[test]
fn the_help_of_berth_says_where_the_daemons_are() {
    let text = documented().term_width(200).render_help().to_string();
    for said in ["[env: BERTH_HOST]", "[env: BERTH_NETD]", "DOCKER_HOST=unix:///run/berth/berth.sock", "sudo berthd"] {
        assert!(text.contains(said), "{said} isn't in {text}");
    }
    assert!(text.contains("\nContainers:\n  run  ") && text.contains("\nOptions:\n  -H, --host"), "{text}");
}
