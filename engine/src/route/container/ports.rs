//! `POST /berth/containers/{id}/ports`: berth's own, beside Docker's API.

use axum::Json;

use super::named::Named;
use crate::error::Result;
use crate::orchestrate;
use crate::stream::Whole;
use crate::translate::{endpoints, ports};
use crate::wire::body;
use crate::wire::ports::PortsReply;

pub(super) async fn change(Named(handle): Named, Whole(body): Whole) -> Result<Json<PortsReply>> {
    let change = ports::change(body::parse(&body)?)?;
    let changed = handle.run(move |owned| Box::pin(async move { orchestrate::ports::change(owned, &change).await }));
    changed.await?;
    Ok(Json(PortsReply { ports: endpoints::port_map(&handle.container()) }))
}
