//! Uploads to a repository: blobs that are asked for first, taken over from another repository, or sent while they
//! are made; then the manifest that names them.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Client, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::{Manifest, RegistryError};
use crate::digest::Digest;

/// Sent at once, and how many such pieces may wait for the network.
const PIECE_BYTES: usize = 128 << 10;
const PIECES: usize = 2;
/// A registry may do more for a request than look something up, and take a blob more slowly than its pieces come.
const PATIENCE: Duration = Duration::from_secs(60);
/// A registry may have to copy and hash all of a blob before it answers.
const COMMIT_PATIENCE: Duration = Duration::from_secs(600);

/// What came of asking for a blob of another repository.
pub(crate) enum Begun {
    /// It is there.
    Mounted,
    /// It has to be sent.
    Upload(Upload),
}

/// A place where a registry expects a blob.
pub(crate) struct Upload {
    endpoint: Arc<Endpoint>,
    at: Url,
}

impl Endpoint {
    /// Whether the repository has a blob.
    pub(crate) fn has_blob(&self, blob: Digest) -> Result<bool, RegistryError> {
        let ask = || self.session().send(|http| http.head(format!("{}/blobs/{blob}", self.url())));
        match self.persistently(ask) {
            Ok(_) => Ok(true),
            Err(RegistryError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has the registry take a blob over from another of its repositories, if it will.
    pub(crate) fn mount_blob(self: &Arc<Self>, blob: Digest, from: &str) -> Result<Begun, RegistryError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("mount", blob.to_string().as_str()), ("from", from)])
            .finish();
        let response = self.begin(&format!("?{query}"))?;
        match response.status() {
            StatusCode::CREATED => Ok(Begun::Mounted),
            _ => Ok(Begun::Upload(Upload { endpoint: self.clone(), at: self.location(&response)? })),
        }
    }

    /// Begins to upload a blob.
    pub(crate) fn begin_upload(self: &Arc<Self>) -> Result<Upload, RegistryError> {
        let response = self.begin("")?;
        Ok(Upload { endpoint: self.clone(), at: self.location(&response)? })
    }

    fn begin(&self, query: &str) -> Result<Response, RegistryError> {
        let url = format!("{}/blobs/uploads/{query}", self.url());
        let post = |http: &Client| http.post(&url).header(CONTENT_LENGTH, 0);
        self.persistently(|| self.session().send_patiently(post, PATIENCE))
    }

    /// Where an upload goes on.
    fn location(&self, response: &Response) -> Result<Url, RegistryError> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let url = location.and_then(|location| response.url().join(location).ok());
        url.ok_or_else(|| self.session().wrong("it doesn't say where an upload goes on"))
    }

    /// Puts a small blob there, unless it is.
    pub(crate) fn put_blob(self: &Arc<Self>, content: &Bytes) -> Result<(), RegistryError> {
        let digest = Digest::of(content);
        if self.has_blob(digest)? {
            return Ok(());
        }
        let url = committing(self.begin_upload()?.at, digest);
        let put = |http: &Client| {
            http.put(url.clone()).header(CONTENT_TYPE, "application/octet-stream").body(content.clone())
        };
        self.persistently(|| self.session().send_patiently(put, PATIENCE)).map(drop)
    }

    /// Gives a manifest a tag.
    pub(crate) fn put_manifest(&self, tag: &str, manifest: &Manifest) -> Result<(), RegistryError> {
        let url = format!("{}/manifests/{tag}", self.url());
        let put =
            |http: &Client| http.put(&url).header(CONTENT_TYPE, &manifest.media_type).body(manifest.document.clone());
        self.persistently(|| self.session().send_patiently(put, PATIENCE)).map(drop)
    }
}

/// The request that ends an upload.
fn committing(mut at: Url, digest: Digest) -> Url {
    at.query_pairs_mut().append_pair("digest", &digest.to_string());
    at
}

impl Upload {
    /// Begins to send the blob.
    pub(crate) fn open(self) -> Result<BlobWriter, RegistryError> {
        let (pieces, body) = mpsc::channel::<Bytes>(PIECES);
        let body = stream::unfold(body, |mut body| async { Some((Ok::<_, io::Error>(body.recv().await?), body)) });
        let session = self.endpoint.session();
        let request = session.http.patch(self.at).header(CONTENT_TYPE, "application/octet-stream");
        let answer = session.execute(request.body(Body::wrap_stream(body)))?;
        Ok(BlobWriter {
            endpoint: self.endpoint.clone(),
            pieces: Some(pieces),
            answer,
            piece: BytesMut::with_capacity(PIECE_BYTES),
            size_bytes: 0,
            hasher: Sha256::new(),
            failure: None,
        })
    }
}

/// A blob on its way to a registry, hashed as it goes. What isn't finished isn't there.
pub(crate) struct BlobWriter {
    endpoint: Arc<Endpoint>,
    /// To the connection; none after the last one.
    pieces: Option<mpsc::Sender<Bytes>>,
    answer: JoinHandle<reqwest::Result<Response>>,
    piece: BytesMut,
    size_bytes: u64,
    hasher: Sha256,
    failure: Option<RegistryError>,
}

impl BlobWriter {
    /// Ends the blob, which is in the repository then. Answers its digest and size.
    pub(crate) fn finish(mut self) -> Result<(Digest, u64), RegistryError> {
        self.send()?;
        self.pieces = None;
        let response = self.answer()?;
        let (digest, at) = (Digest::from_hash(self.hasher.clone()), self.endpoint.location(&response)?);
        let url = committing(at, digest);
        let session = self.endpoint.session();
        let put = |http: &Client| http.put(url.clone()).header(CONTENT_LENGTH, 0);
        session.wait(session.send_patiently(put, COMMIT_PATIENCE))?;
        Ok((digest, self.size_bytes))
    }

    /// Why writing failed, if it was the registry's doing; whoever writes only knows that it did.
    pub(crate) fn take_failure(&mut self) -> Option<RegistryError> {
        self.failure.take()
    }

    /// What the registry says when it has everything, or won't have more.
    fn answer(&mut self) -> Result<Response, RegistryError> {
        let session = self.endpoint.session();
        let answer = &mut self.answer;
        session.wait(async {
            let joined = timeout(COMMIT_PATIENCE, answer).await.map_err(|_| session.silent(COMMIT_PATIENCE))?;
            let response =
                joined.map_err(|_| session.broken(io::ErrorKind::BrokenPipe, "the upload was interrupted"))?;
            session.accepted(response.map_err(|error| session.cut(error))?).await
        })
    }

    fn send(&mut self) -> Result<(), RegistryError> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = mem::replace(&mut self.piece, BytesMut::with_capacity(PIECE_BYTES)).freeze();
        self.hasher.update(&piece);
        self.size_bytes += piece.len() as u64;
        let session = self.endpoint.session();
        let Some(pieces) = &self.pieces else { return Ok(()) };
        let sent = async { timeout(PATIENCE, pieces.send(piece)).await.map_err(|_| session.silent(PATIENCE)) };
        let taken = session.wait(sent)?;
        if taken.is_ok() {
            return Ok(());
        }
        self.answer()?;
        Err(self.endpoint.session().wrong("it accepted a part of a blob only"))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES
            && let Err(failure) = self.send()
        {
            let told = io::Error::other(failure.to_string());
            self.failure = Some(failure);
            return Err(told);
        }
        Ok(taken)
    }

    /// Nothing: pieces are sent when they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // The end of its body would look like the blob's.
        self.answer.abort();
    }
}
