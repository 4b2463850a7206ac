//! What the harness and a node's preloaded library agree upon: a page with the setting of the node's clocks. It is part of both programs.
//!
//! ```text
//!   word 0         which setting holds: they are counted, and setting n lies in slot n mod 2
//!   word 1         the latest setting by which somebody has read a clock
//!   words 2..11    slot 0 ┐ the rate, in millionths; then for the clocks of WALL, MONOTONIC, RAW and BOOT
//!   words 11..20   slot 1 ┘ since when that holds, by the machine's clock, and how far ahead of it they were then
//! ```
//!
//! Words are signed, of eight bytes, as the machine has them; times are nanoseconds. The harness alone writes settings: into the slot that
//! does not hold, and then word 0, so that whoever reads finds one that is whole without waiting for anybody.

/// How many words a page has.
pub(crate) const WORDS: usize = SLOTS + 2 * SLOT_WORDS;
/// The word that says which setting holds.
pub(crate) const HOLDS: usize = 0;
/// The word that says which setting was seen.
pub(crate) const SEEN: usize = 1;
/// The first word of the slots.
const SLOTS: usize = 2;
/// How many words a setting has.
pub(crate) const SLOT_WORDS: usize = 1 + 2 * CLOCKS;

/// How many clocks a node has.
pub(crate) const CLOCKS: usize = 4;
/// The place of the time of day.
pub(crate) const WALL: usize = 0;
/// The place of the time since some beginning.
pub(crate) const MONOTONIC: usize = 1;
/// The place of the same, as the hardware has it.
pub(crate) const RAW: usize = 2;
/// The place of the same, with the time in which the machine slept.
pub(crate) const BOOT: usize = 3;

/// The usual rate of a clock.
pub(crate) const USUAL: i64 = 1_000_000;

/// The first word of the slot of a setting.
pub(crate) fn slot(number: i64) -> usize {
    SLOTS + SLOT_WORDS * usize::from(number & 1 == 1)
}

/// How clocks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// In millionths of the usual one.
    pub(crate) rate: i64,
    pub(crate) lines: [Line; CLOCKS],
}

/// What a clock shows at the beginning of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What the machine's clock showed.
    pub(crate) since: i64,
    /// By how much this one was ahead.
    pub(crate) ahead: i64,
}

impl Setting {
    /// What the clock at `place` shows when the machine's shows `machine`.
    pub(crate) fn shows(&self, place: usize, machine: i64) -> i64 {
        let line = self.lines[place];
        let gained = (i128::from(machine) - i128::from(line.since)) * i128::from(self.rate - USUAL)
            / i128::from(USUAL);
        let shown = i128::from(machine) + i128::from(line.ahead) + gained;
        // Nobody lives to see the end of these clocks, but whoever sets them can ask for anything.
        shown.clamp(0, i64::MAX.into()) as i64
    }
}
