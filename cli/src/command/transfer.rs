//! What pulls and pushes have in common: which image is meant, and the progress of each layer.

use std::collections::HashMap;
use std::io::Write as _;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::reply::{Progress, ProgressDetail};
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
    /// Where bars are drawn, if they are.
    target: Option<fn() -> ProgressDrawTarget>,
    bars: Bars,
}

/// The bars of the layers that are being told of, if any are.
type Bars = Option<(MultiProgress, HashMap<String, ProgressBar>)>;

impl Screen {
    fn new(show: Show) -> Self {
        let target: Option<fn() -> ProgressDrawTarget> = match show {
            Show::On(Output::Stdout) if terminal::is_stdout_terminal() => Some(ProgressDrawTarget::stdout),
            Show::On(Output::Stderr) if terminal::is_stderr_terminal() => Some(ProgressDrawTarget::stderr),
            _ => None,
        };
        Self { show, target, bars: None }
    }

    fn show(&mut self, line: &Progress) -> Result<(), Failure> {
        let Show::On(output) = self.show else { return Ok(()) };
        // Others are for programs.
        let Some(status) = line.status.as_deref() else { return Ok(()) };
        match (&line.id, self.target) {
            (Some(id), Some(target)) if !status.starts_with("Pulling from") => {
                let start = || (MultiProgress::with_draw_target(target()), HashMap::new());
                let (screen, bars) = self.bars.get_or_insert_with(start);
                let bar = bars.entry(id.clone()).or_insert_with(|| screen.add(bar(id)));
                advance(bar, status, &line.detail);
                Ok(())
            }
            // Bars tell how far it is; lines only what has been reached.
            _ if line.detail.current.is_some() => Ok(()),
            (id, _) => {
                self.leave_bars();
                let id = id.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
                say(output, &format!("{id}{status}"))
            }
        }
    }

    /// What is said next stands below the bars, which stay as they are.
    fn leave_bars(&mut self) {
        if let Some((_, bars)) = self.bars.take() {
            bars.into_values().for_each(|bar| bar.abandon());
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave_bars();
    }
}

/// Shows what has come of a layer. A bar is drawn when it is known how long it is: of nothing, it would be full.
fn advance(bar: &ProgressBar, status: &str, detail: &ProgressDetail) {
    bar.set_message(status.to_owned());
    match (detail.current, detail.total.filter(|total| *total > 0)) {
        (Some(current), Some(total)) => {
            bar.set_style(style("{prefix}: {msg:16} {bar:20} {bytes}/{total_bytes}"));
            bar.set_length(total);
            bar.set_position(current);
        }
        (Some(current), None) => {
            bar.set_style(style("{prefix}: {msg:16} {bytes}"));
            bar.set_position(current);
        }
        (None, _) if is_over(status) => {
            bar.set_style(style("{prefix}: {msg}"));
            bar.finish();
        }
        (None, _) => {}
    }
}

/// Whether nothing more comes of a layer.
fn is_over(status: &str) -> bool {
    matches!(status, "Pull complete" | "Already exists" | "Pushed" | "Layer already exists")
        || status.starts_with("Mounted from")
}

fn bar(id: &str) -> ProgressBar {
    // With the longest figures a bar fits a terminal of 80 columns.
    ProgressBar::no_length().with_style(style("{prefix}: {msg}")).with_prefix(id.to_owned())
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are right")
}

fn say(output: Output, text: &str) -> Result<(), Failure> {
    match output {
        Output::Stdout => writeln!(std::io::stdout(), "{text}"),
        Output::Stderr => writeln!(std::io::stderr(), "{text}"),
    }
    .map_err(Failure::Output)
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    fn progress(json: &str) -> Progress {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_bar_is_drawn_when_it_is_known_how_long_it_is() {
        let terminal = InMemoryTerm::new(10, 80);
        let bar = bar("a1");
        bar.set_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255));
        for (line, shown) in [
            (r#"{"status":"Waiting"}"#, "a1: Waiting"),
            (r#"{"status":"Downloading","progressDetail":{"current":1024}}"#, "a1: Downloading      1.00 KiB"),
            (
                r#"{"status":"Downloading","progressDetail":{"current":1024,"total":0}}"#,
                "a1: Downloading      1.00 KiB",
            ),
            (
                r#"{"status":"Downloading","progressDetail":{"current":1024,"total":2048}}"#,
                "a1: Downloading      ██████████░░░░░░░░░░ 1.00 KiB/2.00 KiB",
            ),
            (r#"{"status":"Pull complete"}"#, "a1: Pull complete"),
        ] {
            let line = progress(line);
            advance(&bar, line.status.as_deref().unwrap(), &line.detail);
            bar.tick();
            assert_eq!(terminal.contents(), shown);
        }
    }
}
