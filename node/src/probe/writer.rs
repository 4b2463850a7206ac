//! Writes and syncs as the log does.

use crate::disk::DataFolder;
use replica::{BLOCK_BYTES, Disk, FileId};
use std::path::Path;

/// The name of the file, and its length: that of a segment of the log.
const FILE: &str = "wal-probe";
const FILE_BYTES: u64 = 8 << 20;

/// What a put takes in the log beside its value, about: headers, positions and a key.
const BESIDE_VALUE_BYTES: usize = 100;

/// A file that is written block behind block, and again from its beginning.
#[derive(Debug)]
pub(super) struct Writer {
    disk: DataFolder,
    file: FileId,
    /// What one put of a value takes in the log.
    batch: Vec<u8>,
    offset: u64,
}

/// How many bytes a put of a value of `value_bytes` takes in the log.
pub(super) fn batch_bytes(value_bytes: usize) -> usize {
    (value_bytes + BESIDE_VALUE_BYTES).next_multiple_of(BLOCK_BYTES)
}

impl Writer {
    /// One in the fresh folder `path`.
    pub(super) fn new(path: &Path, value_bytes: usize) -> Result<Writer, String> {
        let mut disk = DataFolder::lock(path).map_err(|error| error.to_string())?;
        let file = disk.create(FILE, FILE_BYTES).map_err(|error| error.to_string())?;
        Ok(Writer {
            disk,
            file,
            batch: vec![0x5a; batch_bytes(value_bytes)],
            offset: 0,
        })
    }

    /// Writes once, durably.
    pub(super) fn write(&mut self) -> Result<(), String> {
        if self.offset + self.batch.len() as u64 > FILE_BYTES {
            self.offset = 0;
        }
        self.disk
            .write_durably(self.file, self.offset, &self.batch)
            .map_err(|error| error.to_string())?;
        self.offset += self.batch.len() as u64;
        Ok(())
    }
}
