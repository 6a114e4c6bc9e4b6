//! Owners say which sandboxes they still want; what is theirs and not wanted goes.

use cnm::{
    Kind,
    api::{Claim, ClaimReply},
    id::OwnerName,
};
use futures::future::join_all;

use super::Controller;
use crate::Error;

impl Controller {
    /// Takes down an owner's sandboxes that it doesn't claim, and names those that it claims in vain.
    #[tracing::instrument(level = "debug", skip(self, claim))]
    pub(crate) async fn claim(&self, owner: OwnerName, claim: Claim) -> Result<ClaimReply, Error> {
        let claimed = claim.sandboxes.into_iter().collect();
        let (unclaimed, missing) = self.owner.decide(move |ledger| ledger.unclaimed(&owner, &claimed)).await?;
        let removals = unclaimed.into_iter().map(|id| async move {
            match self.remove_sandbox(id.clone()).await {
                Ok(_) => Ok(Some(id.to_string())),
                // It was removed by itself in the meantime.
                Err(error) if error.kind() == Kind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        });
        let removed = join_all(removals).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(ClaimReply { removed: removed.into_iter().flatten().collect(), missing })
    }
}
