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

#[cfg(fuzzing)]
impl TopView {
    pub(crate) fn check(&self, pids: &BTreeSet<i32>) {
        let column = self.titles.iter().position(|title| title == "PID").expect("or it was refused");
        for row in &self.processes {
            assert!(row.len() <= self.titles.len());
            assert!(row[column].parse().is_ok_and(|pid| pids.contains(&pid)));
        }
    }
}

/// What is kept of a line: a process chooses its own arguments, and may have megabytes of them.
pub(crate) const LINE_BYTES_MAX: usize = 4096;
/// What is kept of all lines: a container may have as many processes as the machine can.
const TABLE_BYTES_MAX: usize = 16 << 20;

/// The lines of `ps` whose pid is among those of a container, as they come.
pub(crate) struct Selection<'a> {
    pids: &'a BTreeSet<i32>,
    pid_column: usize,
    view: TopView,
    size_bytes: usize,
}

impl<'a> Selection<'a> {
    /// Begins with the line of titles.
    pub(crate) fn new(titles: &str, pids: &'a BTreeSet<i32>) -> Result<Self> {
        let titles: Vec<String> = titles.split_whitespace().map(str::to_owned).collect();
        let pid_column = titles.iter().position(|title| title == "PID").ok_or_else(|| {
            Error::invalid("ps printed no column PID: give it arguments that show one, such as -ef or -o pid,args")
        })?;
        Ok(Self { pids, pid_column, view: TopView { titles, processes: Vec::new() }, size_bytes: 0 })
    }

    /// Takes one more line. The last column may have blanks in it.
    pub(crate) fn add(&mut self, line: &str) -> Result<()> {
        let fields = columns(line, self.view.titles.len());
        let pid = fields.get(self.pid_column).and_then(|pid| pid.parse().ok());
        if pid.is_none_or(|pid| !self.pids.contains(&pid)) {
            return Ok(());
        }
        self.size_bytes += line.len();
        if self.size_bytes > TABLE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the container's processes take more than {TABLE_BYTES_MAX} bytes to list: ask for fewer columns, such as \
                 -o pid,comm"
            )));
        }
        self.view.processes.push(fields);
        Ok(())
    }

    /// The table.
    pub(crate) fn finish(self) -> TopView {
        self.view
    }
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

    fn select(output: &str, pids: &BTreeSet<i32>) -> Result<TopView> {
        let mut lines = output.lines();
        let mut selection = Selection::new(lines.next().unwrap_or_default(), pids)?;
        lines.try_for_each(|line| selection.add(line))?;
        Ok(selection.finish())
    }

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

    #[test]
    fn a_table_without_end_is_refused() {
        let line = format!("42 {}", "x".repeat(LINE_BYTES_MAX));
        let many = format!("PID CMD\n{}", format!("{line}\n").repeat(TABLE_BYTES_MAX / line.len() + 1));
        let message = select(&many, &BTreeSet::from([42])).expect_err("too much").message();
        assert!(message.contains("ask for fewer columns"), "{message}");
        assert_eq!(select(&many, &BTreeSet::from([43])).expect("others' don't count").processes.len(), 0);
    }
}
