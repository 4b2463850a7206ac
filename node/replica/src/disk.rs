//! The seam to the operating system's files.

use alloc::{string::String, vec::Vec};

/// A file that was created or opened through a [`Disk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub usize);

/// What whoever begins a write has to do until that is durable, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// Nothing: a write that is soon over may as well be over at once.
    Nothing,
    /// To apply and to answer.
    Answers,
}

/// What failed, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {file}: {reason}")]
pub struct DiskError {
    /// What was tried: `write`, `sync`, …
    pub operation: &'static str,
    /// The file's name in the data folder.
    pub file: String,
    /// The operating system's word for it.
    pub reason: String,
}

/// One node's data folder.
///
/// A write is durable when a sync of its file that began after it has returned; until then, a loss of power may keep all of it,
/// some of its sectors, or nothing. Every error is final for the node: after a failed sync nobody knows what is on the disk.
pub trait Disk {
    /// The names of the files in the folder, sorted.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&self) -> Result<Vec<String>, DiskError>;

    /// The contents of a small file; `None` if there is none of that name.
    ///
    /// # Errors
    /// The operating system's.
    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError>;

    /// Makes `bytes` the whole content of the file `name`, durably and atomically: a crash leaves the old content or the new.
    ///
    /// # Errors
    /// The operating system's.
    fn replace_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError>;

    /// Creates a file of `bytes` zeros, durably with its name, and opens it. A crash leaves no file, or one of any length up to
    /// that.
    ///
    /// # Errors
    /// The operating system's; there must be no file of that name.
    fn create(&mut self, name: &str, bytes: u64) -> Result<FileId, DiskError>;

    /// Opens a file and tells its length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn open(&mut self, name: &str) -> Result<(FileId, u64), DiskError>;

    /// Gives a file that is open another name, durably and atomically; there must be no file of that name.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&mut self, file: FileId, name: &str) -> Result<(), DiskError>;

    /// Removes a file, durably. It must not be used any more.
    ///
    /// # Errors
    /// The operating system's.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;

    /// Fills `buffer` from the file at `offset`.
    ///
    /// # Errors
    /// The operating system's; the file ends before the buffer is full.
    fn read(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError>;

    /// The file is about to be read from `offset` on, so many bytes of it: a disk that can may begin to do so beside the caller.
    fn will_read(&self, _file: FileId, _offset: u64, _bytes: u64) {}

    /// Writes `bytes` into the file at `offset`, which may be its end: then it grows, and a crash before the next sync leaves it as
    /// long as it was, as long as it would be, or between. Offset and length are multiples of [`crate::BLOCK_BYTES`].
    ///
    /// # Errors
    /// The operating system's.
    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Writes as [`Disk::write`] does, and makes that durable. What was written into the file before and never synced may stay as it is.
    ///
    /// A crash leaves what one within the write or before the sync would.
    ///
    /// # Errors
    /// The operating system's.
    fn write_durably(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.write(file, offset, bytes)?;
        self.sync(file)
    }

    /// Begins to write as [`Disk::write_durably`] does; that may go on when this returns, and [`Disk::is_written`] tells when it is over.
    /// Until then nothing else is written into the file, and nothing else is begun.
    ///
    /// # Errors
    /// The operating system's.
    fn begin_durable_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
        _meanwhile: Meanwhile,
    ) -> Result<(), DiskError> {
        self.write_durably(file, offset, &bytes)
    }

    /// Whether what was begun last is durable.
    ///
    /// # Errors
    /// The operating system's, about what was begun.
    fn is_written(&mut self) -> Result<bool, DiskError> {
        Ok(true)
    }

    /// Makes durable what was written into the file.
    ///
    /// # Errors
    /// The operating system's.
    fn sync(&mut self, file: FileId) -> Result<(), DiskError>;
}
