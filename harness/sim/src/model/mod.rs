//! The production core under a model checker: every reachable state of small worlds.
//!
//! A [`World`] says how many servers there are and what bounds them. Its states ([`State`]) hold the servers' real
//! [`raft::Raft`]s, what is durable of each and what is being written, and every message ever sent: messages are never taken away, so
//! that loss is a delivery that doesn't happen, and duplication one that happens again. Properties are kept by a ghost
//! that sees everything.
//!
//! Bounds limit what is explored, not what may happen next: a step that would leave them is not taken, and every world also
//! says what must be reachable inside ([`World::reaches`]), so that none is right because nothing happens in it.

mod action;
mod ghost;
mod run;
mod state;
mod worlds;

pub use action::Action;
pub use run::{Story, WorldReport, check};
pub use state::{Server, State};
pub use worlds::{World, by_name, worlds};
