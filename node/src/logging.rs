//! Logs: lines on stderr.

use crate::cli::LogLevel;
use raft::{Event, Logger, NodeId};
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;

/// Begins to log. Colours are for terminals, and for those who did not ask to be spared (<https://no-color.org>).
pub(crate) fn begin(level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let spared = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(!spared && std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// Logs what happens in the protocol.
#[derive(Debug)]
pub(crate) struct EventLog;

impl Logger for EventLog {
    fn log(&mut self, id: NodeId, event: Event) {
        match event {
            Event::TermAdvanced { .. }
            | Event::Voted { .. }
            | Event::RoleChanged { .. }
            | Event::LeaderKnown { .. } => tracing::info!("{id} {event}"),
            Event::Committed { .. } => tracing::trace!("{id} {event}"),
        }
    }
}
