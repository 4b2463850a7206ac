//! The real [`Disk`]: one data folder.
//!
//! ```text
//! DIR/lock                  held by the node that uses the folder
//! DIR/identity              whose folder it is
//! DIR/wal-….log             the log
//! DIR/snapshot-…            the state as of an entry of the log; the latest one counts
//! DIR/snapshot.part         one that is being made
//! DIR/incoming.part         one that a leader sends
//! DIR/wal.part              the next segment of the log, while it is filled with zeros
//! DIR/….new                 a file that is about to replace the one without the suffix
//! ```
//!
//! The log is written past the operating system's cache, and is durable when the write returns (`O_DIRECT`, `O_DSYNC`): one system call
//! and no copying of pages for each batch. A leader has a thread do that, so that it can go on meanwhile. A file system that refuses that has
//! its log written and synced in the ordinary way.

mod direct;
mod made;
mod times;
mod writer;

pub(crate) use times::DiskAccount;

use direct::{Aligned, open_direct};
use made::make_folder;
use replica::{BLOCK_BYTES, Disk, DiskError, FileId, Meanwhile};
use rustix::fs::{Advice, fadvise};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use times::Work;
use writer::{Job, Outcome, Target, Writer};

/// The file whose lock says that a node uses the folder.
const LOCK: &str = "lock";

/// What the names of the log's files begin with.
const LOG_PREFIX: &str = "wal-";

/// What the name of a file that is about to replace another ends in.
const REPLACEMENT_SUFFIX: &str = ".new";

/// The largest file that [`Disk::read_file`] reads.
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;

/// How many bytes are read at once: a node that starts reads all of its log, and one that leads an old part of it for a follower that comes
/// back, and whoever else has something on this disk, or waits for this processor, gets between.
const READ_BYTES: usize = 64 << 10;

/// How many zeros are written at once.
const ZEROS_BYTES: usize = 256 << 10;

/// A batch of no more than this is written at once by whoever has nothing else to do: handing it to another thread would only take time.
const AT_ONCE_BYTES_MAX: usize = BLOCK_BYTES;

/// A sync that takes longer is worth a word in the log: it delays everything that this node has to say.
const SYNC_SLOW: Duration = Duration::from_millis(100);

/// One node's data folder, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    folder: File,
    /// By [`FileId`]; `None` once removed.
    files: Vec<Option<OpenFile>>,
    account: DiskAccount,
    /// Whether the log is written past the cache, as far as it has turned out.
    direct: bool,
    /// What is written past the cache goes through here.
    aligned: Aligned,
    /// Who writes the log meanwhile, if anybody does.
    writer: Option<Writer>,
    /// The file into which it is writing.
    writing: Option<FileId>,
    /// Its lock goes when it is closed, and so when the process ends in whichever way.
    _lock: File,
}

#[derive(Debug)]
struct OpenFile {
    name: String,
    file: Arc<File>,
    /// The same file, to be written past the cache.
    direct: Option<Arc<File>>,
}

/// Why a data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process holds it.
    #[error("the data folder {0} is in use by another node")]
    Busy(PathBuf),
    /// The operating system's word for it.
    #[error("the data folder {0}: {1}")]
    Unusable(PathBuf, io::Error),
}

