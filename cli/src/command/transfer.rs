//! What pulls and pushes have in common: which image is meant, and the progress of each layer.

use std::collections::HashMap;
use std::io::Write as _;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::reply::Progress;
use crate::engine::request::Response;
use crate::failure::Failure;
use crate::flags::image::TransferFlags;
use crate::request::image_name::with_tag;
use crate::terminal;

use super::print;

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

/// The image that the flags of a pull or a push mean: with a tag, unless all of the repository are asked for.
///
/// # Errors
/// One tag and all of them.
pub(super) fn wanted(image: String, flags: &TransferFlags) -> Result<String, Failure> {
    let tagged = with_tag(&image);
    let has_tag = tagged == image;
    if flags.all_tags {
        return match has_tag {
            true => Err(Failure::Invalid("tag can't be used with --all-tags/-a".to_owned())),
            false => Ok(image),
        };
    }
    if !has_tag && !flags.quiet {
        print("Using default tag: latest\n")?;
    }
    Ok(tagged)
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
                    if bar.length() == Some(0) {
                        // It was too small for anybody to be told how far it is.
                        bar.set_style(style("{prefix}: {msg}"));
                    }
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
    let style = style("{prefix}: {msg:16} {bar:20} {bytes}/{total_bytes}");
    ProgressBar::new(0).with_style(style).with_prefix(id.to_owned())
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are right")
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
