//! Out of a container.

use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use tar::Archive;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::command::Context;
use crate::command::download;
use crate::engine::{Response, container};
use crate::failure::Failure;
use crate::flags::files::CpFlags;
use crate::request::copy::{ContainerPath, Existing, Plan, base, means_content, plan};

use super::{look, stat, tell};

pub(super) async fn copy(context: &Context, flags: &CpFlags, from: ContainerPath, to: &str) -> Result<(), Failure> {
    if to == "-" {
        download::check(None)?;
        let (from, _) = followed(context, flags, from, to).await?;
        return download::write(archive(context, &from).await?, None).await;
    }
    let (from, to) = followed(context, flags, from, to).await?;
    let reply = archive(context, &from).await?;
    let stat = stat(&reply, &from)?;
    let unpacking = Unpacking {
        plan: plan(stat.is_directory(), &to, existing(&to)?)?,
        top: base(&from.path).to_owned(),
        mode: stat.mode & 0o777,
        owners: flags.archive,
    };
    let stream = reply.chunks().map(|piece| piece.map_err(io::Error::other));
    let reader = SyncIoBridge::new(StreamReader::new(stream));
    let shown = to.clone();
    let unpacked = tokio::task::spawn_blocking(move || unpacking.run(reader)).await;
    let failed = |source| Failure::Io { doing: format!("write {shown}"), source };
    let bytes = unpacked.map_err(io::Error::other).and_then(|unpacked| unpacked).map_err(failed)?;
    tell(flags, if stat.is_directory() { bytes } else { stat.size }, &to);
    Ok(())
}

async fn archive(context: &Context, from: &ContainerPath) -> Result<Response, Failure> {
    let request = context.engine.get(container(&from.container, "/archive")?).query("path", &from.path);
    Ok(request.send().await?)
}

/// With `-L`, what a link leads to, which keeps the link's name.
async fn followed(
    context: &Context,
    flags: &CpFlags,
    from: ContainerPath,
    to: &str,
) -> Result<(ContainerPath, String), Failure> {
    let link = if flags.follow_link { look(context, &from).await? } else { None };
    let Some(link) = link.filter(|stat| stat.is_link()) else { return Ok((from, to.to_owned())) };
    let mut target = ContainerPath { container: from.container.clone(), path: link.link_target };
    if to == "-" || !Path::new(to).is_dir() {
        return Ok((target, to.to_owned()));
    }
    let to = Path::new(to).join(base(&from.path));
    let is_directory = look(context, &target).await?.is_some_and(|stat| stat.is_directory());
    if is_directory && to.is_dir() {
        target.path += "/.";
    }
    Ok((target, to.to_string_lossy().into_owned()))
}

fn existing(path: &str) -> Result<Existing, Failure> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Existing::Directory),
        Ok(metadata) if metadata.is_file() => Ok(Existing::File),
        Ok(_) => {
            Err(Failure::Invalid(format!("{path} is neither a directory nor a regular file: copy somewhere else")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Existing::Nothing),
        Err(source) => Err(Failure::Io { doing: format!("look at {path}"), source }),
    }
}

/// An archive that is about to become files here.
struct Unpacking {
    plan: Plan,
    /// The name of the topmost member.
    top: String,
    mode: u32,
    owners: bool,
}

impl Unpacking {
    /// Answers how many bytes the archive has.
    fn run(&self, reader: impl Read) -> io::Result<u64> {
        let mut reader = Counted { reader, bytes: 0 };
        let directory = Path::new(&self.plan.directory);
        let Some(name) = &self.plan.name else {
            self.unpack(&mut reader, directory)?;
            return Ok(reader.bytes);
        };
        // Beside its place and then moved there: it has its new name when it is whole.
        let aside = tempfile::Builder::new().prefix(".berth-cp-").tempdir_in(directory)?;
        self.unpack(&mut reader, aside.path())?;
        let destination = directory.join(name);
        if means_content(&self.top) || self.top == "/" {
            let whole = aside.keep();
            std::fs::set_permissions(&whole, Permissions::from_mode(self.mode))?;
            std::fs::rename(whole, destination)?;
        } else {
            std::fs::rename(aside.path().join(&self.top), through_link(destination))?;
        }
        Ok(reader.bytes)
    }

    /// Members that would leave the directory aren't unpacked.
    fn unpack(&self, reader: &mut impl Read, directory: &Path) -> io::Result<()> {
        let mut archive = Archive::new(&mut *reader);
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(self.owners);
        archive.unpack(directory)?;
        io::copy(reader, &mut io::sink()).map(drop)
    }
}

/// A link to a file stays a link.
fn through_link(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

struct Counted<R> {
    reader: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
