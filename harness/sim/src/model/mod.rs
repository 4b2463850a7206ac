//! The production core under a model checker: every reachable state of small worlds.
//!
//! A [`World`] says how many servers there are and what bounds them. A state of it holds the servers' real [`raft::Raft`]s, what is durable
//! of each and what is being written, and every message ever sent: messages are never taken away, so that loss is a delivery that doesn't
//! happen, and duplication one that happens again. Promises are kept account of by a ghost that sees everything.
//!
//! ```text
//!   catalogue ──▶ World ──▶ Explored, a stateright Model ──▶ WorldReport, with a Story where a promise is broken
//!                               │
//!               State: numbers of servers, messages, ghost          canonical: of all namings of the servers, one
//!                               │
//!               Universe: what the numbers stand for; the core runs once for each different server and input
//! ```
//!
//! Bounds limit what is explored, not what may happen next: a step that would leave them is not taken, and every world also
//! says what must be reachable inside ([`World::reaches`]), so that none is right because nothing happens in it.

mod action;
mod catalogue;
mod clock;
mod disk;
mod explore;
mod ghost;
mod marks;
mod naming;
mod observer;
mod opening;
mod reach;
mod run;
mod search;
mod server;
mod state;
mod story;
mod symmetry;
mod table;
mod universe;
mod worlds;

pub use catalogue::{by_name, worlds};
pub use explore::shown;
pub use reach::Reach;
pub use run::check;
pub use search::{Limits, Progress, Watch, WorldReport};
pub use story::Story;
pub use worlds::{Judge, Opening, Planned, Scenery, Subject, Tier, World};

/// The names of the bugs that can be seeded into a world's servers.
#[cfg(feature = "mutants")]
pub fn mutants() -> impl Iterator<Item = &'static str> {
    replica::Mutant::all().map(|(name, _)| name)
}
