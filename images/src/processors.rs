//! Processors that layers are unpacked on: one is left to containers that start meanwhile, where there is more than one.

use std::io::{self, Read};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// Those of this machine that whoever brings layers has between them.
#[derive(Debug)]
pub(crate) struct Processors {
    free: Mutex<usize>,
    given_back: Condvar,
}

impl Default for Processors {
    fn default() -> Self {
        let all = thread::available_parallelism().map_or(1, usize::from);
        Self::of((all - 1).max(1))
    }
}

impl Processors {
    fn of(number: usize) -> Self {
        Self { free: Mutex::new(number), given_back: Condvar::new() }
    }

    /// Waits for a processor to work on what is read from `source`, until the reader is dropped. While `source` is waited for,
    /// others have it.
    pub(crate) fn reading<R>(&self, source: R) -> OnProcessor<'_, R> {
        OnProcessor { source, all: self, taken: Some(self.take()) }
    }

    fn take(&self) -> Taken<'_> {
        // A number is whole whatever its holder was doing.
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *self.given_back.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
        Taken(self)
    }
}

/// One processor; given back when it is dropped.
#[derive(Debug)]
struct Taken<'p>(&'p Processors);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

/// A reader whose owner has a processor whenever it isn't reading.
#[derive(Debug)]
pub(crate) struct OnProcessor<'p, R> {
    source: R,
    all: &'p Processors,
    taken: Option<Taken<'p>>,
}

impl<R: Read> Read for OnProcessor<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.taken = None;
        let read = self.source.read(buffer);
        self.taken = Some(self.all.take());
        read
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn who_waits_for_its_source_has_no_processor() {
        let processors = Processors::of(1);
        let (reader, mut writer) = io::pipe().expect("a pipe");
        thread::scope(|scope| {
            let slow = scope.spawn(|| {
                let mut text = String::new();
                processors.reading(reader).read_to_string(&mut text).map(|_| text)
            });
            // Whether the other one waits for its source by now, or still for the processor.
            let mut text = String::new();
            processors.reading(&b"quick"[..]).read_to_string(&mut text).expect("it waits for nobody");
            assert_eq!(text, "quick");
            writer.write_all(b"slow").expect("it listens");
            drop(writer);
            assert_eq!(slow.join().expect("no panic").expect("read"), "slow");
        });
        assert_eq!(*processors.free.lock().expect("no panic"), 1);
    }

    #[test]
    fn who_works_has_one() {
        let processors = Processors::of(2);
        let one = processors.reading(io::empty());
        let mut two = processors.reading(io::empty());
        assert_eq!(two.read(&mut [0]).expect("read"), 0);
        assert_eq!(*processors.free.lock().expect("no panic"), 0);
        drop((one, two));
        assert_eq!(*processors.free.lock().expect("no panic"), 2);
    }
}
