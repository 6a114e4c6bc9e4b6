//! The output of stages: they are built side by side, and their output is sent one after the other, as they stand in the
//! Dockerfile, so that a reader sees whole lines and knows whose they are. That of later ones is buffered, in memory as long as it
//! is short.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tempfile::SpooledTempFile;
use tokio::sync::mpsc;

use crate::wire::build::BuildLine;

/// What is longer is held back in a file.
const MEMORY_BYTES_MAX: usize = 64 * 1024;
/// So much of what its commands write is held back of a stage; the rest is lost.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
const CUT: &str = "\n[no more of this stage's output is held back: the rest is lost]\n";
const READ_BYTES: usize = 32 * 1024;

/// The stages of a build, and who hears of them.
pub(crate) struct StageOutput {
    listener: mpsc::Sender<Bytes>,
    /// For the files of what is held back; they have no names there.
    directory: PathBuf,
    stages: Mutex<Stages>,
}

#[derive(Default)]
struct Stages {
    /// Whose turn it is: only this one ends it.
    current: usize,
    /// Of those that come later.
    buffered: BTreeMap<usize, BufferedOutput>,
}

/// What a stage has written before its output is sent.
struct BufferedOutput {
    lines: SpooledTempFile,
    output_bytes: usize,
    is_over: bool,
}

impl StageOutput {
    pub(crate) fn new(listener: mpsc::Sender<Bytes>, directory: PathBuf) -> Self {
        Self { listener, directory, stages: Mutex::default() }
    }

    /// Says something about a stage.
    pub(crate) fn say(&self, stage: usize, text: impl Into<String>) {
        let line = BuildLine::text(text).to_bytes();
        match self.buffered(stage).as_deref_mut() {
            Some(stages) => stages.buffer(stage, self, &line),
            None => self.send(line),
        }
    }

    /// Passes on what a stage's command writes.
    pub(crate) fn output(&self, stage: usize, text: impl Into<String>) {
        let line = BuildLine::text(text).to_bytes();
        match self.buffered(stage).as_deref_mut() {
            Some(stages) => stages.buffer_output(stage, self, &line),
            None => self.send(line),
        }
    }

    /// A stage has nothing more to say: it is the next one's turn.
    pub(crate) fn over(&self, stage: usize) {
        let Some(mut stages) = self.buffered(stage) else { return self.pass_on(stage + 1) };
        stages.of(stage, self).is_over = true;
    }

    fn stages(&self) -> MutexGuard<'_, Stages> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stages, if this one has to wait for its turn.
    fn buffered(&self, stage: usize) -> Option<MutexGuard<'_, Stages>> {
        Some(self.stages()).filter(|stages| stages.current != stage)
    }

    /// Says what a stage has said so far, and gives it the turn; if it is over, the next one the same way.
    fn pass_on(&self, mut stage: usize) {
        let mut stages = self.stages();
        while let Some(buffered) = stages.buffered.remove(&stage) {
            // A client that reads slowly keeps no stage from going on: what that says meanwhile is held back again.
            drop(stages);
            let is_over = buffered.is_over;
            if let Err(error) = self.send_all(buffered) {
                tracing::warn!("what a build's stage has said is lost: {error}");
            }
            if is_over {
                stage += 1;
            }
            stages = self.stages();
        }
        stages.current = stage;
    }

    fn send_all(&self, mut buffered: BufferedOutput) -> io::Result<()> {
        buffered.lines.rewind()?;
        loop {
            let mut piece = Vec::new();
            if io::Read::take(&mut buffered.lines, READ_BYTES as u64).read_to_end(&mut piece)? == 0 {
                return Ok(());
            }
            self.send(piece.into());
        }
    }

    fn send(&self, lines: Bytes) {
        // A client that has gone is noticed by whoever sends it the lines.
        let _ = self.listener.blocking_send(lines);
    }
}

impl Stages {
    fn of(&mut self, stage: usize, stage_output: &StageOutput) -> &mut BufferedOutput {
        self.buffered.entry(stage).or_insert_with(|| BufferedOutput {
            lines: SpooledTempFile::new_in(MEMORY_BYTES_MAX, &stage_output.directory),
            output_bytes: 0,
            is_over: false,
        })
    }

    fn buffer(&mut self, stage: usize, stage_output: &StageOutput, line: &[u8]) {
        if let Err(error) = self.of(stage, stage_output).lines.write_all(line) {
            tracing::warn!("what a build's stage says can't be held back: {error}");
        }
    }

    fn buffer_output(&mut self, stage: usize, stage_output: &StageOutput, line: &[u8]) {
        let buffered = self.of(stage, stage_output);
        if buffered.output_bytes + line.len() <= OUTPUT_BYTES_MAX {
            buffered.output_bytes += line.len();
            self.buffer(stage, stage_output, line);
        } else if buffered.output_bytes < OUTPUT_BYTES_MAX {
            // It is full from now on, and says so once.
            buffered.output_bytes = OUTPUT_BYTES_MAX;
            self.buffer(stage, stage_output, &BuildLine::text(CUT).to_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage_output() -> (tempfile::TempDir, StageOutput, mpsc::Receiver<Bytes>) {
        let directory = tempfile::tempdir().unwrap();
        let (listener, said) = mpsc::channel(10_000);
        let stage_output = StageOutput::new(listener, directory.path().to_owned());
        (directory, stage_output, said)
    }

    fn heard(said: &mut mpsc::Receiver<Bytes>) -> String {
        let mut lines = Vec::new();
        while let Ok(piece) = said.try_recv() {
            lines.extend_from_slice(&piece);
        }
        let text =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["stream"].as_str().map(str::to_owned);
        String::from_utf8(lines).unwrap().lines().filter_map(text).collect()
    }

    #[test]
    fn stages_speak_one_after_the_other() {
        let (_directory, stage_output, mut said) = stage_output();
        stage_output.say(1, "b1 ");
        stage_output.say(0, "a1 ");
        stage_output.output(2, "c1 ");
        stage_output.over(2);
        assert_eq!(heard(&mut said), "a1 ");
        stage_output.output(1, "b2 ");
        stage_output.output(0, "a2 ");
        assert_eq!(heard(&mut said), "a2 ");
        stage_output.over(0);
        assert_eq!(heard(&mut said), "b1 b2 ");
        stage_output.say(1, "b3 ");
        stage_output.say(3, "d1 ");
        assert_eq!(heard(&mut said), "b3 ");
        stage_output.over(1);
        assert_eq!(heard(&mut said), "c1 d1 ", "a stage that is over passes its turn on");
        stage_output.say(3, "d2 ");
        assert_eq!(heard(&mut said), "d2 ");
        stage_output.over(3);
    }

    #[test]
    fn much_is_held_back_in_a_file_and_too_much_is_lost() {
        let (directory, stage_output, mut said) = stage_output();
        let line = "ü".repeat(1 << 19);
        for _ in 0..20 {
            stage_output.output(1, &line);
        }
        stage_output.say(1, "done");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the file has no name");
        stage_output.over(0);
        let heard = heard(&mut said);
        assert_eq!(heard.matches(&line).count(), 15, "with what JSON adds, the sixteenth is too much");
        assert!(heard.ends_with(&format!("ü{CUT}done")));
    }
}
