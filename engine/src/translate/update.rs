//! `docker update`: limits and the restart policy of a container that is there.

use crate::container::restart::RestartPolicy;
use crate::error::{Error, Result};
use crate::translate::restart;
use crate::wire::models::{ContainerUpdateBody, HostConfig};

/// What a request changes.
#[derive(Debug)]
pub(crate) struct Update {
    /// The new policy.
    pub(crate) restart: Option<RestartPolicy>,
    body: ContainerUpdateBody,
}

impl Update {
    /// Understands a request, or refuses what can't be changed.
    pub(crate) fn parse(body: ContainerUpdateBody) -> Result<Self> {
        for (asked, what) in fixed(&body) {
            if asked {
                return Err(Error::not_implemented(format!(
                    "{what} of a container that is there can't be changed: not supported by berth yet"
                )));
            }
        }
        // Clients write a policy without a name for none.
        let named = body.restart_policy.as_ref().filter(|policy| {
            policy.name.is_some_and(|name| !name.as_ref().is_empty()) || policy.maximum_retry_count.unwrap_or(0) != 0
        });
        let restart = named.map(|policy| restart::policy(Some(policy))).transpose()?;
        Ok(Self { restart, body })
    }

    /// Whether it changes limits.
    pub(crate) fn has_limits(&self) -> bool {
        let mut changed = HostConfig::default();
        self.apply(&mut changed);
        changed.restart_policy = None;
        changed != HostConfig::default()
    }

    /// What inspect shows from now on; clients write 0 and the empty text for what stays as it is.
    pub(crate) fn apply(&self, host: &mut HostConfig) {
        let body = &self.body;
        let number = |field: &mut Option<i64>, new: Option<i64>| {
            if new.is_some_and(|new| new != 0) {
                *field = new;
            }
        };
        let text = |field: &mut Option<String>, new: &Option<String>| {
            if new.as_deref().is_some_and(|new| !new.is_empty()) {
                field.clone_from(new);
            }
        };
        number(&mut host.cpu_shares, body.cpu_shares);
        number(&mut host.cpu_period, body.cpu_period);
        number(&mut host.cpu_quota, body.cpu_quota);
        number(&mut host.nano_cpus, body.nano_cpus);
        number(&mut host.memory, body.memory);
        number(&mut host.memory_reservation, body.memory_reservation);
        number(&mut host.memory_swap, body.memory_swap);
        number(&mut host.pids_limit, body.pids_limit);
        text(&mut host.cpuset_cpus, &body.cpuset_cpus);
        text(&mut host.cpuset_mems, &body.cpuset_mems);
        if body.blkio_weight.is_some_and(|weight| weight != 0) {
            host.blkio_weight = body.blkio_weight;
        }
        if self.restart.is_some() {
            host.restart_policy.clone_from(&body.restart_policy);
        }
    }
}

/// What can't be changed, and whether the request asks for it.
fn fixed(body: &ContainerUpdateBody) -> [(bool, &'static str); 13] {
    fn filled<T>(list: &Option<Vec<T>>) -> bool {
        list.as_ref().is_some_and(|list| !list.is_empty())
    }
    let above_zero = |number: Option<i64>| number.is_some_and(|number| number != 0);
    [
        (body.cgroup_parent.as_deref().is_some_and(|parent| !parent.is_empty()), "the cgroup parent"),
        (filled(&body.blkio_weight_device), "the I/O weights of devices"),
        (filled(&body.blkio_device_read_bps) || filled(&body.blkio_device_write_bps), "the I/O rates of devices"),
        (filled(&body.blkio_device_read_iops) || filled(&body.blkio_device_write_iops), "the I/O rates of devices"),
        (above_zero(body.cpu_realtime_period) || above_zero(body.cpu_realtime_runtime), "the real-time CPU limits"),
        (filled(&body.devices) || filled(&body.device_requests), "the devices"),
        (filled(&body.device_cgroup_rules), "the device rules"),
        (body.memory_swappiness.is_some_and(|number| number > 0), "the swappiness"),
        (body.oom_kill_disable == Some(true), "what happens when memory is short"),
        (body.init == Some(true), "the init process"),
        (filled(&body.ulimits), "the ulimits"),
        (above_zero(body.cpu_count) || above_zero(body.cpu_percent), "the CPU count"),
        (above_zero(body.io_maximum_iops) || above_zero(body.io_maximum_bandwidth), "the I/O maxima"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: serde_json::Value) -> Result<Update> {
        Update::parse(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let update = parse(json!({ "Memory": 64, "CpuShares": 0, "CpusetCpus": "", "PidsLimit": -1,
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 } }))
        .unwrap();
        assert_eq!(update.restart, Some(RestartPolicy::OnFailure { maximum: Some(3) }));
        let mut host = HostConfig {
            memory: Some(32),
            cpu_shares: Some(512),
            cpuset_cpus: Some("0".to_owned()),
            ..HostConfig::default()
        };
        update.apply(&mut host);
        assert_eq!((host.memory, host.cpu_shares, host.pids_limit), (Some(64), Some(512), Some(-1)));
        assert_eq!(host.cpuset_cpus.as_deref(), Some("0"));
        let policy_only = parse(json!({ "RestartPolicy": { "Name": "always" }, "Memory": 0 })).unwrap();
        assert!(update.has_limits() && !policy_only.has_limits());
        assert_eq!(parse(json!({ "RestartPolicy": { "Name": "" } })).unwrap().restart, None);
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        for (body, text) in [
            (json!({ "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 1 }] }), "the ulimits of a container"),
            (json!({ "CgroupParent": "/x" }), "the cgroup parent of a container"),
            (json!({ "IOMaximumIOps": 5 }), "the I/O maxima of a container"),
            (json!({ "RestartPolicy": { "MaximumRetryCount": 3 } }), "invalid restart policy"),
        ] {
            let message = parse(body).unwrap_err().message();
            assert!(message.starts_with(text), "{message}");
        }
    }
}
