//! Commands on registries and their flags.

use clap::Args;

use super::list::Filtering;

pub(crate) const LOGIN_EXAMPLES: &str = "Examples:
  berth login registry.example.com
  pass registry | berth login -u ann --password-stdin registry.example.com

The password is kept as the docker client keeps it: in ~/.docker/config.json, or by the credential helper that is named there. Without a registry it is Docker Hub's.";
pub(crate) const LOGOUT_EXAMPLES: &str = "Examples:
  berth logout registry.example.com";
pub(crate) const SEARCH_EXAMPLES: &str = "Examples:
  berth search nginx
  berth search --filter is-official=true --filter stars=100 nginx
  berth search registry.example.com/team

Without a registry's host, Docker Hub's index is asked.

Filters: is-official, stars.

Fields of --format: Name, Description, StarCount, IsOfficial.";

/// Flags of `login`.
#[derive(Debug, Args)]
pub(crate) struct LoginFlags {
    /// Who logs in; asked for when absent
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// The password; everybody on this machine can see it here
    #[arg(short, long, value_name = "TEXT", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Take the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The registry; Docker Hub when absent
    #[arg(value_name = "SERVER")]
    pub(crate) server: Option<String>,
}

/// Flags of `logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutFlags {
    /// The registry; Docker Hub when absent
    #[arg(value_name = "SERVER")]
    pub(crate) server: Option<String>,
}

/// Flags of `search`.
#[derive(Debug, Args)]
pub(crate) struct SearchFlags {
    #[command(flatten)]
    pub(crate) filtering: Filtering,
    /// 'table', 'table TEMPLATE', 'json', or a Go template for each line
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Find so many at most: 1 to 100; 25 when absent
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<i64>,
    /// Don't shorten descriptions
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// What to look for; HOST[:PORT]/TERM looks in that registry
    #[arg(value_name = "TERM")]
    pub(crate) term: String,
}
