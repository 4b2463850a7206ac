//! The kernel's questions, and the volume's answers.

use crate::control::Shared;
use crate::faults::Act;
use crate::store::{Ino, Kind};
use crate::volume::Attributes;
use fuser::{
    BsdFileFlags, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::time::{Duration, SystemTime};

/// How long the kernel may believe what it was told: not at all, since a loss of power takes it back.
const VALID_FOR: Duration = Duration::ZERO;
/// How files are opened: nothing is said when they are closed, since a process that dies with a file of its own disk open would wait for itself.
const OPENED: FopenFlags = FopenFlags::FOPEN_NOFLUSH;
/// The longest name.
const NAME_BYTES_MAX: u32 = 255;
/// A block, as `stat` counts them.
const BLOCK_BYTES: u64 = 512;
/// How many blocks there are, and are free.
const BLOCKS: u64 = 1 << 28;
/// Which of a file's mode are permissions.
const PERMISSIONS: u32 = 0o7777;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Adapter {
    shared: Shared,
    mounted: SystemTime,
}

fn errno(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.raw_os_error())
}

fn ino(number: INodeNo) -> Ino {
    Ino(number.0)
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Folder => FileType::Directory,
    }
}

/// Answers that have no more to say than that it is done.
fn empty(reply: ReplyEmpty) -> impl FnOnce(Result<(), Errno>) + Send {
    move |done| match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

impl Adapter {
    pub(crate) fn new(shared: Shared) -> Adapter {
        Adapter {
            shared,
            mounted: SystemTime::now(),
        }
    }

    fn attr(&self, of: Attributes) -> FileAttr {
        attr(of, self.mounted)
    }

    fn make(&self, folder: INodeNo, name: &OsStr, kind: Kind, mode: u32, reply: ReplyEntry) {
        let (mounted, name) = (self.mounted, name.to_owned());
        self.shared.act(
            Act::Name { takes_room: true },
            move |volume| {
                let made = volume.make(ino(folder), &name, kind, mode)?;
                volume.attributes(made)
            },
            None,
            move |made| match made {
                Ok(made) => reply.entry(&VALID_FOR, &attr(made, mounted), Generation(0)),
                Err(error) => reply.error(errno(error)),
            },
        );
    }
}

fn attr(of: Attributes, time: SystemTime) -> FileAttr {
    FileAttr {
        ino: INodeNo(of.ino.0),
        size: of.len,
        blocks: of.len.div_ceil(BLOCK_BYTES),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: file_type(of.kind),
        perm: u16::try_from(of.mode & PERMISSIONS).expect("they have twelve bits"),
        nlink: u32::from(of.is_named),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, _: &mut KernelConfig) -> io::Result<()> {
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.shared.lock();
        let found = state.volume.lookup(ino(parent), name);
        match found.and_then(|found| state.volume.attributes(found)) {
            Ok(found) => reply.entry(&VALID_FOR, &self.attr(found), Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.shared.lock().volume.attributes(ino(number)) {
            Ok(found) => reply.attr(&VALID_FOR, &self.attr(found)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (of, mounted) = (ino(number), self.mounted);
        if uid.is_some() || gid.is_some() {
            return reply.error(errno(Errno::PERM));
        }
        let answer = move |changed: Result<Attributes, Errno>| match changed {
            Ok(changed) => reply.attr(&VALID_FOR, &attr(changed, mounted)),
            Err(error) => reply.error(errno(error)),
        };
        if let Some(mode) = mode
            && let Err(error) = self.shared.lock().volume.set_mode(of, mode & PERMISSIONS)
        {
            return answer(Err(error));
        }
        let Some(size) = size else {
            let attributes = self.shared.lock().volume.attributes(of);
            return answer(attributes);
        };
        self.shared.act(
            // A file that grows so has a hole.
            Act::Room { takes_room: false },
            move |volume| {
                volume.set_len(of, size)?;
                volume.attributes(of)
            },
            None,
            answer,
        );
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        self.make(parent, name, Kind::Folder, mode & !umask & PERMISSIONS, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let act = Act::Name { takes_room: false };
        let remove = |volume: &mut crate::Volume<_>| volume.remove(ino(parent), name, Kind::File);
        self.shared.act(act, remove, None, empty(reply));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let act = Act::Name { takes_room: false };
        let remove = |volume: &mut crate::Volume<_>| volume.remove(ino(parent), name, Kind::Folder);
        self.shared.act(act, remove, None, empty(reply));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            return reply.error(errno(Errno::INVAL));
        }
        let replaces = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        self.shared.act(
            Act::Name { takes_room: false },
            |volume| volume.rename(ino(parent), name, ino(newparent), newname, replaces),
            None,
            empty(reply),
        );
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.shared.lock().volume.open_handle(ino(number)) {
            Ok(()) => reply.opened(FileHandle(0), OPENED),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mounted = self.mounted;
        self.shared.act(
            Act::Name { takes_room: true },
            |volume| {
                let made = volume.make(ino(parent), name, Kind::File, mode & !umask & PERMISSIONS)?;
                volume.open_handle(made)?;
                volume.attributes(made)
            },
            None,
            move |made| match made {
                Ok(made) => reply.created(
                    &VALID_FOR,
                    &attr(made, mounted),
                    Generation(0),
                    FileHandle(0),
                    OPENED,
                ),
                Err(error) => reply.error(errno(error)),
            },
        );
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let size = usize::try_from(size).expect("there is memory for more than that");
        match self.shared.lock().volume.read(ino(number), offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let is_durable = OFlags::from_bits_retain(flags.0.cast_unsigned()).contains(OFlags::DSYNC);
        let written = u32::try_from(data.len()).expect("the kernel sends less");
        self.shared.act(
            Act::Write { is_durable },
            |volume| volume.write(ino(number), offset, data),
            is_durable.then_some(ino(number)),
            move |done| match done {
                Ok(()) => reply.written(written),
                Err(error) => reply.error(errno(error)),
            },
        );
    }

    /// Nothing is left to be done when a file is closed.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.shared.lock().volume.close_handle(ino(number));
        reply.ok();
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.shared
            .act(Act::Sync, |_| Ok(()), Some(ino(number)), empty(reply));
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let mut state = self.shared.lock();
        match state.volume.list(ino(number)) {
            Ok(listing) => {
                let handle = state.next_listing;
                state.next_listing += 1;
                state.listings.insert(handle, listing);
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut state = self.shared.lock();
        if offset == 0
            && let Ok(listing) = state.volume.list(ino(number))
        {
            // Whoever begins anew sees what there is now.
            state.listings.insert(handle.0, listing);
        }
        let own = (INodeNo(number.0), Kind::Folder);
        let parent = state
            .volume
            .folder_of(ino(number))
            .map(|folder| INodeNo(folder.0));
        let dots = [
            (".", own),
            ("..", (parent.unwrap_or(INodeNo::ROOT), Kind::Folder)),
        ];
        let dots = dots
            .iter()
            .map(|(name, (number, kind))| (OsStr::new(name), *number, *kind));
        let listing = state.listings.get(&handle.0).into_iter().flatten();
        let named = listing.map(|(name, ino, kind)| (name.as_os_str(), INodeNo(ino.0), *kind));
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (place, (name, number, kind)) in (1..).zip(dots.chain(named)).skip(skipped) {
            if reply.add(number, place, file_type(kind), name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.shared.lock().listings.remove(&handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.shared
            .act(Act::Sync, |_| Ok(()), Some(ino(number)), empty(reply));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, 4096, NAME_BYTES_MAX, 4096);
    }

    fn fallocate(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let of = ino(number);
        let flags = FallocateFlags::from_bits_retain(mode.cast_unsigned());
        let zeros = FallocateFlags::PUNCH_HOLE | FallocateFlags::ZERO_RANGE;
        if !(flags - zeros - FallocateFlags::KEEP_SIZE).is_empty() {
            return reply.error(errno(Errno::OPNOTSUPP));
        }
        self.shared.act(
            Act::Room {
                takes_room: !flags.contains(FallocateFlags::PUNCH_HOLE),
            },
            |volume| {
                let len = volume.attributes(of)?.len;
                let end = offset.checked_add(length).ok_or(Errno::FBIG)?;
                if end > len && !flags.contains(FallocateFlags::KEEP_SIZE) {
                    volume.set_len(of, end)?;
                }
                if flags.intersects(zeros) {
                    volume.zero(of, offset, length)?;
                }
                Ok(())
            },
            None,
            empty(reply),
        );
    }
}
