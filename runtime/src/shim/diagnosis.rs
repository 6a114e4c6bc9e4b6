//! Collects the errors that libcontainer logs: in the processes between the shim and the container, that is the only
//! place where the cause of a failure is named.

use std::fmt::{Debug, Write as _};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};

use nix::sys::memfd::{MFdFlags, memfd_create};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The errors logged so far, by this process and those forked from it, which share the file.
#[derive(Debug)]
pub(super) struct Diagnosis(File);

impl Diagnosis {
    /// Begins to collect, for the rest of this process's life.
    pub(super) fn begin() -> io::Result<Self> {
        let file = File::from(memfd_create(c"diagnosis", MFdFlags::MFD_CLOEXEC)?);
        tracing::subscriber::set_global_default(Collector(file.try_clone()?)).map_err(io::Error::other)?;
        Ok(Self(file))
    }

    /// The first error, which is where it began.
    pub(super) fn cause(mut self) -> Option<String> {
        let mut text = String::new();
        self.0.rewind().and_then(|()| self.0.read_to_string(&mut text)).ok()?;
        text.lines().next().map(str::to_owned)
    }
}

struct Collector(File);

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let line = text.0.replace('\n', " ") + "\n";
        // An error that can't be noted is still reported, only with less detail.
        (&self.0).write_all(line.as_bytes()).ok();
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message, then the fields.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string can't fail.
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            write!(self.0, ", {}: {value:?}", field.name()).ok();
        }
    }
}
