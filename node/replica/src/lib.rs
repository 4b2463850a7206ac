//! x
#![no_std]
extern crate alloc;
mod disk;
/// The unit of writing, in bytes.
pub const BLOCK_BYTES: usize = 4096;
pub use disk::{Disk, DiskError, FileId};
