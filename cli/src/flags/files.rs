//! Commands on the files of containers and their flags.

use std::path::PathBuf;

use clap::Args;

pub(crate) const CP_EXAMPLES: &str = "Examples:
  berth cp web:/etc/nginx .              into the current directory
  berth cp site/. web:/var/www           what is in site, not site itself
  berth cp web:/var/log - | tar -t       as a tar archive
  tar -c *.conf | berth cp - web:/etc

The container may run, or be paused or stopped. With -a into a container, everything belongs to the container's user; out of one, to whom it belongs there.";
pub(crate) const DIFF_EXAMPLES: &str = "Examples:
  berth diff web

A is added, C changed, D deleted.";
pub(crate) const EXPORT_EXAMPLES: &str = "Examples:
  berth export -o rootfs.tar web
  berth export web | berth import - flat:1

What is mounted in the container is left out.";
pub(crate) const COMMIT_EXAMPLES: &str = "Examples:
  berth commit web web:patched
  berth commit -m patched -c 'CMD [\"httpd\", \"-f\"]' -c 'EXPOSE 80' shell base:2

Instructions of --change: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.";

/// Flags of `cp`.
#[derive(Debug, Args)]
pub(crate) struct CpFlags {
    /// Copy owners as well; into a container, make its user the owner
    #[arg(short, long)]
    pub(crate) archive: bool,
    /// Copy what a link at SRC leads to
    #[arg(short = 'L', long)]
    pub(crate) follow_link: bool,
    /// Say nothing of what was copied
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// What to copy: CONTAINER:PATH, a path here, or - for a tar archive on standard input
    #[arg(value_name = "SRC")]
    pub(crate) source: String,
    /// Where to: CONTAINER:PATH, a path here, or - for a tar archive on standard output
    #[arg(value_name = "DEST")]
    pub(crate) destination: String,
}

/// Flags of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffFlags {
    /// The container, by name or id
    pub(crate) container: String,
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportFlags {
    /// The file to write; standard output when absent
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The container, by name or id
    pub(crate) container: String,
}

/// Flags of `commit`.
#[derive(Debug, Args)]
pub(crate) struct CommitFlags {
    /// Who makes the image
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) author: Option<String>,
    /// A Dockerfile instruction to apply, as in 'CMD ["/bin/sh"]'
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// A note for the image's history
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// Freeze the container meanwhile; --pause=false lets it write on
    #[arg(short, long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub(crate) pause: bool,
    /// The container, by name or id
    pub(crate) container: String,
    /// Name of the new image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) reference: Option<String>,
}
