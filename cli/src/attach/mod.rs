//! Our terminal or pipes, attached to a process in a container.

mod escape;
pub(crate) mod session;
pub(crate) mod signals;
