//! `RUN --mount`: prepares what a Dockerfile asks to be mounted for a step.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use images::files::{Tree, plain};
use images::steps::{CacheGuard, CacheRequest, CacheUse};
use images::{Digest, Error};
use rustix::fs::FileType;
use tempfile::TempDir;

use super::copy_step::{Origin, origin};
use super::dockerfile::{CacheSharing, MountKind, MountSource, Problem, WrittenMount};
use super::schedule::Build;
use super::stage::StageBuild;
use super::tree_search::{WalkDecision, find};
use super::{BuildEvent, StepError, StepMount, StepMountKind, key};

/// Where a here-document that is a script is found.
pub(super) const SCRIPT: &str = "/dev/pipes/EOF";
const SECRET_MODE: u32 = 0o400;
const CACHE_MODE: u32 = 0o755;

/// The mounts of a step, with everything expanded.
pub(super) struct StepMounts<'a, 's> {
    /// What of them decides about the step's result.
    pub(super) key: Vec<String>,
    wanted: Vec<PlannedMount<'a, 's>>,
}

struct PlannedMount<'a, 's> {
    /// Where, if anywhere.
    target: Option<PathBuf>,
    readonly: bool,
    kind: PlannedMountKind<'a, 's>,
}

enum PlannedMountKind<'a, 's> {
    Bind { origin: Origin<'a, 's>, path: PathBuf },
    Cache { request: CacheRequest, begins_with: Option<(Origin<'a, 's>, PathBuf)> },
    Tmpfs { size_bytes: Option<u64> },
    File { content: Vec<u8>, owner: (u32, u32), mode: u32, variable: Option<String> },
}

/// Mounts that are ready; they go when this is dropped.
pub(super) struct PreparedMounts<'a> {
    mounts: Vec<StepMount>,
    variables: Vec<String>,
    _caches: CacheGuard<'a>,
    _secrets: Option<TempDir>,
}

impl PreparedMounts<'_> {
    pub(super) fn mounts(&self) -> &[StepMount] {
        &self.mounts
    }

    /// Secrets for the environment.
    pub(super) fn variables(&self) -> &[String] {
        &self.variables
    }
}

/// What the mounts of a `RUN` mean. Touches nothing yet.
pub(super) fn prepare<'a, 's>(
    stage: &StageBuild<'a, 's>,
    mounts: &[WrittenMount],
) -> Result<StepMounts<'a, 's>, StepError> {
    let mut all = StepMounts { key: Vec::new(), wanted: Vec::new() };
    for mount in mounts {
        if let Some((wanted, key)) = wanted(stage, mount)? {
            all.wanted.push(wanted);
            all.key.push(key);
        }
    }
    Ok(all)
}

