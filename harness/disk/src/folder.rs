//! A store that is a folder on the real disk, as anybody would look at it.

use crate::store::{Ino, Kind, Loaded, Store};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// How the folder is called that has what has no name.
const NAMELESS: &str = "nameless";
/// How the folder is called that has the rest.
const NAMED: &str = "durable";

/// Below one folder: `durable/` is what is durable, under its names; `nameless/` is what was synced before its name was.
#[derive(Debug)]
pub struct FolderStore {
    named: PathBuf,
    nameless: PathBuf,
    things: BTreeMap<Ino, Thing>,
}

#[derive(Debug)]
struct Thing {
    place: Place,
    /// Of a file.
    file: Option<File>,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In the folder for that.
    Nameless,
    Named(Ino, OsString),
    /// Its name was removed; a file is still there for those who have it open.
    Gone,
}

/// The operating system's number for it.
pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl FolderStore {
    /// One in `folder`, with whatever is durable there already.
    ///
    /// # Errors
    /// Folders can't be made.
    pub fn open(folder: &Path) -> io::Result<FolderStore> {
        let (named, nameless) = (folder.join(NAMED), folder.join(NAMELESS));
        fs::create_dir_all(&named)?;
        Ok(FolderStore {
            named,
            nameless,
            things: BTreeMap::new(),
        })
    }

    fn thing(&self, ino: Ino) -> Result<&Thing, Errno> {
        self.things.get(&ino).ok_or(Errno::NOENT)
    }

    fn file(&self, ino: Ino) -> Result<&File, Errno> {
        self.thing(ino)?.file.as_ref().ok_or(Errno::ISDIR)
    }

    fn path(&self, ino: Ino) -> Result<PathBuf, Errno> {
        if ino == Ino::ROOT {
            return Ok(self.named.clone());
        }
        match &self.thing(ino)?.place {
            Place::Named(folder, name) => Ok(self.path(*folder)?.join(name)),
            Place::Nameless => Ok(self.nameless.join(ino.0.to_string())),
            Place::Gone => Err(Errno::NOENT),
        }
    }

    /// The folder for what has no name is there only while something is in it.
    fn tidy(&self) {
        let _ = fs::remove_dir(&self.nameless);
    }

    fn load_folder(&mut self, folder: Ino, next: &mut u64, loaded: &mut Vec<Loaded>) -> Result<(), Errno> {
        let path = self.path(folder)?;
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| errno(&error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let metadata = entry.metadata().map_err(|error| errno(&error))?;
            let kind = if metadata.is_dir() {
                Kind::Folder
            } else {
                Kind::File
            };
            let file = match kind {
                Kind::Folder => None,
                Kind::File => Some(open(&path).map_err(|error| errno(&error))?),
            };
            let (ino, name) = (Ino(*next), entry.file_name());
            *next += 1;
            let place = Place::Named(folder, name.clone());
            self.things.insert(ino, Thing { place, file });
            loaded.push(Loaded {
                ino,
                folder,
                name,
                kind,
                mode: metadata.permissions().mode() & 0o7777,
                len: if kind == Kind::File { metadata.len() } else { 0 },
            });
            if kind == Kind::Folder {
                self.load_folder(ino, next, loaded)?;
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

impl Store for FolderStore {
    fn load(&mut self, next: &mut u64) -> Result<Vec<Loaded>, Errno> {
        self.things.clear();
        let mut loaded = Vec::new();
        self.load_folder(Ino::ROOT, next, &mut loaded)?;
        Ok(loaded)
    }

    fn has(&self, ino: Ino) -> bool {
        ino == Ino::ROOT || self.things.contains_key(&ino)
    }

    fn make(&mut self, ino: Ino, kind: Kind, mode: u32) -> Result<(), Errno> {
        fs::create_dir_all(&self.nameless).map_err(|error| errno(&error))?;
        let path = self.nameless.join(ino.0.to_string());
        let made = match kind {
            Kind::Folder => fs::DirBuilder::new().mode(mode).create(&path).map(|()| None),
            Kind::File => OpenOptions::new()
                .create_new(true)
                .read(true)
                .write(true)
                .mode(mode)
                .open(&path)
                .map(Some),
        };
        let file = made.map_err(|error| errno(&error))?;
        let place = Place::Nameless;
        self.things.insert(ino, Thing { place, file });
        Ok(())
    }

    fn place(&mut self, ino: Ino, folder: Ino, name: &OsStr) -> Result<(), Errno> {
        let (from, to) = (self.path(ino)?, self.path(folder)?.join(name));
        fs::rename(from, to).map_err(|error| errno(&error))?;
        self.tidy();
        let place = Place::Named(folder, name.to_owned());
        let replaced = self.things.values_mut().find(|other| other.place == place);
        if let Some(replaced) = replaced {
            replaced.place = Place::Gone;
        }
        if let Some(thing) = self.things.get_mut(&ino) {
            thing.place = place;
        }
        Ok(())
    }

    fn remove(&mut self, ino: Ino) -> Result<(), Errno> {
        let path = self.path(ino)?;
        let thing = self.things.get_mut(&ino).ok_or(Errno::NOENT)?;
        let removed = match thing.file {
            Some(_) => fs::remove_file(path),
            None => fs::remove_dir(path),
        };
        removed.map_err(|error| errno(&error))?;
        thing.place = Place::Gone;
        self.tidy();
        Ok(())
    }

    fn forget(&mut self, ino: Ino) {
        self.things.remove(&ino);
    }

    fn remove_nameless(&mut self) -> Result<(), Errno> {
        let is_nameless = |(_, thing): &(&Ino, &Thing)| thing.place == Place::Nameless;
        let nameless: Vec<Ino> = self
            .things
            .iter()
            .filter(is_nameless)
            .map(|(ino, _)| *ino)
            .collect();
        nameless.into_iter().try_for_each(|ino| self.remove(ino))?;
        self.things.retain(|_, thing| thing.place != Place::Gone);
        Ok(())
    }

    fn read(&self, ino: Ino, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let read = self.file(ino)?.read_exact_at(buffer, offset);
        read.map_err(|error| errno(&error))
    }

    fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let written = self.file(ino)?.write_all_at(bytes, offset);
        written.map_err(|error| errno(&error))
    }

    fn set_len(&mut self, ino: Ino, len: u64) -> Result<(), Errno> {
        self.file(ino)?.set_len(len).map_err(|error| errno(&error))
    }

    fn set_mode(&mut self, ino: Ino, mode: u32) -> Result<(), Errno> {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.path(ino)?, permissions).map_err(|error| errno(&error))
    }
}
