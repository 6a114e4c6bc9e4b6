//! Makes clap read a command line the way Docker's CLI (Go's pflag) does, and refuse it in the same words.

use std::ffi::OsString;
use std::num::IntErrorKind;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches};

use super::{Cli, help};

/// Exit status for a flag that can't be, as Docker's.
const FLAG_STATUS: u8 = 125;
/// Exit status for a wrong number of arguments or an unknown command, as Docker's.
const ARGUMENT_STATUS: u8 = 1;

/// A command line that isn't run: its help was asked for, or it is wrong.
#[derive(Debug)]
pub(crate) struct Rejected {
    /// What to print, ending in a newline.
    pub(crate) text: String,
    /// What to exit with; 0 for help.
    pub(crate) status: u8,
}

/// All commands, ready for parsing.
fn command() -> clap::Command {
    adapt(unadapted())
}

/// All commands as they are written down.
pub(crate) fn unadapted() -> clap::Command {
    Cli::command()
}

/// Parses a command line whose first element is the program's name.
pub(crate) fn parse<I>(arguments: I) -> Result<Cli, Rejected>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut command = command();
    let matches = command.try_get_matches_from_mut(&arguments).map_err(|error| reject(&error, &arguments))?;
    Cli::from_arg_matches(&matches).map_err(|error| reject(&error, &arguments))
}

/// `--rm=false` is allowed for every switch; a value that starts with a dash is a value (`--oom-score-adj -500`). Of the
/// commands below only the one that is typed is adapted: all of them would be a fifth of the client's own time.
fn adapt(command: clap::Command) -> clap::Command {
    adapt_arguments(command).mut_subcommands(|below| below.defer(adapt))
}

/// The same for one command alone.
pub(crate) fn adapt_arguments(command: clap::Command) -> clap::Command {
    command.mut_args(adapt_argument)
}

fn adapt_argument(argument: Arg) -> Arg {
    match argument.get_action() {
        ArgAction::SetTrue => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .hide_default_value(true)
            .value_name("bool")
            .hide_possible_values(true)
            .value_parser(parse_bool),
        ArgAction::Set | ArgAction::Append if !argument.is_positional() => argument.allow_hyphen_values(true),
        _ => argument,
    }
}

/// The forms that Go's `strconv.ParseBool` knows.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}

fn reject(error: &clap::Error, arguments: &[OsString]) -> Rejected {
    // What was adapted for parsing would only be noise in help: `--rm[=<bool>]`.
    let command = named_command(help::documented(), arguments);
    match error.kind() {
        ErrorKind::DisplayVersion => Rejected { text: error.to_string(), status: 0 },
        // `berth` and `berth net` alone ask what there is, as `docker` and `docker network` do.
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Rejected { text: help(command), status: 0 }
        }
        _ => {
            let (message, status) = sentence(error, &command);
            let message = format!("{message}{}", suggestion(error, &command));
            Rejected { text: with_usage(&message, command), status }
        }
    }
}

/// An error's text as it is shown for a command: with its usage, and where to read more.
fn with_usage(message: &str, mut command: clap::Command) -> String {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let path = path(&command);
    format!("{}\n\nUsage:  {usage}\n\nRun '{path} --help' for more information\n", complaint(message))
}

/// An error as it is printed: everything that berth says has gone wrong begins with its name.
pub(crate) fn complaint(message: &str) -> String {
    format!("berth: {message}")
}

/// An error of what was typed that was found behind the parser, as the parser's own are shown.
pub(crate) fn explained(message: &str, arguments: &[OsString]) -> String {
    with_usage(message, named_command(help::documented(), arguments))
}

/// The command that `arguments` name, as far as they name one: what follows a word that is no command isn't one either.
fn named_command(root: clap::Command, arguments: &[OsString]) -> clap::Command {
    let mut command = root;
    let mut words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            if takes_next_word(&command, word) {
                words.next();
            }
            continue;
        }
        match command.find_subcommand(word).cloned() {
            Some(below) => command = below,
            None => break,
        }
    }
    command
}

/// Whether what follows this flag is its value.
fn takes_next_word(command: &clap::Command, word: &str) -> bool {
    let is_meant = |argument: &&Arg| match word.strip_prefix("--") {
        Some(name) => argument.get_long() == Some(name),
        None => argument.get_short().is_some_and(|letter| word.strip_prefix('-') == Some(&letter.to_string())),
    };
    command.get_arguments().find(is_meant).is_some_and(|argument| argument.get_action().takes_values())
}

