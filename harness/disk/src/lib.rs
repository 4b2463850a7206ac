//! A disk that fails as real ones do, as a file system in user space under any program's data folder.
//!
//! ```text
//! program ─▶ kernel ─▶ adapter (FUSE) ─▶ Faults ─▶ Volume ─▶ Store: a folder on the real disk
//!                        │                what an     what is durable,
//!                        └ Disk: set,     operation   and what is not
//!                          lift, lose     meets
//! ```
//!
//! What is durable and what is not ([`Volume`]) and what an operation meets ([`Faults`]) is pure: neither knows that there is a kernel, and both
//! are tested without one. The adapter around them answers the kernel, and [`Disk`] is what a harness has in its hands.
//!
//! # What is promised to the program
//!
//! As by a journaling file system such as ext4 or XFS, and no more than such a one promises:
//!
//! - What was written is durable when a sync of that file has returned (`fsync`, `fdatasync`), or the write itself of one that was opened with
//!   `O_DSYNC` or `O_SYNC`. So is the file's length. `O_DIRECT` makes nothing durable.
//! - Names (made, removed, renamed) are durable when a sync of their folder has returned. They are journaled: what makes one change durable makes
//!   all those before it durable. A sync of a file does not make its name durable; ext4 mostly writes that as well, but `fsync(2)` promises nothing.
//! - A loss of power keeps some of the rest. Of the changes of names it keeps the first few, however many. Of each file it keeps any of the
//!   pages that were written (4096 bytes), and of some only some sectors (512 bytes); of several writes to a page, the last. A file that grew ends
//!   behind what is left of it, and has zeros where pages are missing. One that was cut short may have its former end again, and then
//!   has nothing of what came later.
//! - After a sync that failed, what it was to write is still read, but no later sync writes it: it takes another write to the same page.
//!   That is how Linux has it.
//! - A process that is killed loses nothing, since the kernel has it.
//!
//! # What is deliberately absent
//!
//! Links, devices, extended attributes, times (all files have that of the mount), owners other than the process that mounts. Nothing waits for the real disk:
//! it is not synced.

mod adapter;
mod control;
mod faults;
mod file;
mod folder;
mod lottery;
mod mount;
mod store;
mod volume;

pub use control::{Disk, Killer};
pub use faults::{Act, Done, Errors, Faults, Ruling};
pub use folder::FolderStore;
pub use lottery::Lottery;
pub use mount::{MountError, usable};
pub use rustix::io::Errno;
pub use store::{Ino, Kind, Loaded, Store};
pub use volume::{Attributes, Lost, Volume};

/// What is kept or lost in one piece, unless it is torn.
pub const PAGE_BYTES: usize = 4096;
/// What is never torn.
pub const SECTOR_BYTES: usize = 512;
