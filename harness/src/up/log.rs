//! What the nodes log of the protocol, as it is written.

use crate::node_number::NodeNumber;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// How much of a log is read at one look; what lies before that is passed over.
const LOG_BYTES_MAX: u64 = 16 << 10;

/// A node's log, followed from some place on.
pub(super) struct NodeLog {
    node: NodeNumber,
    read_to: u64,
}

/// What a node logged of the protocol.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    /// The time as it is logged: in text, and in order.
    pub(super) time: String,
    /// The event in the node's words: `n3 is leader in term 2`.
    pub(super) words: String,
}

impl NodeLog {
    /// Follows a log from its present end on: a folder that is used again has the log of the last time.
    pub(super) fn from_end(node: NodeNumber, path: &Path) -> NodeLog {
        // One that does not exist yet is to be read from its beginning.
        let read_to = path.metadata().map_or(0, |metadata| metadata.len());
        NodeLog { node, read_to }
    }

    /// What was logged since the last time.
    pub(super) fn news(&mut self, path: &Path) -> Vec<Event> {
        // A log that can't be read now can be read the next time.
        let text = self.read_on(path).unwrap_or_default();
        text.lines().filter_map(|line| event(self.node, line)).collect()
    }

    fn read_on(&mut self, path: &Path) -> io::Result<String> {
        let mut log = File::open(path)?;
        let length = log.metadata()?.len();
        let from = self.read_to.max(length.saturating_sub(LOG_BYTES_MAX));
        log.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        log.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
        // What follows the last end of a line is still being written.
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(end.map_or(0, |end| end + 1));
        self.read_to = from + bytes.len() as u64;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The event of a line, if it has one. Time and level come first; who reaches whom is logged too, but is not told.
fn event(node: NodeNumber, line: &str) -> Option<Event> {
    let (time, rest) = line.split_once(' ')?;
    let (level, words) = rest.trim_start().split_once(' ')?;
    let words = words.trim();
    let is_told = matches!(level, "INFO" | "WARN") && words.starts_with(&format!("n{node} "));
    is_told.then(|| Event {
        time: time.to_owned(),
        words: words.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    fn append(path: &Path, text: &str) {
        let mut log = OpenOptions::new().append(true).create(true).open(path).unwrap();
        log.write_all(text.as_bytes()).unwrap();
    }

    fn words(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.words.as_str()).collect()
    }

    #[test]
    fn an_event_is_the_nodes_own_and_no_other_line() {
        let told = event(3, "2026-01-02T03:04:05.6Z  INFO n3 is leader in term 1").unwrap();
        assert_eq!(told.time, "2026-01-02T03:04:05.6Z");
        assert_eq!(told.words, "n3 is leader in term 1");
        assert_eq!(
            event(3, "T  INFO n1 at 127.0.0.1:1 can't be reached: refused"),
            None
        );
        assert_eq!(event(3, "T  INFO n30 is leader in term 1"), None);
        assert_eq!(event(3, "T DEBUG n3 is leader in term 1"), None);
        assert_eq!(event(3, "thread 'main' panicked at x.rs:1"), None);
        assert_eq!(event(3, ""), None);
    }

    #[test]
    fn a_log_is_told_once_from_its_end_on_and_by_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        append(&path, "T  INFO n1 term 1\n");
        let mut log = NodeLog::from_end(1, &path);
        assert_eq!(log.news(&path), []);
        append(&path, "T  INFO n1 term 2\nT  INFO n1 te");
        assert_eq!(words(&log.news(&path)), ["n1 term 2"]);
        append(&path, "rm 3\n");
        assert_eq!(words(&log.news(&path)), ["n1 term 3"]);
        assert_eq!(log.news(&path), []);
    }

    #[test]
    fn a_log_that_appears_later_is_told_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = NodeLog::from_end(1, &path);
        assert_eq!(log.news(&path), []);
        append(&path, "T  INFO n1 term 1\n");
        assert_eq!(words(&log.news(&path)), ["n1 term 1"]);
    }

    #[test]
    fn of_a_flood_only_the_end_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = NodeLog::from_end(1, &path);
        let flood: String = (1..=10_000)
            .map(|term| format!("T  INFO n1 term {term}\n"))
            .collect();
        fs::write(&path, &flood).unwrap();
        let news = log.news(&path);
        assert!(news.len() as u64 <= LOG_BYTES_MAX / 17, "{} lines", news.len());
        assert_eq!(news.last().unwrap().words, "n1 term 10000");
    }
}
