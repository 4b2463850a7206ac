//! A client that is a process: one line of JSON to it, one line of JSON back.

use super::protocol::{Line, Question, reason_of, returned};
use crate::client::NOT_THE_PROTOCOL;
use crate::cluster::Spawner;
use crate::node_number::NodeNumber;
use crate::systems::{Later, Refusal, Session, status};
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

/// A client process. It is killed when this is dropped, and dies with the harness.
pub(super) struct Speaker {
    /// The node that it is a client of.
    node: NodeNumber,
    /// What it is asked to see whether its node serves.
    probe: Op,
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
    /// Starts the process, a client of `node`, and waits until it says that it is connected. What it says on stderr goes to `log`.
    pub(super) async fn start(
        spawner: &Spawner,
        node: NodeNumber,
        probe: Op,
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
            node,
            probe,
            child,
            questions,
            lines: BufReader::new(lines),
        };
        match speaker.line().await? {
            Line::Ready => Ok(speaker),
            Line::Fail { reason } | Line::Info { reason } => Err(reason_of(reason)),
            Line::Ok(_) => Err(String::from("the client answers before it was asked")),
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

    async fn ask(&mut self, question: &Question) -> Result<Line, String> {
        let mut line = serde_json::to_vec(question).expect("numbers are JSON");
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
            let line = self.ask(&Question::from(op)).await;
            returned(op, line.map_err(Refusal::Indefinite)?)
        })
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async move {
            let probe = self.probe.clone();
            self.call(&probe).await.is_ok()
        })
    }

    fn status(&mut self) -> Later<'_, Option<Status>> {
        Box::pin(async move {
            let Ok(Line::Ok(found)) = self.ask(&Question::Leader).await else {
                return None;
            };
            let (leader, term) = found.leader()?;
            Some(status(self.node, leader, term, 0))
        })
    }
}

#[cfg(test)]
mod tests;
