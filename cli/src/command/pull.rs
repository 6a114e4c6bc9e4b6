//! `pull`: downloads an image, with the progress of each layer.

use std::collections::HashMap;
use std::io::Write as _;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::credentials;
use crate::engine::Engine;
use crate::engine::reply::Progress;
use crate::failure::Failure;
use crate::flags::image::PullFlags;
use crate::terminal;

use super::{Context, DONE, print};

const HUB: &str = "docker.io";

/// What to download.
pub(super) struct Pull {
    pub(super) image: String,
    pub(super) platform: Option<String>,
    pub(super) all_tags: bool,
}

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

/// Runs the command.
pub(super) async fn pull(context: &Context, flags: PullFlags) -> Result<u8, Failure> {
    if flags.all_tags && with_tag(&flags.image) == flags.image {
        return Err(Failure::Invalid("tag can't be used with --all-tags/-a".to_owned()));
    }
    if !flags.all_tags && !flags.quiet && with_tag(&flags.image) != flags.image {
        print("Using default tag: latest\n")?;
    }
    let image = if flags.all_tags { flags.image } else { with_tag(&flags.image) };
    let show = if flags.quiet { Show::Nothing } else { Show::On(Output::Stdout) };
    let (domain, path) = split(&image);
    let official = if domain == HUB && !path.contains('/') { "library/" } else { "" };
    let whole_name = format!("{domain}/{official}{path}\n");
    bring(&context.engine, &Pull { image, platform: flags.platform, all_tags: flags.all_tags }, show).await?;
    print(&whole_name)?;
    Ok(DONE)
}

/// Downloads an image.
///
/// # Errors
/// It isn't there, or what the engine says went wrong.
pub(super) async fn bring(engine: &Engine, wanted: &Pull, show: Show) -> Result<(), Failure> {
    let (domain, _) = split(&wanted.image);
    let image = if wanted.all_tags { wanted.image.clone() } else { with_tag(&wanted.image) };
    // A digest's colon isn't a tag's.
    let (name, tag) = match (image.split_once('@'), image.rsplit_once(':')) {
        (Some((name, digest)), _) => (name, Some(digest)),
        (None, Some((name, tag))) if !tag.contains('/') => (name, Some(tag)),
        _ => (image.as_str(), None),
    };
    let reply = engine
        .post("/images/create")
        .query("fromImage", name)
        .query_some("tag", tag)
        .query_some("platform", wanted.platform.as_deref())
        .header_some("X-Registry-Auth", credentials::header(domain).await?)
        .send()
        .await?;
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

/// The same with the tag `latest` where there is neither tag nor digest.
pub(super) fn with_tag(image: &str) -> String {
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    match last.contains([':', '@']) {
        true => image.to_owned(),
        false => format!("{image}:latest"),
    }
}

/// The registry of an image's name, and the rest of it.
fn split(image: &str) -> (&str, &str) {
    match image.split_once('/') {
        Some((domain, path)) if domain.contains(['.', ':']) || domain == "localhost" => (domain, path),
        _ => (HUB, image),
    }
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
        let status = line.status.as_deref().unwrap_or_default();
        match (&line.id, &mut self.bars) {
            (Some(id), Some((screen, bars))) if !status.starts_with("Pulling from") => {
                let bar = bars.entry(id.clone()).or_insert_with(|| screen.add(bar(id)));
                bar.set_message(status.to_owned());
                if let (Some(current), Some(total)) = (line.detail.current, line.detail.total) {
                    bar.set_length(total);
                    bar.set_position(current);
                } else if matches!(status, "Pull complete" | "Already exists") {
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
    }
}
