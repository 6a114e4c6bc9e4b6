//! `POST /containers/{id}/update`

use axum::Json;

use super::named::Named;
use crate::error::Result;
use crate::orchestrate;
use crate::stream::JsonBody;
use crate::translate::update::Update;
use crate::version::ApiVersion;
use crate::wire::body;
use crate::wire::models::{ContainerUpdateBody, ContainerUpdateResponse};

/// Since this version a limit of processes can be changed.
const WITH_PIDS_LIMIT: ApiVersion = ApiVersion::new(1, 40);

pub(super) async fn update(
    Named(handle): Named,
    version: ApiVersion,
    JsonBody(body): JsonBody,
) -> Result<Json<ContainerUpdateResponse>> {
    let mut body: ContainerUpdateBody = body::parse(&body)?;
    body.pids_limit = body.pids_limit.filter(|_| version >= WITH_PIDS_LIMIT);
    let update = Update::parse(body)?;
    let changed = handle.run(move |owned| Box::pin(async move { orchestrate::update::update(owned, &update).await }));
    Ok(Json(ContainerUpdateResponse { warnings: Some(changed.await?) }))
}
