//! The same work on many things, a few at a time, while containers that start go first. The first failure ends it all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// How far others go first (nice(2)): unpacking and packing images would have all processors otherwise.
const NICENESS: i32 = 15;

/// What has come of it so far.
struct Outcome<A> {
    answers: Vec<Option<A>>,
    failure: Option<Error>,
}

/// Does `work` with each of the things, so many at a time, the first one first; answers in their order. The first failure
/// cancels `called_off`, by which work under way should end as well: what that fails with is only a consequence.
pub(crate) fn side_by_side<T: Sync, A: Send>(
    things: &[T],
    at_once: usize,
    called_off: &CancellationToken,
    work: impl Fn(usize, &T) -> Result<A, Error> + Sync,
) -> Result<Vec<A>, Error> {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome { answers: things.iter().map(|_| None).collect(), failure: None });
    let work_on = || {
        // Without it, the work is done all the same.
        let _ = rustix::process::nice(NICENESS);
        while !called_off.is_cancelled() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else { break };
            let answer = work(at, thing);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Ok(answer) => outcome.answers[at] = Some(answer),
                Err(failure) => {
                    outcome.failure.get_or_insert(failure);
                    called_off.cancel();
                }
            }
        }
    };
    // Not by the caller's thread, which couldn't be sure to come first again.
    thread::scope(|scope| {
        for _ in 0..at_once.min(things.len()) {
            scope.spawn(work_on);
        }
    });
    let Outcome { answers, failure } = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some(failure) => Err(failure),
        None => answers.into_iter().collect::<Option<Vec<A>>>().ok_or(Error::CalledOff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_and_the_first_failure_is_told() {
        let things: Vec<usize> = (0..50).collect();
        let doubled =
            side_by_side(&things, 4, &CancellationToken::new(), |_, thing| Ok(thing * 2)).expect("no failure");
        assert_eq!(doubled, things.iter().map(|thing| thing * 2).collect::<Vec<_>>());
        let called_off = CancellationToken::new();
        let failure = side_by_side(&things, 4, &called_off, |at, _| match at {
            3 => Err(Error::NoSuchImage("three".to_owned())),
            // Ends because another one has failed.
            _ => {
                futures::executor::block_on(called_off.cancelled());
                Err::<(), _>(Error::CalledOff)
            }
        });
        assert!(matches!(failure, Err(Error::NoSuchImage(_))), "{failure:?}");
    }

    #[test]
    fn what_is_called_off_does_not_begin() {
        let called_off = CancellationToken::new();
        called_off.cancel();
        let outcome = side_by_side(&[1], 2, &called_off, |_, _| -> Result<(), Error> { panic!("it began") });
        assert!(matches!(outcome, Err(Error::CalledOff)), "{outcome:?}");
    }
}
