use super::*;
use crate::flags::{Command, container::Verb};

fn rejected(line: &str) -> Rejected {
    parse(line.split(' ')).expect_err(line)
}

#[test]
fn clap_finds_the_commands_consistent() {
    command().debug_assert();
}

#[test]
fn wrong_command_lines_are_refused_in_dockers_words_and_with_its_statuses() {
    for (line, message, status) in [
        ("berth run --nope", "berth: unknown flag: --nope", 125),
        ("berth ps --nope", "berth: unknown flag: --nope", 125),
        ("berth ps -Z", "berth: unknown shorthand flag: 'Z' in -Z", 125),
        ("berth run --name", "berth: flag needs an argument: --name", 125),
        (
            "berth run --rm=perhaps x",
            "berth: invalid argument \"perhaps\" for \"--rm\" flag: it is neither true nor false",
            125,
        ),
        (
            "berth run --cpu-shares x y",
            "berth: invalid argument \"x\" for \"--cpu-shares\" flag: it isn't a whole number",
            125,
        ),
        ("berth run", "berth: 'berth run' requires at least 1 argument", 1),
        ("berth exec web", "berth: 'berth exec' requires at least 2 arguments", 1),
        ("berth rm", "berth: 'berth rm' requires at least 1 argument", 1),
        ("berth rename a", "berth: 'berth rename' requires 2 arguments", 1),
        ("berth rename a b c", "berth: 'berth rename' requires 2 arguments", 1),
        ("berth container rename a", "berth: 'berth container rename' requires 2 arguments", 1),
        ("berth info x", "berth: 'berth info' accepts no arguments", 1),
        ("berth logout a b", "berth: 'berth logout' requires at most 1 argument", 1),
        ("berth nope", "berth: unknown command: berth nope", 1),
        ("berth net nope", "berth: unknown command: berth net nope", 1),
        // Typed in this order: `inspect` is a command, but not one of `manifest`'s.
        ("berth manifest inspect x", "berth: unknown command: berth manifest", 1),
        ("berth -H /x manifest inspect", "berth: unknown command: berth manifest", 1),
        ("berth net", "Manage networks, asking netd itself", 0),
        ("berth -H /x net", "Manage networks, asking netd itself", 0),
        ("berth", "Run containers, with networking as the first concern", 0),
        ("berth -H /x", "Run containers, with networking as the first concern", 0),
        ("berth strat web", "berth: unknown command: berth strat; did you mean 'start'?", 1),
        ("berth ru busybox", "berth: unknown command: berth ru; did you mean 'run'?", 1),
        ("berth netwrok ls", "berth: unknown command: berth netwrok; did you mean 'network'?", 1),
        ("berth net creat x", "berth: unknown command: berth net creat; did you mean 'create'?", 1),
        ("berth run --nam x y", "berth: unknown flag: --nam; did you mean '--name'?", 125),
    ] {
        let rejected = rejected(line);
        assert_eq!(rejected.text.lines().next(), Some(message), "{line}");
        assert_eq!(rejected.status, status, "{line}");
    }
}

#[test]
fn an_error_ends_with_the_usage() {
    insta::assert_snapshot!(rejected("berth ps --nope").text, @r"
    berth: unknown flag: --nope

    Usage:  berth ps [OPTIONS]

    Run 'berth ps --help' for more information
    ");
}

#[test]
fn help_is_no_error() {
    let help = rejected("berth run --help");
    assert_eq!(help.status, 0);
    assert!(help.text.contains("Usage: berth run [OPTIONS] IMAGE [COMMAND] [ARG...]"), "{}", help.text);
    assert!(
        !help.text.contains("[=<bool>]") || help.text.matches("[=<bool>]").count() == 1,
        "only --sig-proxy takes a value"
    );
    assert_eq!(rejected("berth -v").text, format!("berth {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn flags_are_read_as_pflag_reads_them() {
    let cli =
        parse("berth run --rm=false -itd --name a --name b --oom-score-adj -500 -e -x image sh --rm -h".split(' '));
    let Ok(Cli { command: Command::Verb(Verb::Run(run)), .. }) = cli else { panic!("{cli:?}") };
    assert!(run.detach && run.create.process.interactive && run.create.process.tty);
    assert!(!run.create.management.rm, "--rm=false is off, and --rm behind the image belongs to the command");
    assert_eq!(run.create.management.name.as_deref(), Some("b"), "the last one counts");
    assert_eq!(run.create.limits.oom_score_adj, Some(-500));
    assert_eq!(run.create.process.env, ["-x"], "a value may start with a dash");
    assert_eq!(run.create.image_and_command, ["image", "sh", "--rm", "-h"]);
}
