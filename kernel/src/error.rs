//! Errors of the kernel, each with what was tried.

use std::{fmt, io};

use cnm::{Kind, plan::Op};

/// Why something could not be done. The text is one sentence without its cause, which is the error's source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused an operation.
    #[error("cannot {attempt}")]
    Refused {
        /// What was tried, as in `create veth bv0123456789 on bridge bb-0123456789ab`.
        attempt: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel was built without something.
    #[error("cannot {attempt}: this kernel has no {feature}: {config}")]
    Lacking {
        /// What was tried.
        attempt: String,
        /// What is lacking, in people's words.
        feature: &'static str,
        /// The kernel's build option, as in `CONFIG_VETH`.
        config: &'static str,
    },
    /// A program of the host that is needed could not be run or failed.
    #[error("cannot {attempt}: `{program}` failed: {message}")]
    Program {
        /// What was tried.
        attempt: String,
        /// The program.
        program: &'static str,
        /// What it said.
        message: String,
    },
    /// The kernel answered with something that makes no sense here.
    #[error("cannot {attempt}: unexpected answer from the kernel: {message}")]
    Answer {
        /// What was tried.
        attempt: String,
        /// What is odd about the answer.
        message: String,
    },
    /// An operation can't be applied on any kernel because a plan is wrong.
    #[error("cannot {attempt}: {reason}")]
    Impossible {
        /// What was tried.
        attempt: String,
        /// Why it can't be.
        reason: String,
    },
}

impl Error {
    /// A refusal by the kernel.
    pub fn refused(attempt: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Refused { attempt: attempt.into(), source: source.into() }
    }

    /// How a caller should treat it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Lacking { .. } => Kind::NotImplemented,
            Self::Refused { .. } | Self::Program { .. } | Self::Answer { .. } | Self::Impossible { .. } => {
                Kind::Internal
            }
        }
    }

    /// The kernel's error number, when there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// A plan that could not be applied. What was done before has been undone, but for what is in `stuck`.
#[derive(Debug)]
pub struct Failed {
    /// The index of the failed operation in the plan.
    pub step: usize,
    /// The failed operation.
    pub op: Op,
    /// Why it failed.
    pub cause: Error,
    /// Operations of the plan that had been done and were taken back, in the order of the plan.
    pub undone: Vec<Op>,
    /// Operations that were done and could not be taken back, in the order of the plan.
    pub stuck: Vec<Stuck>,
}

/// An operation of a failed plan that is still in force.
#[derive(Debug)]
pub struct Stuck {
    /// The operation, as in the plan; its inverse is what remains to be done.
    pub op: Op,
    /// Why its inverse failed.
    pub cause: Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of the plan failed ({})", self.step + 1, self.op)?;
        if self.stuck.is_empty() {
            return Ok(());
        }
        f.write_str("; these steps could not be taken back:")?;
        for Stuck { op, .. } in &self.stuck {
            write!(f, " ({op})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Makes an error of the system into one that says what was tried.
pub(crate) fn attempted<E: Into<io::Error>>(attempt: impl Into<String>) -> impl FnOnce(E) -> Error {
    move |source| Error::refused(attempt, source)
}
