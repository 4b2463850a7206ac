//! What is in memory of a log, made anew from its records as a node that starts finds them.

use crate::directory::Directory;
use crate::wal::Location;
use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};
use bytes::Bytes;
use raft::{Entry, Index, SnapshotMeta, Term};
use wire::DecodeError;
use wire::record::{self, Record};

/// A log that is read back.
#[derive(Debug)]
pub(crate) struct Replay {
    /// What the snapshot beside it covers.
    covered: Index,
    tail_bytes_max: usize,
    directory: Option<Directory>,
    /// Where the last record lies by which a snapshot took the log's place, and what that covers.
    installed: Option<(Location, Index)>,
}

impl Replay {
    /// Of the log beside a snapshot of everything up to `covered`.
    pub(crate) fn beside(covered: Index, tail_bytes_max: usize) -> Replay {
        Replay {
            covered,
            tail_bytes_max,
            directory: None,
            installed: None,
        }
    }

    /// Takes in the record at `location`, which is the next one.
    ///
    /// # Errors
    /// It can't be, in words.
    pub(crate) fn take_in(&mut self, record: Record, location: Location) -> Result<(), String> {
        match record {
            Record::Open { hard_state, behind } => {
                let behind = core_meta(behind)?;
                let index = behind.last.index;
                if self.directory.is_none() && index <= self.covered {
                    self.directory = Some(Directory::new(hard_state.into(), behind, self.tail_bytes_max));
                }
                match &mut self.directory {
                    Some(directory) => directory.segment_begins(location.segment, index),
                    None => Err(format!(
                        "the log begins behind entry {index}, and no snapshot covers what comes before"
                    )),
                }
            }
            Record::Write {
                hard_state,
                snapshot,
                first_index,
                entries,
            } => {
                let Some(directory) = &mut self.directory else {
                    return Err(String::from("a segment opens without its state"));
                };
                if let Some(base) = snapshot {
                    let base = core_meta(base)?;
                    self.installed = Some((location, base.last.index));
                    directory.reset(hard_state.into(), Arc::new(base));
                }
                let entries = core_entries(first_index, entries).map_err(|error| error.to_string())?;
                directory.wrote(hard_state.into(), entries, location)
            }
        }
    }

    /// That was all of it.
    ///
    /// # Errors
    /// Where the log says that a snapshot took its place, and why that is wrong, in words: there is none that goes as far. Only the last one
    /// that did must be there, or a later one: those before it were removed when it had come.
    pub(crate) fn check_base(&self) -> Result<(), (Location, String)> {
        match self.installed {
            Some((location, base)) if base > self.covered => Err((location, lost_base(base))),
            Some(_) | None => Ok(()),
        }
    }

    /// What there is of the log; `None` if there was no record.
    pub(crate) fn into_directory(self) -> Option<Directory> {
        self.directory
    }
}

/// What is wrong with a log whose place a snapshot up to `base` took, where there is none that goes as far.
pub(crate) fn lost_base(base: Index) -> String {
    format!("a snapshot up to entry {base} takes the log's place here, and none that goes as far is there")
}

fn core_meta(snapshot: record::Snapshot) -> Result<SnapshotMeta, String> {
    snapshot
        .try_into()
        .map_err(|error: DecodeError| error.to_string())
}

pub(crate) fn core_entries(
    first_index: u64,
    entries: Vec<record::Entry>,
) -> Result<Vec<Entry<Bytes>>, DecodeError> {
    let first = Index(first_index);
    let core_entry = |(place, entry): (usize, record::Entry)| {
        Ok(Entry {
            term: Term(entry.term),
            index: first.plus(place),
            data: entry.data.try_into()?,
        })
    };
    entries.into_iter().enumerate().map(core_entry).collect()
}
