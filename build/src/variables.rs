//! Variables (`ARG`, `ENV`): those of the whole file, and those of a stage.

use std::collections::BTreeMap;

use images::words::Expander;
use images::{Platform, WordError};

use super::BuildRequest;
use super::dockerfile::{Dockerfile, Instruction};

/// Given to commands without being asked for, and no reason to carry a step out again.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];
pub(super) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// What holds for all stages.
#[derive(Debug)]
pub(super) struct Globals {
    build_args: BTreeMap<String, String>,
    /// `ARG`s before the first `FROM`.
    args: BTreeMap<String, String>,
    platforms: BTreeMap<String, String>,
}

impl Globals {
    pub(super) fn of(dockerfile: &Dockerfile, request: &BuildRequest) -> Result<Self, WordError> {
        let mut globals = Self {
            build_args: request.build_args.clone(),
            args: BTreeMap::new(),
            platforms: platforms(request.platform.as_ref(), request.target.as_deref()),
        };
        for step in &dockerfile.global_args {
            let Instruction::Arg(pairs) = &step.instruction else { continue };
            for (name, default) in pairs {
                let expand = |text: &String| globals.expand(text, dockerfile.escape);
                let (name, default) = (expand(name)?, default.as_ref().map(expand).transpose()?);
                if let Some(value) = globals.build_args.get(&name).cloned().or(default) {
                    globals.args.insert(name, value);
                }
            }
        }
        Ok(globals)
    }

    /// A word outside of stages.
    pub(super) fn expand(&self, text: &str, escape: char) -> Result<String, WordError> {
        let variable = |name: &str| self.args.get(name).or_else(|| self.platforms.get(name)).cloned();
        Expander { escape, variable: &variable }.word(text)
    }

    /// What an `ARG` of a stage has, given its own default.
    pub(super) fn arg(&self, name: &str, default: Option<String>) -> Option<String> {
        let given = self.build_args.get(name).cloned();
        given.or(default).or_else(|| self.args.get(name).or_else(|| self.platforms.get(name)).cloned())
    }

    /// Proxies for commands, `NAME=value`.
    pub(super) fn proxies(&self) -> impl Iterator<Item = (&str, &str)> {
        PROXIES.into_iter().filter_map(|name| Some((name, self.build_args.get(name)?.as_str())))
    }
}

fn platforms(target: Option<&Platform>, stage: Option<&str>) -> BTreeMap<String, String> {
    let host = Platform::host();
    let target = target.unwrap_or(&host);
    let mut all = BTreeMap::from([("TARGETSTAGE".to_owned(), stage.unwrap_or("default").to_owned())]);
    for (prefix, platform) in [("BUILD", &host), ("TARGET", target)] {
        all.insert(format!("{prefix}PLATFORM"), platform.to_string());
        all.insert(format!("{prefix}OS"), platform.os.clone());
        all.insert(format!("{prefix}ARCH"), platform.architecture.clone());
        all.insert(format!("{prefix}VARIANT"), platform.variant.clone());
    }
    all
}

/// The `--build-arg`s that no `ARG` of the file asks for.
pub(super) fn unused_args(dockerfile: &Dockerfile, request: &BuildRequest) -> Vec<String> {
    let stages = dockerfile.stages.iter().flat_map(|stage| &stage.steps);
    let declared = |name: &str| {
        dockerfile.global_args.iter().chain(stages.clone()).any(|step| match &step.instruction {
            Instruction::Arg(pairs) => pairs.iter().any(|(declared, _)| declared == name),
            _ => false,
        })
    };
    let known = |name: &str| PROXIES.contains(&name) || name == SOURCE_DATE_EPOCH || name.starts_with("BUILDKIT_");
    request.build_args.keys().filter(|name| !known(name) && !declared(name)).cloned().collect()
}
