//! Opening a data folder: reading the log back, and repairing the tear that a crash may have left.
//!
//! The log ends at the first place where no intact batch follows. What lies behind tells which of two things happened:
//!
//! - *A tear*: nothing intact follows but what an older use of the file has left, which is of another generation. The last write was
//!   interrupted before it was durable, so nobody was promised anything by it. What it left is overwritten with zeros, durably, before
//!   anything is appended in its place: otherwise a longer remnant could one day be taken for a batch again (bug zoo,
//!   *append-after-torn-tail*).
//! - *Corruption*: an intact later batch follows, and proves that the damaged one was durable. That is an error, and the node
//!   does not start: it may have promised what it no longer knows.
//!
//! Rot in the last durable batch can't be told from a tear. Neither can a batch that is durable be told from one that only seems to
//! be, because just the process died: so the end of the log is made durable before anything is promised by it. Syncing it is not
//! enough. A node that stopped because a sync failed leaves a batch that the operating system still shows and no longer means to
//! write; the next sync succeeds and makes nothing durable. So the last batch is *written again*, byte for byte, and then synced.
//! It is always the last one, for no batch is written before the one before it is durable.

mod contents;

use crate::batch::{BLOCK_BYTES, Link};
use crate::contents::Contents;
use crate::disk::{Disk, DiskError, FileId};
use crate::replay::Replay;
use crate::wal::{PREPARING, Preparing, Segment, Wal, file_name, generation, segment_number};
use alloc::collections::VecDeque;
use alloc::{format, string::String, string::ToString, vec::Vec};
use contents::Trouble;
use raft::ConfigError;

/// Why a data folder can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The folder belongs to somebody else.
    #[error("the data folder belongs to {what} {found}, not {expected}")]
    Foreign {
        /// What differs: `cluster`, `node`, `voters`.
        what: &'static str,
        /// Whom it belongs to.
        found: String,
        /// Who wants to open it.
        expected: String,
    },
    /// The folder's node is to go on as a cluster of the id that it has.
    #[error(
        "it belongs to the cluster {0:?} as it is: give another id, or nodes of that which come back would be heard"
    )]
    SameCluster(String),
    /// The folder was made by another version of this program.
    #[error("the data folder has format {found}; this build reads format {known}")]
    Format {
        /// As found.
        found: u16,
        /// As known here.
        known: u16,
    },
    /// What was durable is damaged.
    #[error("{file} is corrupt at offset {offset}: {reason}")]
    Corrupt {
        /// The file's name.
        file: String,
        /// In bytes.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The settings can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What becomes of what an interrupted write has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tear {
    /// It is overwritten with zeros, and the log goes on in its place.
    Cut,
    /// The log goes on behind it: only a seeded bug has that.
    Leave,
}

/// What becomes of a log that conflicts with the snapshot beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The snapshot takes its place.
    Replace,
    /// It stays: only a seeded bug has that.
    Keep,
    /// The snapshot takes its place, and that of term and vote: only a seeded bug has that.
    Forget,
}

