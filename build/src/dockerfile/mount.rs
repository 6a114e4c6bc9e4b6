//! `RUN --mount=…`: what is there for one step and not in its layer.

use super::Problem;

/// A mount for one step, as it is written: variables may stand in its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrittenMount {
    pairs: Vec<(String, Option<String>)>,
    text: String,
}

/// A mount for one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where; without it secrets have a place of their own, and all else is where the step works.
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
        owner: FileOwner,
        /// What it has when it is new.
        begins_with: Option<MountSource>,
    },
    Tmpfs {
        size_bytes: Option<u64>,
    },
    Secret {
        id: Option<String>,
        is_required: bool,
        /// Under this name in the environment instead of, or besides, a file.
        variable: Option<String>,
        owner: FileOwner,
    },
    /// An agent's socket.
    Ssh {
        is_required: bool,
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
pub(crate) struct FileOwner {
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

    /// The value of an option; an empty one is none.
    fn text(&mut self, names: &[&str]) -> Result<Option<String>, Problem> {
        match self.take(names) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(None) => Err(self.wrong(format_args!("{} needs a value", names[0]))),
        }
    }

    fn flag(&mut self, names: &[&str]) -> Result<Option<bool>, Problem> {
        match self.take(names) {
            None => Ok(None),
            Some(None) => Ok(Some(true)),
            Some(Some(value)) => match value.to_ascii_lowercase().as_str() {
                "true" | "t" | "1" => Ok(Some(true)),
                "false" | "f" | "0" => Ok(Some(false)),
                _ => Err(self.wrong(format_args!("{}={value}: write true or false", names[0]))),
            },
        }
    }

    fn number(&mut self, name: &'static str, radix: u32) -> Result<Option<u32>, Problem> {
        let Some(value) = self.text(&[name])? else { return Ok(None) };
        let number = u32::from_str_radix(&value, radix).ok().filter(|number| *number < u32::MAX);
        number.map(Some).ok_or_else(|| self.wrong(format_args!("{name}={value} isn't a number that it can be")))
    }

    fn owner(&mut self) -> Result<FileOwner, Problem> {
        let uid = self.number("uid", 10)?.unwrap_or(0);
        let gid = self.number("gid", 10)?.unwrap_or(0);
        match self.number("mode", 8)? {
            Some(mode) if mode > 0o7777 => Err(self.wrong(format_args!("mode={mode:o}: at most 7777"))),
            mode => Ok(FileOwner { uid, gid, mode }),
        }
    }
}

impl WrittenMount {
    /// Takes what stands behind `--mount=` apart. Without variables it is understood at once, so that the line is named.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let pairs = text.split(',').map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.trim().to_ascii_lowercase(), Some(value.trim_matches('"').to_owned())),
            None => (pair.trim().to_ascii_lowercase(), None),
        });
        let written = Self { pairs: pairs.collect(), text: text.to_owned() };
        if !text.contains('$') {
            written.expanded(|value| Ok::<_, Problem>(value.to_owned()))?;
        }
        Ok(written)
    }

    /// The stage or image that it takes from.
    pub(crate) fn from(&self) -> Option<&str> {
        let from = self.pairs.iter().rev().find(|(name, _)| name == "from");
        from.and_then(|(_, value)| value.as_deref()).filter(|from| !from.is_empty())
    }

    /// What it means once its values are expanded.
    pub(crate) fn expanded<E: From<Problem>>(&self, expand: impl Fn(&str) -> Result<String, E>) -> Result<Mount, E> {
        let pairs =
            self.pairs.iter().map(|(name, value)| Ok((name.clone(), value.as_deref().map(&expand).transpose()?)));
        let options = Options { pairs: pairs.collect::<Result<_, E>>()?, text: self.text.clone() };
        Ok(Mount::of(options)?)
    }
}

impl Mount {
    fn of(mut options: Options) -> Result<Self, Problem> {
        let kind = options.text(&["type"])?.unwrap_or_else(|| "bind".to_owned());
        let target = options.text(&["target", "dst", "destination"])?;
        let writable = match options.flag(&["readonly", "ro"])? {
            Some(readonly) => Some(!readonly),
            None => options.flag(&["rw", "readwrite"])?,
        };
        let (kind, is_writable) = match kind.to_ascii_lowercase().as_str() {
            "bind" => (bind(&mut options)?, false),
            "cache" => (cache(&mut options)?, true),
            "tmpfs" => (tmpfs(&mut options)?, true),
            "secret" => (secret(&mut options)?, false),
            "ssh" => (ssh(&mut options)?, false),
            _ => return Err(options.wrong("unknown type: write bind, cache, tmpfs, secret or ssh")),
        };
        if let Some((name, _)) = options.pairs.first() {
            return Err(options.wrong(format_args!("unknown option {name:?}")));
        }
        if matches!((&kind, &target), (MountKind::Secret { id: None, .. }, None)) {
            return Err(options.wrong("id is missing: say which secret"));
        }
        Ok(Self { target, readonly: !writable.unwrap_or(is_writable), kind })
    }
}

/// Where files come from; `None` if nothing says that.
fn source(options: &mut Options) -> Result<Option<MountSource>, Problem> {
    match (options.text(&["from"])?, options.text(&["source", "src"])?) {
        (None, None) => Ok(None),
        (from, path) => Ok(Some(MountSource { from, path: path.unwrap_or_else(|| "/".to_owned()) })),
    }
}

fn bind(options: &mut Options) -> Result<MountKind, Problem> {
    let all = || MountSource { from: None, path: "/".to_owned() };
    // It means something for caches and secrets only, but may stand everywhere.
    options.take(&["id"]);
    Ok(MountKind::Bind(source(options)?.unwrap_or_else(all)))
}

fn cache(options: &mut Options) -> Result<MountKind, Problem> {
    let sharing = match options.text(&["sharing"])?.map(|sharing| sharing.to_ascii_lowercase()).as_deref() {
        None | Some("shared") => CacheSharing::Shared,
        Some("private") => CacheSharing::Private,
        Some("locked") => CacheSharing::Locked,
        Some(_) => return Err(options.wrong("sharing is shared, private or locked")),
    };
    // Without another root there are only its own files to begin with.
    let begins_with = source(options)?.filter(|source| source.from.is_some());
    Ok(MountKind::Cache { id: options.text(&["id"])?, sharing, owner: options.owner()?, begins_with })
}

fn ssh(options: &mut Options) -> Result<MountKind, Problem> {
    let is_required = options.flag(&["required"])?.unwrap_or(false);
    options.take(&["id"]);
    options.owner()?;
    Ok(MountKind::Ssh { is_required })
}

fn tmpfs(options: &mut Options) -> Result<MountKind, Problem> {
    options.take(&["id"]);
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
    let id = match (options.text(&["id"])?, options.text(&["source", "src"])?) {
        (Some(_), Some(_)) => return Err(options.wrong("id and source both say which secret: write one of them")),
        (id, source) => id.or(source),
    };
    Ok(MountKind::Secret {
        id,
        is_required: options.flag(&["required"])?.unwrap_or(false),
        variable: options.text(&["env"])?,
        owner: options.owner()?,
    })
}
