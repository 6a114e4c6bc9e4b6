//! Docker's plugins: other programs on this host (or reached from it) that are asked over HTTP. Found by name where Docker
//! looks for them, asked what they implement, and then called as `/Interface.Method` with JSON and a deadline.
#![forbid(unsafe_code)]

mod client;
mod discovery;
pub mod volume;

use std::io;
use std::path::PathBuf;

pub use client::Plugin;
pub use discovery::{Address, Directories};

/// Why a plugin couldn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// Nobody of that name.
    #[error("plugin {name:?} not found in {searched}")]
    NotFound {
        /// The plugin.
        name: String,
        /// Where it would be.
        searched: String,
    },
    /// The file that says where it is can't be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file that says where it is makes no sense.
    #[error("{} doesn't say where the plugin is: {problem}", path.display())]
    Specification {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It would have to be spoken to in a way that isn't ours.
    #[error("{} wants {what}, which berth doesn't support yet: give the plugin a socket", path.display())]
    Unsupported {
        /// The file that says so.
        path: PathBuf,
        /// What.
        what: &'static str,
    },
    /// It is one of another kind.
    #[error("plugin {name:?} implements {implements}, and no {interface}")]
    Other {
        /// The plugin.
        name: String,
        /// What is wanted.
        interface: &'static str,
        /// What it says.
        implements: String,
    },
    /// It can't be reached, or doesn't answer in time.
    #[error("calling {method} of plugin {name:?}: {}", reason::last_cause(reason))]
    Call {
        /// The plugin.
        name: String,
        /// `Interface.Method`
        method: String,
        /// Why.
        reason: reqwest::Error,
    },
    /// It answered with an error.
    #[error("{method}: {message}")]
    Refused {
        /// `Interface.Method`
        method: String,
        /// Its words.
        message: String,
    },
    /// Its answer has no end, or might as well have none.
    #[error("{method}: plugin {name:?} answers with more than {limit} bytes, the most that is taken")]
    TooLong {
        /// The plugin.
        name: String,
        /// `Interface.Method`
        method: String,
        /// In bytes.
        limit: usize,
    },
    /// Its answer isn't what such a plugin answers.
    #[error("{method}: plugin {name:?} gave an answer that makes no sense")]
    Answer {
        /// The plugin.
        name: String,
        /// `Interface.Method`
        method: String,
        /// Where.
        source: serde_json::Error,
    },
}
