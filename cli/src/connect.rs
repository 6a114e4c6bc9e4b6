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
    #[error("berthd at {0} doesn't say where its netd is: give netd's socket (--netd-socket, or BERTH_NETD)")]
    NetdUnknown(PathBuf),
    #[error("cannot connect to {daemon} at {socket}")]
    Other {
        daemon: Daemon,
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Where berthd is if nobody says otherwise.
const BERTHD: &str = "/run/berth/berth.sock";
/// Where the netd of that one is.
const NETD: &str = "/run/berth/netd.sock";

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

/// Where the daemons are, as far as that is known without asking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SocketPaths {
    pub(crate) berthd: PathBuf,
    /// None: berthd isn't where it usually is, and knows where its netd is.
    pub(crate) netd: Option<PathBuf>,
}

impl SocketPaths {
    /// What is empty isn't said, as in variables that are set to nothing.
    ///
    /// # Errors
    /// One of them isn't a Unix socket.
    pub(crate) fn of(host: Option<&str>, netd: Option<&str>) -> Result<Self, ConnectError> {
        let said = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(socket_path).transpose();
        let berthd = said(host)?.unwrap_or_else(|| PathBuf::from(BERTHD));
        let usual = (berthd == Path::new(BERTHD)).then(|| PathBuf::from(NETD));
        Ok(Self { netd: said(netd)?.or(usual), berthd })
    }
}

/// Path of the socket that `--host` names.
///
/// # Errors
/// It names something other than a Unix socket.
fn socket_path(host: &str) -> Result<PathBuf, ConnectError> {
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
    fn netd_is_berthds() {
        let paths = |host, netd| {
            let paths = SocketPaths::of(host, netd).unwrap();
            (paths.berthd.display().to_string(), paths.netd.map(|netd| netd.display().to_string()))
        };
        let usual = ("/run/berth/berth.sock".to_owned(), Some("/run/berth/netd.sock".to_owned()));
        assert_eq!(paths(None, None), usual);
        assert_eq!(paths(Some(""), Some("")), usual);
        assert_eq!(paths(Some("unix:///run/berth/berth.sock"), None), usual);
        assert_eq!(paths(Some("/run/x.sock"), None), ("/run/x.sock".to_owned(), None));
        assert_eq!(paths(Some("/run/x.sock"), Some("")), ("/run/x.sock".to_owned(), None));
        assert_eq!(paths(Some("/run/x.sock"), Some("/run/y")), ("/run/x.sock".to_owned(), Some("/run/y".to_owned())));
        assert_eq!(paths(None, Some("/run/y")), ("/run/berth/berth.sock".to_owned(), Some("/run/y".to_owned())));
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
