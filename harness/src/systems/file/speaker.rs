//! A client that is a process: one line of JSON to it, one line of JSON back.

use crate::client::{MISANSWERED, NOT_THE_PROTOCOL, UNREADABLE};
use crate::cluster::Spawner;
use crate::systems::{Asked, Later, Refusal, Session, UNUSED_KEY, asked};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use wire::client::Status;
use workloads::{Op, Ret};

/// The longest line.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What is asked, as the process reads it.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Question {
    Read {
        key: u64,
    },
    Write {
        key: u64,
        value: u64,
    },
    Cas {
        key: u64,
        expected: Option<u64>,
        value: u64,
    },
}

/// What the process says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Ready,
    Ok {
        /// What a read found.
        #[serde(default, with = "found")]
        value: Option<Option<u64>>,
        /// Whether a compare-and-set took effect.
        swapped: Option<bool>,
    },
    Fail {
        reason: Option<String>,
    },
    Info {
        reason: Option<String>,
    },
}

/// Tells a value that is null from one that is missing.
mod found {
    use serde::{Deserialize as _, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
        Option::<u64>::deserialize(from).map(Some)
    }
}

/// A client process. It is killed when this is dropped, and dies with the harness.
pub(super) struct Speaker {
    child: Child,
    questions: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // One that is gone needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Speaker {
    /// Starts the process and waits until it says that it is connected. What it says on stderr goes to `log`.
    pub(super) async fn start(
        spawner: &Spawner,
        mut command: Command,
        log: &Path,
    ) -> Result<Speaker, String> {
        let failed = |error: std::io::Error| format!("the client does not start: {error}");
        let log = OpenOptions::new().create(true).append(true).open(log);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_err(failed)?)
            // Ctrl-C at a terminal is for the harness.
            .process_group(0);
        let mut child = spawner.spawn(command).await.map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stdin, stdout) = stdin.zip(stdout).expect("both are piped");
        let questions = ChildStdin::from_std(stdin).map_err(failed)?;
        let lines = ChildStdout::from_std(stdout).map_err(failed)?;
        let mut speaker = Speaker {
            child,
            questions,
            lines: BufReader::new(lines),
        };
        match speaker.line().await? {
            Line::Ready => Ok(speaker),
            Line::Fail { reason } | Line::Info { reason } => Err(reason_of(reason)),
            Line::Ok { .. } => Err(String::from("the client answers before it was asked")),
        }
    }

    /// The next line that it says.
    async fn line(&mut self) -> Result<Line, String> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.lines).take(LINE_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut line).await;
        read.map_err(|error| format!("the client does not answer: {error}"))?;
        if line.is_empty() {
            return Err(String::from("the client ended"));
        }
        serde_json::from_slice(&line).map_err(|error| format!("the client {NOT_THE_PROTOCOL}: {error}"))
    }

    async fn ask(&mut self, asked: Asked) -> Result<Line, String> {
        let question = match asked {
            Asked::Read { key } => Question::Read { key },
            Asked::Write { key, value } => Question::Write { key, value },
            Asked::Cas { key, expected, new } => Question::Cas {
                key,
                expected,
                value: new,
            },
        };
        let mut line = serde_json::to_vec(&question).expect("numbers are JSON");
        line.push(b'\n');
        self.questions
            .write_all(&line)
            .await
            .map_err(|error| format!("the client does not listen: {error}"))?;
        self.line().await
    }
}

impl Session for Speaker {
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>> {
        Box::pin(async move {
            let asked = asked(op)?;
            let line = self.ask(asked).await.map_err(Refusal::Indefinite)?;
            returned(asked, line)
        })
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async move {
            let read = self.ask(Asked::Read { key: UNUSED_KEY }).await;
            matches!(read, Ok(Line::Ok { .. }))
        })
    }

    fn status(&mut self) -> Later<'_, Option<Status>> {
        Box::pin(async { None })
    }
}

/// What an operation returned that was answered so.
fn returned(asked: Asked, line: Line) -> Result<Ret, Refusal> {
    let misanswered = || Refusal::Indefinite(MISANSWERED.to_owned());
    match line {
        Line::Ok { value, swapped } => match asked {
            Asked::Read { .. } => value.map(|value| Ret::Value(value.map(readable))),
            Asked::Write { .. } => Some(Ret::Written),
            Asked::Cas { .. } => swapped.map(Ret::Swapped),
        }
        .ok_or_else(misanswered),
        Line::Fail { reason } => Err(Refusal::Definite(reason_of(reason))),
        Line::Info { reason } => Err(Refusal::Indefinite(reason_of(reason))),
        Line::Ready => Err(misanswered()),
    }
}

/// A value as it can be recorded.
fn readable(value: u64) -> u64 {
    value.min(UNREADABLE)
}

fn reason_of(reason: Option<String>) -> String {
    reason.unwrap_or_else(|| String::from("the client gives no reason"))
}

#[cfg(test)]
mod tests;
