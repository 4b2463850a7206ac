//! Tests of the Raft core from outside, through its public interface.
//!
//! - `golden`: scripts in `testdata`, each a story with its expected outcome beside it.

mod golden;
mod script;
mod server;
