//! A disk in memory that forgets what was not synced, tears, rots and fails, all of it as it is told.
//!
//! A process that dies leaves everything that it wrote: the operating system still has it. A loss of power takes what no sync
//! has made durable, but for a [`Remainder`] of it. Creating, removing and replacing a file is durable when it returns, as
//! [`replica::Disk`] promises; interrupted, it is done, half done or not done. A durable write can be on its way for as long as whoever
//! owns the disk wants ([`SimDisk::write_beside`]); a process that dies meanwhile leaves as much of it as it happens to.

mod file;

use bytes::Bytes;
use file::File;
use replica::{Disk, DiskError, FileId, Meanwhile};
use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;

/// What a disk writes at once even when power fails.
pub const SECTOR_BYTES: usize = 512;

/// What a loss of power leaves of the writes that no sync has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// The first sectors, of each file's writes in the order in which they were made.
    Prefix {
        /// How many.
        sectors: usize,
    },
    /// Each sector or not, as the seed has it.
    Sectors {
        /// Decides.
        seed: u64,
    },
}

/// What an operation runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// It fails, and nothing of it is done.
    Error,
    /// There is no room for it, and nothing of it is done.
    Full,
    /// The process dies in it: it is done in part, and nothing can be done afterwards until [`SimDisk::revive`].
    Crash {
        /// How much of it is done, from 0 (nothing) to 255 (everything).
        portion: u8,
    },
}

/// Something that was done to a segment of the log, for whoever follows what is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A write, whole or in part.
    Write {
        /// Into this file.
        file: FileId,
        /// What was to be written, without the zeros at its end.
        bytes: Bytes,
    },
    /// A sync.
    Sync {
        /// Of this file.
        file: FileId,
    },
}

/// The contents of a disk. Clones share what neither changes.
#[derive(Clone, Debug, Default)]
struct Contents {
    /// `FileId` is the place; a removed file leaves its place empty.
    files: Vec<Option<(String, Arc<File>)>>,
    operations: u64,
    fault: Option<(u64, DiskFault)>,
    dead: bool,
    struck: Option<DiskFault>,
    last_write: Option<(FileId, u64)>,
    journal: Option<Vec<Done>>,
    /// Whether a durable write that is begun goes on beside whoever began it.
    writes_beside: bool,
    flight: Option<Flight>,
    /// What came of the last one, where it could not be written.
    failed: Option<DiskError>,
}

/// A durable write that was begun and is not over: nothing of it is in the file yet.
#[derive(Clone, Debug)]
struct Flight {
    file: FileId,
    offset: u64,
    bytes: Bytes,
}

/// Everything that lies on a disk, synced or not: what a process that starts there finds, and what a loss of power may take.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Image(Vec<(String, Arc<File>)>);

/// A disk in memory. Clones are handles to the same one; [`SimDisk::copy`] is another.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Rc<RefCell<Contents>>);

impl Contents {
    fn place(&self, name: &str) -> Option<usize> {
        let named =
            |file: &Option<(String, Arc<File>)>| file.as_ref().is_some_and(|(known, _)| known == name);
        self.files.iter().position(named)
    }

    fn name(&self, file: FileId) -> String {
        match self.files.get(file.0) {
            Some(Some((name, _))) => name.clone(),
            Some(None) | None => format!("file {}", file.0),
        }
    }

    fn error(&self, operation: &'static str, file: String, reason: &str) -> DiskError {
        DiskError {
            operation,
            file,
            reason: reason.to_owned(),
        }
    }

    /// Counts an operation. `Ok(Some(portion))`: the process dies in it.
    fn begin(
        &mut self,
        operation: &'static str,
        name: impl FnOnce(&Self) -> String,
    ) -> Result<Option<u8>, DiskError> {
        if self.dead {
            return Err(self.error(operation, name(self), "the process is dead"));
        }
        self.operations += 1;
        match self.fault {
            Some((at, fault)) if at == self.operations => {
                self.fault = None;
                self.struck = Some(fault);
                match fault {
                    DiskFault::Error => Err(self.error(operation, name(self), "input/output error")),
                    DiskFault::Full => Err(self.error(operation, name(self), "no space left on device")),
                    DiskFault::Crash { portion } => {
                        self.dead = true;
                        Ok(Some(portion))
                    }
                }
            }
            Some(_) | None => Ok(None),
        }
    }

    fn died(&self, operation: &'static str, name: String) -> DiskError {
        self.error(operation, name, "the process died in it")
    }

