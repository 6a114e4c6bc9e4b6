//! `update`: other limits for a container, at once if it runs, and another restart policy.

use crate::blocking::Blocking as _;
use crate::container::ApiObject;
use crate::container::owned::Owned;
use crate::error::{Result, chain};
use crate::orchestrate::{create, restart};
use crate::translate::create::limits;
use crate::translate::update::Update;
use crate::wire::body;
use crate::wire::models::HostConfig;

/// Changes a container. If the kernel refuses a limit, all stay as they were.
pub(crate) async fn update(owned: &mut Owned, update: &Update) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut host: HostConfig = body::from_value(owned.container.asked.host.to_json())?;
    update.apply(&mut host);
    if update.has_limits() {
        let mut resources = limits::resources(&host, &create::machine()?, &mut warnings)?;
        if owned.container.spec.resources.pids_limit.is_some() && resources.pids_limit.is_none() {
            // Said, or the old limit would stay.
            resources.pids_limit = Some(-1);
        }
        if owned.container.state.phase.is_alive() {
            let (id, new, old) =
                (owned.container.id.clone(), resources.clone(), owned.container.spec.resources.clone());
            owned
                .containers
                .blocking(move |containers| {
                    containers.runtime.limit(&id, &new).map_err(|error| {
                        if let Err(undo) = containers.runtime.limit(&id, &old) {
                            tracing::error!(container = %id, "undoing a change of limits: {}", chain(&undo));
                        }
                        error.into()
                    })
                })
                .await?;
        }
        owned.container.spec.resources = resources;
    }
    if let Some(policy) = update.restart {
        restart::set_policy(owned, policy)?;
    }
    owned.container.asked.host = ApiObject::of(&host);
    owned.save().await?;
    owned.containers.tell(&owned.container, "update", []);
    Ok(warnings)
}
