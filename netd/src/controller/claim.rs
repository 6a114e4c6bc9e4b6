//! Claims: an owner names the sandboxes that it still wants; its others are removed.

use std::{collections::BTreeSet, task::Poll};

use cnm::{
    Kind,
    api::{Claim, ClaimReply},
    id::{OwnerName, SandboxId},
};
use futures::{future::join_all, poll};
use tokio::task::unconstrained;

use super::{Controller, lanes::LaneGuard};
use crate::Error;

impl Controller {
    /// Takes down an owner's sandboxes that it doesn't claim, and names those that it claims in vain, or has to find the
    /// namespaces of. One that somebody works on at this moment is taken down right after, and nobody waits for that.
    #[tracing::instrument(level = "debug", skip(self, claim))]
    pub(crate) async fn claim(&self, owner: OwnerName, claim: Claim) -> Result<ClaimReply, Error> {
        let claimed: BTreeSet<String> = claim.sandboxes.into_iter().collect();
        let (asked, by) = (claimed.clone(), owner.clone());
        let (unclaimed, missing) = self.state.decide(move |state| state.unclaimed(&by, &asked)).await?;
        let mut removals = Vec::new();
        for id in unclaimed {
            let (controller, asked) = (self.clone(), id.clone());
            // However many they are: a task that does much at once is told to wait where nothing keeps it waiting.
            let mut entering = Box::pin(unconstrained(async move { controller.lane_to_remove(&asked).await }));
            // From here on it has its place in the lane: whoever asks for the sandbox later finds it gone.
            match poll!(&mut entering) {
                Poll::Ready(lane) => removals.push(self.remove_unclaimed(&owner, id, lane)),
                Poll::Pending => {
                    let (controller, owner) = (self.clone(), owner.clone());
                    tokio::spawn(async move {
                        let lane = entering.await;
                        if let Err(error) = controller.remove_unclaimed(&owner, id, lane).await {
                            tracing::warn!(error = %error.chain(), "a sandbox that {owner} does not claim is not removed");
                        }
                    });
                }
            }
        }
        let removed = join_all(removals).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut lost = self.lost_of(claimed).await?;
        lost.retain(|id| !missing.contains(id));
        Ok(ClaimReply { removed: removed.into_iter().flatten().collect(), missing, lost })
    }

    /// Answers with the sandbox, if it was there and its owner's still.
    async fn remove_unclaimed(
        &self,
        owner: &OwnerName,
        id: SandboxId,
        _lane: LaneGuard,
    ) -> Result<Option<String>, Error> {
        if self.refuse_others(owner, &id).is_err() {
            return Ok(None);
        }
        match self.tear_down(&id).await {
            Ok(()) => Ok(Some(id.to_string())),
            // It was removed by itself in the meantime.
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
