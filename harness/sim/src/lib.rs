//! A simulated world around the production node.

mod disk;

pub use disk::{Done, Failure, Remainder, SECTOR_BYTES, SimDisk};
