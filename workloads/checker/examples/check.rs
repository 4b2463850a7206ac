//! Reads a history in any format and checks it, with the time that each step takes, and the memory that all took:
//!
//! ```text
//! cargo run --release -p rustyraft-checker --features rayon --example check -- FILE [MODEL]
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the library has no clock and reads no files; whoever calls it does"
)]

use checker::formats::LogReader;
use checker::{CheckOptions, check_log};
use std::error::Error;
use std::fs::File;
use std::io::Read as _;
use std::time::Instant;

/// How much is read at once, in bytes.
const BLOCK_BYTES: usize = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let file = words.next().ok_or("usage: check FILE [MODEL]")?;
    let model = words.next();
    let begun = Instant::now();
    let mut file = File::open(file)?;
    let mut reader = LogReader::new(None);
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    while file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)? > 0 {
        reader.push(&block)?;
        block.clear();
    }
    let log = reader.finish()?;
    for warning in &log.warnings {
        eprintln!("warning: {warning}");
    }
    println!("{} calls read in {:?}", log.calls.len(), begun.elapsed());
    let begun = Instant::now();
    let options = CheckOptions {
        model: model.as_deref(),
        ..CheckOptions::default()
    };
    let report = check_log(&log, &options)?;
    println!(
        "{} {}: {} operations on {} objects judged in {:?}",
        report.verdict,
        report.model,
        report.operations,
        report.partitions,
        begun.elapsed()
    );
    if let Some(peak) = peak_kib() {
        println!("{} MiB at most", peak / 1024);
    }
    Ok(())
}

/// The most memory that this process has had, in KiB, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
