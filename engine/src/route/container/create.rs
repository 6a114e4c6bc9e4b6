//! `POST /containers/create`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use images::Platform;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate;
use crate::route::query::Query;
use crate::route::to_its_end;
use crate::stream::Whole;
use crate::translate;
use crate::wire::create::{CreateBody, CreateQuery, CreateReply};

pub(super) async fn create(
    State(engine): State<Engine>,
    Query(query): Query<CreateQuery>,
    Whole(body): Whole,
) -> Result<(StatusCode, Json<CreateReply>)> {
    check_platform(query.platform.as_deref().unwrap_or_default())?;
    let body = CreateBody::parse(&body)?;
    let reply = to_its_end("creating a container", async move {
        orchestrate::create::create(&engine, query.name.as_deref(), body).await
    });
    let reply = reply.await?;
    Ok((StatusCode::CREATED, Json(reply)))
}

/// Images of other platforms can't be run here, so only this one can be asked for.
fn check_platform(wanted: &str) -> Result<()> {
    let here = Platform::host();
    match translate::image::platform(wanted)? {
        Some(wanted) if !wanted.runs_on(&here) => {
            Err(Error::invalid(format!("platform {wanted} can't be run on this host, which is {here}")))
        }
        _ => Ok(()),
    }
}
