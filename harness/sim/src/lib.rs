//! A simulated world around the production node: network, disk, clocks, clients and faults, all from one seed.
//!
//! ```text
//!   clients ──▶ Replica<SimDisk> ◀── messages, encoded and decoded ──▶ Replica<SimDisk> …
//!      │              │                                                      │
//!   history        SimDisk ── journal ──▶ shadow: what the disk would keep   │
//!      │              └──────────────▶ ghost: leaders, committed entries ◀───┘
//!      ▼                                       │
//!   checker                            invariants, at every step
//! ```
//!
//! [`run`] takes a seed through all of it and tells what came of it. The seed draws the settings of the nodes, which faults
//! there are and how strongly; the same seed and options give the same trace, on every machine. At the end faults are over, and all
//! nodes must converge and every client must be served.
//!
//! # Invariants
//!
//! They are listed as [`Invariant`] and are held against what nodes *do*: what they write and sync, what they send, what they
//! answer. A panic of production code is a broken invariant, too. A run ends at the first.
//!
//! # What is absent
//!
//! The operating system: time, files, sockets and threads. Parallel runs are the caller's.

mod clients;
mod disk;
mod ghost;
mod history;
pub mod model;
mod nemesis;
mod options;
mod plan;
mod promise;
mod run;
mod server;
mod shadow;
mod story;
mod world;

pub use disk::{DiskFault, Done, Remainder, SECTOR_BYTES, SimDisk};
pub use options::{Conditions, Counts, Failure, Invariant, Options, Outcome};
pub use run::{run, trace};
