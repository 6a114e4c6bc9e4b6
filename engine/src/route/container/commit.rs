//! `POST /commit`

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate;
use crate::route::query::Query;
use crate::route::to_its_end;
use crate::stream::JsonBody;
use crate::translate::{commit as translate, image};
use crate::wire::archive::{CommitQuery, CommitReply};

pub(crate) async fn commit(
    State(engine): State<Engine>,
    Query(query): Query<CommitQuery>,
    RawQuery(raw): RawQuery,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<CommitReply>)> {
    if query.container.is_empty() {
        return Err(Error::invalid("no container is named: say of which to make an image (container=…)"));
    }
    let handle = engine.containers.registry.find(&query.container)?;
    let container = handle.container();
    let config = translate::config(&body, &container.asked.config)?;
    let commit = images::Commit {
        image: container.image.id,
        reference: match query.repo.as_str() {
            "" => None,
            repo => Some(image::reference(repo, &query.tag)?),
        },
        changes: translate::changes(raw.as_deref().unwrap_or_default(), &config)?,
        config,
        author: query.author,
        comment: query.comment,
        created_by: container.asked.config.texts("Cmd").collect::<Vec<_>>().join(" "),
        created: Timestamp::now(),
    };
    let freeze = query.pause.unwrap_or(true);
    let id = to_its_end("committing a container", async move {
        orchestrate::commit::commit(&engine.images, &engine.containers, &handle, commit, freeze).await
    });
    Ok((StatusCode::CREATED, Json(CommitReply { id: id.await?.to_string() })))
}
