//! Tests of the Raft core from outside, through its public interface.
//!
//! - `golden`: scripts in `testdata`, each a story with its expected outcome beside it.
//! - `paper`: one test for each claim of the paper and the dissertation.

mod golden;
mod paper;
mod script;
mod server;
