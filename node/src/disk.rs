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
//! and no copying of pages for each batch. A leader has a thread do that, so that it can go on meanwhile. A file system that refuses that has its log written and synced in the ordinary way.

mod direct;
mod times;
mod writer;

pub(crate) use times::DiskAccount;

use direct::{Aligned, open_direct};
use replica::{BLOCK_BYTES, Disk, DiskError, FileId};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
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

/// How many zeros are written at once.
const ZEROS_BYTES: usize = 256 << 10;

/// A batch of no more than this is written at once by whoever has it: handing it to another thread takes longer than there is something
/// else to do.
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

/// Makes `path` and what leads to it, durably: a folder that was new is as lost without its parent's name as without its own.
fn make_folder(path: &Path) -> io::Result<()> {
    let changed = holders_of_new(path);
    if changed.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    changed
        .iter()
        .try_for_each(|holder| File::open(holder)?.sync_all())
}

/// The folders that get a new name in them when `path` and what leads to it are made, the innermost first.
fn holders_of_new(path: &Path) -> Vec<PathBuf> {
    let new = path.ancestors().take_while(|folder| !folder.is_dir());
    let named = new.filter(|folder| !folder.as_os_str().is_empty());
    let holder = |folder: &Path| match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    named.map(holder).collect()
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
        file.read_exact_at(buffer, offset).map_err(failed("read", name))
    }

    fn begin_durable_write(&mut self, file: FileId, offset: u64, bytes: Vec<u8>) -> Result<(), DiskError> {
        let Some(writer) = self.writer.as_ref().filter(|_| bytes.len() > AT_ONCE_BYTES_MAX) else {
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
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, DataFolder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::lock(&dir.path().join("a/b")).unwrap();
        (dir, folder)
    }

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let (dir, folder) = folder();
        let path = dir.path().join("a/b");
        assert!(matches!(DataFolder::lock(&path), Err(LockError::Busy(_))));
        drop(folder);
        assert!(DataFolder::lock(&path).is_ok());
    }

    #[test]
    fn a_file_in_the_way_of_the_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(DataFolder::lock(&path), Err(LockError::Unusable(..))));
    }

    #[test]
    fn every_name_that_leads_to_a_new_folder_is_made_durable() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert_eq!(
            holders_of_new(&path("a/b/c")),
            [path("a/b"), path("a"), path("")].map(|path| path.components().collect::<PathBuf>())
        );
        DataFolder::lock(&path("a/b/c")).unwrap();
        assert_eq!(holders_of_new(&path("a/b/c")), Vec::<PathBuf>::new());
        assert_eq!(
            holders_of_new(Path::new("no/such")),
            [PathBuf::from("no"), PathBuf::from(".")]
        );
    }

    #[test]
    fn a_created_file_is_all_zeros_and_keeps_what_is_written() {
        let (_dir, mut folder) = folder();
        let bytes = ZEROS_BYTES as u64 * 2 + 4096;
        let file = folder.create("f", bytes).unwrap();
        let mut all = vec![1; usize::try_from(bytes).unwrap()];
        folder.read(file, 0, &mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == 0));
        folder.write(file, 4096, b"text").unwrap();
        folder.sync(file).unwrap();
        let (again, length) = folder.open("f").unwrap();
        assert_eq!(length, bytes);
        let mut text = [0; 4];
        folder.read(again, 4096, &mut text).unwrap();
        assert_eq!(&text, b"text");
    }

    #[test]
    fn the_log_reads_as_it_was_written_past_the_cache_or_not() {
        for direct in [true, false] {
            let (_dir, mut folder) = folder();
            folder.direct = direct;
            let name = "wal-0000000000000001.log";
            let part = folder.create("wal.part", 0).unwrap();
            // More than is written at once.
            let zeros = vec![0; (1 << 20) + 4096];
            folder.write_durably(part, 0, &zeros).unwrap();
            folder.rename(part, name).unwrap();
            let mut expected = zeros;
            for (place, blocks) in [(0, 1), (1, 3), (4, 250)] {
                let (from, to) = (place * 4096, (place + blocks) * 4096);
                expected[from..to].fill(u8::try_from(blocks).unwrap());
                folder
                    .write_durably(part, from as u64, &expected[from..to])
                    .unwrap();
                let mut found = vec![1; expected.len()];
                folder.read(part, 0, &mut found).unwrap();
                assert!(found == expected, "direct: {direct}, after the write at {from}");
            }
            let (again, length) = folder.open(name).unwrap();
            assert_eq!(length, expected.len() as u64);
            folder.write_durably(again, 4096, &[9; 4096]).unwrap();
            expected[4096..8192].fill(9);
            assert!(std::fs::read(folder.path.join(name)).unwrap() == expected);
            assert!(direct || folder.file(again).direct.is_none());
        }
    }

    #[test]
    fn what_cannot_be_written_past_the_cache_is_written_through_it() {
        let (_dir, mut folder) = folder();
        let file = folder.create("wal-1.log", 4096).unwrap();
        let was_possible = folder.direct;
        // Not whole blocks: where the log is written past the cache, that is refused.
        folder.write_durably(file, 0, b"short").unwrap();
        let mut found = [0; 5];
        folder.read(file, 0, &mut found).unwrap();
        assert_eq!(&found, b"short");
        folder.write_durably(file, 0, &[3; 4096]).unwrap();
        assert_eq!(std::fs::read(folder.path.join("wal-1.log")).unwrap(), [3; 4096]);
        assert!(!(was_possible && folder.direct), "the refusal was not noticed");
    }

    #[test]
    fn what_is_begun_is_durable_when_the_disk_says_so() {
        for (direct, bytes) in [(true, 3 * 4096), (false, 3 * 4096), (true, 5000)] {
            let (_dir, mut folder) = folder();
            folder.direct = direct;
            let (sender, written) = std::sync::mpsc::channel();
            folder.write_beside(move || sender.send(()).unwrap()).unwrap();
            let name = "wal-0000000000000001.log";
            let file = folder.create(name, 1 << 20).unwrap();
            assert_eq!(folder.is_written(), Ok(true), "nothing was begun");
            // What is no whole number of blocks is refused past the cache, and written in the other way.
            folder.begin_durable_write(file, 4096, vec![5; bytes]).unwrap();
            written.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!(folder.is_written(), Ok(true), "direct: {direct}, {bytes} bytes");
            let mut found = vec![0; bytes];
            folder.read(file, 4096, &mut found).unwrap();
            assert!(found == vec![5; bytes], "direct: {direct}, {bytes} bytes");
            // A single block is written at once.
            folder.begin_durable_write(file, 0, vec![6; 4096]).unwrap();
            assert_eq!(folder.is_written(), Ok(true));
            assert!(written.try_recv().is_err());
            assert_eq!(std::fs::read(folder.path.join(name)).unwrap()[..4096], [6; 4096]);
            drop(folder);
            assert!(written.recv().is_err(), "the thread ends with the folder");
        }
    }

    #[test]
    fn a_file_grows_with_what_is_written_behind_its_end_and_keeps_its_contents_under_another_name() {
        let (_dir, mut folder) = folder();
        let file = folder.create("part", 0).unwrap();
        folder.write(file, 0, &[1; 4096]).unwrap();
        folder.write(file, 4096, &[2; 4096]).unwrap();
        folder.sync(file).unwrap();
        folder.rename(file, "whole").unwrap();
        assert_eq!(folder.list().unwrap(), [LOCK, "whole"]);
        let mut byte = [0];
        folder.read(file, 4096, &mut byte).unwrap();
        assert_eq!(byte, [2]);
        assert_eq!(folder.open("whole").unwrap().1, 8192);
    }

    #[test]
    fn what_cannot_be_done_names_operation_and_file() {
        let (_dir, mut folder) = folder();
        let file = folder.create("f", 10).unwrap();
        let beyond = folder.read(file, 8, &mut [0; 4]).unwrap_err();
        assert_eq!((beyond.operation, beyond.file.as_str()), ("read", "f"));
        assert_eq!(folder.create("f", 1).unwrap_err().operation, "create");
        assert_eq!(folder.open("g").unwrap_err().operation, "open");
        assert_eq!(folder.remove("g").unwrap_err().operation, "remove");
        std::fs::write(
            folder.path.join("big"),
            vec![0; usize::try_from(SMALL_FILE_BYTES_MAX).unwrap() + 1],
        )
        .unwrap();
        assert_eq!(folder.read_file("big").unwrap_err().operation, "read");
    }

    #[test]
    fn replaced_and_removed_files_are_listed_as_they_are() {
        let (_dir, mut folder) = folder();
        assert_eq!(folder.read_file("x"), Ok(None));
        folder.replace_file("x", b"one").unwrap();
        folder.replace_file("x", b"two").unwrap();
        assert_eq!(folder.read_file("x"), Ok(Some(b"two".to_vec())));
        folder.create("y", 1).unwrap();
        assert_eq!(folder.list().unwrap(), [LOCK, "x", "y"]);
        folder.remove("y").unwrap();
        assert_eq!(folder.list().unwrap(), [LOCK, "x"]);
    }
}
