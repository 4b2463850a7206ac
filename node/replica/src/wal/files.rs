//! The log's files: which are made ready, used again, and removed.

use super::{PREPARING, Preparing, Segment, Wal, file_name};
use crate::disk::{Disk, DiskError, FileId};
use alloc::vec;

/// How many bytes of a segment are filled with zeros, durably, at once: what comes meanwhile waits no longer than for that.
const PREPARE_BYTES: u64 = 256 << 10;

impl<D: Disk> Wal<D> {
    /// Whether there is something to do that nobody waits for, where all files may have `room` bytes together.
    pub(crate) fn has_housework(&self, room: u64) -> bool {
        self.must_remove(room) || self.must_stop_preparing(room) || self.may_make_ready(room)
    }

    /// How many bytes all files have; one that is being made ready counts with what it is to have.
    pub(crate) fn file_bytes(&self) -> u64 {
        let next = self.next.map_or(0, |_| self.segment_bytes);
        let preparing = self.preparing.map_or(0, |_| self.segment_bytes);
        let segments = self.segments.iter().chain(&self.released);
        next + preparing + segments.map(|segment| segment.bytes).sum::<u64>()
    }

    /// Whether the oldest segment that nobody needs is not kept to be used again.
    fn must_remove(&self, room: u64) -> bool {
        let unusual = |segment: &Segment| segment.bytes != self.segment_bytes;
        let is_too_much = |_: &Segment| self.file_bytes() > room;
        let oldest = self.released.front();
        oldest.is_some_and(|oldest| unusual(oldest) || (self.next.is_some() && is_too_much(oldest)))
    }

    /// Whether a segment is being made ready that there is no room for any more, since the state has become smaller.
    fn must_stop_preparing(&self, room: u64) -> bool {
        self.preparing.is_some() && self.next.is_some() && self.file_bytes() > room
    }

    /// Whether the next segment is to be made ready: of one that nobody needs, or of a new one, if there is room. If there is none, a
    /// snapshot is about to make a segment needless.
    fn may_make_ready(&self, room: u64) -> bool {
        let is_room = || self.file_bytes() + self.segment_bytes <= room;
        self.next.is_none() && (!self.released.is_empty() || self.preparing.is_some() || is_room())
    }

    /// Does a step of it: removes a segment that nobody needs, or makes the next one ready.
    ///
    /// Segments go in the order of their numbers, so that a crash leaves no gap.
    pub(crate) fn do_housework(&mut self, room: u64) -> Result<(), DiskError> {
        let must_remove = self.must_remove(room);
        if !must_remove && self.must_stop_preparing(room) {
            self.preparing = None;
            return self.disk.remove(PREPARING);
        }
        if !must_remove && !self.may_make_ready(room) {
            return Ok(());
        }
        match self.released.pop_front() {
            Some(oldest) if must_remove => self.disk.remove(&file_name(oldest.number)),
            Some(oldest) => self.name_next(oldest.file),
            None => self.prepare(),
        }
    }

    /// Whether less of the next segment is filled with zeros than there is in the last one of what fills it: it would not be ready in time.
    pub(crate) fn is_late(&self) -> bool {
        let last = self.last_segment();
        let share_filled = |preparing: Preparing| u128::from(preparing.filled) * u128::from(last.bytes);
        let share_used = u128::from(last.end) * u128::from(self.segment_bytes);
        self.next.is_none()
            && self.released.is_empty()
            && self
                .preparing
                .is_some_and(|preparing| share_filled(preparing) < share_used)
    }

    /// How many bytes the segments have that no room is kept for: all behind `number` but the first, and what any has beyond the usual size,
    /// until it is removed: one that a snapshot has just made needless is there for some turns more.
    pub(crate) fn unforeseen_bytes(&self, number: u64) -> u64 {
        let behind = self
            .segments
            .iter()
            .skip_while(|segment| segment.number <= number);
        let unusual = |segment: &Segment| segment.bytes.saturating_sub(self.segment_bytes);
        let unusual: u64 = self.segments.iter().chain(&self.released).map(unusual).sum();
        unusual + behind.skip(1).map(|segment| segment.bytes).sum::<u64>()
    }

