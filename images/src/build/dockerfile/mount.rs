//! `RUN --mount=…`: what is there for one step and not in its layer.

use super::Problem;

/// A mount for one step; its texts aren't expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where; secrets have a place of their own without it.
    pub(crate) target: Option<String>,
    pub(crate) readonly: bool,
    pub(crate) kind: MountKind,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MountKind {
    Bind(MountSource),
    Cache {
        /// The target without it.
        id: Option<String>,
        sharing: CacheSharing,
        owner: Owner,
    },
    Tmpfs {
        size_bytes: Option<u64>,
    },
    Secret {
        id: Option<String>,
        is_required: bool,
        /// Under this name in the environment instead of, or besides, a file.
        variable: Option<String>,
        owner: Owner,
    },
}

/// Where a bind's files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountSource {
    /// A stage or an image; the context without it.
    pub(crate) from: Option<String>,
    /// Below its root.
    pub(crate) path: String,
}

/// Who may use a cache at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CacheSharing {
    Shared,
    Private,
    Locked,
}

/// Owner and mode of a mount's own file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: Option<u32>,
}

/// The options of one mount, by their names.
struct Options {
    pairs: Vec<(String, Option<String>)>,
    text: String,
}

impl Options {
    fn wrong(&self, reason: impl std::fmt::Display) -> Problem {
        Problem::arguments("RUN", format!("--mount={}: {reason}", self.text))
    }

    fn take(&mut self, names: &[&str]) -> Option<Option<String>> {
        self.pairs.extract_if(.., |(name, _)| names.contains(&name.as_str())).last().map(|(_, value)| value)
    }

    fn text(&mut self, names: &[&str]) -> Result<Option<String>, Problem> {
        match self.take(names) {
            None => Ok(None),
            Some(Some(value)) if !value.is_empty() => Ok(Some(value)),
            Some(_) => Err(self.wrong(format_args!("{} needs a value", names[0]))),
        }
    }

    fn flag(&mut self, names: &[&str]) -> Result<Option<bool>, Problem> {
        match self.take(names) {
            None => Ok(None),
            Some(None) => Ok(Some(true)),
            Some(Some(value)) => match value.as_str() {
                "true" | "1" => Ok(Some(true)),
                "false" | "0" => Ok(Some(false)),
                _ => Err(self.wrong(format_args!("{}={value}: write true or false", names[0]))),
            },
        }
    }

    fn number(&mut self, name: &'static str, radix: u32) -> Result<Option<u32>, Problem> {
        let Some(value) = self.text(&[name])? else { return Ok(None) };
        let number = u32::from_str_radix(&value, radix).ok().filter(|number| *number < u32::MAX);
        number.map(Some).ok_or_else(|| self.wrong(format_args!("{name}={value} isn't a number that it can be")))
    }

    fn owner(&mut self) -> Result<Owner, Problem> {
        let uid = self.number("uid", 10)?.unwrap_or(0);
        let gid = self.number("gid", 10)?.unwrap_or(0);
        match self.number("mode", 8)? {
            Some(mode) if mode > 0o7777 => Err(self.wrong(format_args!("mode={mode:o}: at most 7777"))),
            mode => Ok(Owner { uid, gid, mode }),
        }
    }
}

impl Mount {
    /// Parses what stands behind `--mount=`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let pairs = text.split(',').map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.trim().to_ascii_lowercase(), Some(value.trim_matches('"').to_owned())),
            None => (pair.trim().to_ascii_lowercase(), None),
        });
        let mut options = Options { pairs: pairs.collect(), text: text.to_owned() };
        let kind = options.text(&["type"])?.unwrap_or_else(|| "bind".to_owned());
        let target = options.text(&["target", "dst", "destination"])?;
        let writable = match options.flag(&["readonly", "ro"])? {
            Some(readonly) => Some(!readonly),
            None => options.flag(&["rw", "readwrite"])?,
        };
        let (kind, is_writable) = match kind.as_str() {
            "bind" => (bind(&mut options)?, false),
            "cache" => (cache(&mut options)?, true),
            "tmpfs" => (tmpfs(&mut options)?, true),
            "secret" => (secret(&mut options)?, false),
            "ssh" => return Err(options.wrong("SSH agents aren't forwarded: use a secret instead")),
            _ => return Err(options.wrong("unknown type: write bind, cache, tmpfs or secret")),
        };
        if let Some((name, _)) = options.pairs.first() {
            return Err(options.wrong(format_args!("unknown option {name:?}")));
        }
        if target.is_none() && !matches!(kind, MountKind::Secret { .. }) {
            return Err(options.wrong("target is missing: say where to mount it"));
        }
        if matches!((&kind, &target), (MountKind::Secret { id: None, .. }, None)) {
            return Err(options.wrong("id is missing: say which secret"));
        }
        Ok(Self { target, readonly: !writable.unwrap_or(is_writable), kind })
    }
}

fn source(options: &mut Options) -> Result<MountSource, Problem> {
    let path = options.text(&["source", "src"])?.unwrap_or_else(|| "/".to_owned());
    Ok(MountSource { from: options.text(&["from"])?, path })
}

fn bind(options: &mut Options) -> Result<MountKind, Problem> {
    Ok(MountKind::Bind(source(options)?))
}

fn cache(options: &mut Options) -> Result<MountKind, Problem> {
    let sharing = match options.text(&["sharing"])?.as_deref() {
        None | Some("shared") => CacheSharing::Shared,
        Some("private") => CacheSharing::Private,
        Some("locked") => CacheSharing::Locked,
        Some(_) => return Err(options.wrong("sharing is shared, private or locked")),
    };
    if options.take(&["from", "source", "src"]).is_some() {
        return Err(options.wrong("a cache begins empty here: copy what it is to begin with in the step itself"));
    }
    Ok(MountKind::Cache { id: options.text(&["id"])?, sharing, owner: options.owner()? })
}

fn tmpfs(options: &mut Options) -> Result<MountKind, Problem> {
    let size_bytes = match options.text(&["size"])? {
        None => None,
        Some(size) => {
            Some(size_of(&size).ok_or_else(|| options.wrong("size is a number of bytes, or 64m and the like"))?)
        }
    };
    Ok(MountKind::Tmpfs { size_bytes })
}

fn size_of(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let shift = match bare.chars().last()? {
        'k' => 10,
        'm' => 20,
        'g' => 30,
        _ => 0,
    };
    let digits = if shift == 0 { bare } else { &bare[..bare.len() - 1] };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

fn secret(options: &mut Options) -> Result<MountKind, Problem> {
    Ok(MountKind::Secret {
        id: options.text(&["id"])?,
        is_required: options.flag(&["required"])?.unwrap_or(false),
        variable: options.text(&["env"])?,
        owner: options.owner()?,
    })
}
