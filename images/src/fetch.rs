//! Files from the network, by URL.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::StatusCode;
use reqwest::header::LAST_MODIFIED;

use crate::error::ErrorKind;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Without a byte for so long, a connection counts as cut.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const TELL_EVERY_BYTES: u64 = 1 << 20;

/// Why a file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Its server refuses.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// It is larger than any file of an image may be. Holds the limit.
    #[error("it has more than {0} bytes")]
    TooLong(u64),
    /// Its server can't be reached, or stops in the middle.
    #[error("{0}")]
    Connection(String),
    /// There is no room for it.
    #[error("it can't be written: {0}")]
    Write(io::Error),
}

impl FetchError {
    /// What kind of answer it deserves.
    pub fn kind(&self) -> ErrorKind {
        match self {
            FetchError::Status(StatusCode::NOT_FOUND | StatusCode::GONE) => ErrorKind::NotFound,
            FetchError::Status(status) if status.is_client_error() => ErrorKind::InvalidParameter,
            FetchError::TooLong(_) => ErrorKind::InvalidParameter,
            FetchError::Status(_) | FetchError::Connection(_) | FetchError::Write(_) => ErrorKind::Internal,
        }
    }

    /// Its URL is said by whoever has it.
    fn connection(error: reqwest::Error, patience: Duration) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return FetchError::Connection(silence(patience));
        }
        FetchError::Connection(reason::last_cause(&error))
    }
}

/// What is wrong with a connection on which nothing comes.
pub(crate) fn silence(patience: Duration) -> String {
    format!("nothing came for {} s", patience.as_secs_f64())
}

/// Hears how many bytes there are, and of how many if that is known: first of none, when the server has answered, and then
/// about once a mebibyte.
pub type FetchProgress<'a> = &'a (dyn Fn(u64, Option<u64>) + Sync);

/// Fetches a file, and answers with when its server says that it was changed, in seconds since 1970.
pub(crate) async fn get(
    url: &str,
    file: &mut File,
    limit_bytes: u64,
    heard: FetchProgress<'_>,
) -> Result<Option<i64>, FetchError> {
    get_patiently(url, file, limit_bytes, heard, PATIENCE).await
}

async fn get_patiently(
    url: &str,
    file: &mut File,
    limit_bytes: u64,
    heard: FetchProgress<'_>,
    patience: Duration,
) -> Result<Option<i64>, FetchError> {
    let failed = |error| FetchError::connection(error, patience);
    let client = reqwest::Client::builder()
        .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(patience)
        .build()
        .map_err(failed)?;
    let response = client.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status()));
    }
    let total_bytes = response.content_length();
    let modified = response.headers().get(LAST_MODIFIED).and_then(|value| value.to_str().ok());
    let modified = modified.and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|at| at.timestamp().as_second());
    heard(0, total_bytes);
    let (mut pieces, mut done_bytes, mut told_bytes) = (response.bytes_stream(), 0, 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(failed)?;
        done_bytes += piece.len() as u64;
        if done_bytes > limit_bytes {
            return Err(FetchError::TooLong(limit_bytes));
        }
        file.write_all(&piece).map_err(FetchError::Write)?;
        if done_bytes >= told_bytes + TELL_EVERY_BYTES {
            told_bytes = done_bytes;
            heard(done_bytes, total_bytes);
        }
    }
    Ok(modified)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn a_server_that_falls_silent_is_given_up() {
        // As whoever makes registries does.
        rustls::crypto::ring::default_provider().install_default().ok();
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly the beginning"] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let url = format!("http://{}/x", listener.local_addr().expect("its port"));
            thread::spawn(move || {
                let (mut client, _) = listener.accept().expect("a client");
                assert!(client.read(&mut [0; 4096]).expect("a request") > 0);
                client.write_all(answer.as_bytes()).expect("an answer");
                // Until the client hangs up.
                io::copy(&mut client, &mut io::sink()).ok();
            });
            let mut file = tempfile::tempfile().expect("a file");
            let patience = Duration::from_millis(300);
            let failure = get_patiently(&url, &mut file, 1 << 20, &|_, _| {}, patience).await.expect_err("too little");
            assert_eq!(failure.to_string(), "nothing came for 0.3 s");
        }
    }
}
