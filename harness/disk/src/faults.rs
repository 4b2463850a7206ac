//! What an operation on the disk meets.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Something that changes the disk, or makes a change durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Bytes are written.
    Write {
        /// Whether they are to be durable when that returns.
        is_durable: bool,
    },
    /// A file is given room, or another length.
    Room {
        /// Whether that takes any.
        takes_room: bool,
    },
    /// A file or a folder is synced.
    Sync,
    /// A name is made, removed or changed.
    Name {
        /// Whether that takes room.
        takes_room: bool,
    },
}

impl Act {
    fn is_sync(self) -> bool {
        match self {
            Act::Sync | Act::Write { is_durable: true } => true,
            Act::Write { is_durable: false } | Act::Room { .. } | Act::Name { .. } => false,
        }
    }

    fn takes_room(self) -> bool {
        match self {
            Act::Write { .. } => true,
            Act::Room { takes_room } | Act::Name { takes_room } => takes_room,
            Act::Sync => false,
        }
    }
}

/// What fails with EIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Errors {
    /// Writes: nothing of them is there.
    Writes,
    /// Syncs, those of durable writes among them: what they were to make durable never is.
    Syncs,
}

/// Whether an operation was carried out at which its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    /// It was not.
    Before,
    /// It was.
    After,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is carried out.
    Carry,
    /// It has no effect, and this error.
    Refuse(Errno),
    /// It is carried out, but its sync fails.
    FailSync,
    /// It is carried out, but its sync waits until the disk is let go.
    Hang,
    /// It is carried out, nothing of it is durable, and it is never answered: the power goes.
    Vanish,
    /// Its process dies, before or after it is carried out.
    Die(Done),
}

/// What is wrong with a disk. By default nothing is.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    is_full: bool,
    errors: Option<Errors>,
    is_stalled: bool,
    is_off: bool,
    /// How many operations are to come until the process dies, that one included.
    death: Option<(u64, Done)>,
    hits: u64,
}

impl Faults {
    /// From now on nothing that takes room succeeds; every write does, as where nothing is overwritten in its place.
    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// From now on this fails.
    pub fn set_errors(&mut self, errors: Option<Errors>) {
        self.errors = errors;
    }

    /// From now on no sync ends.
    pub fn set_stalled(&mut self, is_stalled: bool) {
        self.is_stalled = is_stalled;
    }

    /// From now on nothing becomes durable, and nothing is answered.
    pub fn set_off(&mut self, is_off: bool) {
        self.is_off = is_off;
    }

    /// At the `nth` operation from now on, counted from 1, its process dies. `None` takes that back.
    pub fn set_death(&mut self, death: Option<(u64, Done)>) {
        self.death = death;
    }

    /// Whether a death is still to come.
    pub fn is_death_due(&self) -> bool {
        self.death.is_some()
    }

    /// How many operations were not simply carried out so far.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// What becomes of the next operation.
    pub fn rule(&mut self, act: Act) -> Ruling {
        let ruling = self.ruling(act);
        self.hits += u64::from(ruling != Ruling::Carry);
        ruling
    }

    fn ruling(&mut self, act: Act) -> Ruling {
        if self.is_off {
            return Ruling::Vanish;
        }
        if let Some((left, done)) = &mut self.death {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let done = *done;
                self.death = None;
                return Ruling::Die(done);
            }
        }
        if self.is_full && act.takes_room() {
            return Ruling::Refuse(Errno::NOSPC);
        }
        match (self.errors, act) {
            (Some(Errors::Writes), Act::Write { .. }) => return Ruling::Refuse(Errno::IO),
            (Some(Errors::Syncs), _) if act.is_sync() => return Ruling::FailSync,
            (Some(Errors::Writes | Errors::Syncs) | None, _) => {}
        }
        if self.is_stalled && act.is_sync() {
            return Ruling::Hang;
        }
        Ruling::Carry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Act = Act::Write { is_durable: false };
    const DURABLE: Act = Act::Write { is_durable: true };
    const MAKE: Act = Act::Name { takes_room: true };
    const REMOVE: Act = Act::Name { takes_room: false };
    const CUT: Act = Act::Room { takes_room: false };
    const ALL: [Act; 6] = [WRITE, DURABLE, MAKE, REMOVE, CUT, Act::Sync];

    fn rulings(mut faults: Faults) -> [Ruling; 6] {
        ALL.map(|act| faults.rule(act))
    }

    #[test]
    fn a_sound_disk_carries_everything_out() {
        assert_eq!(rulings(Faults::default()), [Ruling::Carry; 6]);
    }

    #[test]
    fn a_full_disk_refuses_what_takes_room_and_nothing_else() {
        let mut faults = Faults::default();
        faults.set_full(true);
        let full = Ruling::Refuse(Errno::NOSPC);
        let go = Ruling::Carry;
        assert_eq!(rulings(faults.clone()), [full, full, full, go, go, go]);
        faults.set_full(false);
        assert_eq!(rulings(faults), [go; 6]);
    }

    #[test]
    fn errors_hit_writes_or_syncs() {
        let mut faults = Faults::default();
        let go = Ruling::Carry;
        faults.set_errors(Some(Errors::Writes));
        let io = Ruling::Refuse(Errno::IO);
        assert_eq!(rulings(faults.clone()), [io, io, go, go, go, go]);
        faults.set_errors(Some(Errors::Syncs));
        assert_eq!(
            rulings(faults),
            [go, Ruling::FailSync, go, go, go, Ruling::FailSync]
        );
    }

    #[test]
    fn where_syncs_hang_everything_else_goes_on() {
        let mut faults = Faults::default();
        faults.set_stalled(true);
        let go = Ruling::Carry;
        assert_eq!(rulings(faults), [go, Ruling::Hang, go, go, go, Ruling::Hang]);
    }

    #[test]
    fn without_power_nothing_is_answered_whatever_else_is_wrong() {
        let mut faults = Faults::default();
        faults.set_full(true);
        faults.set_death(Some((1, Done::After)));
        faults.set_off(true);
        assert_eq!(rulings(faults.clone()), [Ruling::Vanish; 6]);
        faults.set_off(false);
        assert_eq!(faults.rule(Act::Sync), Ruling::Die(Done::After));
    }

    #[test]
    fn the_nth_operation_is_the_last_one() {
        for nth in 1..=6 {
            let mut faults = Faults::default();
            faults.set_death(Some((nth, Done::Before)));
            let rulings = ALL.map(|act| faults.rule(act));
            for (number, ruling) in (1..).zip(rulings) {
                let dies = ruling == Ruling::Die(Done::Before);
                assert_eq!(dies, number == nth, "operation {number} of {nth}");
            }
            assert!(!faults.is_death_due());
            assert_eq!(faults.hits(), 1);
        }
    }
}
