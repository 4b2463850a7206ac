//! What other processes say: it has no bounds of its own, and may contain what a terminal takes for an order.

use std::io::{self, BufRead, BufReader, Read};
use tokio::sync::oneshot;

/// How much of a line is looked at. Whatever is longer counts as several lines.
const LINE_BYTES_MAX: u64 = 4096;
/// How much of a line is told.
const WORDS_CHARS_MAX: usize = 400;

/// The next line with its end, or as much of it as is looked at; `None` if there are no more.
pub(super) fn line(lines: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
    read.is_ok_and(|bytes| bytes > 0).then_some(line)
}

/// Passes on the first line, if somebody listens to it, and reads the rest.
pub(super) fn pass_first_line(stdout: impl Read, ready: oneshot::Sender<String>) {
    let mut lines = BufReader::new(stdout);
    match line(&mut lines) {
        Some(first) => {
            // Whoever asked may have given up.
            let _ = ready.send(String::from_utf8_lossy(&first).into_owned());
        }
        None => drop(ready),
    }
    // An error ends it as well as an end.
    let _ = io::copy(&mut lines, &mut io::sink());
}

/// The last line of all that there is to be read which is not empty, as it can be told.
pub(super) fn last_words(words: impl Read) -> Option<String> {
    let mut lines = BufReader::new(words);
    let mut last = None;
    while let Some(line) = line(&mut lines) {
        let line = told(&line);
        if !line.is_empty() {
            last = Some(line);
        }
    }
    last
}

/// A line as it can be told: not too long, and without control characters.
pub(super) fn told(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let told = line.trim().chars().take(WORDS_CHARS_MAX);
    told.map(|c| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_those_of_the_last_line_that_has_some() {
        let said = "Warning: something\r\nConnection closed by 192.0.2.2 port 22\r\n\n \n";
        let last = last_words(said.as_bytes());
        assert_eq!(last.as_deref(), Some("Connection closed by 192.0.2.2 port 22"));
        assert_eq!(last_words(&b"\n\n"[..]), None);
    }

    #[test]
    fn what_is_told_is_bounded_and_gives_a_terminal_no_orders() {
        assert_eq!(
            told(b"\x1b]0;title\x07\x1b[2J ab\tc \n"),
            "\u{fffd}]0;title\u{fffd}\u{fffd}[2J ab\u{fffd}c"
        );
        let endless = io::repeat(b'x').take(1 << 20);
        let last = last_words(endless).unwrap();
        assert_eq!(last.len(), WORDS_CHARS_MAX);
        assert_eq!(told(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn of_an_endless_first_line_its_beginning_is_passed_on_and_the_rest_is_read() {
        let (sender, mut first) = oneshot::channel();
        let mut endless = io::repeat(b'x').take(1 << 20);
        pass_first_line(&mut endless, sender);
        assert_eq!(first.try_recv().unwrap().len() as u64, LINE_BYTES_MAX);
        assert_eq!(endless.limit(), 0);
    }

    #[test]
    fn whoever_says_nothing_passes_on_nothing() {
        let (sender, mut first) = oneshot::channel();
        pass_first_line(io::empty(), sender);
        assert!(first.try_recv().is_err());
    }
}
