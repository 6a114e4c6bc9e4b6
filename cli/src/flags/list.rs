//! How lists and objects are shown: flags that many commands share.

use clap::Args;

/// Flags of commands that show a list of what has ids.
#[derive(Debug, Args)]
pub(crate) struct ListShape {
    /// 'table', 'table TEMPLATE', 'json', or a Go template for each line
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Don't shorten ids and texts
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of commands whose list can be narrowed.
#[derive(Debug, Args)]
pub(crate) struct Filtering {
    /// Only what matches: KEY=VALUE, as listed below
    #[arg(short, long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

/// Flags of commands that show objects in detail.
#[derive(Debug, Args)]
pub(crate) struct ObjectShape {
    /// 'json', or a Go template for each object
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
}
