//! Network namespaces that nobody keeps any more, since netd-keeper was killed together with netd: their owners say where they
//! are. Until then what is in them goes on as it was, and is neither made nor taken away.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use super::{Controller, lanes::LaneKey, links::make_missing};
use crate::Error;
use cnm::{
    Kind,
    id::{LinkName, OwnerName, SandboxId},
    resource::Resource,
    sandbox::Sandbox,
};
use kernel::Adoption;

impl Controller {
    /// Those of some sandboxes whose namespaces nobody keeps.
    pub(super) async fn lost_of(&self, claimed: BTreeSet<String>) -> Result<Vec<String>, Error> {
        let lost = self.on_host("look for lost namespaces", |host| host.lost_namespaces()).await?;
        let view = self.read_view();
        let is_there =
            |id: &SandboxId| view.sandbox(id.as_str()).is_ok_and(|sandbox| sandbox.lifecycle.is_programmed());
        Ok(lost.iter().filter(|id| claimed.contains(id.as_str()) && is_there(id)).map(ToString::to_string).collect())
    }

    /// What is in a namespace that nobody keeps can't be changed.
    pub(super) async fn refuse_lost(&self, id: &SandboxId) -> Result<(), Error> {
        let asked = id.clone();
        if self.on_host("look for a lost namespace", move |host| host.is_lost(&asked)).await? {
            let sentence = format!(
                "nobody keeps the network namespace of sandbox {id} any more: its owner has to say where it is, or to remove \
                 the sandbox and make it again"
            );
            return Err(cnm::Error::new(Kind::Conflict, sentence).into());
        }
        Ok(())
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
        let host_ends: Vec<LinkName> = desired
            .iter()
            .filter_map(|resource| if let Resource::Veth(pair) = resource { Some(pair.host_end.clone()) } else { None })
            .collect();
        let asked = id.clone();
        let adopted = self.on_host("keep a network namespace", move |host| {
            if !host.is_lost(&asked)? {
                let sentence =
                    format!("the network namespace of sandbox {asked} is kept: nobody has to say where it is");
                return Ok(Err(cnm::Error::new(Kind::Conflict, sentence)));
            }
            Ok(match host.adopt_namespace(&asked, &found, &host_ends)? {
                Adoption::Kept => Ok(()),
                Adoption::Refused(why) => Err(cnm::Error::invalid(format!(
                    "{} is not the network namespace of sandbox {asked} ({why}): name the path of a process in it, \
                     as /proc/PID/ns/net",
                    found.display()
                ))),
            })
        });
        adopted.await??;
        match self.on_host("look into a network namespace", move |host| make_missing(host, &desired)).await {
            Ok((_, failures)) => {
                for failure in failures {
                    self.warn(failure).await;
                }
            }
            // It is kept all the same.
            Err(error) => self.warn(format!("what sandbox {id} lacks is not made: {}", error.chain())).await,
        }
        tracing::info!(sandbox = %id, "its network namespace is kept again");
        Ok(sandbox)
    }
}
