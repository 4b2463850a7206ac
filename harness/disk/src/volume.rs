//! Files and folders: as programs see them, and what of that is durable.
//!
//! The store has what is durable. Beside it are the pages that were written since ([`Contents`]) and, in order, the changes of names that no
//! sync has covered: the journal.

use crate::file::Contents;
use crate::lottery::Lottery;
use crate::store::{Ino, Kind, Store};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The most bytes of a file.
const LEN_MAX: u64 = 1 << 40;
/// The permissions of the root.
const ROOT_MODE: u32 = 0o755;

/// See the module's documentation.
#[derive(Debug)]
pub struct Volume<S> {
    store: S,
    inodes: BTreeMap<Ino, Inode>,
    journal: Vec<Change>,
    next: u64,
}

#[derive(Debug)]
struct Inode {
    body: Body,
    mode: u32,
    /// Where it is named; `None` once it was removed, and of the root.
    place: Option<(Ino, OsString)>,
    /// How often it is open.
    handles: u64,
}

#[derive(Debug)]
enum Body {
    Folder(BTreeMap<OsString, Ino>),
    File(Contents),
}

/// A change of names that is not durable.
#[derive(Clone, Debug)]
enum Change {
    Made {
        ino: Ino,
        kind: Kind,
        mode: u32,
        folder: Ino,
        name: OsString,
    },
    Removed {
        ino: Ino,
        folder: Ino,
    },
    Renamed {
        ino: Ino,
        from: Ino,
        to: Ino,
        name: OsString,
        /// Who had that name.
        replaced: Option<Ino>,
    },
}

impl Change {
    fn touches(&self, folder: Ino) -> bool {
        match self {
            Change::Made { folder: of, .. } | Change::Removed { folder: of, .. } => *of == folder,
            Change::Renamed { from, to, .. } => *from == folder || *to == folder,
        }
    }

    /// Whom it takes the name away.
    fn removes(&self) -> Option<Ino> {
        match self {
            Change::Made { .. } => None,
            Change::Removed { ino, .. } => Some(*ino),
            Change::Renamed { replaced, .. } => *replaced,
        }
    }
}

/// What is known of a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Which.
    pub ino: Ino,
    /// Whether it is a file.
    pub kind: Kind,
    /// Its permissions.
    pub mode: u32,
    /// Of a file, how many bytes it has.
    pub len: u64,
    /// Whether it has a name.
    pub is_named: bool,
}

/// What a loss of power has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many things were not durable: pages, lengths, changes of names.
    pub at_stake: usize,
    /// How many pages and changes of names are not as they were to be.
    pub lost: usize,
}

impl<S: Store> Volume<S> {
    /// What is in the store.
    ///
    /// # Errors
    /// It can't be read.
    pub fn open(store: S) -> Result<Volume<S>, Errno> {
        let mut volume = Volume {
            store,
            inodes: BTreeMap::new(),
            journal: Vec::new(),
            next: Ino::ROOT.0 + 1,
        };
        volume.load()?;
        Ok(volume)
    }

    fn load(&mut self) -> Result<(), Errno> {
        let root = Inode {
            body: Body::Folder(BTreeMap::new()),
            mode: ROOT_MODE,
            place: None,
            handles: 0,
        };
        self.inodes = BTreeMap::from([(Ino::ROOT, root)]);
        for found in self.store.load(&mut self.next)? {
            let body = match found.kind {
                Kind::Folder => Body::Folder(BTreeMap::new()),
                Kind::File => Body::File(Contents::durable(found.len)),
            };
            let inode = Inode {
                body,
                mode: found.mode,
                place: Some((found.folder, found.name.clone())),
                handles: 0,
            };
            self.inodes.insert(found.ino, inode);
            self.names_mut(found.folder)?.insert(found.name, found.ino);
        }
        Ok(())
    }

    fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::STALE)
    }

    fn names(&self, folder: Ino) -> Result<&BTreeMap<OsString, Ino>, Errno> {
        match &self.inode(folder)?.body {
            Body::Folder(names) => Ok(names),
            Body::File(_) => Err(Errno::NOTDIR),
        }
    }

    fn names_mut(&mut self, folder: Ino) -> Result<&mut BTreeMap<OsString, Ino>, Errno> {
        match self.inodes.get_mut(&folder).map(|inode| &mut inode.body) {
            Some(Body::Folder(names)) => Ok(names),
            Some(Body::File(_)) => Err(Errno::NOTDIR),
            None => Err(Errno::STALE),
        }
    }

    fn contents(&self, ino: Ino) -> Result<&Contents, Errno> {
        match &self.inode(ino)?.body {
            Body::File(contents) => Ok(contents),
            Body::Folder(_) => Err(Errno::ISDIR),
        }
    }

    /// The bytes of a file, and the store.
    fn contents_mut(&mut self, ino: Ino) -> Result<(&mut Contents, &mut S), Errno> {
        match self.inodes.get_mut(&ino).map(|inode| &mut inode.body) {
            Some(Body::File(contents)) => Ok((contents, &mut self.store)),
            Some(Body::Folder(_)) => Err(Errno::ISDIR),
            None => Err(Errno::STALE),
        }
    }

    /// What is known of `ino`.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn attributes(&self, ino: Ino) -> Result<Attributes, Errno> {
        let inode = self.inode(ino)?;
        let (kind, len) = match &inode.body {
            Body::Folder(_) => (Kind::Folder, 0),
            Body::File(contents) => (Kind::File, contents.len()),
        };
        Ok(Attributes {
            ino,
            kind,
            mode: inode.mode,
            len,
            is_named: ino == Ino::ROOT || inode.place.is_some(),
        })
    }

    /// What has this name.
    ///
    /// # Errors
    /// There is no such name, or no such folder.
    pub fn lookup(&self, folder: Ino, name: &OsStr) -> Result<Ino, Errno> {
        self.names(folder)?.get(name).copied().ok_or(Errno::NOENT)
    }

    /// The folder that a folder is in; of the root, itself.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn folder_of(&self, ino: Ino) -> Result<Ino, Errno> {
        let place = self.inode(ino)?.place.as_ref();
        Ok(place.map_or(ino, |(folder, _)| *folder))
    }

    /// All names in a folder, sorted.
    ///
    /// # Errors
    /// It is no folder, or not there any more.
    pub fn list(&self, folder: Ino) -> Result<Vec<(OsString, Ino, Kind)>, Errno> {
        let names = self.names(folder)?.iter();
        names
            .map(|(name, ino)| Ok((name.clone(), *ino, self.attributes(*ino)?.kind)))
            .collect()
    }

    /// A file or a folder with a new name.
    ///
    /// # Errors
    /// The name is taken, or there is no such folder.
    pub fn make(&mut self, folder: Ino, name: &OsStr, kind: Kind, mode: u32) -> Result<Ino, Errno> {
        if self.lookup(folder, name).is_ok() {
            return Err(Errno::EXIST);
        }
        self.check_is_named(folder)?;
        let ino = Ino(self.next);
        self.names_mut(folder)?.insert(name.to_owned(), ino);
        self.next += 1;
        let inode = Inode {
            body: match kind {
                Kind::Folder => Body::Folder(BTreeMap::new()),
                Kind::File => Body::File(Contents::durable(0)),
            },
            mode,
            place: Some((folder, name.to_owned())),
            handles: 0,
        };
        self.inodes.insert(ino, inode);
        self.journal.push(Change::Made {
            ino,
            kind,
            mode,
            folder,
            name: name.to_owned(),
        });
        Ok(ino)
    }

    /// Nothing comes into a folder that was removed.
    fn check_is_named(&self, folder: Ino) -> Result<(), Errno> {
        let is_named = self.attributes(folder)?.is_named;
        is_named.then_some(()).ok_or(Errno::NOENT)
    }

    /// Removes a name, of a file or of an empty folder, as `kind` says.
    ///
    /// # Errors
    /// It is not there, of the other kind, or not empty.
    pub fn remove(&mut self, folder: Ino, name: &OsStr, kind: Kind) -> Result<(), Errno> {
        let ino = self.lookup(folder, name)?;
        match (&self.inode(ino)?.body, kind) {
            (Body::Folder(names), Kind::Folder) if !names.is_empty() => return Err(Errno::NOTEMPTY),
            (Body::Folder(_), Kind::Folder) | (Body::File(_), Kind::File) => {}
            (Body::Folder(_), Kind::File) => return Err(Errno::ISDIR),
            (Body::File(_), Kind::Folder) => return Err(Errno::NOTDIR),
        }
        self.names_mut(folder)?.remove(name);
        self.journal.push(Change::Removed { ino, folder });
        self.unname(ino);
        Ok(())
    }

    /// It has no name any more, and is gone when it is not open either.
    fn unname(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.place = None;
            self.forget_unused(ino);
        }
    }

    fn forget_unused(&mut self, ino: Ino) {
        let is_unused = |inode: &Inode| ino != Ino::ROOT && inode.place.is_none() && inode.handles == 0;
        if self.inodes.get(&ino).is_some_and(is_unused) {
            self.inodes.remove(&ino);
            // What a loss of power may bring back is kept.
            if !self.journal.iter().any(|change| change.removes() == Some(ino)) {
                self.store.forget(ino);
            }
        }
    }

    /// Gives what has one name another one. Where that one is taken, its owner is replaced, unless `replaces` says no.
    ///
    /// # Errors
    /// It is not there, or what is to be replaced can't be.
    pub fn rename(
        &mut self,
        from: Ino,
        old: &OsStr,
        to: Ino,
        name: &OsStr,
        replaces: bool,
    ) -> Result<(), Errno> {
        let ino = self.lookup(from, old)?;
        self.check_is_named(to)?;
        let replaced = self.lookup(to, name).ok();
        if replaced.is_some() && !replaces {
            return Err(Errno::EXIST);
        }
        if replaced == Some(ino) {
            return Ok(());
        }
        let kind = self.attributes(ino)?.kind;
        if kind == Kind::Folder && self.is_within(to, ino)? {
            return Err(Errno::INVAL);
        }
        if let Some(replaced) = replaced {
            match (&self.inode(replaced)?.body, kind) {
                (Body::Folder(names), Kind::Folder) if !names.is_empty() => return Err(Errno::NOTEMPTY),
                (Body::Folder(_), Kind::Folder) | (Body::File(_), Kind::File) => {}
                (Body::Folder(_), Kind::File) => return Err(Errno::ISDIR),
                (Body::File(_), Kind::Folder) => return Err(Errno::NOTDIR),
            }
        }
        self.names_mut(from)?.remove(old);
        self.names_mut(to)?.insert(name.to_owned(), ino);
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.place = Some((to, name.to_owned()));
        }
        self.journal.push(Change::Renamed {
            ino,
            from,
            to,
            name: name.to_owned(),
            replaced,
        });
        if let Some(replaced) = replaced {
            self.unname(replaced);
        }
        Ok(())
    }

    /// Whether `folder` is `ino` or somewhere in it.
    fn is_within(&self, mut folder: Ino, ino: Ino) -> Result<bool, Errno> {
        while folder != ino && folder != Ino::ROOT {
            folder = self.folder_of(folder)?;
        }
        Ok(folder == ino)
    }

    /// It is open once more.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn open_handle(&mut self, ino: Ino) -> Result<(), Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::STALE)?.handles += 1;
        Ok(())
    }

    /// It is open once less. What a loss of power came between is not there any more, and that is no news.
    pub fn close_handle(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.handles = inode.handles.saturating_sub(1);
            self.forget_unused(ino);
        }
    }

    /// Up to `size` bytes of a file from `offset` on; fewer at its end.
    ///
    /// # Errors
    /// It is no file, not there any more, or the store can't be read.
    pub fn read(&self, ino: Ino, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        self.contents(ino)?.read(&self.store, ino, offset, size)
    }

    /// Writes into a file, durably once it is [synced](Volume::sync).
    ///
    /// # Errors
    /// It is no file, not there any more, or gets too long.
    pub fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        if offset.saturating_add(bytes.len() as u64) > LEN_MAX {
            return Err(Errno::FBIG);
        }
        let (contents, store) = self.contents_mut(ino)?;
        contents.write(store, ino, offset, bytes)
    }

    /// Lets bytes of a file be zeros, as far as it goes.
    ///
    /// # Errors
    /// It is no file, or not there any more.
    pub fn zero(&mut self, ino: Ino, offset: u64, length: u64) -> Result<(), Errno> {
        let (contents, store) = self.contents_mut(ino)?;
        contents.zero(store, ino, offset, length)
    }

    /// Cuts a file short, or lets it grow by zeros; durably once it is synced.
    ///
    /// # Errors
    /// It is no file, not there any more, or gets too long.
    pub fn set_len(&mut self, ino: Ino, len: u64) -> Result<(), Errno> {
        if len > LEN_MAX {
            return Err(Errno::FBIG);
        }
        self.contents_mut(ino)?.0.set_len(len);
        Ok(())
    }

    /// Changes permissions, durably at once.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn set_mode(&mut self, ino: Ino, mode: u32) -> Result<(), Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::STALE)?.mode = mode;
        for change in &mut self.journal {
            match change {
                Change::Made {
                    ino: of,
                    mode: as_made,
                    ..
                } if *of == ino => *as_made = mode,
                Change::Made { .. } | Change::Removed { .. } | Change::Renamed { .. } => {}
            }
        }
        if self.store.has(ino) {
            self.store.set_mode(ino, mode)?;
        }
        Ok(())
    }

    /// Makes a file's bytes and length durable, or a folder's names.
    ///
    /// # Errors
    /// It is not there any more, or the store can't be written.
    pub fn sync(&mut self, ino: Ino) -> Result<(), Errno> {
        let Attributes { kind, mode, .. } = self.attributes(ino)?;
        if kind == Kind::Folder {
            let last = self.journal.iter().rposition(|change| change.touches(ino));
            return self.commit(last.map_or(0, |last| last + 1));
        }
        if !self.store.has(ino) {
            if self.inode(ino)?.place.is_none() {
                // Nobody will ever find it again.
                return Ok(());
            }
            self.store.make(ino, kind, mode)?;
        }
        let (contents, store) = self.contents_mut(ino)?;
        contents.sync(store, ino)
    }

    /// A sync of it fails: see [the promises](crate).
    ///
    /// # Errors
    /// It is not there any more.
    pub fn fail_sync(&mut self, ino: Ino) -> Result<(), Errno> {
        match self.attributes(ino)?.kind {
            Kind::File => self.contents_mut(ino)?.0.fail_sync(),
            Kind::Folder => {}
        }
        Ok(())
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn sync_all(&mut self) -> Result<(), Errno> {
        self.commit(self.journal.len())?;
        let files: Vec<Ino> = self.inodes.keys().copied().collect();
        files.into_iter().try_for_each(|ino| self.sync(ino))
    }

    /// Makes the first so many changes of names durable.
    fn commit(&mut self, changes: usize) -> Result<(), Errno> {
        for change in self.journal.drain(..changes) {
            let removed = change.removes();
            match change {
                Change::Made {
                    ino,
                    kind,
                    mode,
                    folder,
                    name,
                } => {
                    if !self.store.has(ino) {
                        self.store.make(ino, kind, mode)?;
                    }
                    self.store.place(ino, folder, &name)?;
                }
                Change::Removed { ino, .. } => self.store.remove(ino)?,
                Change::Renamed { ino, to, name, .. } => self.store.place(ino, to, &name)?,
            }
            if let Some(removed) = removed.filter(|ino| !self.inodes.contains_key(ino)) {
                self.store.forget(removed);
            }
        }
        Ok(())
    }

    /// The power goes, and comes back: what was not durable is kept or lost as `lottery` draws. All numbers are void afterwards.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub fn lose(&mut self, lottery: &mut Lottery) -> Result<Lost, Errno> {
        let changes = self.journal.len();
        let kept = lottery.first_of(changes);
        let mut lost = Lost {
            at_stake: changes,
            lost: changes - kept,
        };
        self.commit(kept)?;
        self.journal.clear();
        for (ino, inode) in std::mem::take(&mut self.inodes) {
            if let Body::File(contents) = inode.body
                && contents.is_at_stake()
                && self.store.has(ino)
            {
                lost.at_stake += 1;
                lost.lost += contents.lose(&mut self.store, ino, lottery)?;
            }
        }
        self.store.remove_nameless()?;
        self.load()?;
        Ok(lost)
    }

    /// Whether a loss of power could take something away.
    pub fn is_at_stake(&self) -> bool {
        let is_at_stake = |inode: &Inode| match &inode.body {
            Body::File(contents) => contents.is_at_stake(),
            Body::Folder(_) => false,
        };
        !self.journal.is_empty() || self.inodes.values().any(is_at_stake)
    }
}

#[cfg(test)]
mod tests;
