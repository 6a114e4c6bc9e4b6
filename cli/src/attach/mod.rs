//! Our terminal or pipes, tied to a process in a container.

mod escape;
pub(crate) mod session;
pub(crate) mod signals;
