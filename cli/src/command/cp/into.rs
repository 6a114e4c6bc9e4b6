//! Into a container.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tar::Builder;
use tokio::task::JoinHandle;
use tokio_util::io::{ReaderStream, SyncIoBridge};

use crate::command::Context;
use crate::engine::container;
use crate::failure::Failure;
use crate::flags::files::CpFlags;
use crate::request::copy::{ContainerPath, Existing, base, means_content, plan};
use crate::terminal;

use super::{look, tell};

const PIECE_BYTES: usize = 256 * 1024;

pub(super) async fn copy(context: &Context, flags: &CpFlags, from: &str, to: ContainerPath) -> Result<(), Failure> {
    let shown = format!("{}:{}", to.container, to.path);
    let (to, existing) = destination(context, to).await?;
    if from == "-" {
        if existing != Existing::Directory {
            return Err(Failure::Invalid(format!("destination \"{shown}\" must be a directory")));
        }
        if terminal::is_stdin_terminal() {
            let advice = "pipe an archive in";
            return Err(Failure::Invalid(format!("standard input is a terminal and holds no archive: {advice}")));
        }
        let archive = ReaderStream::with_capacity(tokio::io::stdin(), PIECE_BYTES);
        return send(context, flags, &to, &to.path, archive).await;
    }
    let source = Source::find(from, flags.follow_link)
        .map_err(|source| Failure::Io { doing: format!("look at {from}"), source })?;
    let plan = plan(source.metadata.is_dir(), &to.path, existing)?;
    let bytes = source.metadata.len();
    let name = plan.name.unwrap_or_else(|| source.name.clone());
    send(context, flags, &to, &plan.directory, source.packed(name)).await?;
    tell(flags, bytes, &shown);
    Ok(())
}

/// What is at the destination; behind a link, what that leads to.
async fn destination(context: &Context, mut to: ContainerPath) -> Result<(ContainerPath, Existing), Failure> {
    let mut found = look(context, &to).await?;
    if let Some(link) = found.as_ref().filter(|stat| stat.is_link()) {
        to.path.clone_from(&link.link_target);
        found = look(context, &to).await?;
    }
    let existing = match found {
        Some(stat) if stat.is_directory() => Existing::Directory,
        Some(_) => Existing::File,
        None => Existing::Nothing,
    };
    Ok((to, existing))
}

async fn send(
    context: &Context,
    flags: &CpFlags,
    to: &ContainerPath,
    directory: &str,
    archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Result<(), Failure> {
    let request = context.engine.put(container(&to.container, "/archive")?).query("path", directory);
    let request = request.query("noOverwriteDirNonDir", true).query("copyUIDGID", flags.archive);
    Ok(request.stream(archive).send().await?.done().await?)
}

/// Something here that is to be copied.
struct Source {
    path: PathBuf,
    metadata: Metadata,
    /// What it is called in an archive: `.` for a directory's content.
    name: String,
    follow: bool,
}

impl Source {
    fn find(path: &str, follow: bool) -> io::Result<Self> {
        let follow = follow || path.ends_with('/') || means_content(path);
        let metadata = if follow { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) }?;
        let name = match base(path) {
            // Its name is known only where it leads to.
            ".." => Path::new(path).canonicalize()?.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            name => name.to_owned(),
        };
        Ok(Self { path: path.into(), metadata, name, follow })
    }

    /// Its archive, packed by a thread of its own while it is sent.
    fn packed(self, name: String) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (reader, writer) = tokio::io::duplex(PIECE_BYTES);
        let packing = tokio::task::spawn_blocking(move || self.pack(&name, SyncIoBridge::new(writer)));
        ReaderStream::with_capacity(reader, PIECE_BYTES)
            .chain(stream::once(outcome(packing)).filter_map(async |end| end))
    }

    fn pack(&self, name: &str, output: impl io::Write) -> io::Result<()> {
        let mut archive = Builder::new(output);
        archive.follow_symlinks(false);
        // The root's content is named by itself, as any directory's of which that is meant.
        let name = if name == "/" { "." } else { name };
        if self.metadata.is_dir() {
            archive.append_dir_all(name, &self.path)?;
        } else {
            let path = if self.follow { self.path.canonicalize()? } else { self.path.clone() };
            archive.append_path_with_name(path, name)?;
        }
        archive.finish()
    }
}

/// An error where packing has ended early: half an archive must not look like a whole one.
async fn outcome(packing: JoinHandle<io::Result<()>>) -> Option<io::Result<Bytes>> {
    packing.await.map_err(io::Error::other).and_then(|packed| packed).err().map(Err)
}
