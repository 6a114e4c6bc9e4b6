//! `GET /containers/{id}/logs`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::named::Named;
use crate::container::spec::LogSpec;
use crate::container::{Container, Containers, Handle};
use crate::error::{Error, Result};
use crate::logs::{self, Follow, Rendering, Selection};
use crate::moment;
use crate::route::query::Query;
use crate::stream::content_type;
use crate::version::ApiVersion;
use crate::wire::stream::LogsQuery;

pub(super) async fn logs(
    State(containers): State<Arc<Containers>>,
    version: ApiVersion,
    Named(handle): Named,
    Query(query): Query<LogsQuery>,
) -> Result<Response> {
    let selection = selection(&query, Timestamp::now())?;
    let container = handle.container();
    readable(&container)?;
    let terminal = container.spec.process.terminal.is_some();
    let rendering = Rendering { timestamps: query.timestamps, details: query.details, multiplexed: !terminal };
    let follow = if query.follow && container.state.phase.is_alive() {
        Follow::UntilEnd(Box::pin(ended(handle)))
    } else {
        Follow::No
    };
    let path = containers.log_path(&container.id);
    let stream = logs::stream(&path, selection, rendering, follow)
        .await
        .map_err(Error::io(format!("reading the log of container {}", container.id)))?;
    Ok(([(CONTENT_TYPE, content_type(terminal, version))], Body::from_stream(stream)).into_response())
}

/// Refuses a container whose output isn't kept.
pub(super) fn readable(container: &Container) -> Result<()> {
    match container.spec.log {
        LogSpec::JsonFile { .. } => Ok(()),
        LogSpec::None => Err(Error::not_implemented("configured logging driver does not support reading")),
    }
}

/// Resolves when this run of the container is over and its output is in the log.
async fn ended(handle: Handle) {
    let run = handle.container().state.exits;
    // An error means that the container's task is gone, and with it the container.
    let _ = handle.changes().wait_for(|now| now.state.exits != run || !now.state.phase.is_alive()).await;
}

fn selection(query: &LogsQuery, now: Timestamp) -> Result<Selection> {
    if !query.stdout && !query.stderr {
        return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
    }
    Ok(Selection {
        stdout: query.stdout,
        stderr: query.stderr,
        tail: tail(&query.tail)?,
        since: moment::parse_optional(query.since.as_deref(), now)?,
        until: moment::parse_optional(query.until.as_deref(), now)?,
    })
}

/// `all`, nothing, or less than none ask for the whole log.
fn tail(text: &str) -> Result<Option<usize>> {
    match text {
        "" | "all" => Ok(None),
        text => match text.parse::<i64>() {
            Ok(lines) => Ok(usize::try_from(lines).ok()),
            Err(_) => Err(Error::invalid(format!("invalid tail {text:?}: a number of lines or \"all\" is expected"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails() {
        for (text, expected) in [("", None), ("all", None), ("-1", None), ("0", Some(0)), ("12", Some(12))] {
            assert_eq!(tail(text).unwrap(), expected, "{text}");
        }
        assert!(tail("many").unwrap_err().message().contains("\"many\""));
    }

    #[test]
    fn one_stream_at_least() {
        let query = LogsQuery { since: Some("0".into()), ..LogsQuery::default() };
        let message = selection(&query, Timestamp::UNIX_EPOCH).unwrap_err().message();
        assert_eq!(message, "Bad parameters: you must choose at least one stream");
        let query = LogsQuery { stderr: true, ..query };
        let expected = Selection { stdout: false, stderr: true, tail: None, since: None, until: None };
        assert_eq!(selection(&query, Timestamp::UNIX_EPOCH).unwrap(), expected);
    }
}
