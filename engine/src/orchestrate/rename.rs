//! `rename`: another name for a container that keeps its id.

use std::sync::Arc;

use crate::container::name;
use crate::container::owned::Owned;
use crate::error::{Error, Result};
use crate::netd::Netd;
use crate::orchestrate::change;

/// Renames the container, at netd as well if it runs; the new name must be free.
pub(crate) async fn rename(netd: &Arc<Netd>, owned: &mut Owned, wanted: &str) -> Result<()> {
    if wanted.is_empty() || wanted == "/" {
        return Err(Error::invalid("Neither old nor new names may be empty"));
    }
    let wanted = name::parse(wanted)?;
    let id = owned.container.id.clone();
    if wanted == owned.container.name {
        return Err(Error::invalid("Renaming a container with the same name as its current name"));
    }
    owned.containers.registry.take_name(&wanted, &id)?;
    let old = std::mem::replace(&mut owned.container.name, wanted);
    if let Err(error) = owned.save().await {
        let failed = std::mem::replace(&mut owned.container.name, old);
        owned.containers.registry.release_name(&failed, &id);
        owned.publish();
        return Err(error);
    }
    owned.containers.registry.release_name(&old, &id);
    // Who looks at a network or is refused a port is told the name of today: from now on, or from when netd answers again.
    change::tell(netd, owned).await;
    owned.containers.tell(&owned.container, "rename", [("oldName", format!("/{old}"))]);
    Ok(())
}
