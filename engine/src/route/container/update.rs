//! `POST /containers/{id}/update`

use axum::Json;
use bollard_stubs::models::ContainerUpdateResponse;

use super::named::Named;
use crate::error::Result;
use crate::orchestrate;
use crate::stream::Whole;
use crate::translate::update::Update;
use crate::wire::body;

pub(super) async fn update(Named(handle): Named, Whole(body): Whole) -> Result<Json<ContainerUpdateResponse>> {
    let update = Update::parse(body::parse(&body)?)?;
    let changed = handle.run(move |owned| Box::pin(async move { orchestrate::update::update(owned, &update).await }));
    Ok(Json(ContainerUpdateResponse { warnings: Some(changed.await?) }))
}
