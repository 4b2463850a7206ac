//! Writing past the operating system's cache.

use replica::BLOCK_BYTES;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many bytes are written at once, at most.
const CHUNK_BYTES: usize = 1 << 20;

/// Opens a file to be written past the cache; a write is durable when it returns.
///
/// # Errors
/// The operating system's; *invalid argument* where the file system has no such thing.
pub(super) fn open_direct(path: &Path) -> io::Result<File> {
    // Not O_SYNC, which makes what the file system knows of the times of the file durable, too: where there is a journal, that is a commit of
    // it for nearly every write. (`rustix` has one name for both.)
    let flags = libc::O_DIRECT | libc::O_DSYNC;
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Memory that begins where a block may begin, as writing past the cache asks for.
#[derive(Debug, Default)]
pub(super) struct Aligned(Vec<u8>);

impl Aligned {
    /// Writes whole blocks, durably, and adds to `copied` how long it took to copy them.
    ///
    /// # Errors
    /// The operating system's; *invalid argument* where it wants another alignment.
    pub(super) fn write_all_at(
        &mut self,
        file: &File,
        mut offset: u64,
        bytes: &[u8],
        copied: &mut Duration,
    ) -> io::Result<()> {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let begun = Instant::now();
            let aligned = self.copy(chunk);
            *copied += begun.elapsed();
            file.write_all_at(aligned, offset)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    fn copy(&mut self, chunk: &[u8]) -> &[u8] {
        if self.0.is_empty() {
            // Only what is used of it takes memory.
            self.0 = vec![0; CHUNK_BYTES + BLOCK_BYTES];
        }
        let begin = self.0.as_ptr().align_offset(BLOCK_BYTES);
        let aligned = &mut self.0[begin..][..chunk.len()];
        aligned.copy_from_slice(chunk);
        aligned
    }
}
