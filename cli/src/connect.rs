//! Where the daemons are, and what to say when they can't be reached.

use std::io;
use std::path::{Path, PathBuf};

/// Why a daemon can't be reached. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("invalid host '{0}': give unix:///path/to/socket or the socket's path")]
    Address(String),
    #[error("cannot reach {daemon} at {socket}: {reason}; {advice}")]
    Unreachable { daemon: Daemon, socket: PathBuf, reason: &'static str, advice: &'static str },
    #[error(
        "permission denied on {daemon}'s socket {socket}: join the group 'berth' (sudo usermod -aG berth $USER, then log in again) or use sudo"
    )]
    Denied { daemon: Daemon, socket: PathBuf },
    #[error("cannot connect to {daemon} at {socket}")]
    Other {
        daemon: Daemon,
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The daemons that we talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Daemon {
    Berthd,
    Netd,
}

impl std::fmt::Display for Daemon {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Berthd => "berthd",
            Self::Netd => "netd",
        })
    }
}

/// Path of the socket that `--host` names.
///
/// # Errors
/// It names something other than a Unix socket.
pub(crate) fn socket_path(host: &str) -> Result<PathBuf, ConnectError> {
    let path = host.strip_prefix("unix://").unwrap_or(host);
    if path.is_empty() || !path.starts_with('/') {
        return Err(ConnectError::Address(host.to_owned()));
    }
    Ok(PathBuf::from(path))
}

/// What a failed connect means for the user.
pub(crate) fn explain(daemon: Daemon, socket: &Path, source: io::Error) -> ConnectError {
    let socket = socket.to_owned();
    let advice = match daemon {
        Daemon::Berthd => "start it with 'systemctl start berthd' or 'sudo berthd'",
        Daemon::Netd => "berthd starts it; or start it with 'systemctl start netd' or 'sudo netd'",
    };
    match source.kind() {
        io::ErrorKind::PermissionDenied => ConnectError::Denied { daemon, socket },
        io::ErrorKind::NotFound => {
            ConnectError::Unreachable { daemon, socket, reason: "there is no such socket", advice }
        }
        io::ErrorKind::ConnectionRefused => {
            ConnectError::Unreachable { daemon, socket, reason: "nobody listens on it", advice }
        }
        _ => ConnectError::Other { daemon, socket, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_unix_sockets() {
        assert_eq!(socket_path("unix:///run/x.sock").unwrap(), Path::new("/run/x.sock"));
        assert_eq!(socket_path("/run/x.sock").unwrap(), Path::new("/run/x.sock"));
        for wrong in ["", "unix://", "tcp://1.2.3.4:2375", "x.sock"] {
            assert!(socket_path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_to_do_is_said() {
        let text =
            |kind: io::ErrorKind| explain(Daemon::Berthd, Path::new("/run/berth/berth.sock"), kind.into()).to_string();
        assert_eq!(
            text(io::ErrorKind::NotFound),
            "cannot reach berthd at /run/berth/berth.sock: there is no such socket; start it with 'systemctl start berthd' or 'sudo berthd'"
        );
        assert!(text(io::ErrorKind::ConnectionRefused).contains("nobody listens on it"));
        assert!(text(io::ErrorKind::PermissionDenied).contains("join the group 'berth'"));
    }
}
