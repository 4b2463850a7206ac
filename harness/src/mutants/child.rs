//! A layer as a child: how it is started, and what it says.

use super::layers::Layer;
use super::programs::Programs;
use crate::cluster::spawn_tied;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Instant;

/// Why a layer could not look.
#[derive(Debug, thiserror::Error)]
pub(super) enum HuntError {
    #[error("can't start {0}: {1}")]
    Start(&'static str, std::io::Error),
    #[error("`harness {0}` ended with {1} and no word")]
    Silent(&'static str, std::process::ExitStatus),
}

/// A child, and the lines that it prints.
pub(super) struct Speaking {
    child: Child,
    lines: Receiver<String>,
}

impl Speaking {
    pub(super) fn start(layer: Layer, command: &mut Command) -> Result<Speaking, HuntError> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawn_tied(command).map_err(|error| HuntError::Start(layer.name(), error))?;
        let stdout = child.stdout.take().expect("it was asked for");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Speaking { child, lines })
    }

    /// The next line as JSON; `None` at its end or at the deadline.
    fn next(&self, deadline: Instant) -> Option<Value> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Ok(value) = serde_json::from_str(&line) {
                        return Some(value);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

impl Speaking {
    /// The one line that a child has to say; `None` if it has not by the deadline.
    pub(super) fn word_by(&mut self, layer: Layer, deadline: Instant) -> Result<Option<Value>, HuntError> {
        match self.next(deadline) {
            Some(line) => Ok(Some(line)),
            None if Instant::now() >= deadline => Ok(None),
            None => self.word(layer, deadline).map(Some),
        }
    }

    /// The one line that a child has to say.
    pub(super) fn word(&mut self, layer: Layer, deadline: Instant) -> Result<Value, HuntError> {
        if let Some(line) = self.next(deadline) {
            return Ok(line);
        }
        // One that still runs has had its time.
        let _ = self.child.kill();
        let ended = self.child.wait();
        let status = ended.map_err(|error| HuntError::Start(layer.name(), error))?;
        Err(HuntError::Silent(layer.name(), status))
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command of a layer, for the bug `mutant`, and its beginning in words.
pub(super) fn command(programs: &Programs, layer: Layer, mutant: Option<&str>) -> (Command, String) {
    let mut command = Command::new(programs.harness());
    let mut words = format!("harness {layer}");
    command.arg(layer.name()).arg("--json");
    if let (Layer::Model | Layer::Simulate, Some(mutant)) = (layer, mutant) {
        command.args(["--mutant", mutant]);
        words.push_str(&format!(" --mutant {mutant}"));
    }
    (command, words)
}

/// A number of a line; 0 if it is not there.
pub(super) fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

/// The first line of a text of a line.
pub(super) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
