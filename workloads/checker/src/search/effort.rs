//! How hard a search tries, and what it may use.

/// Which reductions are used; all of them, outside of tests that compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reductions {
    /// Operations that change nothing take effect as soon as they are legal.
    pub greedy_reads: bool,
    /// Of equal open operations, the one that returns first goes first.
    pub earliest_deadline_first: bool,
    /// Configurations that spare lost operations displace those that don't.
    pub dominance: bool,
    /// Whether operations took effect unseen is left open.
    pub absorption: bool,
    /// Lost operations take effect only where something follows that depends on them.
    pub need: bool,
}

impl Default for Reductions {
    fn default() -> Self {
        Reductions {
            greedy_reads: true,
            earliest_deadline_first: true,
            dominance: true,
            absorption: true,
            need: true,
        }
    }
}

/// See [`Effort::steps_max`].
const BEAM_STEPS_MAX: u32 = 1 << 12;

/// How much a search takes upon itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// All configurations, whatever that takes: what is rejected has no order.
    Full,
    /// All configurations, as long as they are few.
    Patient,
    /// So many configurations at each return, the most sparing ones, and lost operations only where nothing goes on without: what
    /// is not rejected has an order, and what is rejected may have one too.
    Beam(usize),
    /// As [`Effort::Beam`], as long as its steps are few, and with the first ones that are met instead of the most sparing ones.
    Glance(usize),
}

impl Effort {
    /// How many configurations it keeps at each return, where it does not keep all.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Effort::Full | Effort::Patient => None,
            Effort::Beam(width) | Effort::Glance(width) => Some(width),
        }
    }

    /// After so many steps towards a return it goes no further, if it has reached any configuration.
    pub(super) fn steps_max(self) -> u32 {
        match self {
            Effort::Full | Effort::Patient => u32::MAX,
            Effort::Beam(_) | Effort::Glance(_) => BEAM_STEPS_MAX,
        }
    }

    /// When it has reached so many configurations at a return it goes no further.
    pub(super) fn enough(self) -> usize {
        match self {
            Effort::Full | Effort::Patient | Effort::Beam(_) => usize::MAX,
            Effort::Glance(width) => 2 * width,
        }
    }

    /// Whether it ends where steps are many.
    pub(super) fn gives_up(self) -> bool {
        match self {
            Effort::Full | Effort::Beam(_) => false,
            Effort::Patient | Effort::Glance(_) => true,
        }
    }
}

/// Why a search went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// No order explains the operation that returned.
    Rejected,
    /// The caller said so.
    Interrupted,
    /// It would take more memory than allowed.
    Memory,
    /// It would take more steps than its effort allows.
    Effort,
}

/// What a search may use.
pub(crate) struct Budget<'a> {
    pub(crate) bytes_max: usize,
    pub(crate) should_stop: &'a dyn Fn() -> bool,
}
