//! `COPY`, `ADD` and `WORKDIR`: layers that no command makes.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dockerignore::{Glob, Patterns};
use images::files::{self, Tree, plain};
use images::words::Expander;
use images::{ChainId, Change, Digest, apply_changes};
use rustix::fs::FileType;

use super::copy_layer::{self, Destination, Layer, Preserve};
use super::dockerfile::{Copied, Copy};
use super::mode::Mode;
use super::schedule::Build;
use super::stage::{Prepared, StageBuild};
use super::tree_search::{FoundFile, WalkDecision, find};
use super::{StepError, fetch, key, mounts};

/// Where files come from.
pub(super) enum Origin<'a, 's> {
    Context(&'a Build<'s>),
    /// A stage or an image.
    Root {
        build: &'a Build<'s>,
        top: Option<ChainId>,
        tree: OnceCell<Tree>,
    },
}

/// The origin that `--from` names.
pub(super) fn origin<'a, 's>(stage: &StageBuild<'a, 's>, from: Option<&str>) -> Result<Origin<'a, 's>, StepError> {
    let build = stage.build;
    let Some(name) = from else { return Ok(Origin::Context(build)) };
    let top = match build.dockerfile.stage(name) {
        Some(other) if other < stage.index => build.wait_for(other)?.top,
        Some(_) => return Err(StepError::Invalid(format!("--from={name}: it isn't an earlier stage"))),
        None if name == "scratch" => None,
        // Or an image whose id begins with it would be taken.
        None if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(StepError::Invalid(format!("--from={name}: there is no stage of this number")));
        }
        None => build.image(stage.number, name, build.request.platform.as_ref())?.0.layers.last().copied(),
    };
    Ok(Origin::Root { build, top, tree: OnceCell::new() })
}

impl Origin<'_, '_> {
    pub(super) fn is_context(&self) -> bool {
        matches!(self, Origin::Context(_))
    }

    /// For messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Origin::Context(_) => "the build context",
            Origin::Root { .. } => "the stage or image",
        }
    }

    pub(super) fn tree(&self) -> Result<&Tree, StepError> {
        match self {
            Origin::Context(build) => Ok(build.context.tree()),
            Origin::Root { build, top, tree } => match tree.get() {
                Some(tree) => Ok(tree),
                None => {
                    let opened = open(build, *top)?;
                    Ok(tree.get_or_init(|| opened))
                }
            },
        }
    }

    /// What stands for the content at a path.
    pub(super) fn digest(&self, path: &Path) -> Result<Digest, StepError> {
        match self {
            Origin::Context(build) => {
                let trouble = StepError::file(format!("read {} of the context", path.display()));
                mounts::content(build.context.tree(), path).map_err(trouble)
            }
            Origin::Root { top, .. } => Ok(key::of(&(top, path.as_os_str().as_encoded_bytes()))),
        }
    }
}

/// The root of a stage or an image, with all its layers.
fn open(build: &Build<'_>, top: Option<ChainId>) -> Result<Tree, StepError> {
    let trouble = || StepError::file("open the file system of a stage or image");
    let place = tempfile::tempdir_in(build.context.work_dir()).map_err(trouble())?;
    files::view(&build.store.lowers(top)?, place.path()).map_err(trouble())
}

/// A `COPY` or `ADD` with its words expanded.
struct ExpandedCopy {
    sources: Vec<Source>,
    destination: String,
    owner: Option<String>,
    mode: Option<Mode>,
    excludes: Patterns,
    exclude_words: Vec<String>,
}

enum Source {
    Path(String),
    Url(String),
    Text { name: String, content: String },
}

impl ExpandedCopy {
    fn of(stage: &StageBuild<'_, '_>, copy: &Copy) -> Result<Self, StepError> {
        let expand = |word: &String| stage.expand(word);
        let exclude_words = copy.excludes.iter().map(expand).collect::<Result<Vec<_>, _>>()?;
        let excludes = Patterns::new(exclude_words.iter().map(String::as_str));
        let mode = copy.chmod.as_ref().map(expand).transpose()?;
        Ok(Self {
            sources: copy.sources.iter().map(|source| Source::of(stage, copy, source)).collect::<Result<_, _>>()?,
            destination: stage.expand(&copy.destination)?,
            owner: copy.chown.as_ref().map(expand).transpose()?,
            mode: mode.as_deref().map(Mode::parse).transpose()?,
            excludes: excludes.map_err(|error| StepError::Invalid(format!("--exclude: {error}")))?,
            exclude_words,
        })
    }

    fn said(&self) -> Vec<String> {
        let of_source = |source: &Source| match source {
            Source::Path(path) => format!("path {path}"),
            Source::Url(url) => format!("url {url}"),
            Source::Text { name, content } => format!("text {name} {content}"),
        };
        let mut said: Vec<String> = self.sources.iter().map(of_source).collect();
        said.push(self.destination.clone());
        said.push(format!("{:?} {:?} {:?}", self.owner, self.mode, self.exclude_words));
        said
    }
}

