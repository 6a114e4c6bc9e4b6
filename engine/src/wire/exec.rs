//! `/exec`: what Docker's clients read.

use serde::Serialize;

/// Reply of `POST /containers/{id}/exec`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreatedView {
    pub(crate) id: String,
}

/// `GET /exec/{id}/json`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExecView {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) running: bool,
    /// Null until it has ended.
    pub(crate) exit_code: Option<u8>,
    pub(crate) process_config: ProcessView,
    pub(crate) open_stdin: bool,
    pub(crate) open_stderr: bool,
    pub(crate) open_stdout: bool,
    pub(crate) can_remove: bool,
    #[serde(rename = "ContainerID")]
    pub(crate) container_id: String,
    pub(crate) detach_keys: String,
    pub(crate) pid: i32,
}

/// What is run.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessView {
    pub(crate) tty: bool,
    pub(crate) entrypoint: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) privileged: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
}
