//! Exit codes, the same in every command.

/// Done.
pub(crate) const DONE: u8 = 0;
/// Definitely not done, or nothing was there to be done to.
pub(crate) const NOT_DONE: u8 = 1;
/// It may have been done or not, now or later.
pub(crate) const UNKNOWN: u8 = 2;
/// The command can't work as given.
pub(crate) const USAGE: u8 = 254;
/// The node or its disk failed.
pub(crate) const INTERNAL: u8 = 255;

/// What `node help exit-codes` prints.
pub(crate) const HELP: &str = "\
Exit codes of `node`, the same in every command:

  0    done; a server that was told to stop by SIGTERM or SIGINT
  1    definitely not done, and never will be: the cluster could not be reached, had no leader or was busy until the time was
       up, or refused the request; `get`, `items`, `delete` and `pop` also where there is nothing, `get` where there is a list,
       `cas` where the key does not hold what is expected, `txn` where a condition does not hold (what stands behind --else is
       done then), `status` where an endpoint did not answer
  2    unknown: a write was sent, perhaps more than once, and no answer came until the time was up; it has taken effect once, or
       may yet, or never will. So too where members change, leadership is handed over or a snapshot is taken: it was asked for,
       and did not come about in time
  254  usage: a bad flag or configuration file, an address that can't be bound, a data folder that can't be used, is in use or
       belongs to another node or cluster, or too few descriptors to serve with
  255  internal: the disk failed, the data folder is damaged, or the node found its own state broken
";

/// Why the program ends without having done what it was asked to: one line, and a code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked can't work.
    #[error("{0}")]
    Usage(String),
    /// What was asked failed.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Internal(_) => INTERNAL,
        }
    }
}