/// `None` for what isn't given and needn't be.
fn wanted<'a, 's>(
    stage: &StageBuild<'a, 's>,
    written: &WrittenMount,
) -> Result<Option<(PlannedMount<'a, 's>, String)>, StepError> {
    let mount = written.expanded(|text| stage.expand(text))?;
    let absolute = |target: &str| Path::new("/").join(plain(&format!("{}/{target}", base_of(stage, target))));
    let mut target = mount.target.as_deref().map(absolute);
    if !matches!(mount.kind, MountKind::Secret { .. } | MountKind::Ssh { .. }) {
        let place = target.get_or_insert_with(|| absolute(""));
        if place.parent().is_none() {
            return Err(StepError::Invalid("invalid mount target \"/\": say where to mount it by target=…".to_owned()));
        }
    }
    let shown = |target: &Option<PathBuf>| target.clone().unwrap_or_default().display().to_string();
    let taken = |source: &MountSource| -> Result<_, StepError> {
        let origin = origin(stage, source.from.as_deref())?;
        let path = plain(&source.path);
        let content = origin.digest(&path)?;
        Ok((origin, path, content))
    };
    let (kind, key) = match mount.kind {
        MountKind::Bind(source) => {
            let (origin, path, content) = taken(&source)?;
            (PlannedMountKind::Bind { origin, path }, format!("bind {content}"))
        }
        MountKind::Cache { id, sharing, owner, begins_with } => {
            let id = id.unwrap_or_else(|| shown(&target));
            let how = match sharing {
                CacheSharing::Shared => CacheUse::Shared,
                CacheSharing::Private => CacheUse::Another,
                CacheSharing::Locked => CacheUse::Alone,
            };
            let key = format!("cache {id}");
            let mode = owner.mode.unwrap_or(CACHE_MODE);
            let begins_with = begins_with.as_ref().map(taken).transpose()?;
            // What began with something else is another cache.
            let id = begins_with.as_ref().map_or(id.clone(), |(_, _, content)| format!("{id} from {content}"));
            let request = CacheRequest { id, how, owner: (owner.uid, owner.gid), mode };
            let begins_with = begins_with.map(|(origin, path, _)| (origin, path));
            (PlannedMountKind::Cache { request, begins_with }, key)
        }
        MountKind::Tmpfs { size_bytes } => (PlannedMountKind::Tmpfs { size_bytes }, "tmpfs".to_owned()),
        MountKind::Secret { id, is_required, variable, owner } => {
            let of_target = || target.as_ref()?.file_name()?.to_str().map(str::to_owned);
            let id = id.or_else(of_target).unwrap_or_default();
            let Some(content) = stage.build.request.secrets.get(&id) else {
                return match is_required {
                    true => Err(StepError::Invalid(format!("secret {id} isn't given: give it with --secret id={id}"))),
                    false => Ok(None),
                };
            };
            if target.is_none() && variable.is_none() {
                target = Some(absolute(&format!("/run/secrets/{id}")));
            }
            let mode = owner.mode.unwrap_or(SECRET_MODE);
            let owner = (owner.uid, owner.gid);
            // What a secret holds decides about nothing, or it could be guessed from what is carried out.
            (PlannedMountKind::File { content: content.clone(), owner, mode, variable }, format!("secret {id}"))
        }
        MountKind::Ssh { is_required: false } => return Ok(None),
        MountKind::Ssh { is_required: true } => {
            let reason = "an SSH agent is required, and none is forwarded here: leave required away, or use a secret";
            return Err(StepError::Invalid(reason.to_owned()));
        }
    };
    let key = format!("{key} {} {}", shown(&target), mount.readonly);
    Ok(Some((PlannedMount { target, readonly: mount.readonly, kind }, key)))
}

impl From<Problem> for StepError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem.to_string())
    }
}

fn base_of<'a>(stage: &'a StageBuild<'_, '_>, target: &str) -> &'a str {
    if target.starts_with('/') { "/" } else { &stage.state.config.working_dir }
}

