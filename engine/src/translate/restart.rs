//! `--restart`, of new containers and of those that are there.

use crate::container::restart::RestartPolicy;
use crate::error::{Error, Result};
use crate::wire::models::{RestartPolicy as Asked, RestartPolicyNameEnum as Name};

/// The policy that a request asks for; texts of refusals are Docker's.
pub(crate) fn policy(asked: Option<&Asked>) -> Result<RestartPolicy> {
    let invalid = |why: &str| Error::invalid(format!("invalid restart policy: {why}"));
    let Some(asked) = asked else { return Ok(RestartPolicy::No) };
    let count = asked.maximum_retry_count.unwrap_or_default();
    let policy = match asked.name.unwrap_or(Name::EMPTY) {
        Name::EMPTY | Name::NO => RestartPolicy::No,
        Name::ALWAYS => RestartPolicy::Always,
        Name::UNLESS_STOPPED => RestartPolicy::UnlessStopped,
        Name::ON_FAILURE => {
            let count = u32::try_from(count).map_err(|_| match count {
                ..0 => invalid("maximum retry count cannot be negative"),
                _ => invalid(&format!("maximum retry count {count} is too large")),
            })?;
            return Ok(RestartPolicy::OnFailure { maximum: Some(count).filter(|count| *count > 0) });
        }
    };
    match count {
        0 => Ok(policy),
        ..0 => Err(invalid("maximum retry count can only be used with 'on-failure' and cannot be negative")),
        _ => Err(invalid("maximum retry count can only be used with 'on-failure'")),
    }
}
