//! Looking at a log and its snapshots without touching them: what they hold, batch by batch, and whether that hangs together.
//!
//! Nothing here trusts what it reads: a damaged log is what this is for.

use crate::batch::{self, BLOCK_BYTES, Batch, Link};
use crate::contents::Contents;
use crate::disk::DiskError;
use crate::identity;
use crate::replay::lost_base;
use crate::snapshot::{self, ReadError, Reading};
use crate::wal::{file_name, generation, segment_number};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
use raft::{Index, LogPosition};
use wire::record::{Entry, EntryData, HardState, Record, SnapshotPart};

/// What lies at a place of a segment, or of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A batch that belongs where it is.
    Batch {
        /// Where it begins, in bytes.
        offset: u64,
        /// How many it takes, padding included.
        bytes: u64,
        /// Its number in the whole log.
        sequence: u64,
        /// What it holds, in words.
        record: String,
    },
    /// Bytes behind the last batch that are no batch of this log, or that an older use has left: what an interrupted write leaves.
    Remnant {
        /// Where they begin.
        offset: u64,
        /// How many there are, in whole blocks.
        bytes: u64,
    },
    /// Zeros, up to the end: room for what is to come.
    Room {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        bytes: u64,
    },
    /// It can't be as it was written.
    Corrupt {
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

/// Looks at the segments of one log, in their order.
#[derive(Debug, Default)]
pub struct Inspector {
    secret: Option<u64>,
    /// Whether the identity told the secret, and not the log itself.
    is_identified: bool,
    /// What is wrong with the identity.
    damaged_identity: Option<String>,
    /// Where the next batch belongs, once there was one.
    link: Option<Link>,
    last_number: Option<u64>,
    /// The latest snapshot that was looked at, and whether it is whole.
    snapshot: Option<(LogPosition, bool)>,
    /// The last batch by which a snapshot took the log's place: its segment and where it begins there, and what the snapshot covers.
    installed: Option<(u64, u64, Index)>,
}

impl Inspector {
    /// For the log beside the file `identity` of this content; without it, the log's first batch is believed.
    pub fn new(identity: Option<&[u8]>) -> Inspector {
        let known = identity.map(identity::parse).transpose();
        let (known, damage) = match known {
            Ok(known) => (known, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Inspector {
            is_identified: known.is_some(),
            secret: known.map(|known| known.secret),
            damaged_identity: damage,
            ..Inspector::default()
        }
    }

    /// What is wrong with the file `identity`, in words.
    pub fn damaged_identity(&self) -> Option<&str> {
        self.damaged_identity.as_deref()
    }

    /// What the snapshot holds whose file has this name and so many bytes, which `read` gives from an offset on, as many as its buffer has;
    /// `None` if that is no snapshot's name. One that a node is making, or being sent, ends where it ends. Snapshots are to be looked at before
    /// the log, which begins behind the latest.
    ///
    /// # Errors
    /// That of `read`.
    pub fn snapshot(
        &mut self,
        name: &str,
        bytes: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), DiskError>,
    ) -> Option<Result<Vec<Found>, DiskError>> {
        let named = snapshot::position(name);
        if named.is_none() && ![snapshot::TAKING, snapshot::ARRIVING].contains(&name) {
            return None;
        }
        let mut found = Vec::new();
        let mut reading = Reading::default();
        let damage = loop {
            let part = match reading.next_part(&mut read, bytes, bytes) {
                Ok(Some(part)) => part,
                Ok(None) => break None,
                Err(error) => break Some(error),
            };
            found.push(Found::Batch {
                offset: reading.offset(),
                bytes: part.bytes,
                sequence: part.sequence,
                record: part_in_words(&part.content),
            });
            if let Err(error) = reading.take_in(part, bytes) {
                break Some(error);
            }
        };
        let end = reading.offset();
        let damage = match (damage, named) {
            (Some(ReadError::Disk(error)), _) => return Some(Err(error)),
            (Some(ReadError::Damaged(offset, reason)), _) => Some((offset, reason)),
            (None, None) => None,
            (None, Some(named)) => match reading.finish() {
                Ok((meta, _)) if meta.last == named => None,
                Ok((meta, _)) => Some((
                    0,
                    format!(
                        "it holds the state as of {}, and its name says {named}",
                        meta.last
                    ),
                )),
                Err(ReadError::Damaged(offset, reason)) => Some((offset, reason)),
                Err(ReadError::Disk(error)) => return Some(Err(error)),
            },
        };
        if let Some(named) = named {
            let is_latest = self
                .snapshot
                .is_none_or(|(latest, _)| latest.index <= named.index);
            if is_latest {
                self.snapshot = Some((named, damage.is_none()));
            }
            found.extend(damage.map(|(offset, reason)| Found::Corrupt { offset, reason }));
        } else if end < bytes {
            found.push(Found::Remnant {
                offset: end,
                bytes: bytes - end,
            });
        }
        Some(Ok(found))
    }

    /// What the segment holds whose file has this name and so many bytes, which `read` gives as it does for [`Inspector::snapshot`]; `None` if
    /// that is no segment's name.
    ///
    /// # Errors
    /// That of `read`.
    pub fn segment(
        &mut self,
        name: &str,
        bytes: u64,
        read: impl FnMut(u64, &mut [u8]) -> Result<(), DiskError>,
    ) -> Option<Result<Vec<Found>, DiskError>> {
        let number = segment_number(name)?;
        Some(self.contents(number, &mut Contents::new(bytes, read)))
    }

    fn contents<R: FnMut(u64, &mut [u8]) -> Result<(), DiskError>>(
        &mut self,
        number: u64,
        contents: &mut Contents<R>,
    ) -> Result<Vec<Found>, DiskError> {
        let mut found = Vec::new();
        if let Some(last) = self.last_number
            && number != last + 1
        {
            let reason = format!("the segment before it is missing: the last one was number {last}");
            found.push(Found::Corrupt { offset: 0, reason });
            self.link = None;
        }
        let is_first = self.last_number.replace(number).is_none();
        let first = contents.batch(0, None)?;
        if self.secret.is_none() {
            // `generation` is its own inverse.
            self.secret = first.as_ref().map(|first| generation(number, first.generation));
        }
        let gap = first.as_ref().and_then(|first| self.gap_before(first));
        let is_another = first.is_some();
        let of_segment = self.secret.map(|secret| generation(number, secret));
        let end = match of_segment {
            Some(own) => self.batches(number, contents, own, &mut found)?,
            None => 0,
        };
        if is_first && let Some(reason) = gap {
            found.push(Found::Corrupt { offset: 0, reason });
        }
        // The identity is written when the log has begun.
        if is_first && end == 0 && self.is_identified {
            let reason = if is_another {
                "an intact batch of another log is here: the identity beside it is not this log's"
            } else {
                "no intact batch is here, and the identity beside it proves that there was one"
            };
            let reason = String::from(reason);
            found.push(Found::Corrupt { offset: 0, reason });
        }
        self.rest(contents, end, of_segment, &mut found)?;
        Ok(found)
    }

    /// What is wrong with where the log begins, in words: what comes before must be in the latest snapshot.
    fn gap_before(&self, first: &Batch<'_>) -> Option<String> {
        let Ok(Record::<Vec<Entry>>::Open { behind, .. }) = wire::decode(first.payload) else {
            return None;
        };
        let begins_behind = Index(behind.last.index);
        (!self.is_covered(begins_behind)).then(|| {
            format!("the log begins behind entry {begins_behind}, and no snapshot that is whole covers what comes before")
        })
    }

    /// Whether a snapshot that is whole has everything up to `index`.
    fn is_covered(&self, index: Index) -> bool {
        let covers = |(last, is_whole): (LogPosition, bool)| is_whole && index <= last.index;
        index == Index(0) || self.snapshot.is_some_and(covers)
    }

    /// What is wrong with the log as a whole, and in which file, when all of its segments were looked at: where a snapshot took its place, that
    /// one must be there, or a later one.
    pub fn lost_snapshot(&self) -> Option<(String, Found)> {
        let (number, offset, base) = self.installed?;
        let reason = (!self.is_covered(base)).then(|| lost_base(base))?;
        Some((file_name(number), Found::Corrupt { offset, reason }))
    }

    /// The batches at the beginning; where they end.
    fn batches<R: FnMut(u64, &mut [u8]) -> Result<(), DiskError>>(
        &mut self,
        number: u64,
        contents: &mut Contents<R>,
        of_segment: u64,
        found: &mut Vec<Found>,
    ) -> Result<u64, DiskError> {
        let (length, mut offset) = (contents.length(), 0);
        while let Some(batch) = contents.batch(offset, Some(of_segment))? {
            let bytes = batch.padded_bytes() as u64;
            let is_next = self.link.is_none_or(|link| link == batch.link);
            if !is_next || offset + bytes > length {
                break;
            }
            let record = match wire::decode::<Record>(batch.payload) {
                Ok(record) => {
                    if let Record::Write {
                        snapshot: Some(snapshot),
                        ..
                    } = &record
                    {
                        self.installed = Some((number, offset, Index(snapshot.last.index)));
                    }
                    in_words(&record)
                }
                Err(error) => {
                    let reason =
                        format!("the batch is intact, and holds no record that this build knows: {error}");
                    found.push(Found::Corrupt { offset, reason });
                    String::from("?")
                }
            };
            found.push(Found::Batch {
                offset,
                bytes,
                sequence: batch.link.sequence,
                record,
            });
            self.link = Some(batch.next_link());
            offset += bytes;
        }
        Ok(offset)
    }

    /// What lies behind the batches.
    fn rest<R: FnMut(u64, &mut [u8]) -> Result<(), DiskError>>(
        &self,
        contents: &mut Contents<R>,
        end: u64,
        of_segment: Option<u64>,
        found: &mut Vec<Found>,
    ) -> Result<(), DiskError> {
        let (length, mut later, mut used) = (contents.length(), None, 0);
        for offset in (end..length).step_by(BLOCK_BYTES) {
            let block = contents.bytes(offset, BLOCK_BYTES as u64)?;
            if block.iter().all(|byte| *byte == 0) {
                continue;
            }
            used = (offset - end + BLOCK_BYTES as u64).min(length - end);
            let is_own = of_segment.is_some() && batch::generation(block) == of_segment;
            if later.is_none() && is_own && self.proves_a_loss(contents.batch(offset, of_segment)?) {
                later = Some(offset);
            }
        }
        if let Some(later) = later {
            let reason = if later == end {
                String::from("the batch here does not follow the one before it, or the file ends within it")
            } else {
                format!(
                    "no intact batch is here that belongs here, and the one at {later} proves that there was one"
                )
            };
            found.push(Found::Corrupt { offset: end, reason });
        }
        if used > 0 {
            found.push(Found::Remnant {
                offset: end,
                bytes: used,
            });
        }
        if end + used < length {
            found.push(Found::Room {
                offset: end + used,
                bytes: length - end - used,
            });
        }
        Ok(())
    }

    /// Whether a batch of this segment, behind those that hang together, shows that there was one between.
    fn proves_a_loss(&self, batch: Option<Batch<'_>>) -> bool {
        batch.is_some_and(|batch| self.link.is_none_or(|link| batch.link.sequence >= link.sequence))
    }
}

/// `open  term 3, voted for 1, commit 7; behind 9@2 of (1 2 3)`.
fn in_words(record: &Record) -> String {
    match record {
        Record::Open { hard_state, behind } => format!(
            "open   {}; behind {}@{} of ({})",
            state(hard_state),
            behind.last.index,
            behind.last.term,
            configuration(&behind.configuration)
        ),
        Record::Write {
            hard_state,
            snapshot,
            first_index,
            entries,
        } => {
            let mut words = format!("write  {}", state(hard_state));
            if let Some(snapshot) = snapshot {
                let _ = write!(
                    words,
                    "; a snapshot up to {}@{} of ({}) takes the log's place",
                    snapshot.last.index,
                    snapshot.last.term,
                    configuration(&snapshot.configuration)
                );
            }
            if !entries.is_empty() {
                let _ = write!(words, "; {}", entries_in_words(*first_index, entries));
            }
            words
        }
    }
}

/// `begin  the state as of 9@2, of (1 2 3)`.
fn part_in_words(part: &SnapshotPart) -> String {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    match part {
        SnapshotPart::Begin { snapshot } => format!(
            "begin  the state as of {}@{}, of ({})",
            snapshot.last.index,
            snapshot.last.term,
            configuration(&snapshot.configuration)
        ),
        SnapshotPart::Pairs(pairs) => {
            let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
            let count = pairs.len() as u64;
            format!("part   {count} pair{} of {bytes} bytes", plural(count))
        }
        SnapshotPart::Sessions { time, sessions } => {
            let count = sessions.len() as u64;
            format!(
                "part   {count} session{}, at {time} ms of leaders' time",
                plural(count)
            )
        }
        SnapshotPart::Replies(replies) => {
            let count = replies.len() as u64;
            format!("part   {count} answer{} given in sessions", plural(count))
        }
        SnapshotPart::End { pairs, state_hash } => {
            format!(
                "end    {pairs} pair{} in all, state hash {state_hash:016x}",
                plural(*pairs)
            )
        }
    }
}

fn state(state: &HardState) -> String {
    let vote = state
        .vote
        .map_or_else(|| String::from("no vote"), |node| format!("vote {node}"));
    format!("term {}, {vote}, commit {}", state.term, state.commit)
}

fn configuration(configuration: &wire::record::Configuration) -> String {
    match raft::Configuration::try_from(configuration.clone()) {
        Ok(configuration) => configuration.to_string(),
        Err(error) => error.to_string(),
    }
}

fn entries_in_words(first: u64, entries: &[Entry]) -> String {
    let last = first.saturating_add(entries.len() as u64 - 1);
    let (mut commands, mut bytes) = (0_u64, 0_u64);
    let mut others = String::new();
    for entry in entries {
        match &entry.data {
            EntryData::Noop => others.push_str(", a no-op"),
            EntryData::Command(command) => {
                commands += 1;
                bytes += command.len() as u64;
            }
            EntryData::Configuration(members) => {
                let _ = write!(others, ", the configuration ({})", configuration(members));
            }
        }
    }
    let term = entries.last().map_or(0, |entry| entry.term);
    let mut words = if first == last {
        format!("entry {first}@{term}")
    } else {
        format!("entries {first} to {last}@{term}")
    };
    if commands > 0 {
        let plural = if commands == 1 { "" } else { "s" };
        let _ = write!(words, ", {commands} command{plural} of {bytes} bytes");
    }
    words + &others
}
