//! `update`: other limits, or another restart policy, for containers that are there.

use bollard_stubs::models::ContainerUpdateBody;

use crate::engine::container;
use crate::engine::reply::Updated;
use crate::failure::Failure;
use crate::flags::ContainerLimitFlags;
use crate::flags::update::UpdateFlags;
use crate::request::create::{bytes, memory_swap, nano_cpus, restart_policy};
use crate::request::error::RequestError;

use super::{Context, for_each, print_error};

/// Runs the command.
pub(super) async fn update(context: &Context, flags: UpdateFlags) -> Result<u8, Failure> {
    let body = &body(&flags)?;
    for_each(&flags.targets.containers, |name| async move {
        let request = context.engine.post(container(&name, "/update")?).json(body);
        let updated: Updated = request.send().await?.json().await?;
        updated.warnings.iter().for_each(|warning| print_error(&format!("WARNING: {warning}")));
        Ok(Some(name))
    })
    .await
}

fn body(flags: &UpdateFlags) -> Result<ContainerUpdateBody, RequestError> {
    let ContainerLimitFlags { cgroup, memory_reservation, cpus, pids_limit } = &flags.limits;
    let body = ContainerUpdateBody {
        restart_policy: flags.restart.as_deref().map(restart_policy).transpose()?,
        memory: bytes("-m, --memory", cgroup.memory.as_deref())?,
        memory_reservation: bytes("--memory-reservation", memory_reservation.as_deref())?,
        memory_swap: memory_swap(cgroup.memory_swap.as_deref())?,
        nano_cpus: nano_cpus(cpus.as_deref())?,
        cpu_shares: cgroup.cpu_shares,
        cpu_period: cgroup.cpu_period,
        cpu_quota: cgroup.cpu_quota,
        cpuset_cpus: cgroup.cpuset_cpus.clone(),
        cpuset_mems: cgroup.cpuset_mems.clone(),
        blkio_weight: flags.blkio_weight,
        pids_limit: *pids_limit,
        cpu_realtime_period: flags.real_time.cpu_rt_period,
        cpu_realtime_runtime: flags.real_time.cpu_rt_runtime,
        ..ContainerUpdateBody::default()
    };
    match body == ContainerUpdateBody::default() {
        true => Err(RequestError::Invalid("you must provide one or more flags when using this command".to_owned())),
        false => Ok(body),
    }
}
