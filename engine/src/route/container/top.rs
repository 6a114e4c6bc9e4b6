//! `GET /containers/{id}/top`

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use tokio::process::Command;

use super::named::Named;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::route::query::Query;
use crate::translate::top::{self, TopView};
use crate::wire::stream::TopQuery;

pub(super) async fn top(
    State(engine): State<Engine>,
    Named(handle): Named,
    Query(query): Query<TopQuery>,
) -> Result<Json<TopView>> {
    let container = handle.container();
    container.state.running_pid(container.id.as_str())?;
    let pids = engine.blocking(move |engine| Ok(engine.runtime.pids(&container.id)?)).await?;
    let output = ps(&query.ps_args).await?;
    Ok(Json(top::select(&output, &BTreeSet::from_iter(pids))?))
}

/// What the host's `ps` prints.
async fn ps(arguments: &str) -> Result<String> {
    let arguments = if arguments.trim().is_empty() { "-ef" } else { arguments };
    let output = Command::new("ps")
        .args(arguments.split_whitespace())
        .output()
        .await
        .map_err(Error::io("running ps on the host (it is in the package procps)"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(Error::invalid(format!("ps {arguments} failed: {}", first.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
