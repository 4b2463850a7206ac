//! Exit codes, the same in every command.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// How a command ended.
///
/// Over several tests or files the worst counts, in the order of the variants: a violation outranks everything, since it stays true
/// whatever else went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// Everything that was checked is right; or done.
    Valid,
    /// It could not be told.
    Unknown,
    /// The command can't work as given.
    Usage,
    /// The harness or this machine failed.
    Internal,
    /// What clients saw is wrong, a node found its own state broken, or nodes differ.
    Violation,
}

/// [`Exit::Valid`].
pub const VALID: u8 = 0;
/// [`Exit::Violation`].
pub const VIOLATION: u8 = 1;
/// [`Exit::Unknown`].
pub const UNKNOWN: u8 = 2;
/// [`Exit::Usage`].
pub const USAGE: u8 = 254;
/// [`Exit::Internal`].
pub const INTERNAL: u8 = 255;

impl Exit {
    /// How `task` ends; one that panics has said on stderr what about, and ends the harness as whatever else fails within it.
    pub(crate) fn of(task: impl FnOnce() -> Exit) -> Exit {
        // Nothing that it has left half done is looked at any more.
        catch_unwind(AssertUnwindSafe(task)).unwrap_or(Exit::Internal)
    }

    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Valid => VALID,
            Exit::Violation => VIOLATION,
            Exit::Unknown => UNKNOWN,
            Exit::Usage => USAGE,
            Exit::Internal => INTERNAL,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_failure() {
        assert_eq!(Exit::of(|| Exit::Valid), Exit::Valid);
        assert_eq!(Exit::of(|| panic!("something is broken")), Exit::Internal);
    }
}
