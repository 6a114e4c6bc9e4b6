//! Processors that layers are unpacked on: one is left to containers that start meanwhile, where there is more than one.

use std::io::{self, Read};
use std::thread;

use futures::executor::block_on;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Those of this machine that whoever unpacks layers has between them. Who waits is served in turn.
#[derive(Debug)]
pub(crate) struct Processors(Semaphore);

impl Default for Processors {
    fn default() -> Self {
        let all = thread::available_parallelism().map_or(1, usize::from);
        Self::of((all - 1).max(1))
    }
}

impl Processors {
    fn of(number: usize) -> Self {
        Self(Semaphore::new(number))
    }

    /// Waits for a processor to work on what is read from `source`, until the reader is dropped. While `source` is waited for,
    /// others have it.
    pub(crate) fn reading<R>(&self, source: R) -> OnProcessor<'_, R> {
        OnProcessor { source, all: self, taken: self.take() }
    }

    fn take(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        block_on(self.0.acquire()).ok()
    }
}

/// A reader whose owner has a processor whenever it isn't reading.
#[derive(Debug)]
pub(crate) struct OnProcessor<'p, R> {
    source: R,
    all: &'p Processors,
    taken: Option<SemaphorePermit<'p>>,
}

impl<R: Read> Read for OnProcessor<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.taken = None;
        let read = self.source.read(buffer);
        self.taken = self.all.take();
        read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Says when it is read, and has nothing until it is told so.
    struct Slow(Sender<()>, Receiver<()>);

    impl Read for Slow {
        fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
            self.0.send(()).expect("somebody listens");
            self.1.recv().map_or(Ok(0), |()| Ok(0))
        }
    }

    #[test]
    fn who_waits_for_its_source_has_no_processor() {
        let processors = Processors::of(1);
        let ((asks, asked), (has, told)) = (channel(), channel());
        thread::scope(|scope| {
            let slow = scope.spawn(|| processors.reading(Slow(asks, told)).read(&mut [0]));
            asked.recv().expect("it reads");
            assert_eq!(processors.0.available_permits(), 1);
            let mut text = String::new();
            processors.reading(&b"quick"[..]).read_to_string(&mut text).expect("it waits for nobody");
            assert_eq!(text, "quick");
            has.send(()).expect("it waits");
            slow.join().expect("no panic").expect("read");
        });
        assert_eq!(processors.0.available_permits(), 1);
    }

    #[test]
    fn who_works_has_one() {
        let processors = Processors::of(2);
        let one = processors.reading(io::empty());
        let mut two = processors.reading(io::empty());
        assert_eq!(two.read(&mut [0]).expect("read"), 0);
        assert_eq!(processors.0.available_permits(), 0);
        drop((one, two));
        assert_eq!(processors.0.available_permits(), 2);
    }
}