impl<'s> StepMounts<'_, 's> {
    /// A script that is executed as it is.
    pub(super) fn add_script(&mut self, text: String) {
        self.key.push(text.clone());
        let kind = PlannedMountKind::File { content: text.into_bytes(), owner: (0, 0), mode: 0o755, variable: None };
        self.wanted.push(PlannedMount { target: Some(SCRIPT.into()), readonly: true, kind });
    }

    /// Makes all of it ready, waiting for caches that others use. `place` is for files that are copied.
    pub(super) fn set_up(self, build: &Build<'s>, stage: usize, place: &Path) -> Result<PreparedMounts<'s>, StepError> {
        let caches = self.wanted.iter().filter_map(|wanted| match &wanted.kind {
            PlannedMountKind::Cache { request, begins_with } => Some((request, begins_with)),
            _ => None,
        });
        let (wishes, contents): (Vec<_>, Vec<_>) = caches.unzip();
        let waiting = || build.tell(stage, BuildEvent::Waiting);
        let begin = |at: usize, work: &Path| {
            let (origin, path): &(Origin<'_, '_>, PathBuf) = contents.get(at).copied()?.as_ref()?;
            Some(cache_content(build, origin, path, work))
        };
        let caches = build.store.acquire_caches(&wishes, &build.request.called_off, waiting, &begin);
        let caches = caches.map_err(|error| match error {
            Error::CalledOff => StepError::CalledOff,
            error => error.into(),
        })?;
        let mut cache_paths = caches.paths().into_iter();
        let mut held = PreparedMounts { mounts: Vec::new(), variables: Vec::new(), _caches: caches, _secrets: None };
        for (at, PlannedMount { target, readonly, kind }) in self.wanted.into_iter().enumerate() {
            let kind = match kind {
                PlannedMountKind::Bind { origin, path } => {
                    StepMountKind::Bind(bind(build, &origin, &path, readonly, &place.join(format!("bind-{at}")))?)
                }
                PlannedMountKind::Cache { .. } => StepMountKind::Bind(cache_paths.next().expect("a path for each")),
                PlannedMountKind::Tmpfs { size_bytes } => StepMountKind::Tmpfs { size_bytes },
                PlannedMountKind::File { content, owner, mode, variable } => {
                    if let Some(variable) = variable {
                        held.variables.push(format!("{variable}={}", String::from_utf8_lossy(&content)));
                    }
                    if target.is_none() {
                        continue;
                    }
                    let dir = match held._secrets.take() {
                        Some(dir) => dir,
                        None => build.store.secret_dir()?,
                    };
                    let path = dir.path().join(at.to_string());
                    held._secrets = Some(dir);
                    write(&path, &content, owner, mode).map_err(StepError::file("put a secret in its place"))?;
                    StepMountKind::Bind(path)
                }
            };
            held.mounts.extend(target.map(|target| StepMount { target, readonly, kind }));
        }
        Ok(held)
    }
}

fn write(path: &Path, content: &[u8], owner: (u32, u32), mode: u32) -> io::Result<()> {
    fs::write(path, content)?;
    chown(path, Some(owner.0), Some(owner.1))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Files for a bind: the context's own if they can't be written to, else copies that go with the step.
fn bind(
    build: &Build<'_>,
    origin: &Origin<'_, '_>,
    path: &Path,
    readonly: bool,
    copy: &Path,
) -> Result<PathBuf, StepError> {
    let trouble = || StepError::file(format!("take {} from {}", path.display(), origin.name()));
    let tree = origin.tree()?;
    let real = tree.real(path).map_err(trouble())?;
    let Some(entry) = tree.entry(&real).map_err(trouble())? else {
        return Err(StepError::NotThere(path.display().to_string(), origin.name()));
    };
    if readonly && origin.is_context() {
        return Ok(build.context.root().join(real));
    }
    fs::create_dir(copy).map_err(trouble())?;
    let is_dir = entry.kind() == FileType::Directory;
    let name = if is_dir { "." } else { "file" };
    let root = build.store.copy_files(&Tree::new(entry), name.as_ref(), copy).map_err(trouble())?;
    Ok(if is_dir { root } else { root.join(name) })
}

/// What a new cache begins with: a copy below `work`.
fn cache_content(build: &Build<'_>, origin: &Origin<'_, '_>, path: &Path, work: &Path) -> io::Result<PathBuf> {
    let tree = origin.tree().map_err(io::Error::other)?;
    let entry = tree.entry(&tree.real(path)?)?.filter(|entry| entry.kind() == FileType::Directory);
    let entry = entry.ok_or_else(|| {
        let reason =
            format!("{} of {} isn't a directory, which a cache has to begin with", path.display(), origin.name());
        io::Error::other(reason)
    })?;
    build.store.copy_files(&Tree::new(entry), ".".as_ref(), work)
}

/// A digest of what is at a path and below it.
pub(super) fn content(tree: &Tree, path: &Path) -> io::Result<Digest> {
    let mut hash = key::ContentHash::default();
    let real = tree.real(path)?;
    for found in find(tree, &real, &mut |_, _| WalkDecision::It)? {
        hash.file(tree, &found, true)?;
    }
    Ok(hash.finish())
}
