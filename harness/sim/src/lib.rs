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
//! there are and how strongly; the same seed and options give the same trace, on every machine. [`shrink`] makes a failing world
//! smaller, [`trace`] tells it, as a golden script of the core too. At the end faults are over, and all
//! nodes must converge and every client must be served.
//!
//! # Invariants
//!
//! They are listed as [`Invariant`] and are held against what nodes *do*: what they write and sync, what they send, what they
//! answer. A panic of production code is a broken invariant, too. A run ends at the first.
//!
//! # What is absent
//!
//! The operating system: time, files, sockets and threads. Parallel runs are the caller's; only [`model::check`] hands its search to
//! stateright, which has as many threads for it as the caller's [`model::Limits`] say.

mod caught;
mod chance;
mod clients;
mod disk;
mod ghost;
mod history;
pub mod model;
mod nemesis;
mod options;
mod plan;
mod promise;
mod reduction;
mod run;
mod script;
mod server;
mod shadow;
mod shrink;
mod story;
mod world;

pub use disk::{DiskFault, Done, Remainder, SECTOR_BYTES, SimDisk};
pub use options::{Blow, Conditions, Counts, Failure, Invariant, Options, Outcome, Struck};
pub use reduction::{Aspect, FaultId, Reduction};
#[cfg(feature = "mutants")]
pub use replica::Mutant;
pub use run::{Told, run, trace};
pub use shrink::{Shrunk, shrink};
