//! What pulls and pushes have in common: names taken apart, and the progress of each layer.

use std::collections::HashMap;
use std::io::Write as _;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::reply::Progress;
use crate::engine::request::Response;
use crate::failure::Failure;
use crate::terminal;

const HUB: &str = "docker.io";

/// Where progress is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Stdout,
    Stderr,
}

/// Whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    On(Output),
    Nothing,
}

/// The same with the tag `latest` where there is neither tag nor digest.
pub(super) fn with_tag(image: &str) -> String {
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    match last.contains([':', '@']) {
        true => image.to_owned(),
        false => format!("{image}:latest"),
    }
}

/// The registry of an image's name, and the rest of it.
pub(super) fn split(image: &str) -> (&str, &str) {
    match image.split_once('/') {
        Some((domain, path)) if domain.contains(['.', ':']) || domain == "localhost" => (domain, path),
        _ => (HUB, image),
    }
}

/// The name in full: `docker.io/library/alpine:3`.
pub(super) fn whole_name(image: &str) -> String {
    let (domain, path) = split(image);
    let official = if domain == HUB && !path.contains('/') { "library/" } else { "" };
    format!("{domain}/{official}{path}")
}

/// A name and its tag or digest.
pub(super) fn name_and_tag(image: &str) -> (&str, Option<&str>) {
    match (image.split_once('@'), image.rsplit_once(':')) {
        // A digest's colon isn't a tag's.
        (Some((name, digest)), _) => (name, Some(digest)),
        (None, Some((name, tag))) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

/// Shows a reply's progress to its end.
///
/// # Errors
/// What the engine says went wrong.
pub(super) async fn follow(reply: Response, show: Show) -> Result<(), Failure> {
    let mut lines = reply.lines::<Progress>();
    let mut screen = Screen::new(show);
    while let Some(line) = lines.next().await? {
        if let Some(error) = line.error {
            return Err(Failure::Invalid(error));
        }
        screen.show(&line)?;
    }
    Ok(())
}

/// Progress, as lines or, on a terminal, as a bar for each layer.
struct Screen {
    show: Show,
    bars: Option<(MultiProgress, HashMap<String, ProgressBar>)>,
}

impl Screen {
    fn new(show: Show) -> Self {
        let target = match show {
            Show::On(Output::Stdout) if terminal::is_stdout_terminal() => Some(ProgressDrawTarget::stdout()),
            Show::On(Output::Stderr) if terminal::is_stderr_terminal() => Some(ProgressDrawTarget::stderr()),
            _ => None,
        };
        let bars = target.map(|target| (MultiProgress::with_draw_target(target), HashMap::new()));
        Self { show, bars }
    }

    fn show(&mut self, line: &Progress) -> Result<(), Failure> {
        let Show::On(output) = self.show else { return Ok(()) };
        // Others are for programs.
        let Some(status) = line.status.as_deref() else { return Ok(()) };
        match (&line.id, &mut self.bars) {
            (Some(id), Some((screen, bars))) if !status.starts_with("Pulling from") => {
                let bar = bars.entry(id.clone()).or_insert_with(|| screen.add(bar(id)));
                bar.set_message(status.to_owned());
                if let (Some(current), Some(total)) = (line.detail.current, line.detail.total) {
                    bar.set_length(total);
                    bar.set_position(current);
                } else if is_over(status) {
                    bar.finish();
                }
                Ok(())
            }
            // Bars tell how far it is; lines only what has been reached.
            _ if line.detail.current.is_some() => Ok(()),
            (Some(id), bars) => say(output, bars.as_ref().map(|(screen, _)| screen), &format!("{id}: {status}")),
            (None, bars) => say(output, bars.as_ref().map(|(screen, _)| screen), status),
        }
    }
}

/// Whether nothing more comes of a layer.
fn is_over(status: &str) -> bool {
    matches!(status, "Pull complete" | "Already exists" | "Pushed" | "Layer already exists")
        || status.starts_with("Mounted from")
}

fn bar(id: &str) -> ProgressBar {
    // With the longest figures it fits a terminal of 80 columns.
    let style = ProgressStyle::with_template("{prefix}: {msg:16} {bar:20} {bytes}/{total_bytes}");
    ProgressBar::new(0).with_style(style.expect("the template above is right")).with_prefix(id.to_owned())
}

fn say(output: Output, screen: Option<&MultiProgress>, text: &str) -> Result<(), Failure> {
    let print = || match output {
        Output::Stdout => writeln!(std::io::stdout(), "{text}"),
        Output::Stderr => writeln!(std::io::stderr(), "{text}"),
    };
    match screen {
        Some(screen) => screen.suspend(print),
        None => print(),
    }
    .map_err(Failure::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (image, whole, domain) in [
            ("alpine", "alpine:latest", HUB),
            ("alpine:3", "alpine:3", HUB),
            ("team/app", "team/app:latest", HUB),
            ("localhost/app", "localhost/app:latest", "localhost"),
            ("host:5000/app", "host:5000/app:latest", "host:5000"),
            ("a.example/app:1", "a.example/app:1", "a.example"),
            ("app@sha256:00", "app@sha256:00", HUB),
        ] {
            assert_eq!((with_tag(image).as_str(), split(image).0), (whole, domain), "{image}");
        }
        for (image, name, tag) in
            [("a:5/b", "a:5/b", None), ("a:5/b:1", "a:5/b", Some("1")), ("b@sha256:0", "b", Some("sha256:0"))]
        {
            assert_eq!(name_and_tag(image), (name, tag), "{image}");
        }
        for (image, whole) in [("a", "docker.io/library/a"), ("a/b:1", "docker.io/a/b:1"), ("h:5/a", "h:5/a")] {
            assert_eq!(whole_name(image), whole);
        }
    }
}