    fn file(&self, operation: &'static str, file: FileId) -> Result<&File, DiskError> {
        match self.files.get(file.0) {
            Some(Some((_, content))) => Ok(content),
            Some(None) | None => Err(self.error(operation, self.name(file), "no such file")),
        }
    }

    fn file_mut(&mut self, file: FileId) -> &mut File {
        match self.files.get_mut(file.0) {
            Some(Some((_, content))) => Arc::make_mut(content),
            Some(None) | None => panic!("file {} was removed or never opened", file.0),
        }
    }

    fn put(&mut self, name: &str, content: File) -> FileId {
        let entry = Some((name.to_owned(), Arc::new(content)));
        match self.place(name) {
            Some(place) => {
                self.files[place] = entry;
                FileId(place)
            }
            None => {
                self.files.push(entry);
                FileId(self.files.len() - 1)
            }
        }
    }

    fn note(&mut self, done: Done) {
        if let Some(journal) = &mut self.journal {
            journal.push(done);
        }
    }

    /// Writes whole blocks into a file, or a `portion` of them, in which the process dies. What comes back is what was to be written,
    /// without the zeros at its end where all of it was.
    fn write_blocks(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: &[u8],
        portion: Option<u8>,
    ) -> Result<Bytes, DiskError> {
        let block = replica::BLOCK_BYTES as u64;
        let length = self.file("write", file)?.length();
        if !offset.is_multiple_of(block) || !(bytes.len() as u64).is_multiple_of(block) || offset > length {
            let reason = format!(
                "{} bytes at {offset} of {length} are not whole blocks in it or at its end",
                bytes.len()
            );
            return Err(self.error("write", self.name(file), &reason));
        }
        self.last_write = Some((file, offset));
        Ok(match portion {
            None => self.file_mut(file).write(offset, bytes),
            Some(portion) => {
                let sectors = part_of((bytes.len() / SECTOR_BYTES) as u64, portion);
                let sectors = usize::try_from(sectors).expect("a write fits in memory");
                self.file_mut(file).write_part(offset, bytes, sectors);
                Bytes::copy_from_slice(bytes)
            }
        })
    }

    /// Carries out a write that was noted when it was begun.
    fn land(&mut self, flight: &Flight) -> Result<(), DiskError> {
        let Flight { file, offset, bytes } = flight;
        let crash = self.begin("write", |contents| contents.name(*file))?;
        self.write_blocks(*file, *offset, bytes, crash)?;
        match crash {
            Some(_) => Err(self.died("write", self.name(*file))),
            None => self.sync(*file),
        }
    }

    fn sync(&mut self, file: FileId) -> Result<(), DiskError> {
        if self.begin("sync", |contents| contents.name(file))?.is_some() {
            return Err(self.died("sync", self.name(file)));
        }
        self.file("sync", file)?;
        self.file_mut(file).sync();
        self.note(Done::Sync { file });
        Ok(())
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    fn contents(&self) -> Ref<'_, Contents> {
        self.0.borrow()
    }