impl Source {
    fn of(stage: &StageBuild<'_, '_>, copy: &Copy, source: &Copied) -> Result<Self, StepError> {
        match source {
            Copied::HereDocument(document) => {
                // What escapes is a backslash in them, whatever the file says.
                let expander = Expander { escape: '\\', variable: &|name| stage.state.variable(name) };
                let content = match document.expands {
                    true => expander.text(&document.content)?,
                    false => document.content.clone(),
                };
                Ok(Self::Text { name: document.name.clone(), content })
            }
            Copied::Named(word) => {
                let word = stage.expand(word)?;
                match copy.is_add && copy.from.is_none() {
                    true if fetch::is_git(&word) => Err(StepError::Invalid(format!(
                        "{word}: git repositories aren't fetched: clone it into the context, or in a RUN"
                    ))),
                    _ if copy.keeps_git => Err(StepError::Invalid(format!(
                        "--keep-git-dir is for repositories of git, and {word} is none"
                    ))),
                    true if fetch::is_url(&word) => Ok(Self::Url(word)),
                    _ if copy.checksum.is_some() => {
                        Err(StepError::Invalid(format!("--checksum is for URLs, and {word} is none")))
                    }
                    _ => Ok(Self::Path(word)),
                }
            }
        }
    }
}

/// Something to copy that was found.
pub(super) enum Piece {
    /// A file or directory and what is below it.
    Tree {
        /// What the source itself is called.
        name: OsString,
        is_dir: bool,
        /// The directory that it is in, below the origin's root, for `--parents`.
        parent: PathBuf,
        real: PathBuf,
        entries: Vec<FoundFile>,
    },
    Fetched {
        name: Option<String>,
        url: String,
        file: fetch::Fetched,
    },
    Text {
        name: String,
        content: String,
    },
}

/// What `COPY` or `ADD` would do.
pub(super) fn prepare<'a, 's>(stage: &StageBuild<'a, 's>, copy: &Copy, text: &str) -> Result<Prepared<'a>, StepError> {
    let build = stage.build;
    let wanted = ExpandedCopy::of(stage, copy)?;
    let from = copy.from.as_ref().map(|word| stage.expand(word)).transpose()?;
    let origin = origin(stage, from.as_deref())?;
    let parent_key = key::parent_key(&stage.state);
    let flags = (copy.is_add, copy.link, copy.parents, copy.unpack, &copy.checksum, build.epoch);
    let mut keys = Vec::new();
    // From the very same root comes the very same: it needn't be read to be known.
    if let Origin::Root { top, .. } = &origin {
        let created_by = said_with(text, key::of(top));
        let key = key::of(&("COPY", parent_key, wanted.said(), flags, top));
        if let Some(known) = build.known(&[key])? {
            return Ok(Prepared { keys: vec![key], known: Some(known), created_by, make: Box::new(|| Ok(None)) });
        }
        keys.push(key);
    }
    let pieces = pieces(build, &wanted, &origin, copy)?;
    let content = digest(&origin, &pieces)?;
    keys.push(key::of(&("COPY", parent_key, wanted.said(), flags, content)));
    let created_by = match &origin {
        Origin::Root { top, .. } => said_with(text, key::of(top)),
        Origin::Context(_) => said_with(text, content),
    };
    let layer = Layer {
        owner: wanted.owner,
        mode: wanted.mode,
        kept: if origin.is_context() { Preserve::Nothing } else { Preserve::Owner },
        unpack: if copy.is_add { Some(copy.unpack) } else { None },
        parents: copy.parents,
        destination: Destination {
            text: wanted.destination,
            working_dir: stage.state.config.working_dir.clone(),
            is_link: copy.link,
        },
        top: stage.state.top,
    };
    let make = Box::new(move || {
        if pieces.is_empty() {
            return Ok(None);
        }
        let root = open(build, layer.top)?;
        copy_layer::make(build, &layer, &root, origin.tree()?, &pieces).map(Some)
    });
    Ok(Prepared { keys, known: None, created_by, make })
}

/// An instruction with what stands for the files that it copies, so that it is another one when they are others.
fn said_with(text: &str, content: Digest) -> String {
    format!("{text} # {}", &content.hex()[..32])
}

fn pieces(
    build: &Build<'_>,
    wanted: &ExpandedCopy,
    origin: &Origin<'_, '_>,
    copy: &Copy,
) -> Result<Vec<Piece>, StepError> {
    let mut pieces = Vec::new();
    for source in &wanted.sources {
        match source {
            Source::Text { name, content } => {
                pieces.push(Piece::Text { name: name.clone(), content: content.clone() });
            }
            Source::Url(url) => {
                let file = fetch::fetch(build, url, build.context.work_dir())?;
                fetch::check(url, &file.path, copy.checksum.as_deref())?;
                pieces.push(Piece::Fetched { name: fetch::file_name(url), url: url.clone(), file });
            }
            Source::Path(path) => pieces.extend(found(origin, path, &wanted.excludes, copy.parents)?),
        }
    }
    Ok(pieces)
}

