//! The help of `berth` itself: clap lists commands in one column without an order; people look for a kind of thing.

use clap::{Command, CommandFactory};

use super::Cli;

/// The commands of the top level under what they are about.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "Containers",
        &[
            "run", "create", "start", "stop", "restart", "kill", "rm", "pause", "unpause", "wait", "rename", "update",
            "ps", "logs", "attach", "exec", "top", "port", "stats", "cp", "diff", "export", "commit",
        ],
    ),
    ("Images", &["images", "build", "pull", "push", "load", "save", "import", "tag", "rmi", "history"]),
    ("Registries", &["login", "logout", "search"]),
    ("Management", &["net", "container", "image", "builder", "volume", "system"]),
    ("More", &["inspect", "events", "info", "version", "completion", "man-pages", "help"]),
];

/// All commands with their help, as they are written down.
pub(super) fn documented() -> Command {
    let mut root = Cli::command();
    root.build();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}{{after-help}}",
        groups(&root)
    );
    root.help_template(template)
}

fn groups(root: &Command) -> String {
    let named = |name: &&str| root.find_subcommand(name);
    let line = |command: &Command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let aliases: Vec<&str> = command.get_visible_aliases().collect();
        let aliases = if aliases.is_empty() { String::new() } else { format!(" [alias: {}]", aliases.join(", ")) };
        format!("  {:<12}{about}{aliases}\n", command.get_name())
    };
    let group = |(heading, names): &(&str, &[&str])| {
        format!("{heading}:\n{}\n", names.iter().filter_map(named).map(line).collect::<String>())
    };
    GROUPS.iter().map(group).collect()
}

#[cfg(test)]
mod tests;
