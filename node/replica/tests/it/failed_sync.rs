//! A sync that fails does not fail again: what it was to make durable stays visible, and no later sync concerns itself with it. So
//! a node that starts again must not take for durable what it merely sees.

use crate::common::{Log, acknowledged, append, end, options, turn};
use raft::Silent;
use replica::{Disk, DiskError, FileId, Outbox, Replica};
use sim::SimDisk;
use std::cell::Cell;
use std::rc::Rc;

/// A disk under an operating system that, as Linux does, shows what was written and forgets to write it once a sync has failed.
#[derive(Clone)]
struct Cached {
    /// What is to be seen.
    cache: SimDisk,
    /// What is there. Nothing in it is unsynced but within a sync.
    platter: SimDisk,
    /// What the next sync will write.
    dirty: Vec<(FileId, u64, Vec<u8>)>,
    next_sync_fails: Rc<Cell<bool>>,
    /// How many reads still find what is to be seen; those after them find what is there.
    reads_of_cache: Rc<Cell<usize>>,
}

impl Cached {
    fn new() -> Cached {
        Cached {
            cache: SimDisk::new(),
            platter: SimDisk::new(),
            dirty: Vec::new(),
            next_sync_fails: Rc::default(),
            reads_of_cache: Rc::new(Cell::new(usize::MAX)),
        }
    }

    /// The same disk, as another process finds it.
    fn reopened(&self) -> Cached {
        Cached {
            dirty: Vec::new(),
            ..self.clone()
        }
    }

    /// The same disk after a loss of power.
    fn powered_off(&self) -> Cached {
        Cached {
            cache: self.platter.copy(),
            platter: self.platter.copy(),
            dirty: Vec::new(),
            next_sync_fails: Rc::default(),
            reads_of_cache: Rc::new(Cell::new(usize::MAX)),
        }
    }
}

impl Disk for Cached {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.cache.list()
    }

    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        self.cache.read_file(name)
    }

    fn replace_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.platter.replace_file(name, bytes)?;
        self.cache.replace_file(name, bytes)
    }

    fn create(&mut self, name: &str, bytes: u64) -> Result<FileId, DiskError> {
        let file = self.platter.create(name, bytes)?;
        assert_eq!(self.cache.create(name, bytes)?, file, "both hold the same files");
        Ok(file)
    }

    fn open(&mut self, name: &str) -> Result<(FileId, u64), DiskError> {
        self.cache.open(name)
    }

    fn rename(&mut self, file: FileId, name: &str) -> Result<(), DiskError> {
        self.platter.rename(file, name)?;
        self.cache.rename(file, name)
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.platter.remove(name)?;
        self.cache.remove(name)
    }

    fn read(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let left = self.reads_of_cache.get();
        self.reads_of_cache.set(left.saturating_sub(1));
        let seen = if left > 0 { &self.cache } else { &self.platter };
        seen.read(file, offset, buffer)
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.dirty.push((file, offset, bytes.to_vec()));
        self.cache.write(file, offset, bytes)
    }

    fn sync(&mut self, file: FileId) -> Result<(), DiskError> {
        let dirty = std::mem::take(&mut self.dirty);
        if self.next_sync_fails.take() {
            return Err(DiskError {
                operation: "sync",
                file: String::from("a segment"),
                reason: String::from("input/output error"),
            });
        }
        for (file, offset, bytes) in dirty {
            self.platter.write(file, offset, &bytes)?;
        }
        self.platter.sync(file)
    }
}

/// The sync fails while the node appends `bytes` for the second time: in the first segment, or in opening the second. The node stops,
/// is started again on a cache that forgets what it shows after so many reads, and acknowledges what it finds; the power goes.
fn acknowledged_after_a_failed_sync(bytes: usize, reads_of_cache: usize) {
    let disk = Cached::new();
    let mut node = Replica::open(disk.reopened(), &options(3), Silent).unwrap();
    let mut log = Log::new();
    let mut out = Outbox::default();
    node.step(append(2, 1, &mut log, 0, 1, 10));
    turn(&mut node, &mut out).unwrap();
    assert_eq!(acknowledged(&out), end(&log).index);
    out.messages.clear();
    let message = append(2, 1, &mut log, 1, 1, bytes);
    node.step(message.clone());
    disk.next_sync_fails.set(true);
    turn(&mut node, &mut out).unwrap_err();
    assert_eq!(acknowledged(&out).0, 0);
    drop(node);

    disk.reads_of_cache.set(reads_of_cache);
    let mut node = Replica::open(disk.reopened(), &options(3), Silent).unwrap();
    node.step(message);
    turn(&mut node, &mut out).unwrap();
    assert_eq!(acknowledged(&out), end(&log).index);
    drop(node);

    let node = Replica::open(disk.powered_off(), &options(3), Silent).unwrap();
    assert_eq!(
        node.core().raft().last(),
        end(&log),
        "an acknowledged entry is gone"
    );
}

#[test]
fn what_a_failed_sync_left_to_be_seen_is_made_durable_before_it_is_acknowledged() {
    acknowledged_after_a_failed_sync(10, usize::MAX);
}

#[test]
fn the_beginning_of_a_segment_that_a_failed_sync_left_is_made_durable_too() {
    acknowledged_after_a_failed_sync(12_000, usize::MAX);
}

#[test]
fn what_the_cache_forgets_while_a_node_starts_is_made_durable_as_it_was_read() {
    for reads in 0..8 {
        acknowledged_after_a_failed_sync(10, reads);
    }
}
