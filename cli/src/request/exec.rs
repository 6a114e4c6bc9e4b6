//! `exec` flags → the process to run in a container.

use bollard_stubs::models::ExecConfig;

use crate::flags::container::ExecFlags;

use super::attachment::some;
use super::error::RequestError;
use super::{LocalContext, detach_keys, pairs};

/// A process to run in a running container.
#[derive(Debug)]
pub(crate) struct ExecRequest {
    /// The container.
    pub(crate) container: String,
    /// Nobody stays with it.
    pub(crate) detach: bool,
    /// It has a terminal.
    pub(crate) tty: bool,
    /// Our input is its input.
    pub(crate) interactive: bool,
    /// The bytes that leave its terminal.
    pub(crate) detach_keys: Vec<u8>,
    /// What the engine is told.
    pub(crate) body: ExecConfig,
}

/// Makes the request of the flags.
///
/// # Errors
/// Names the flag that is wrong.
pub(crate) fn exec_request(flags: &ExecFlags, local: &LocalContext<'_>) -> Result<ExecRequest, RequestError> {
    let (container, command) = match flags.container_and_command.split_first() {
        Some((container, command)) if !command.is_empty() => (container.clone(), command.to_vec()),
        _ => return Err(RequestError::Invalid("'berth exec' requires a container and a command".to_owned())),
    };
    let interactive = flags.interactive && !flags.detach;
    let size = local.terminal_size.filter(|_| flags.tty);
    let body = ExecConfig {
        attach_stdin: Some(interactive),
        attach_stdout: Some(!flags.detach),
        attach_stderr: Some(!flags.detach),
        console_size: size.map(|(rows, columns)| vec![rows.into(), columns.into()]),
        detach_keys: flags.detach_keys.clone(),
        tty: Some(flags.tty),
        env: some(pairs::environment(&flags.env, &flags.env_file, local)?),
        cmd: Some(command),
        privileged: Some(flags.privileged),
        user: flags.user.clone(),
        working_dir: flags.workdir.clone(),
    };
    Ok(ExecRequest {
        container,
        detach: flags.detach,
        tty: flags.tty,
        interactive,
        detach_keys: detach_keys::parse(flags.detach_keys.as_deref())?,
        body,
    })
}
