//! Snapshots: files that hold the state as of an entry of the log (Raft §7).
//!
//! ```text
//!  snapshot-0000000000000042-0000000000000003
//! ┌───────┬───────┬─ ─ ─ ┬──────────┬─ ─ ─ ┬─────────┬─ ─ ─ ┬───────┐
//! │ Begin │ Pairs │      │ Sessions │      │ Replies │      │ End   │   batches, as in the log: each names the checksum of the
//! └───────┴───────┴─ ─ ─ ┴──────────┴─ ─ ─ ┴─────────┴─ ─ ─ ┴───────┘   one before it
//! ```
//!
//! A snapshot is taken beside service: an image of the state, which shares all that is not written to meanwhile, is written in steps
//! into a file of another name, each step durable before the next, and gets its own name when it is whole. So a file of that name
//! is whole, and one that isn't has rotted.

use crate::batch::{self, Batch, HEADER_BYTES, Link};
use crate::disk::{Disk, DiskError, FileId};
use crate::image::Cursor;
use crate::machine::StateMachine;
use crate::recover::OpenError;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::{format, vec, vec::Vec};
use raft::{Index, LogPosition, SnapshotMeta, Term};
use wire::record::SnapshotPart;

/// The file in which a snapshot is being taken.
pub(crate) const TAKING: &str = "snapshot.part";

/// The file in which a snapshot arrives.
pub(crate) const ARRIVING: &str = "incoming.part";

/// What a pair takes in the file beside its key and its value, at most but for large ones, and with its part of what is around it.
const PAIR_OVERHEAD_BYTES: u64 = 8;

/// The generation of a snapshot's batches: no segment of a log has it.
const GENERATION: u64 = u64::MAX;

/// A snapshot that is whole.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) meta: Arc<SnapshotMeta>,
    pub(crate) file: FileId,
    pub(crate) bytes: u64,
}

pub(crate) fn file_name(last: LogPosition) -> String {
    format!("snapshot-{:016}-{:016}", last.index, last.term)
}

/// What a name says of the snapshot that it names; `None` for other files.
pub(crate) fn position(name: &str) -> Option<LogPosition> {
    let (index, term) = name.strip_prefix("snapshot-")?.split_once('-')?;
    let position = LogPosition {
        term: Term(term.parse().ok()?),
        index: Index(index.parse().ok()?),
    };
    (file_name(position) == name).then_some(position)
}

/// Whether the file of this name holds a snapshot, be it whole or not.
pub(crate) fn is_one(name: &str) -> bool {
    position(name).is_some() || [TAKING, ARRIVING].contains(&name)
}

/// Finds the latest snapshot and reads it.
pub(crate) fn find<D: Disk>(disk: &mut D) -> Result<Option<(Stored, StateMachine)>, OpenError> {
    let names = disk.list()?;
    let Some(last) = names
        .iter()
        .filter_map(|name| position(name))
        .max_by_key(|last| last.index)
    else {
        return Ok(None);
    };
    let name = file_name(last);
    let (file, bytes) = disk.open(&name)?;
    let (meta, machine) = read(disk, file, bytes).map_err(|error| error.named(&name))?;
    if meta.last != last {
        let reason = format!("it holds the state as of {}", meta.last);
        return Err(ReadError::Damaged(0, reason).named(&name));
    }
    let meta = Arc::new(meta);
    Ok(Some((Stored { meta, file, bytes }, machine)))
}

/// Takes away what a crash left of other snapshots: those before `latest`, and those that never were whole.
pub(crate) fn tidy_up(disk: &mut impl Disk, latest: Option<LogPosition>) -> Result<(), DiskError> {
    for name in disk.list()? {
        let earlier = position(&name).is_some_and(|last| Some(last) != latest);
        if earlier || [TAKING, ARRIVING].contains(&name.as_str()) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}

/// What is wrong with a snapshot's file.
#[derive(Debug)]
pub(crate) enum ReadError {
    Disk(DiskError),
    /// Where, and what.
    Damaged(u64, String),
}

impl ReadError {
    pub(crate) fn named(self, name: &str) -> OpenError {
        match self {
            ReadError::Disk(error) => error.into(),
            ReadError::Damaged(offset, reason) => OpenError::Corrupt {
                file: name.to_string(),
                offset,
                reason,
            },
        }
    }
}

/// Reads and checks a whole snapshot.
pub(crate) fn read(
    disk: &impl Disk,
    file: FileId,
    bytes: u64,
) -> Result<(SnapshotMeta, StateMachine), ReadError> {
    let mut reading = Reading::default();
    reading.go_on(disk, file, bytes, bytes)?;
    reading.finish()
}

/// A snapshot that is being read and checked, as far as it is there.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Where the next part is, and belongs.
    offset: u64,
    link: Link,
    meta: Option<SnapshotMeta>,
    machine: StateMachine,
    /// Whether the last part was read.
    whole: bool,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            offset: 0,
            link: Link::FIRST,
            meta: None,
            machine: StateMachine::default(),
            whole: false,
        }
    }
}

