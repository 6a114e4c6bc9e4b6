//! What is meant: a container's first process, or an exec.

use crate::Error;
use crate::spec::Id;

/// A container's first process, or an exec in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The container's first process.
    Container(&'a Id),
    /// An exec.
    Exec {
        /// The container that it is in.
        container: &'a Id,
        /// The exec.
        exec: &'a Id,
    },
}

impl<'a> Target<'a> {
    pub(super) fn container(self) -> &'a Id {
        match self {
            Self::Container(container) | Self::Exec { container, .. } => container,
        }
    }

    /// What it is and its id, for errors.
    pub(crate) fn name(self) -> (&'static str, &'a Id) {
        match self {
            Self::Container(id) => ("container", id),
            Self::Exec { exec, .. } => ("exec", exec),
        }
    }

    pub(super) fn not_found(self) -> Error {
        let (what, id) = self.name();
        Error::NotFound { what, id: id.to_string() }
    }

    pub(super) fn conflict(self, state: &'static str) -> Error {
        let (what, id) = self.name();
        Error::Conflict { what, id: id.to_string(), state }
    }
}