    fn contents_mut(&self) -> RefMut<'_, Contents> {
        self.0.borrow_mut()
    }

    /// Another disk with the same contents.
    pub fn copy(&self) -> SimDisk {
        SimDisk(Rc::new(RefCell::new(self.contents().clone())))
    }

    /// What lies on it now.
    pub(crate) fn image(&self) -> Image {
        let mut files: Vec<(String, Arc<File>)> = self.contents().files.iter().flatten().cloned().collect();
        files.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Image(files)
    }

    /// A disk on which this lies.
    pub(crate) fn of(image: &Image) -> SimDisk {
        SimDisk(Rc::new(RefCell::new(Contents {
            files: image.0.iter().cloned().map(Some).collect(),
            ..Contents::default()
        })))
    }

    /// From now on a durable write that is begun goes on beside whoever began it, until [`SimDisk::land`].
    pub fn write_beside(&self) {
        self.contents_mut().writes_beside = true;
    }

    /// Whether a write is on its way.
    pub fn is_writing(&self) -> bool {
        self.contents().flight.is_some()
    }

    /// Carries out the write that is on its way, if one is: a write and a sync, each of which may run into a fault. What comes of them,
    /// [`Disk::is_written`] tells.
    pub fn land(&self) {
        let mut contents = self.contents_mut();
        if let Some(flight) = contents.flight.take() {
            contents.failed = contents.land(&flight).err();
        }
    }

    /// The process that began the write that is on its way is gone: `remainder` of it has reached the operating system.
    pub fn interrupt(&self, remainder: Remainder) {
        let mut contents = self.contents_mut();
        if let Some(Flight { file, offset, bytes }) = contents.flight.take() {
            contents.file_mut(file).write_remainder(offset, &bytes, remainder);
        }
    }

    /// How many operations were begun.
    pub fn operations(&self) -> u64 {
        self.contents().operations
    }

    /// Lets the operation that is `ahead` operations away (0: the next one) run into `fault`. There is one such at a time.
    pub fn fail_at(&self, ahead: u64, fault: DiskFault) {
        let mut contents = self.contents_mut();
        contents.fault = Some((contents.operations + 1 + ahead, fault));
    }

    /// Forgets a fault that did not come about.
    pub fn forget_fault(&self) {
        self.contents_mut().fault = None;
    }

    /// The fault that an operation ran into since the last time.
    pub fn take_struck(&self) -> Option<DiskFault> {
        self.contents_mut().struck.take()
    }

    /// Whether an operation ran into a fault since [`SimDisk::take_struck`].
    pub fn is_struck(&self) -> bool {
        self.contents().struck.is_some()
    }

    /// Another process may use the disk.
    pub fn revive(&self) {
        let mut contents = self.contents_mut();
        (contents.dead, contents.fault, contents.failed) = (false, None, None);
    }

    /// Loses what no sync has made durable, but for `remainder`; and whoever used the disk is gone.
    pub fn power_loss(&self, remainder: Remainder) {
        for (_, file) in self.contents_mut().files.iter_mut().flatten() {
            if file.has_unsynced() {
                Arc::make_mut(file).power_loss(remainder);
            }
        }
    }

    /// Whether anything was written that no sync has made durable.
    pub fn has_unsynced(&self) -> bool {
        self.contents()
            .files
            .iter()
            .flatten()
            .any(|(_, file)| file.has_unsynced())
    }

    /// Flips a bit of what is durable in the file `name`.
    ///
    /// # Panics
    /// There is no such file, or it is shorter.
    pub fn rot(&self, name: &str, offset: u64, bit: u8) {
        let mut contents = self.contents_mut();
        let place = contents.place(name).expect("the file that rots is there");
        contents.file_mut(FileId(place)).rot(offset, bit);
    }

    /// Each file's name and length, sorted by name.
    pub fn files(&self) -> Vec<(String, u64)> {
        let contents = self.contents();
        let mut files: Vec<(String, u64)> = contents
            .files
            .iter()
            .flatten()
            .map(|(name, file)| (name.clone(), file.length()))
            .collect();
        files.sort_unstable();
        files
    }

    /// What is visible in the file `name`, which counts as no operation.
    pub fn peek(&self, name: &str) -> Option<Vec<u8>> {
        let contents = self.contents();
        let (_, file) = contents.files[contents.place(name)?].as_ref()?;
        let mut bytes = vec![0; usize::try_from(file.length()).expect("a simulated file fits in memory")];
        file.read(0, &mut bytes).then_some(bytes)
    }

    /// Where the last write began.
    pub fn last_write(&self) -> Option<(String, u64)> {
        let contents = self.contents();
        let (file, offset) = contents.last_write?;
        Some((contents.name(file), offset))
    }

    /// Drops a file, as somebody might who tidies up in the wrong place.
    pub fn lose_file(&self, name: &str) {
        let mut contents = self.contents_mut();
        if let Some(place) = contents.place(name) {
            contents.files[place] = None;
        }
    }

    /// From now on notes what is written and synced, for [`SimDisk::take_journal`].
    pub fn keep_journal(&self) {
        self.contents_mut().journal.get_or_insert_default();
    }

    /// Moves what was written and synced since the last time into `into`, in order.
    pub fn take_journal(&self, into: &mut Vec<Done>) {
        if let Some(journal) = &mut self.contents_mut().journal {
            into.append(journal);
        }
    }
}

/// How many of `all` a crash leaves when it leaves `portion` of 255.
fn part_of(all: u64, portion: u8) -> u64 {
    all * u64::from(portion) / 255
}

