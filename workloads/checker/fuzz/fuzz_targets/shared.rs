//! What each target holds of a reader.

use checker::formats::{Format, LogReader};
use checker::{CheckOptions, Limits, Log, ReadError, check_log, registry};

/// A history so short is judged by every model, and not only read.
const JUDGED_BYTES_MAX: usize = 2000;

/// Reading never panics; where blocks end changes nothing; every error has a line of the file, and one line of words; and no model
/// panics at what was read.
pub fn hold(bytes: &[u8], format: Option<Format>) {
    let whole = Log::read_as(bytes, format);
    // The first byte decides the size of blocks, as well as anything.
    let size = usize::from(bytes.first().copied().unwrap_or(0)) * 3 + 1;
    assert_eq!(in_blocks(bytes, format, size), whole, "in blocks of {size}");
    match whole {
        Ok(log) if bytes.len() <= JUDGED_BYTES_MAX => judge(&log),
        Ok(_) => {}
        Err(ReadError { line, reason }) => {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&line), "line {line} of {lines}");
            assert!(!reason.contains('\n'), "{reason}");
        }
    }
}

fn in_blocks(bytes: &[u8], format: Option<Format>, size: usize) -> Result<Log, ReadError> {
    let mut reader = LogReader::new(format);
    for block in bytes.chunks(size) {
        reader.push(block)?;
    }
    reader.finish()
}

fn judge(log: &Log) {
    for model in registry() {
        let options = CheckOptions {
            model: Some(model.name),
            limits: Limits {
                bytes_max: 1 << 20,
                ..Limits::default()
            },
            ..CheckOptions::default()
        };
        let _ = check_log(log, &options);
    }
    let _ = check_log(log, &CheckOptions::default());
}
