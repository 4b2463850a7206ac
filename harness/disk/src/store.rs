//! Where what is durable lies.

use rustix::io::Errno;
use std::ffi::{OsStr, OsString};

/// Names a file or a folder for as long as a [`Volume`](crate::Volume) lives; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u64);

impl Ino {
    /// The folder that has no name.
    pub const ROOT: Ino = Ino(1);
}

/// Whether it is a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has bytes.
    File,
    /// It has names.
    Folder,
}

/// What was found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Which it is from now on.
    pub ino: Ino,
    /// The folder it is in; listed before it, or the root.
    pub folder: Ino,
    /// Its name there.
    pub name: OsString,
    /// Whether it is a file.
    pub kind: Kind,
    /// Its permissions.
    pub mode: u32,
    /// Of a file, how many bytes it has.
    pub len: u64,
}

/// What is durable: every call makes it so.
pub trait Store {
    /// All that has a name, with numbers drawn from `next`. Numbers that were given out before are void.
    ///
    /// # Errors
    /// The operating system's word.
    fn load(&mut self, next: &mut u64) -> Result<Vec<Loaded>, Errno>;

    /// Whether `ino` is there, with a name or without.
    fn has(&self, ino: Ino) -> bool;

    /// Makes `ino`, empty and without a name.
    ///
    /// # Errors
    /// The operating system's word.
    fn make(&mut self, ino: Ino, kind: Kind, mode: u32) -> Result<(), Errno>;

    /// Gives `ino` this name instead of the one it has, if it has one. Who has that name is [removed](Store::remove).
    ///
    /// # Errors
    /// The operating system's word.
    fn place(&mut self, ino: Ino, folder: Ino, name: &OsStr) -> Result<(), Errno>;

    /// Removes the name of `ino`. Its bytes can be used until it is [forgotten](Store::forget).
    ///
    /// # Errors
    /// The operating system's word.
    fn remove(&mut self, ino: Ino) -> Result<(), Errno>;

    /// Nobody uses the bytes any more of what was removed.
    fn forget(&mut self, ino: Ino);

    /// Removes whatever has no name, as file systems do when they start.
    ///
    /// # Errors
    /// The operating system's word.
    fn remove_nameless(&mut self) -> Result<(), Errno>;

    /// Fills `buffer`, all of which lies within the file.
    ///
    /// # Errors
    /// The operating system's word.
    fn read(&self, ino: Ino, offset: u64, buffer: &mut [u8]) -> Result<(), Errno>;

    /// Writes; the file grows if need be.
    ///
    /// # Errors
    /// The operating system's word.
    fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// Cuts the file short, or lets it grow by zeros.
    ///
    /// # Errors
    /// The operating system's word.
    fn set_len(&mut self, ino: Ino, len: u64) -> Result<(), Errno>;

    /// Changes permissions.
    ///
    /// # Errors
    /// The operating system's word.
    fn set_mode(&mut self, ino: Ino, mode: u32) -> Result<(), Errno>;
}

/// In memory, for tests.
#[cfg(test)]
pub(crate) mod memory {
    use super::{Errno, Ino, Kind, Loaded, OsStr, OsString, Store};
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    struct Thing {
        kind: Kind,
        mode: u32,
        bytes: Vec<u8>,
        place: Option<(Ino, OsString)>,
    }

    /// See the module.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct MemoryStore(BTreeMap<Ino, Thing>);

    impl MemoryStore {
        fn thing(&mut self, ino: Ino) -> Result<&mut Thing, Errno> {
            self.0.get_mut(&ino).ok_or(Errno::NOENT)
        }
    }

    fn at(offset: u64) -> usize {
        usize::try_from(offset).unwrap()
    }

    impl Store for MemoryStore {
        fn load(&mut self, next: &mut u64) -> Result<Vec<Loaded>, Errno> {
            let mut new = BTreeMap::from([(Ino::ROOT, Ino::ROOT)]);
            for old in self.0.keys() {
                new.insert(*old, Ino(*next));
                *next += 1;
            }
            let things = std::mem::take(&mut self.0).into_iter();
            self.0 = things
                .map(|(old, mut thing)| {
                    thing.place = thing.place.map(|(folder, name)| (new[&folder], name));
                    (new[&old], thing)
                })
                .collect();
            let mut loaded = Vec::new();
            let mut folders = vec![Ino::ROOT];
            while let Some(folder) = folders.pop() {
                for (ino, thing) in &self.0 {
                    match &thing.place {
                        Some((place, name)) if *place == folder => loaded.push(Loaded {
                            ino: *ino,
                            folder,
                            name: name.clone(),
                            kind: thing.kind,
                            mode: thing.mode,
                            len: thing.bytes.len() as u64,
                        }),
                        Some(_) | None => continue,
                    }
                    if thing.kind == Kind::Folder {
                        folders.push(*ino);
                    }
                }
            }
            Ok(loaded)
        }

        fn has(&self, ino: Ino) -> bool {
            self.0.contains_key(&ino)
        }

        fn make(&mut self, ino: Ino, kind: Kind, mode: u32) -> Result<(), Errno> {
            let thing = Thing {
                kind,
                mode,
                bytes: Vec::new(),
                place: None,
            };
            assert!(self.0.insert(ino, thing).is_none());
            Ok(())
        }

        fn place(&mut self, ino: Ino, folder: Ino, name: &OsStr) -> Result<(), Errno> {
            let place = Some((folder, name.to_owned()));
            let replaced = self.0.values_mut().find(|other| other.place == place);
            if let Some(replaced) = replaced {
                replaced.place = None;
            }
            self.thing(ino)?.place = place;
            Ok(())
        }

        fn remove(&mut self, ino: Ino) -> Result<(), Errno> {
            self.thing(ino)?.place.take().map(|_| ()).ok_or(Errno::NOENT)
        }

        fn forget(&mut self, ino: Ino) {
            let forgotten = self.0.remove(&ino);
            assert!(
                forgotten.is_none_or(|thing| thing.place.is_none()),
                "it has a name"
            );
        }

        fn remove_nameless(&mut self) -> Result<(), Errno> {
            self.0.retain(|_, thing| thing.place.is_some());
            Ok(())
        }

        fn read(&self, ino: Ino, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
            let bytes = &self.0.get(&ino).ok_or(Errno::NOENT)?.bytes;
            buffer.copy_from_slice(&bytes[at(offset)..at(offset) + buffer.len()]);
            Ok(())
        }

        fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
            let held = &mut self.thing(ino)?.bytes;
            let end = at(offset) + bytes.len();
            held.resize(held.len().max(end), 0);
            held[at(offset)..end].copy_from_slice(bytes);
            Ok(())
        }

        fn set_len(&mut self, ino: Ino, len: u64) -> Result<(), Errno> {
            self.thing(ino)?.bytes.resize(at(len), 0);
            Ok(())
        }

        fn set_mode(&mut self, ino: Ino, mode: u32) -> Result<(), Errno> {
            self.thing(ino)?.mode = mode;
            Ok(())
        }
    }
}
