//! `update`: other limits, or another restart policy, for containers that are there.

use bollard_stubs::models::ContainerUpdateBody;

use crate::engine::container;
use crate::engine::reply::Updated;
use crate::failure::Failure;
use crate::flags::update::UpdateFlags;
use crate::request::create::{bytes, memory_swap, restart_policy};
use crate::request::error::{RequestError, flag};
use crate::request::quantity;

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
    let cpus = flags.cpus.as_deref();
    let body = ContainerUpdateBody {
        restart_policy: flags.restart.as_deref().map(restart_policy).transpose()?,
        memory: bytes("-m, --memory", flags.memory.as_deref())?,
        memory_reservation: bytes("--memory-reservation", flags.memory_reservation.as_deref())?,
        memory_swap: memory_swap(flags.memory_swap.as_deref())?,
        nano_cpus: cpus
            .map(|text| quantity::nano_cpus(text).map_err(|reason| flag("--cpus", text, reason)))
            .transpose()?,
        cpu_shares: flags.cpu_shares,
        cpu_period: flags.cpu_period,
        cpu_quota: flags.cpu_quota,
        cpuset_cpus: flags.cpuset_cpus.clone(),
        cpuset_mems: flags.cpuset_mems.clone(),
        blkio_weight: flags.blkio_weight,
        pids_limit: flags.pids_limit,
        ..ContainerUpdateBody::default()
    };
    match body == ContainerUpdateBody::default() {
        true => Err(RequestError::Invalid("you must provide one or more flags when using this command".to_owned())),
        false => Ok(body),
    }
}
