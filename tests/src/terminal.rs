//! A program on a terminal of its own: what it shows is waited for, and keys are typed.

use std::{
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::Outcome;

/// A terminal with a program on it. Made by `script` (Debian's bsdutils).
#[derive(Debug)]
pub struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    /// All that was shown so far.
    shown: String,
    /// How much of it was waited for.
    seen: usize,
}

impl Terminal {
    /// Runs a command line on a new terminal of 24 rows and 80 columns; `script` is `script`, to be run where it should.
    pub(crate) fn new(mut script: Command, command_line: &str) -> Self {
        let command_line = format!("stty rows 24 cols 80 && exec {command_line}");
        let mut script = script
            .args(["-q", "-e", "-c", &command_line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script (bsdutils)");
        let keyboard = script.stdin.take().expect("a pipe");
        let screen = script.stdout.take().expect("a pipe");
        Self { script, keyboard, screen, shown: String::new(), seen: 0 }
    }

    /// Waits until a text is shown, after what was waited for before.
    ///
    /// # Panics
    /// When the program ends without showing it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return self;
            }
            let more = self.read();
            assert!(more, "it ended without showing {text:?}, but {:?}", self.shown);
        }
    }

    /// Types; control keys are their characters, such as `\x03` for Ctrl-C.
    pub fn enter(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).expect("script takes keys");
        self
    }

    /// Waits for the program's end; the outcome has all that was shown.
    pub fn end(mut self) -> Outcome {
        while self.read() {}
        let status = self.script.wait().expect("script ends");
        let output = std::process::Output { status, stdout: self.shown.clone().into_bytes(), stderr: Vec::new() };
        Outcome::from_output("a program on a terminal".to_owned(), &output)
    }

    /// Reads what comes next; false at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let length = self.screen.read(&mut buffer).expect("script's output");
        self.shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
        length > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves its program behind.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
