//! The name of a restart policy, before its type refuses an unknown one without saying what it is.

use bollard_stubs::models::RestartPolicyNameEnum;
use serde_json::Value;

use crate::error::{Error, Result};

/// Refuses a policy in `holder`'s `RestartPolicy` that there isn't, in Docker's words.
pub(crate) fn check(holder: &Value) -> Result<()> {
    match holder.pointer("/RestartPolicy/Name").and_then(Value::as_str) {
        Some(name) if name.parse::<RestartPolicyNameEnum>().is_err() => Err(Error::invalid(format!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        ))),
        _ => Ok(()),
    }
}