impl Disk for SimDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        let folder = || String::from("the data folder");
        if self.contents_mut().begin("list", |_| folder())?.is_some() {
            return Err(self.contents().died("list", folder()));
        }
        Ok(self.files().into_iter().map(|(name, _)| name).collect())
    }

    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        if self.contents_mut().begin("read", |_| name.to_owned())?.is_some() {
            return Err(self.contents().died("read", name.to_owned()));
        }
        Ok(self.peek(name))
    }

    fn replace_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let mut contents = self.contents_mut();
        let crash = contents.begin("write", |_| name.to_owned())?;
        if crash.is_none_or(|portion| portion > u8::MAX / 2) {
            contents.put(name, File::whole(bytes));
        }
        match crash {
            Some(_) => Err(contents.died("write", name.to_owned())),
            None => Ok(()),
        }
    }

    fn create(&mut self, name: &str, bytes: u64) -> Result<FileId, DiskError> {
        let mut contents = self.contents_mut();
        let crash = contents.begin("create", |_| name.to_owned())?;
        if contents.place(name).is_some() {
            return Err(contents.error("create", name.to_owned(), "it exists"));
        }
        match crash {
            Some(portion) => {
                if portion > 0 {
                    contents.put(name, File::zeros(part_of(bytes, portion)));
                }
                Err(contents.died("create", name.to_owned()))
            }
            None => Ok(contents.put(name, File::zeros(bytes))),
        }
    }

    fn open(&mut self, name: &str) -> Result<(FileId, u64), DiskError> {
        let mut contents = self.contents_mut();
        if contents.begin("open", |_| name.to_owned())?.is_some() {
            return Err(contents.died("open", name.to_owned()));
        }
        let place = contents.place(name);
        let place = place.ok_or_else(|| contents.error("open", name.to_owned(), "no such file"))?;
        let length = contents.file("open", FileId(place))?.length();
        Ok((FileId(place), length))
    }

    fn rename(&mut self, file: FileId, name: &str) -> Result<(), DiskError> {
        let mut contents = self.contents_mut();
        let crash = contents.begin("rename", |contents| contents.name(file))?;
        if contents.place(name).is_some() {
            return Err(contents.error("rename", name.to_owned(), "it exists"));
        }
        let old = contents.name(file);
        if crash.is_none_or(|portion| portion > u8::MAX / 2) {
            contents.file("rename", file)?;
            if let Some(Some((known, _))) = contents.files.get_mut(file.0) {
                name.clone_into(known);
            }
        }
        match crash {
            Some(_) => Err(contents.died("rename", old)),
            None => Ok(()),
        }
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        let mut contents = self.contents_mut();
        let crash = contents.begin("remove", |_| name.to_owned())?;
        let place = contents.place(name);
        let place = place.ok_or_else(|| contents.error("remove", name.to_owned(), "no such file"))?;
        if crash.is_none_or(|portion| portion > u8::MAX / 2) {
            contents.files[place] = None;
        }
        match crash {
            Some(_) => Err(contents.died("remove", name.to_owned())),
            None => Ok(()),
        }
    }

    fn read(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let mut contents = self.contents_mut();
        if contents.begin("read", |contents| contents.name(file))?.is_some() {
            return Err(contents.died("read", contents.name(file)));
        }
        if contents.file("read", file)?.read(offset, buffer) {
            Ok(())
        } else {
            Err(contents.error("read", contents.name(file), "it ends before"))
        }
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut contents = self.contents_mut();
        assert!(
            contents.flight.as_ref().is_none_or(|flight| flight.file != file),
            "{} is written to while a write to it is on its way",
            contents.name(file)
        );
        let crash = contents.begin("write", |contents| contents.name(file))?;
        let written = contents.write_blocks(file, offset, bytes, crash)?;
        contents.note(Done::Write { file, bytes: written });
        match crash {
            Some(_) => Err(contents.died("write", contents.name(file))),
            None => Ok(()),
        }
    }

    fn begin_durable_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
        _meanwhile: Meanwhile,
    ) -> Result<(), DiskError> {
        let mut contents = self.contents_mut();
        if !contents.writes_beside {
            drop(contents);
            return self.write_durably(file, offset, &bytes);
        }
        if contents.dead {
            return Err(contents.error("write", contents.name(file), "the process is dead"));
        }
        assert!(contents.flight.is_none(), "two writes are on their way at once");
        let flight = Flight {
            file,
            offset,
            bytes: Bytes::from(bytes),
        };
        contents.note(Done::Write {
            file,
            bytes: flight.bytes.clone(),
        });
        contents.flight = Some(flight);
        Ok(())
    }

    fn is_written(&mut self) -> Result<bool, DiskError> {
        let mut contents = self.contents_mut();
        match contents.failed.take() {
            Some(error) => Err(error),
            None => Ok(contents.flight.is_none()),
        }
    }

    fn sync(&mut self, file: FileId) -> Result<(), DiskError> {
        self.contents_mut().sync(file)
    }
}