impl Reading {
    /// Reads all parts that lie within the first `there` bytes of a file which will have `total`.
    pub(crate) fn go_on(
        &mut self,
        disk: &impl Disk,
        file: FileId,
        there: u64,
        total: u64,
    ) -> Result<(), ReadError> {
        let mut read = |offset, buffer: &mut [u8]| disk.read(file, offset, buffer);
        while let Some(part) = self.next_part(&mut read, there, total)? {
            self.take_in(part, total)?;
        }
        Ok(())
    }

    /// Takes in the part that comes next.
    pub(crate) fn take_in(&mut self, part: Part, total: u64) -> Result<(), ReadError> {
        let offset = self.offset;
        let damaged = |reason: &str| ReadError::Damaged(offset, reason.to_string());
        match (part.content, &self.meta) {
            (SnapshotPart::Begin { snapshot }, None) => {
                let snapshot =
                    SnapshotMeta::try_from(snapshot).map_err(|error| damaged(&error.to_string()))?;
                self.meta = Some(snapshot);
            }
            (_, None) => return Err(damaged("it does not say what it stands for")),
            (content, Some(_)) => self.whole = self.machine.take_in(content).map_err(damaged)?,
        }
        self.offset += part.bytes;
        self.link = part.next;
        if self.whole && self.offset != total {
            return Err(ReadError::Damaged(
                self.offset,
                "something follows its end".to_string(),
            ));
        }
        Ok(())
    }

    /// Where the next part would be.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What was read, if that is all.
    pub(crate) fn finish(self) -> Result<(SnapshotMeta, StateMachine), ReadError> {
        match self.meta {
            Some(meta) if self.whole => Ok((meta, self.machine)),
            Some(_) | None => Err(ReadError::Damaged(self.offset, "it has no end".to_string())),
        }
    }

    /// The next part; `None` where it is not there yet, or nothing is to come.
    pub(crate) fn next_part(
        &self,
        read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), DiskError>,
        there: u64,
        total: u64,
    ) -> Result<Option<Part>, ReadError> {
        let Some(batch) = next_batch(read, (self.offset, self.link), there, total)? else {
            return Ok(None);
        };
        let content = wire::decode(&batch.bytes[HEADER_BYTES..])
            .map_err(|error| ReadError::Damaged(self.offset, error.to_string()))?;
        Ok(Some(Part {
            content,
            bytes: batch.padded,
            sequence: self.link.sequence,
            next: batch.next,
        }))
    }
}

/// A batch of a snapshot, which is intact and belongs where it is.
struct Intact {
    /// Its header and its payload.
    bytes: Vec<u8>,
    /// What it takes in the file.
    padded: u64,
    /// Where the one behind it belongs.
    next: Link,
}

/// The batch at `offset`, where the one that `link` says belongs, if it lies within the first `there` bytes of a file which will have `total`.
fn next_batch(
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), DiskError>,
    (offset, link): (u64, Link),
    there: u64,
    total: u64,
) -> Result<Option<Intact>, ReadError> {
    let damaged = |reason: &str| ReadError::Damaged(offset, reason.to_string());
    let room = there - offset;
    if room < HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; HEADER_BYTES];
    read(offset, &mut bytes).map_err(ReadError::Disk)?;
    let length = batch::payload_bytes(&bytes).ok_or_else(|| damaged("here is no batch"))?;
    let padded = batch::padded_bytes(length) as u64;
    if padded > total - offset {
        return Err(damaged("the batch here reaches beyond the end"));
    }
    if padded > room {
        return Ok(None);
    }
    bytes.resize(HEADER_BYTES + length, 0);
    let payload = &mut bytes[HEADER_BYTES..];
    read(offset + HEADER_BYTES as u64, payload).map_err(ReadError::Disk)?;
    let next = Batch::parse(&bytes)
        .filter(|batch| batch.generation == GENERATION && batch.link == link)
        .map(|batch| batch.next_link())
        .ok_or_else(|| damaged("the batch here is damaged"))?;
    Ok(Some(Intact { bytes, padded, next }))
}

