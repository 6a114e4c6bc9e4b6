//! `docker top`: what `ps` prints of the host, cut down to a container's processes.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::error::{Error, Result};

/// A table of processes.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopView {
    titles: Vec<String>,
    processes: Vec<Vec<String>>,
}

/// Keeps the lines of `ps` whose pid is among `pids`. The last column may have blanks in it.
pub(crate) fn select(output: &str, pids: &BTreeSet<i32>) -> Result<TopView> {
    let mut lines = output.lines();
    let titles: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let pid_column = titles.iter().position(|title| title == "PID").ok_or_else(|| {
        Error::invalid("ps printed no column PID: give it arguments that show one, such as -ef or -o pid,args")
    })?;
    let row = |line: &str| {
        let fields = columns(line, titles.len());
        let pid = fields.get(pid_column)?.parse().ok()?;
        pids.contains(&pid).then_some(fields)
    };
    Ok(TopView { processes: lines.filter_map(row).collect(), titles })
}

fn columns(line: &str, count: usize) -> Vec<String> {
    let mut fields: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if fields.len() > count && count > 0 {
        let rest = fields.split_off(count - 1).join(" ");
        fields.push(rest);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const PS: &str = "UID          PID    PPID  C STIME TTY          TIME CMD\n\
                      root           1       0  0 09:00 ?        00:00:01 /sbin/init splash\n\
                      root          42       1  0 09:00 ?        00:00:00 sh -c  sleep 10\n";

    #[test]
    fn only_the_containers_processes_are_left() {
        let view = select(PS, &BTreeSet::from([42, 43])).expect("a table");
        assert_eq!(view.titles, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
        assert_eq!(view.processes, [["root", "42", "1", "0", "09:00", "?", "00:00:00", "sh -c sleep 10"]]);
    }

    #[test]
    fn a_table_without_pids_says_nothing() {
        for output in ["", "COMMAND\nsh\n"] {
            let message = select(output, &BTreeSet::from([42])).expect_err("refused").message();
            assert!(message.contains("no column PID"), "{message}");
        }
    }
}
