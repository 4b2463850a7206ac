//! The write-ahead log, recovery and the state machine's driver, over a disk that crashes, tears and rots.

#![allow(clippy::unwrap_used, reason = "in a test, what is unexpected is to fail")]

mod admin;
mod common;
mod corruption;
mod crash_everywhere;
mod crash_members;
mod disk_space;
mod durable_after_restart;
mod failed_sync;
mod forged_batch;
mod group;
mod hostile;
mod inspect;
mod late;
mod lost_files;
mod much_work;
mod on_its_way;
mod reading;
mod reads;
mod requests;
mod rotten_snapshot;
mod segment_beginning;
mod sessions;
mod snapshots;