/// Opens the log, has `replay` take in every record in order, and repairs a tear. `None` if there is no log, which is allowed only
/// where its secret is not known: the identity, which tells it, is written when the log has begun. The first batch tells it then.
/// Nothing is changed on the disk before all of it was read and found to be in order.
pub(crate) fn open<D: Disk>(
    mut disk: D,
    segment_bytes: u64,
    mut secret: Option<u64>,
    tear: Tear,
    replay: &mut Replay,
) -> Result<(D, Option<Wal<()>>), OpenError> {
    let may_be_blank = secret.is_none();
    let names = disk.list()?;
    let numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    let mut wal = Wal {
        disk: (),
        segments: Vec::new(),
        link: Link::FIRST,
        segment_bytes,
        secret: secret.unwrap_or_default(),
        released: VecDeque::new(),
        next: None,
        preparing: None,
    };
    let mut end_of_log = None;
    let mut never_begun = None;
    for (place, number) in numbers.iter().copied().enumerate() {
        let corrupt = |offset: u64, reason: &str| corrupt(&file_name(number), offset, reason);
        if let Some(last) = wal.segments.last()
            && number != last.number + 1
        {
            return Err(corrupt(0, "the segment before it is missing"));
        }
        let (file, bytes) = disk.open(&file_name(number))?;
        let is_last = place + 1 == numbers.len();
        let mut contents = Contents::new(bytes, |offset, buffer| disk.read(file, offset, buffer));
        if let Some(secret) = secret.filter(|_| is_last) {
            contents.look_no_further_if_not_begun(generation(number, secret))?;
        }
        // The first segment that is there says itself where the log begins.
        let first = contents.batch(0, None)?;
        if let (None, Some(first)) = (secret, &first) {
            // `generation` is its own inverse.
            wal.secret = generation(number, first.generation);
            secret = Some(wal.secret);
        }
        let of_segment = secret.map(|secret| generation(number, secret));
        let first_link = first
            .filter(|batch| Some(batch.generation) == of_segment)
            .map(|batch| batch.link);
        let expected = if wal.segments.is_empty() {
            first_link.unwrap_or(wal.link)
        } else {
            wal.link
        };
        let batches =
            contents
                .batches(number, of_segment, expected, replay)
                .map_err(|trouble| match trouble {
                    Trouble::Disk(error) => error.into(),
                    Trouble::Unfit { offset, reason } => corrupt(offset, &reason),
                })?;
        let rest = contents.rest(of_segment, &batches)?;
        if let Some(offset) = rest.later {
            // Where a segment's own beginning is the proof, what is missing is the end of the one before.
            let (file, end) = match wal.segments.last() {
                Some(before) if batches.end == 0 && offset == 0 => (file_name(before.number), before.end),
                Some(_) | None => (file_name(number), batches.end),
            };
            let proof = format!("{} offset {offset}", file_name(number));
            let reason = format!("the batch here is damaged, and one at {proof} proves that it was durable");
            return Err(self::corrupt(&file, end, &reason));
        }
        if batches.end == 0 {
            // A segment that was made ready and never begun, or the crash came before its first batch was durable. Nothing can follow it.
            if !is_last {
                return Err(corrupt(
                    0,
                    "it has no beginning, and a later segment proves that it had one",
                ));
            }
            let is_as_prepared = bytes == segment_bytes && contents.generation()? != of_segment;
            never_begun = Some((number, is_as_prepared.then_some(file)));
            break;
        }
        wal.link = batches.link;
        end_of_log = Some(((batches.last, batches.last_bytes), rest));
        wal.segments.push(Segment {
            number,
            file,
            bytes,
            end: batches.end,
        });
    }
    if wal.segments.is_empty() && !may_be_blank {
        return Err(corrupt(
            &file_name(1),
            0,
            "the log is missing or has lost its beginning",
        ));
    }
    replay
        .check_base()
        .map_err(|(at, reason)| corrupt(&file_name(at.segment), at.offset, &reason))?;
    if let (Some(last), Some((last_batch, rest))) = (wal.segments.last_mut(), end_of_log) {
        match tear {
            Tear::Cut => settle_end(&mut disk, last, last_batch, rest.torn)?,
            Tear::Leave => last.end += rest.used,
        }
    }
    // Where the identity is missing, it is not known yet whether this folder may be changed.
    if !may_be_blank {
        wal.next = keep_prepared(&mut disk, never_begun)?;
        if names.iter().any(|name| name == PREPARING) {
            wal.preparing = keep_preparing(&mut disk, segment_bytes)?;
        }
    }
    Ok((disk, (!wal.segments.is_empty()).then_some(wal)))
}

/// The file of the segment behind the last, which is not begun, if it can be used: it has the usual length, and no batch of its own
/// generation was begun in it. Otherwise it is removed, if it is there: a crash came while it was made, or begun.
fn keep_prepared(
    disk: &mut impl Disk,
    never_begun: Option<(u64, Option<FileId>)>,
) -> Result<Option<FileId>, DiskError> {
    match never_begun {
        Some((number, None)) => disk.remove(&file_name(number)).map(|()| None),
        Some((_, as_prepared)) => Ok(as_prepared),
        None => Ok(None),
    }
}

/// The segment that was being made ready, as far as it has come. What of it is durable makes no difference to what it will hold; it is
/// only written to faster where its zeros are.
fn keep_preparing(disk: &mut impl Disk, segment_bytes: u64) -> Result<Option<Preparing>, DiskError> {
    let (file, bytes) = disk.open(PREPARING)?;
    let filled = bytes / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
    if filled > segment_bytes {
        return disk.remove(PREPARING).map(|()| None);
    }
    Ok(Some(Preparing { file, filled }))
}

fn corrupt(file: &str, offset: u64, reason: &str) -> OpenError {
    OpenError::Corrupt {
        file: file.to_string(),
        offset,
        reason: reason.to_string(),
    }
}

/// Writes the batch at `last_batch`, the last one of `segment`, again, with zeros over the `torn` bytes that an interrupted write may have
/// left behind it, and makes that durable.
///
/// The batch may have been written and not be durable, and nobody can tell: the process died before the sync, or the sync failed.
/// From here on it is taken for durable, and promises are made by it. It is overwritten with what it is, so nothing is lost if that
/// is interrupted.
fn settle_end(
    disk: &mut impl Disk,
    segment: &Segment,
    (last_batch, mut bytes): (u64, Vec<u8>),
    torn: u64,
) -> Result<(), DiskError> {
    let in_memory = |bytes: u64| usize::try_from(bytes).expect("a part of a segment fits in memory");
    bytes.resize(in_memory(segment.end - last_batch + torn), 0);
    disk.write_durably(segment.file, last_batch, &bytes)
}
