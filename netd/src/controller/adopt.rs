//! Network namespaces that nobody keeps any more, since netd-keeper was killed together with netd: their owners say where they
//! are. Until then what is in them goes on as it was, and is neither made nor taken away.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use super::{Controller, lanes::LaneKey, links::make_missing};
use crate::{Error, error::chain};
use cnm::{
    Kind,
    id::{OwnerName, SandboxId},
    sandbox::Sandbox,
};

impl Controller {
    /// Those of some sandboxes whose namespaces nobody keeps.
    pub(super) async fn lost_of(&self, claimed: BTreeSet<String>) -> Result<Vec<String>, Error> {
        let lost = self.on_host("look for lost namespaces", |host| host.lost_namespaces()).await?;
        let published = self.read_view();
        let is_there =
            |id: &SandboxId| published.sandbox(id.as_str()).is_ok_and(|sandbox| sandbox.lifecycle.is_programmed());
        Ok(lost.iter().filter(|id| claimed.contains(id.as_str()) && is_there(id)).map(ToString::to_string).collect())
    }

    /// Has a lost namespace kept again, and what it lacks made.
    #[tracing::instrument(level = "debug", skip(self))]
    pub(crate) async fn adopt_namespace(
        &self,
        owner: &OwnerName,
        id: SandboxId,
        found: PathBuf,
    ) -> Result<Arc<Sandbox>, Error> {
        let _lane = self.lanes.enter(LaneKey::Sandbox(id.clone())).await;
        self.refuse_others(owner, &id)?;
        let sandbox = self.read_view().sandbox(id.as_str()).cloned()?;
        let of_it = [id.clone()].into();
        let desired = self.state.decide(move |state| state.model.desired_of(&*state.planners, None, &of_it)).await??;
        let asked = id.clone();
        let failures = self.on_host("keep a network namespace", move |host| {
            if !host.lost_namespaces()?.contains(&asked) {
                let sentence =
                    format!("the network namespace of sandbox {asked} is kept: nobody has to say where it is");
                return Ok(Err(cnm::Error::new(Kind::Conflict, sentence)));
            }
            if let Err(error) = host.adopt_namespace(&asked, &found) {
                return Ok(Err(cnm::Error::invalid(chain(&error))));
            }
            make_missing(host, &desired).map(|(_, failures)| Ok(failures))
        });
        for failure in failures.await?? {
            self.warn(failure).await;
        }
        tracing::info!(sandbox = %id, "its network namespace is kept again");
        Ok(sandbox)
    }
}
