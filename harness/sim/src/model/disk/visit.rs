//! A visit: a node starts, something comes to it, and it stops.

use crate::disk::Remainder;
use std::fmt::{self, Display};

/// How much of the operation that a crash comes in is done, of 255.
pub(super) const PORTIONS: [u8; 3] = [0, 128, 255];

/// What a stop leaves of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// Everything: the process dies, the machine does not.
    Stays,
    /// What is left of unsynced writes, when the machine dies.
    Lost(Remainder),
}

pub(super) const POWERS: [Power; 4] = [
    Power::Stays,
    Power::Lost(Remainder::Nothing),
    Power::Lost(Remainder::Everything),
    Power::Lost(Remainder::Prefix { sectors: 1 }),
];

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit<E> {
    pub(super) event: E,
    /// In which operation of the disk the process dies, and how much of that is done; `None`: it has done everything.
    pub(super) dies_in: Option<(u64, u8)>,
    pub(super) power: Power,
}

impl<E: Display> Display for Visit<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start, {}", self.event)?;
        match self.dies_in {
            None => write!(f, ", do all that follows")?,
            Some((operation, portion)) => {
                write!(
                    f,
                    ", die in operation {} of the disk, {portion}/255 of it done",
                    operation + 1
                )?;
            }
        }
        match self.power {
            Power::Stays => write!(f, "; the machine lives on"),
            Power::Lost(remainder) => write!(
                f,
                "; power is lost, and leaves {remainder:?} of what was not synced"
            ),
        }
    }
}
