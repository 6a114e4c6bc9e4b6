//! The stream of events: one JSON object a line, for as long as netd lives.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use cnm::api::Event;
use futures::{Stream, ready};
use hyper::body::{Body, Incoming};

use crate::Error;

const REQUEST: &str = "GET /v1/events";

/// Events as they happen. Ends after its first error.
#[derive(Debug)]
pub struct EventStream {
    body: Option<Incoming>,
    lines: Lines,
}

impl EventStream {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body: Some(body), lines: Lines::default() }
    }

    fn end(&mut self, error: Error) -> Poll<Option<Result<Event, Error>>> {
        self.body = None;
        self.lines.complete.clear();
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for EventStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(line) = self.lines.complete.pop_front() {
                return match serde_json::from_slice(&line) {
                    Ok(event) => Poll::Ready(Some(Ok(event))),
                    Err(source) => self.end(Error::Protocol { request: REQUEST.to_owned(), source: Box::new(source) }),
                };
            }
            let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
            match ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.lines.push(&data);
                    }
                }
                Some(Err(source)) => {
                    return self.end(Error::Interrupted { request: REQUEST.to_owned(), source: Box::new(source) });
                }
                None => {
                    self.body = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// Cuts a stream of bytes into lines; chunks of a body end anywhere.
#[derive(Debug, Default)]
struct Lines {
    rest: BytesMut,
    complete: VecDeque<Bytes>,
}

impl Lines {
    fn push(&mut self, data: &[u8]) {
        // What was there before holds no line end: only the new part has to be searched.
        let mut searched = self.rest.len();
        self.rest.extend_from_slice(data);
        while let Some(at) = self.rest[searched..].iter().position(|&byte| byte == b'\n') {
            let mut line = self.rest.split_to(searched + at + 1);
            line.truncate(searched + at);
            if !line.is_empty() {
                self.complete.push_back(line.freeze());
            }
            searched = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn lines_are_cut_wherever_chunks_end() {
        let text = b"one\ntwo\n\nthree\nrest";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            text.chunks(size).for_each(|chunk| lines.push(chunk));
            let complete: Vec<_> = lines.complete.iter().map(|line| &line[..]).collect();
            assert_eq!(complete, [b"one".as_slice(), b"two", b"three"], "chunks of {size}");
            assert_eq!(&lines.rest[..], b"rest", "chunks of {size}");
        }
    }
}
