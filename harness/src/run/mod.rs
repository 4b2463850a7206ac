//! Running tests: a cluster is started, loaded, broken, healed and checked, and what came of it is kept and told.
//!
//! A test goes through these phases:
//!
//! ```text
//! start ─▶ serving ─▶ load, calm ─▶ load, under fault ─▶ heal ─▶ final reads ─▶ agree ─▶ stop ─▶ check ─▶ report
//!                     └───────── time limit ─────────┘
//! ```
//!
//! What is *valid* has passed the [`gate`]: it was loaded, and hurt; and in the end each node was where the others were, and stopped as it
//! was told to. A node that ends by itself ends the load. Whatever goes wrong, a test has a result.
//!
//! Beside the load and the final reads the history is checked as it is recorded (`online`). A violation that is seen there ends the test: the
//! nodes are frozen, then killed where they stand, and what follows is the check of what was recorded, whose word is the last.

mod directory;
mod finish;
pub mod gate;
mod judge;
mod load;
mod narrate;
mod online;
mod options;
mod recorded;
mod rerender;
#[cfg(test)]
mod scale;
mod seed;
mod series;
mod test;
mod verdict;

pub use directory::{DirectoryError, HISTORY, RunDirectory};
pub(crate) use directory::{RESULTS, TEST};
pub use finish::{FINAL_READS_MAX, RECOVERY_MAX, SETTLING_MAX};
pub use judge::{CHECK_BYTES_MAX, CHECK_TIME_MAX, JudgeError, Judged, Request, judge};
pub(crate) use options::spares;
pub(crate) use options::{CONCURRENCY_MAX, DURATION_MAX, NODES_MAX, RATE_MAX};
pub use options::{Concurrency, Options};
pub use recorded::{Test, recorded};
pub use rerender::rerender;
pub use seed::draw_seed;
pub use series::{Series, run};
pub use test::START_MAX;