/// How far the batches of a snapshot were found to be intact, from its beginning on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    offset: u64,
    link: Link,
}

impl Checked {
    pub(crate) const NOTHING: Checked = Checked {
        offset: 0,
        link: Link::FIRST,
    };

    /// Goes on until all that lies before `goal` was checked.
    pub(crate) fn reach(&mut self, disk: &impl Disk, stored: &Stored, goal: u64) -> Result<(), ReadError> {
        let mut read = |offset, buffer: &mut [u8]| disk.read(stored.file, offset, buffer);
        while self.offset < goal {
            let place = (self.offset, self.link);
            let ends = || ReadError::Damaged(self.offset, "it has no end".to_string());
            let batch = next_batch(&mut read, place, stored.bytes, stored.bytes)?.ok_or_else(ends)?;
            (self.offset, self.link) = (self.offset + batch.padded, batch.next);
        }
        Ok(())
    }
}

/// A part of a snapshot, whose batch is intact and the one that belongs where it is.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) content: SnapshotPart,
    /// What it takes in the file.
    pub(crate) bytes: u64,
    pub(crate) sequence: u64,
    /// Where the part behind it belongs.
    next: Link,
}

/// A snapshot that is being taken.
#[derive(Debug)]
pub(crate) struct Taking {
    meta: Arc<SnapshotMeta>,
    image: StateMachine,
    file: FileId,
    /// Where the next part goes, and belongs.
    end: u64,
    link: Link,
    /// What is written next.
    next: Cursor,
    /// How long the file will be, about.
    expected: u64,
    /// How many bytes could be written to the log when it was begun, until there is no room for more.
    log_left: u64,
}

impl Taking {
    /// Begins to write down `image`, the state that `meta` stands for, while there is room for `log_left` more bytes in the log.
    pub(crate) fn begin(
        disk: &mut impl Disk,
        meta: SnapshotMeta,
        image: StateMachine,
        log_left: u64,
    ) -> Result<Taking, DiskError> {
        let file = disk.create(TAKING, 0)?;
        let expected = image.bytes() + image.pairs() * PAIR_OVERHEAD_BYTES;
        let mut taking = Taking {
            expected,
            log_left,
            meta: Arc::new(meta),
            image,
            file,
            end: 0,
            link: Link::FIRST,
            next: Cursor::begin(),
        };
        let snapshot = (&*taking.meta).into();
        taking.write(disk, &SnapshotPart::Begin { snapshot })?;
        Ok(taking)
    }

    /// Writes one more part, durably. Returns the snapshot when it is whole. One of the same state, `latest`, gives way to it: it is damaged, or
    /// none would be taken; so a crash that leaves neither takes nothing away.
    pub(crate) fn go_on(
        &mut self,
        disk: &mut impl Disk,
        latest: Option<LogPosition>,
    ) -> Result<Option<Stored>, DiskError> {
        let (part, next) = self.image.part(self.next.clone());
        self.write(disk, &part)?;
        disk.sync(self.file)?;
        if let Some(next) = next {
            self.image.let_go_before(&next);
            self.next = next;
            return Ok(None);
        }
        let name = file_name(self.meta.last);
        if latest == Some(self.meta.last) {
            disk.remove(&name)?;
        }
        disk.rename(self.file, &name)?;
        Ok(Some(Stored {
            meta: self.meta.clone(),
            file: self.file,
            bytes: self.end,
        }))
    }

    /// Whether it must go on at once, where there is room for `log_left` bytes in the log now: it is to be whole when half of what there was room
    /// for is used up. What it costs is spread so over what is written to the log.
    pub(crate) fn is_late(&self, log_left: u64) -> bool {
        let used = self.log_left.saturating_sub(log_left);
        u128::from(self.end) * u128::from(self.log_left / 2) < u128::from(self.expected) * u128::from(used)
    }

    /// Gives the snapshot up.
    pub(crate) fn give_up(self, disk: &mut impl Disk) -> Result<(), DiskError> {
        disk.remove(TAKING)
    }

    fn write(&mut self, disk: &mut impl Disk, part: &SnapshotPart) -> Result<(), DiskError> {
        let mut bytes = wire::encode_into(part, vec![0; HEADER_BYTES]);
        self.link = batch::seal(&mut bytes, GENERATION, self.link);
        disk.write(self.file, self.end, &bytes)?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}
