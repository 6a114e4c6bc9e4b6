//! `GET /containers/{id}/top`

use std::collections::BTreeSet;
use std::io;
use std::process::Stdio;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::named::Named;
use crate::blocking::Blocking as _;
use crate::container::Containers;
use crate::error::{Error, Result};
use crate::route::query::Query;
use crate::translate::top::{LINE_BYTES_MAX, Selection, TopView};
use crate::wire::stream::TopQuery;

pub(super) async fn top(
    State(containers): State<Arc<Containers>>,
    Named(handle): Named,
    Query(query): Query<TopQuery>,
) -> Result<Json<TopView>> {
    let container = handle.container();
    container.state.running_pid(container.id.as_str())?;
    let pids = containers.blocking(move |containers| Ok(containers.runtime.pids(&container.id)?)).await?;
    Ok(Json(ps(&query.ps_args, &BTreeSet::from_iter(pids)).await?))
}

/// What the host's `ps` prints of these processes. No program of the container's has a part in it (CVE-2022-1227).
async fn ps(arguments: &str, pids: &BTreeSet<i32>) -> Result<TopView> {
    let doing = || Error::io("running ps on the host (it is in the package procps)");
    let arguments = if arguments.trim().is_empty() { "-ef" } else { arguments };
    let mut child = Command::new("ps")
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(doing())?;
    let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::Interrupted { doing: "reading what ps prints" });
    };
    let (table, complaint) = tokio::join!(table(BufReader::new(output), pids), complaint(BufReader::new(errors)));
    let complaint = complaint.map_err(doing())?;
    let failed = |reason: &str| Error::invalid(format!("ps {arguments} failed: {reason}"));
    match child.wait().await.map_err(doing())?.success() {
        true => table,
        false if !complaint.is_empty() => Err(failed(&complaint)),
        // It may have ended because nobody read on.
        false => table.and_then(|_| Err(failed("it said nothing"))),
    }
}

async fn table(mut output: impl AsyncBufRead + Unpin, pids: &BTreeSet<i32>) -> Result<TopView> {
    let doing = || Error::io("reading what ps prints");
    let mut line = Vec::new();
    next_line(&mut output, &mut line).await.map_err(doing())?;
    let mut selection = Selection::new(&String::from_utf8_lossy(&line), pids)?;
    while next_line(&mut output, &mut line).await.map_err(doing())? {
        selection.add(&String::from_utf8_lossy(&line))?;
    }
    Ok(selection.finish())
}

/// The first line that says something; empty without one.
async fn complaint(mut errors: impl AsyncBufRead + Unpin) -> io::Result<String> {
    let mut line = Vec::new();
    while next_line(&mut errors, &mut line).await? && line.trim_ascii().is_empty() {}
    tokio::io::copy_buf(&mut errors, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&line).trim().to_owned())
}

/// Reads a line, of which only the beginning is kept. `false` at the end.
async fn next_line(from: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut is_there = false;
    loop {
        let read = from.fill_buf().await?;
        if read.is_empty() {
            return Ok(is_there);
        }
        is_there = true;
        let end = read.iter().position(|byte| *byte == b'\n');
        let piece = &read[..end.unwrap_or(read.len())];
        line.extend_from_slice(&piece[..piece.len().min(LINE_BYTES_MAX - line.len())]);
        let taken = end.map_or(read.len(), |end| end + 1);
        from.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_a_long_line_the_beginning_is_kept() {
        let text = format!("one\n\n{}\nlast", "x".repeat(2 * LINE_BYTES_MAX));
        let (mut from, mut line) = (BufReader::with_capacity(1000, text.as_bytes()), Vec::new());
        let mut lengths = Vec::new();
        while next_line(&mut from, &mut line).await.unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [3, 0, LINE_BYTES_MAX, 4]);
        assert_eq!(complaint(&b" \n why \nand more"[..]).await.unwrap(), "why");
    }
}
