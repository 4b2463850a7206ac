//! From a file to a verdict, within limits.

use checker::formats::{Format, LogReader};
use checker::history::Value;
use checker::{CheckError, CheckOptions, Dialect, EngineChoice, Limits, Log, ReadError, Report};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the check at the end of a run may take.
pub const CHECK_TIME_MAX: Duration = Duration::from_secs(60);
/// How much memory the check of one object may take, in bytes.
pub const CHECK_BYTES_MAX: usize = 1 << 30;

/// How much of a history is read at once.
const BLOCK_BYTES: usize = 16 << 20;

/// How a history is to be judged.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it was recorded in; `None`: it tells itself.
    pub format: Option<Format>,
    /// How outcomes are understood; `None`: as the format has it.
    pub dialect: Option<Dialect>,
    /// The model that judges, by name; `None`: the history tells.
    pub model: Option<String>,
    /// What each object is at the beginning, where that is not what the model says.
    pub init: Option<Value>,
    /// Which engine judges.
    pub engine: EngineChoice,
    /// Whether all violations are looked for, and not only the first.
    pub all: bool,
    /// How long the check may take.
    pub time_limit: Duration,
    /// How much memory the check of one object may take, in bytes.
    pub bytes_max: usize,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            format: None,
            dialect: None,
            model: None,
            init: None,
            engine: EngineChoice::Auto,
            all: false,
            time_limit: CHECK_TIME_MAX,
            bytes_max: CHECK_BYTES_MAX,
        }
    }
}

/// A verdict, and how long it took.
#[derive(Debug)]
pub struct Judged {
    /// The verdict.
    pub report: Report,
    /// The history.
    pub log: Log,
    /// How long reading took.
    pub parse: Duration,
    /// How long judging took.
    pub check: Duration,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The file can't be read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// It is no history.
    #[error("{0}")]
    History(#[from] ReadError),
    /// What was asked for can't be.
    #[error("{0}")]
    Options(String),
}

/// Judges the history at `path`.
///
/// # Errors
/// The file can't be read, or is no history.
pub fn judge(path: &Path, request: &Request) -> Result<Judged, JudgeError> {
    let begun = Instant::now();
    let log = read(path, request.format)?;
    let parse = begun.elapsed();
    let begun = Instant::now();
    let should_stop = || begun.elapsed() > request.time_limit;
    let limits = Limits {
        bytes_max: request.bytes_max,
        should_stop: &should_stop,
        ..Limits::default()
    };
    let options = CheckOptions {
        limits,
        model: request.model.as_deref(),
        dialect: request.dialect,
        init: request.init.clone(),
        engine: request.engine,
        all: request.all,
    };
    let report = workloads::judge(&log, &options).map_err(|error| match error {
        CheckError::History(error) => JudgeError::History(error),
        CheckError::Options(reason) => JudgeError::Options(reason),
    })?;
    Ok(Judged {
        report,
        log,
        parse,
        check: begun.elapsed(),
    })
}

/// Reads the history at `path` block by block, so that it takes no more memory than its calls.
fn read(path: &Path, format: Option<Format>) -> Result<Log, JudgeError> {
    let mut file = File::open(path)?;
    let mut reader = LogReader::new(format);
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    while file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)? > 0 {
        reader.push(&block)?;
        block.clear();
    }
    Ok(reader.finish()?)
}
