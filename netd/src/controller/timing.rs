//! Where the time of a request goes: told in the reply's `server-timing` header and in the log.

use std::{
    fmt,
    future::Future,
    time::{Duration, Instant},
};

/// The steps of a request, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Timing {
    steps: Vec<(&'static str, Duration)>,
}

/// A result and how long its steps took.
#[derive(Debug, Clone)]
pub(crate) struct Timed<T> {
    pub(crate) value: T,
    pub(crate) timing: Timing,
}

impl Timing {
    /// Runs a step.
    pub(crate) async fn measure<T>(&mut self, step: &'static str, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let result = work.await;
        self.steps.push((step, start.elapsed()));
        result
    }

    /// Adds steps that somebody else measured; they are parts of the step before.
    pub(crate) fn extend(&mut self, steps: impl IntoIterator<Item = (&'static str, Duration)>) {
        self.steps.extend(steps);
    }

    pub(crate) const fn of<T>(self, value: T) -> Timed<T> {
        Timed { value, timing: self }
    }
}

/// As in the header: `decide;dur=0.05, apply;dur=1.20`, in milliseconds
/// (<https://www.w3.org/TR/server-timing/>).
impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (step, duration)) in self.steps.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            // A metric's name is a token (RFC 9110 section 5.6.2).
            let token = step.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            write!(f, "{separator}{token};dur={:.3}", duration.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_a_list_of_tokens() {
        let mut timing = Timing::default();
        timing.extend([("decide", Duration::from_micros(50)), ("create veth", Duration::from_micros(1200))]);
        assert_eq!(timing.to_string(), "decide;dur=0.050, create-veth;dur=1.200");
    }
}
