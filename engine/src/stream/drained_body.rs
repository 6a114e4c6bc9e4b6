//! Drains what nobody reads of a request's body: it is thrown away as it comes, or a client that is still sending would see a broken
//! connection instead of the reply.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;

/// How long a client that has its reply is heard out. Most stop sending when it comes; a few send all they have before they
/// read it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Middleware around everything: whatever a handler leaves of a request's body, because it refuses or has what it needs, is
/// read while the reply goes out.
pub(crate) async fn drain_body(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(DrainedBody(body)))).await
}

/// A body whose rest is read when it is dropped.
struct DrainedBody(Body);

impl HttpBody for DrainedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.0).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.0 = Body::empty();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        if self.is_end_stream() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(discard(std::mem::take(&mut self.0), PATIENCE));
        }
    }
}

/// Reads to the end, which a broken connection is as well.
async fn discard(body: Body, patience: Duration) {
    let mut pieces = body.into_data_stream();
    let to_the_end = async { while let Some(Ok(_)) = pieces.next().await {} };
    // Whoever sends for longer than that is cut off.
    let _ = tokio::time::timeout(patience, to_the_end).await;
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn nobody_is_heard_out_for_ever() {
        discard(Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>()), Duration::ZERO).await;
    }
}
