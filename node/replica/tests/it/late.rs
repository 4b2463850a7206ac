//! A disk on which a write that is begun takes as long as the test wants, and on which a test can see what a crash in any operation would
//! leave.

use replica::{Disk, DiskError, FileId, Meanwhile};
use sim::{DiskFault, SimDisk};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What becomes of writes that are begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lands,
    Waits,
    Fails,
}

/// Is shown what a crash would leave: the number of the operation, how much of it would be done, of 255, and the disk afterwards.
pub(crate) type Watcher = Box<dyn FnMut(u64, u8, SimDisk)>;

/// Whoever watches, and which portions it wants to see.
type Watched = Option<(Vec<u8>, Watcher)>;

#[derive(Clone)]
pub(crate) struct Late {
    pub(crate) disk: SimDisk,
    on_its_way: Option<(FileId, u64, Vec<u8>)>,
    pub(crate) fate: Rc<Cell<Fate>>,
    /// How many writes were begun.
    pub(crate) begun: Rc<Cell<usize>>,
    /// The most bytes that were read at once.
    pub(crate) largest_read: Rc<Cell<usize>>,
    watched: Rc<RefCell<Watched>>,
}

impl Late {
    pub(crate) fn new() -> Late {
        Late::of(SimDisk::new(), Rc::new(Cell::new(Fate::Lands)))
    }

    /// What is begun on `disk` has this fate.
    pub(crate) fn of(disk: SimDisk, fate: Rc<Cell<Fate>>) -> Late {
        Late {
            disk,
            on_its_way: None,
            fate,
            begun: Rc::default(),
            largest_read: Rc::default(),
            watched: Rc::default(),
        }
    }

    /// Another disk, used in the same way.
    pub(crate) fn on(&self, disk: SimDisk) -> Late {
        Late { disk, ..self.clone() }
    }

    /// From now on, `watcher` sees what a crash in each operation would leave, with each of these portions of it done.
    pub(crate) fn watch(&self, portions: &[u8], watcher: Watcher) {
        *self.watched.borrow_mut() = Some((portions.to_vec(), watcher));
    }

    /// Carries out one operation.
    fn operate<T>(&self, mut operation: impl FnMut(&mut SimDisk) -> T) -> T {
        if let Some((portions, watcher)) = &mut *self.watched.borrow_mut() {
            for portion in portions.iter().copied() {
                let mut copy = self.disk.copy();
                copy.fail_at(0, DiskFault::Crash { portion });
                operation(&mut copy);
                watcher(self.disk.operations(), portion, copy);
            }
        }
        // A handle to the same disk.
        operation(&mut self.disk.clone())
    }

    /// Nothing else may be written into a file while something is on its way there.
    fn assert_is_free(&self, file: FileId) {
        let taken = self.on_its_way.as_ref().is_some_and(|(taken, ..)| *taken == file);
        assert!(!taken, "something is on its way into file {}", file.0);
    }
}

impl Disk for Late {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.operate(|disk| disk.list())
    }

    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        self.operate(|disk| disk.read_file(name))
    }

    fn replace_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.operate(|disk| disk.replace_file(name, bytes))
    }

    fn create(&mut self, name: &str, bytes: u64) -> Result<FileId, DiskError> {
        self.operate(|disk| disk.create(name, bytes))
    }

    fn open(&mut self, name: &str) -> Result<(FileId, u64), DiskError> {
        self.operate(|disk| disk.open(name))
    }

    fn rename(&mut self, file: FileId, name: &str) -> Result<(), DiskError> {
        self.assert_is_free(file);
        self.operate(|disk| disk.rename(file, name))
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.operate(|disk| disk.remove(name))
    }

    fn read(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.largest_read.set(self.largest_read.get().max(buffer.len()));
        self.operate(|disk| disk.read(file, offset, buffer))
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.assert_is_free(file);
        self.operate(|disk| disk.write(file, offset, bytes))
    }

    fn begin_durable_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
        _meanwhile: Meanwhile,
    ) -> Result<(), DiskError> {
        assert!(self.on_its_way.is_none(), "two writes are on their way at once");
        self.begun.set(self.begun.get() + 1);
        self.on_its_way = Some((file, offset, bytes));
        Ok(())
    }

    fn is_written(&mut self) -> Result<bool, DiskError> {
        match self.fate.get() {
            Fate::Waits => Ok(self.on_its_way.is_none()),
            Fate::Fails => Err(DiskError {
                operation: "write",
                file: String::from("a segment"),
                reason: String::from("input/output error"),
            }),
            Fate::Lands => {
                if let Some((file, offset, bytes)) = self.on_its_way.take() {
                    self.write_durably(file, offset, &bytes)?;
                }
                Ok(true)
            }
        }
    }

    fn sync(&mut self, file: FileId) -> Result<(), DiskError> {
        self.assert_is_free(file);
        self.operate(|disk| disk.sync(file))
    }
}
