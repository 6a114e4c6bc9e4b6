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

/// Events as they happen. Those of kinds that only a newer netd knows are [`Unknown`](cnm::api::EventKind::Unknown), those of
/// another shape aren't told. Ends after its first error.
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
                match understood(&line) {
                    Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                    Ok(None) => continue,
                    Err(source) => {
                        return self.end(Error::Protocol { request: REQUEST.to_owned(), source: Box::new(source) });
                    }
                }
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

/// The event of a line. One of another shape, as a newer netd may have, is none of ours; what is no object is no line of netd's.
fn understood(line: &[u8]) -> Result<Option<Event>, serde_json::Error> {
    match serde_json::from_slice(line) {
        Ok(event) => Ok(Some(event)),
        Err(_) => serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).map(|_| None),
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
    use cnm::api::EventKind;

    use super::{Lines, understood};

    #[test]
    fn what_only_a_newer_netd_tells_is_passed_over() {
        let line =
            |what: &str| format!(r#"{{"revision":7,"at":"2026-11-21T10:00:00Z","what":{what},"service":{{"n":1}}}}"#);
        let kind = |what: &str| understood(line(what).as_bytes()).expect("a line").map(|event| event.what);
        assert_eq!(kind(r#""network_created""#), Some(EventKind::NetworkCreated));
        assert_eq!(kind(r#""service_moved""#), Some(EventKind::Unknown));
        assert_eq!(kind(r#"{"service_moved":{"to":"b"}}"#), None);
        for no_line in ["[]", "7", "{", "HTTP/1.1 400"] {
            assert!(understood(no_line.as_bytes()).is_err(), "{no_line}");
        }
    }

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
