//! A server's process.

use super::SystemError;
use crate::cluster::spawn_tied;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How many of the last lines of a log are quoted.
const LAST_LINES: usize = 3;

/// A server's process. It is killed when this is dropped, and dies with the thread that started it.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a server; whatever it says goes into `NAME.log` in the folder `dir`.
    pub(super) fn start(name: &str, mut command: Command, dir: &Path) -> Result<Process, SystemError> {
        let log = dir.join(format!("{name}.log"));
        let open = || {
            let file = File::create(&log)?;
            Ok((file.try_clone()?, file))
        };
        let (stdout, stderr) = open().map_err(|error| SystemError::System("write a log", error))?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = spawn_tied(&mut command).map_err(|error| SystemError::System("start a server", error))?;
        Ok(Process {
            name: name.to_owned(),
            log,
            child,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// It has ended.
    pub(super) fn check(&mut self) -> Result<(), SystemError> {
        let status = self
            .child
            .try_wait()
            .map_err(|error| SystemError::System("watch a server", error))?;
        match status {
            None => Ok(()),
            Some(status) => Err(SystemError::Ended {
                name: self.name.clone(),
                status: status.to_string(),
                words: last_words(&self.log),
            }),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is gone needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.as_slice() {
        [] => String::from("none"),
        lines => lines[lines.len().saturating_sub(LAST_LINES)..].join(" / "),
    }
}