/// What a path or pattern stands for; a pattern may stand for nothing.
fn found(
    origin: &Origin<'_, '_>,
    path: &str,
    excludes: &Patterns,
    with_parents: bool,
) -> Result<Vec<Piece>, StepError> {
    let tree = origin.tree()?;
    let trouble = || StepError::file(format!("read {path} of {}", origin.name()));
    let is_pattern = dockerignore::is_pattern(path);
    // Of `a/./b/c` the parents begin at b.
    let above = path.split_once("/./").filter(|_| with_parents).map_or(0, |(above, _)| plain(above).iter().count());
    let paths = match is_pattern {
        true => matching(tree, path, with_parents).map_err(trouble())?,
        false => vec![plain(path)],
    };
    let mut pieces = Vec::new();
    for path in paths {
        let real = tree.real(&path).map_err(trouble())?;
        let name = path.file_name().unwrap_or_default().to_owned();
        let is_directory = match tree.entry(&real) {
            Ok(Some(entry)) if !entry.is_whiteout() => entry.kind() == FileType::Directory,
            _ if is_pattern => continue,
            _ => return Err(StepError::NotThere(path.display().to_string(), origin.name())),
        };
        let mut keep = |relative: &Path, _| {
            let shown = if relative.as_os_str().is_empty() && !is_directory { Path::new(&name) } else { relative };
            match !shown.as_os_str().is_empty() && excludes.excludes(&shown.to_string_lossy()) {
                true if excludes.has_exceptions() => WalkDecision::Below,
                true => WalkDecision::Nothing,
                false => WalkDecision::It,
            }
        };
        let entries = find(tree, &real, &mut keep).map_err(trouble())?;
        if !entries.is_empty() {
            let parent = path.parent().into_iter().flatten().skip(above).collect();
            pieces.push(Piece::Tree { name, is_dir: is_directory, parent, real, entries });
        }
    }
    Ok(pieces)
}

/// The paths that match a pattern, component by component. `**` is any number of directories if it is `deep`, else one.
fn matching(tree: &Tree, pattern: &str, deep: bool) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = vec![PathBuf::new()];
    for component in pattern.split('/').filter(|component| !matches!(*component, "" | "." | "..")) {
        if !dockerignore::is_pattern(component) {
            paths.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let glob = Glob::new(component).map_err(std::io::Error::other)?;
        let mut matched = Vec::new();
        for path in paths {
            if deep && component == "**" {
                matched.extend(directories(tree, &path)?);
                continue;
            }
            let real = tree.real(&path)?;
            let Some(entry) = tree.entry(&real)? else { continue };
            let names = entry.names()?;
            matched.extend(
                names.into_iter().filter(|name| glob.matches(&name.to_string_lossy())).map(|name| path.join(name)),
            );
        }
        paths = matched;
    }
    Ok(paths)
}

/// A directory and all below it.
fn directories(tree: &Tree, path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let real = tree.real(path)?;
    let all = find(tree, &real, &mut |_, is_dir| if is_dir { WalkDecision::It } else { WalkDecision::Nothing })?;
    Ok(all.into_iter().map(|found| path.join(found.relative)).collect())
}

fn digest(origin: &Origin<'_, '_>, pieces: &[Piece]) -> Result<Digest, StepError> {
    let mut hash = key::ContentHash::default();
    for piece in pieces {
        match piece {
            Piece::Tree { name, entries, parent, .. } => {
                let tree = origin.tree()?;
                hash.text(name.as_encoded_bytes());
                hash.text(parent.as_os_str().as_encoded_bytes());
                for entry in entries {
                    let trouble = StepError::file(format!("read {} of {}", entry.path.display(), origin.name()));
                    hash.file(tree, entry, !origin.is_context()).map_err(trouble)?;
                }
            }
            Piece::Fetched { url, file, .. } => {
                hash.text(fetch::check(url, &file.path, None)?.to_string().as_bytes());
            }
            Piece::Text { name, content } => {
                hash.text(name.as_bytes());
                hash.text(content.as_bytes());
            }
        }
    }
    Ok(hash.finish())
}

/// `WORKDIR`: the directory is made if it isn't there.
pub(super) fn working_dir<'a, 's>(stage: &mut StageBuild<'a, 's>, word: &str) -> Result<Prepared<'a>, StepError> {
    let build = stage.build;
    let path = stage.expand(word)?;
    let parent_key = key::parent_key(&stage.state);
    let config = std::mem::take(&mut stage.state.config);
    stage.state.config = apply_changes(&[Change::WorkingDir(path)], config);
    let (path, top) = (stage.state.config.working_dir.clone(), stage.state.top);
    let user = stage.state.config.user.clone();
    let keys = vec![key::of(&("WORKDIR", parent_key, &path, build.epoch))];
    let created_by = format!("WORKDIR {path}");
    let make = Box::new(move || copy_layer::make_directory(build, top, &open(build, top)?, (&path, &user)));
    Ok(Prepared { keys, known: None, created_by, make })
}