    /// How many segments of the usual size are there, ready or not, to be begun.
    fn spare(&self) -> u64 {
        let usual = |segment: &&Segment| segment.bytes == self.segment_bytes;
        let released = self.released.iter().filter(usual).count() as u64;
        u64::from(self.next.is_some()) + u64::from(self.preparing.is_some()) + released
    }

    /// How many bytes may be written to the log until it takes more than `room`.
    pub(crate) fn left(&self, room: u64) -> u64 {
        let last = self.last_segment();
        let new = room.saturating_sub(self.file_bytes()) / self.segment_bytes * self.segment_bytes;
        new.saturating_add(self.spare() * self.segment_bytes + last.bytes - last.end)
    }

    /// Whether all files take more than `room` once a segment of so many bytes is begun.
    pub(crate) fn lacks_room(&self, segment_bytes: u64, room: u64) -> bool {
        let is_there = segment_bytes == self.segment_bytes && self.spare() > 0;
        !is_there && self.file_bytes() + segment_bytes > room
    }

    /// Removes the oldest segment that nobody needs, if one of those can't be used for a segment of so many bytes. Whether it did.
    pub(crate) fn make_way(&mut self, segment_bytes: u64) -> Result<bool, DiskError> {
        let is_unfit = |released: &Segment| released.bytes != segment_bytes;
        if !self.released.iter().any(is_unfit) {
            return Ok(false);
        }
        let oldest = self.released.pop_front().expect("there is one");
        self.disk.remove(&file_name(oldest.number))?;
        Ok(true)
    }

    /// Fills a part of the next segment with zeros, durably; the last one gives it its name.
    pub(crate) fn prepare(&mut self) -> Result<(), DiskError> {
        let Some(Preparing { file, filled }) = self.preparing else {
            let file = self.disk.create(PREPARING, 0)?;
            self.preparing = Some(Preparing { file, filled: 0 });
            return Ok(());
        };
        if filled == self.segment_bytes {
            self.preparing = None;
            return self.name_next(file);
        }
        let filled = self.fill(file, filled)?;
        self.disk.sync(file)?;
        self.preparing = Some(Preparing { file, filled });
        Ok(())
    }

    /// Writes zeros behind the first `filled` bytes of a file that becomes a segment; how much is filled then.
    fn fill(&mut self, file: FileId, filled: u64) -> Result<u64, DiskError> {
        let step = PREPARE_BYTES.min(self.segment_bytes - filled);
        let zeros = vec![0; usize::try_from(step).expect("a step is small")];
        self.disk.write(file, filled, &zeros)?;
        Ok(filled + step)
    }

    /// Makes `file` the segment behind the last, which is not begun.
    fn name_next(&mut self, file: FileId) -> Result<(), DiskError> {
        self.disk.rename(file, &file_name(self.last_number() + 1))?;
        self.next = Some(file);
        Ok(())
    }

    /// The file of the segment `number`, which is begun now and is to have `bytes`: the one that was made ready, or one that nobody needs, or the
    /// one that is being made ready, filled up at once, or a new one.
    pub(super) fn take_next(&mut self, number: u64, bytes: u64) -> Result<FileId, DiskError> {
        if bytes != self.segment_bytes {
            if self.next.take().is_some() {
                self.disk.remove(&file_name(number))?;
            }
            return self.disk.create(&file_name(number), bytes);
        }
        while self.next.is_none()
            && let Some(oldest) = self.released.pop_front()
        {
            if oldest.bytes == self.segment_bytes {
                self.name_next(oldest.file)?;
            } else {
                self.disk.remove(&file_name(oldest.number))?;
            }
        }
        if self.next.is_none()
            && let Some(Preparing { file, mut filled }) = self.preparing.take()
        {
            while filled < self.segment_bytes {
                filled = self.fill(file, filled)?;
            }
            self.disk.sync(file)?;
            self.name_next(file)?;
        }
        match self.next.take() {
            Some(file) => Ok(file),
            None => self.disk.create(&file_name(number), bytes),
        }
    }
}
