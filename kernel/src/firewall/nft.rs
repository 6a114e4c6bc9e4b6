//! The `nft` program: whole tables are loaded and listed with it.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use super::{
    skeleton::{TABLE, USER_POST, USER_PRE},
    watch::OwnPorts,
};
use crate::{AdminChains, Error, error::attempted};

const PROGRAM: &str = "nft";

/// Loads a text as one transaction.
pub(super) fn load(text: &str, own: &OwnPorts) -> Result<(), Error> {
    let attempt = "load the firewall's table";
    let mut nft = Command::new(PROGRAM)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| not_run(attempt, &source))?;
    // Its netlink port is its process id; known before it reads a word, so before it changes anything.
    own.add(nft.id());
    let written = nft.stdin.take().map_or(Ok(()), |mut input| input.write_all(text.as_bytes()));
    let output = nft.wait_with_output().map_err(attempted(attempt))?;
    check(attempt, output)?;
    written.map_err(attempted(attempt))
}

/// Whether the kernel would take a text; nothing is changed.
pub(super) fn would_load(text: &str) -> Result<bool, Error> {
    let attempt = "see what the kernel's nftables can do";
    let output = Command::new(PROGRAM).args(["-c", text]).output();
    Ok(output.map_err(|source| not_run(attempt, &source))?.status.success())
}

/// Lists our tables, `inet` first; empty if they aren't there.
pub(super) fn list_tables() -> Result<Listing, Error> {
    let attempt = "read the firewall's table";
    // `-s`: counters and the like, which change with every packet, are left out.
    let list = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).args(["-s", "list"]).args(arguments).output();
        check(attempt, output.map_err(|source| not_run(attempt, &source))?)
    };
    let there = list(&["tables"])?;
    let mut listing = String::new();
    for family in ["inet", "bridge"] {
        if there.lines().any(|line| line.trim() == format!("table {family} {TABLE}")) {
            listing.push_str(&list(&["table", family, TABLE])?);
        }
    }
    Ok(Listing(without_expiring(&listing)))
}

/// A listing without the elements of sets that have timeouts, the administrator's sets too: that they expire is nobody's
/// change.
fn without_expiring(listing: &str) -> String {
    let (mut timeouts, mut inside) = (false, false);
    let mut kept = String::new();
    for line in listing.lines() {
        match line.trim_start() {
            "}" => timeouts = false,
            text if text.starts_with("flags ") => timeouts = text.contains("timeout"),
            // A default timeout implies the flag, which nft then leaves out.
            text if text.starts_with("timeout ") => timeouts = true,
            text => inside |= timeouts && text.starts_with("elements = {"),
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.ends_with('}');
    }
    kept
}

/// The whole rule set as JSON, without the elements of sets.
pub(super) fn list_rule_set() -> Result<String, Error> {
    let attempt = "read the host's nftables rules";
    let output = Command::new(PROGRAM).args(["-j", "-t", "list", "ruleset"]).output();
    check(attempt, output.map_err(|source| not_run(attempt, &source))?)
}

fn not_run(attempt: &str, source: &std::io::Error) -> Error {
    let message = format!("it can't be run: {source}; install the package nftables");
    Error::Program { attempt: attempt.to_owned(), program: PROGRAM, message }
}

fn check(attempt: &str, output: Output) -> Result<String, Error> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // The first line is the message; the others point at the place in the text.
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message.lines().next().unwrap_or("it gave no reason").to_owned();
    Err(Error::Program { attempt: attempt.to_owned(), program: PROGRAM, message })
}

/// Our tables as `nft` lists them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing(String);

impl Listing {
    /// Whether our rules are in it; not so after it was flushed or deleted.
    pub(super) fn is_whole(&self) -> bool {
        !self.rules("forward").is_empty()
    }

    /// What is in the administrator's chains.
    pub(super) fn administrator(&self) -> AdminChains {
        AdminChains { pre: self.rules(USER_PRE), post: self.rules(USER_POST) }
    }

    /// The rules of a chain, one string each: a long list of set elements, which `nft` wraps, is put together again.
    fn rules(&self, chain: &str) -> Vec<String> {
        let header = format!("\tchain {chain} {{");
        let lines = self.0.lines().skip_while(|line| **line != header).skip(1).take_while(|line| *line != "\t}");
        let mut rules: Vec<String> = Vec::new();
        let mut depth = 0;
        for line in lines {
            let line = line.trim();
            if line.is_empty() || line.starts_with("type ") && depth == 0 {
                continue;
            }
            match rules.last_mut() {
                Some(rule) if depth > 0 => {
                    rule.push(' ');
                    rule.push_str(line);
                }
                _ => rules.push(line.to_owned()),
            }
            depth += depth_change(line);
        }
        rules
    }
}

/// By how many braces a line goes deeper; braces in strings don't count.
fn depth_change(line: &str) -> i32 {
    let mut quoted = false;
    line.chars().fold(0, |depth, character| match character {
        '"' => {
            quoted = !quoted;
            depth
        }
        '{' if !quoted => depth + 1,
        '}' if !quoted => depth - 1,
        _ => depth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_with_a_timeout_are_not_compared() {
        let sets = [
            ("ifname", &["elements = { \"bb-1\",", "\t     \"bb-2\" }"][..]),
            (
                "ipv4_addr\n\t\tflags dynamic,timeout",
                &["elements = { 192.0.2.1 timeout 1m,", "\t     192.0.2.2 timeout 1m }"],
            ),
            ("ipv4_addr\n\t\tflags interval,timeout", &["elements = { 192.0.2.0/24 timeout 1m }"]),
            ("ipv4_addr\n\t\ttimeout 1h", &["elements = { 192.0.2.9 timeout 1m,", "\t     192.0.2.8 timeout 1m }"]),
            ("ipv4_addr\n\t\tflags interval", &["elements = { 192.0.2.0/24 }"]),
        ];
        let set = |(types, elements): (&str, &[&str])| {
            let elements: String = elements.iter().map(|line| format!("\t\t{line}\n")).collect();
            format!("\tset s {{\n\t\ttype {types}\n{elements}\t}}\n\n")
        };
        let listing = format!("table inet berth {{\n{}}}\n", sets.map(set).concat());
        let others = listing.lines().filter(|line| !line.contains("timeout 1m"));
        assert_eq!(without_expiring(&listing), others.map(|line| format!("{line}\n")).collect::<String>());
    }

    #[test]
    fn rules_of_a_chain() {
        let listing = Listing(
            "table inet berth {\n\tchain user-pre {\n\t\tip saddr { 192.0.2.1, 192.0.2.2,\n\t\t\t     192.0.2.3 } drop\n\
             \t\ttcp dport 22 accept comment \"a { brace\"\n\t}\n\n\tchain forward {\n\t\ttype filter hook forward priority \
             filter; policy accept;\n\t}\n}\n"
                .to_owned(),
        );
        let expected =
            ["ip saddr { 192.0.2.1, 192.0.2.2, 192.0.2.3 } drop", "tcp dport 22 accept comment \"a { brace\""];
        assert_eq!(listing.administrator().pre, expected);
        assert!(listing.administrator().post.is_empty());
        assert!(!listing.is_whole(), "a forward chain without rules is what a flush leaves");
    }
}