fn help(mut command: clap::Command) -> String {
    command.render_help().to_string()
}

/// `berth container run`.
fn path(command: &clap::Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// `'berth rename' requires 2 arguments`.
fn argument_count(command: &clap::Command) -> String {
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let required = positionals
        .iter()
        .filter(|argument| argument.is_required_set())
        .map(|argument| argument.get_num_args().map_or(1, |range| range.min_values().max(1)))
        .sum::<usize>();
    let open = positionals.iter().any(|argument| {
        !argument.is_required_set() || argument.get_num_args().is_some_and(|range| range.max_values() > 1)
    });
    let most = |argument: &&Arg| argument.get_num_args().map_or(1, |range| range.max_values());
    let most = positionals.iter().map(most).fold(0, usize::saturating_add);
    let noun = |number| if number == 1 { "argument" } else { "arguments" };
    match (required, positionals.is_empty()) {
        (_, true) => format!("'{}' accepts no arguments", path(command)),
        (0, _) if most < usize::MAX => {
            format!("'{}' requires at most {most} {}", path(command), noun(most))
        }
        (_, _) if open => format!("'{}' requires at least {required} {}", path(command), noun(required)),
        _ => format!("'{}' requires {required} {}", path(command), noun(required)),
    }
}

fn sentence(error: &clap::Error, command: &clap::Command) -> (String, u8) {
    let argument = context(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with("--") => (format!("unknown flag: {argument}"), FLAG_STATUS),
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let letter = argument.trim_start_matches('-').chars().next().unwrap_or_default();
            (format!("unknown shorthand flag: '{letter}' in {argument}"), FLAG_STATUS)
        }
        ErrorKind::UnknownArgument | ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues => {
            (argument_count(command), ARGUMENT_STATUS)
        }
        ErrorKind::InvalidSubcommand => {
            let name = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            (format!("unknown command: {} {name}", path(command)), ARGUMENT_STATUS)
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            (format!("flag needs an argument: {}", flag_name(&argument)), FLAG_STATUS)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let reason =
                std::error::Error::source(error).map(|source| format!(": {}", reason(source))).unwrap_or_default();
            (format!("invalid argument \"{value}\" for \"{}\" flag{reason}", flag_name(&argument)), FLAG_STATUS)
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            (first.strip_prefix("error: ").unwrap_or(first).to_owned(), FLAG_STATUS)
        }
    }
}

/// What was perhaps meant: the command or the flag that is the nearest, if one is near.
fn suggestion(error: &clap::Error, command: &clap::Command) -> String {
    let (typed, known): (_, Vec<String>) = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let names =
                |below: &clap::Command| below.get_name_and_visible_aliases().into_iter().map(str::to_owned).collect();
            (
                context(error, ContextKind::InvalidSubcommand),
                command.get_subcommands().flat_map::<Vec<_>, _>(names).collect(),
            )
        }
        ErrorKind::UnknownArgument => {
            let flags = command.get_arguments().filter_map(Arg::get_long_and_visible_aliases).flatten();
            (context(error, ContextKind::InvalidArg), flags.map(|flag| format!("--{flag}")).collect())
        }
        _ => return String::new(),
    };
    let typed = typed.unwrap_or_default();
    // A slip or two, and fewer in what is short.
    let most = (typed.trim_start_matches('-').chars().count() / 3).max(1);
    let distances =
        known.iter().map(|name| (strsim::damerau_levenshtein(&typed, name), !name.starts_with(&typed), name));
    match distances.filter(|(distance, ..)| *distance <= most).min() {
        Some((.., name)) => format!("; did you mean '{name}'?"),
        None => String::new(),
    }
}

/// What is wrong with a value: of numbers, the standard library speaks of digits.
fn reason(source: &(dyn std::error::Error + 'static)) -> String {
    match source.downcast_ref::<std::num::ParseIntError>().map(std::num::ParseIntError::kind) {
        None => source.to_string(),
        Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => "it is out of range".to_owned(),
        Some(_) => "it isn't a whole number".to_owned(),
    }
}

/// `--cpu-shares <number>` without what follows the name.
fn flag_name(argument: &str) -> &str {
    argument.split([' ', '[', '=']).next().unwrap_or(argument)
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(" ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
