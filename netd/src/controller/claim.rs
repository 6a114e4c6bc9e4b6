//! Claims: an owner names the sandboxes that it still wants; its others are removed.

use std::collections::BTreeSet;

use cnm::{
    Kind,
    api::{Claim, ClaimReply},
    id::OwnerName,
};
use futures::future::join_all;

use super::Controller;
use crate::Error;

impl Controller {
    /// Takes down an owner's sandboxes that it doesn't claim, and names those that it claims in vain, or has to find the
    /// namespaces of.
    #[tracing::instrument(level = "debug", skip(self, claim))]
    pub(crate) async fn claim(&self, owner: OwnerName, claim: Claim) -> Result<ClaimReply, Error> {
        let claimed: BTreeSet<String> = claim.sandboxes.into_iter().collect();
        let asked = claimed.clone();
        let (unclaimed, missing) = self.state.decide(move |state| state.unclaimed(&owner, &asked)).await?;
        let removals = unclaimed.into_iter().map(|id| async move {
            match self.remove_sandbox(id.clone()).await {
                Ok(_) => Ok(Some(id.to_string())),
                // It was removed by itself in the meantime.
                Err(error) if error.kind() == Kind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        });
        let removed = join_all(removals).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut lost = self.lost_of(claimed).await?;
        lost.retain(|id| !missing.contains(id));
        Ok(ClaimReply { removed: removed.into_iter().flatten().collect(), missing, lost })
    }
}
