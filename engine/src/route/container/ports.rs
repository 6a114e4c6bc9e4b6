//! `POST /berth/containers/{id}/ports`: berth's own, beside Docker's API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::named::Named;
use crate::error::Result;
use crate::netd::Netd;
use crate::orchestrate;
use crate::stream::JsonBody;
use crate::translate::{endpoints, ports};
use crate::wire::body;
use crate::wire::ports::PortsReply;

pub(super) async fn change(
    State(netd): State<Arc<Netd>>,
    Named(handle): Named,
    JsonBody(body): JsonBody,
) -> Result<Json<PortsReply>> {
    let change = ports::change(body::parse(&body)?)?;
    let changed = handle.run_with(&netd, move |netd, owned| {
        Box::pin(async move { orchestrate::ports::change(netd, owned, &change).await })
    });
    changed.await?;
    Ok(Json(PortsReply { ports: endpoints::port_map(&handle.container()) }))
}
