//! `POST /containers/create`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use images::Platform;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate::create::{self, Created};
use crate::route::query::Query;
use crate::route::to_its_end;
use crate::stream::JsonBody;
use crate::supervisor;
use crate::translate;
use crate::version::ApiVersion;
use crate::wire::create::{CreateBody, CreateQuery, CreateReply};

/// Since this version a platform can be named.
const WITH_PLATFORM: ApiVersion = ApiVersion::new(1, 41);

pub(super) async fn create(
    State(engine): State<Engine>,
    version: ApiVersion,
    Query(query): Query<CreateQuery>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<CreateReply>)> {
    if version >= WITH_PLATFORM {
        check_platform(query.platform.as_deref().unwrap_or_default())?;
    }
    let mut body = CreateBody::parse(&body)?;
    let warnings = translate::create::adapt(&mut body, version)?;
    let reply = to_its_end("creating a container", async move {
        let Created { container, warnings } = create::create(&engine, query.name.as_deref(), body).await?;
        let id = container.id.to_string();
        supervisor::begin(&engine, container);
        Ok(CreateReply { id, warnings })
    });
    let mut reply = reply.await?;
    reply.warnings.extend(warnings);
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