impl DataFolder {
    /// Makes the folder if there is none, and locks it.
    pub(crate) fn lock(path: &Path) -> Result<DataFolder, LockError> {
        let unusable = |error| LockError::Unusable(path.to_path_buf(), error);
        make_folder(path).map_err(unusable)?;
        let folder = File::open(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {
                // A node that was killed may have left names that are not durable yet; what they name will be relied on.
                folder.sync_all().map_err(unusable)?;
                Ok(DataFolder {
                    path: path.to_path_buf(),
                    folder,
                    files: Vec::new(),
                    account: DiskAccount::default(),
                    direct: true,
                    aligned: Aligned::default(),
                    writer: None,
                    writing: None,
                    _lock: lock,
                })
            }
            Err(TryLockError::WouldBlock) => Err(LockError::Busy(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// From here on, what is begun to be written to the log is written by a thread of its own, which calls `written` when it is done.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn write_beside(&mut self, written: impl Fn() + Send + 'static) -> io::Result<()> {
        self.writer = Some(Writer::start(written)?);
        Ok(())
    }

    /// The account of how long everything takes.
    pub(crate) fn account(&self) -> DiskAccount {
        self.account.clone()
    }

    /// Does something that changes files, and notes how long it took.
    fn timed<T>(&self, work: Work, act: impl FnOnce() -> T) -> (T, Duration) {
        let begun = Instant::now();
        let result = act();
        let took = begun.elapsed();
        self.account.note(work, took);
        (result, took)
    }

    fn opened(&mut self, name: &str, file: File) -> FileId {
        // What is to be read ahead is told: see `Disk::will_read`. Nothing is that may yet be written past the cache.
        let _ = fadvise(&file, 0, None, Advice::Random);
        let direct = self.open_direct(name);
        self.files.push(Some(OpenFile {
            name: name.to_string(),
            file: Arc::new(file),
            direct,
        }));
        FileId(self.files.len() - 1)
    }

    /// The file to be written past the cache, if it is one of the log and that can be.
    fn open_direct(&mut self, name: &str) -> Option<Arc<File>> {
        if !(self.direct && name.starts_with(LOG_PREFIX)) {
            return None;
        }
        match open_direct(&self.path.join(name)) {
            Ok(file) => Some(Arc::new(file)),
            Err(error) => {
                self.give_direct_up(&error);
                None
            }
        }
    }

    /// From here on, the log is written in the ordinary way.
    fn give_direct_up(&mut self, error: &io::Error) {
        self.direct = false;
        tracing::info!(
            "the log is written through the cache: the file system refuses anything else ({error})"
        );
    }

    /// Writes past the cache. Whether that was possible: if not, nothing is known of what is there now.
    fn write_direct(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<bool, DiskError> {
        let slot = self.files[file.0].as_ref();
        let OpenFile { name, direct, .. } = slot.expect("a removed file is not used any more");
        let Some(direct) = direct.as_ref().filter(|_| self.direct) else {
            return Ok(false);
        };
        let (mut copied, begun) = (Duration::ZERO, Instant::now());
        let written = self.aligned.write_all_at(direct, offset, bytes, &mut copied);
        let took = begun.elapsed();
        match written {
            Ok(()) => {
                self.account.note(Work::LogWrite, copied);
                self.account.note(Work::LogSync, took.saturating_sub(copied));
                tell_if_slow(name, took);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.give_direct_up(&error);
                Ok(false)
            }
            Err(error) => Err(failed("write", name)(error)),
        }
    }

    fn file(&self, id: FileId) -> &OpenFile {
        self.files[id.0]
            .as_ref()
            .expect("a removed file is not used any more")
    }

    fn write_replacement(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let replacement = self.path.join(format!("{name}{REPLACEMENT_SUFFIX}"));
        let mut file = File::create(&replacement)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&replacement, self.path.join(name))?;
        self.folder.sync_all()
    }

    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<File> {
        let mut file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(self.path.join(name))?;
        // Written, not only reserved: a block that was never written costs the first sync that touches it a journal entry.
        let zeros = vec![0; ZEROS_BYTES];
        let mut left = bytes;
        while left > 0 {
            let chunk = usize::try_from(left).map_or(ZEROS_BYTES, |left| left.min(ZEROS_BYTES));
            file.write_all(&zeros[..chunk])?;
            left -= chunk as u64;
        }
        file.sync_all()?;
        self.folder.sync_all()?;
        Ok(file)
    }
}

fn tell_if_slow(name: &str, took: Duration) {
    if took >= SYNC_SLOW {
        tracing::warn!("a sync of {name} took {} ms", took.as_millis());
    }
}

fn failed(operation: &'static str, name: &str) -> impl FnOnce(io::Error) -> DiskError {
    move |error| DiskError {
        operation,
        file: name.to_string(),
        reason: error.to_string(),
    }
}

impl Disk for DataFolder {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        let in_folder = || failed("list", "the data folder");
        let mut names = Vec::new();
        for item in std::fs::read_dir(&self.path).map_err(in_folder())? {
            // A name that is no text is none of ours.
            names.extend(item.map_err(in_folder())?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let file = match File::open(self.path.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open", name))?,
        };
        let mut bytes = Vec::new();
        file.take(SMALL_FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(failed("read", name))?;
        if bytes.len() as u64 > SMALL_FILE_BYTES_MAX {
            let error = io::Error::other(format!("it has more than {SMALL_FILE_BYTES_MAX} bytes"));
            return Err(failed("read", name)(error));
        }
        Ok(Some(bytes))
    }

    fn replace_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let (replaced, _) = self.timed(Work::Other, || self.write_replacement(name, bytes));
        replaced.map_err(failed("replace", name))
    }

    fn create(&mut self, name: &str, bytes: u64) -> Result<FileId, DiskError> {
        let (created, _) = self.timed(Work::Other, || self.create_zeroed(name, bytes));
        let file = created.map_err(failed("create", name))?;
        Ok(self.opened(name, file))
    }

    fn open(&mut self, name: &str) -> Result<(FileId, u64), DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path.join(name))
            .map_err(failed("open", name))?;
        let length = file.metadata().map_err(failed("open", name))?.len();
        Ok((self.opened(name, file), length))
    }

    fn rename(&mut self, file: FileId, name: &str) -> Result<(), DiskError> {
        let slot = self.files[file.0]
            .as_mut()
            .expect("a removed file is not used any more");
        let old = std::mem::replace(&mut slot.name, name.to_string());
        let (renamed, _) = self.timed(Work::Other, || {
            std::fs::rename(self.path.join(&old), self.path.join(name))?;
            self.folder.sync_all()
        });
        renamed.map_err(failed("rename", &old))?;
        let direct = self.open_direct(name);
        let slot = self.files[file.0].as_mut();
        slot.expect("it was there when it was renamed").direct = direct;
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        for slot in &mut self.files {
            if slot.as_ref().is_some_and(|file| file.name == name) {
                *slot = None;
            }
        }
        let (removed, _) = self.timed(Work::Other, || {
            std::fs::remove_file(self.path.join(name))?;
            self.folder.sync_all()
        });
        removed.map_err(failed("remove", name))
    }

    fn read(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let OpenFile { name, file, .. } = self.file(file);
        let mut pieces = buffer.chunks_mut(READ_BYTES).zip((offset..).step_by(READ_BYTES));
        pieces
            .try_for_each(|(piece, offset)| {
                std::thread::yield_now();
                file.read_exact_at(piece, offset)
            })
            .map_err(failed("read", name))
    }

    fn will_read(&self, file: FileId, offset: u64, bytes: u64) {
        // Where the system doesn't listen, the read itself takes longer.
        let _ = fadvise(
            &self.file(file).file,
            offset,
            NonZeroU64::new(bytes),
            Advice::WillNeed,
        );
    }

    fn begin_durable_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
        meanwhile: Meanwhile,
    ) -> Result<(), DiskError> {
        let at_once = match meanwhile {
            Meanwhile::Nothing => bytes.len() <= AT_ONCE_BYTES_MAX,
            Meanwhile::Answers => false,
        };
        let Some(writer) = self.writer.as_ref().filter(|_| !at_once) else {
            return self.write_durably(file, offset, &bytes);
        };
        let OpenFile {
            file: cached, direct, ..
        } = self.file(file);
        let target = match direct.as_ref().filter(|_| self.direct) {
            Some(direct) => Target::Direct(Arc::clone(direct)),
            None => Target::Cached(Arc::clone(cached)),
        };
        writer.begin(Job {
            file: target,
            offset,
            bytes,
        });
        self.writing = Some(file);
        Ok(())
    }

    fn is_written(&mut self) -> Result<bool, DiskError> {
        let (Some(file), Some(writer)) = (self.writing, &self.writer) else {
            return Ok(true);
        };
        let Some(outcome) = writer.outcome() else {
            return Ok(false);
        };
        self.writing = None;
        let Outcome {
            job,
            result,
            write,
            sync,
        } = outcome;
        match result {
            Ok(()) => {
                self.account.note(Work::LogWrite, write);
                self.account.note(Work::LogSync, sync);
                tell_if_slow(&self.file(file).name, write + sync);
            }
            Err(error)
                if error.kind() == ErrorKind::InvalidInput && matches!(job.file, Target::Direct(_)) =>
            {
                self.give_direct_up(&error);
                self.write_durably(file, job.offset, &job.bytes)?;
            }
            Err(error) => return Err(failed("write", &self.file(file).name)(error)),
        }
        Ok(true)
    }

    fn write_durably(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        if self.write_direct(file, offset, bytes)? {
            return Ok(());
        }
        self.write(file, offset, bytes)?;
        self.sync(file)
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let OpenFile { name, file, .. } = self.file(file);
        let work = if name.starts_with(LOG_PREFIX) {
            Work::LogWrite
        } else {
            Work::Other
        };
        let (written, _) = self.timed(work, || file.write_all_at(bytes, offset));
        written.map_err(failed("write", name))
    }

    fn sync(&mut self, file: FileId) -> Result<(), DiskError> {
        let OpenFile { name, file, .. } = self.file(file);
        let work = if name.starts_with(LOG_PREFIX) {
            Work::LogSync
        } else {
            Work::Other
        };
        let (synced, took) = self.timed(work, || file.sync_data());
        synced.map_err(failed("sync", name))?;
        tell_if_slow(name, took);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
