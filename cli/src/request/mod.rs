//! Flags → validated requests. Pure: what a request takes from this process comes in as [`LocalContext`].

pub(crate) mod attachment;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod detach_keys;
mod device;
mod disk;
pub(crate) mod error;
pub(crate) mod exec;
mod fields;
pub(crate) mod filter;
mod gpus;
mod health;
mod host;
pub(crate) mod image_name;
mod mount;
pub(crate) mod network;
pub(crate) mod network_filter;
pub(crate) mod pairs;
pub(crate) mod port;
pub(crate) mod quantity;
mod security;
pub(crate) mod time;
pub(crate) mod ulimit;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use error::RequestError;

/// What of our process a request may depend on.
pub(crate) struct LocalContext<'a> {
    /// The value of one of our environment variables.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file.
    pub(crate) read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Where relative paths start.
    pub(crate) directory: PathBuf,
    /// Rows and columns of our terminal, when output goes to one.
    pub(crate) terminal_size: Option<(u16, u16)>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A user in /home/me with a handful of files and one variable.
    pub(crate) fn local() -> LocalContext<'static> {
        LocalContext {
            variable: &|name| (name == "HOME").then(|| "/root".to_owned()),
            read_file: &|path| match path.to_str().unwrap_or_default() {
                "env" => Ok("# comment\n\nFROM=file\n  SPACED= value # kept\nHOME\nUNSET\n".to_owned()),
                "spaces" => Ok("A=1\nA B=2\n".to_owned()),
                "nameless" => Ok("=x\n".to_owned()),
                "profile.json" => Ok("{\n \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}".to_owned()),
                "broken.json" => Ok("{".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            directory: PathBuf::from("/home/me"),
            terminal_size: None,
        }
    }
}
