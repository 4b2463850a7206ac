//! The same seed gives the same trace on every machine: the hashes of a few are pinned.
//!
//! A trace's hash covers everything that happens in a world, in order: when what arrives where and with which bytes, who leads, what is
//! committed, and what is answered. So it moves with every change of what a world does, or the node in it, and with none that only
//! makes them faster or moves code. Where a change is meant to move it, the failing test prints what to put here instead.

use sim::{Conditions, Options, run};
use std::fmt::Write as _;

/// Conditions, seed, and the trace's hash.
const PINNED: [(Conditions, u64, u64); 13] = [
    (Conditions::Swarm, 0, 0xea45_5ae9_fdbb_e8a7),
    (Conditions::Swarm, 1, 0xabcf_a792_d00e_c36b),
    (Conditions::Swarm, 2, 0x9441_7e40_0ee9_fad6),
    (Conditions::Swarm, 3, 0x66c7_a8cc_7001_e490),
    (Conditions::Swarm, 5, 0x5d44_84ed_51c3_54f7),
    (Conditions::Swarm, 43, 0xb44a_d08a_9600_f683),
    (Conditions::Swarm, 373, 0x4f66_1429_7176_6a6f),
    (Conditions::Swarm, 499, 0xdbea_be3a_ed04_d04d),
    (Conditions::Swarm, 814, 0x3b42_ba4e_b9ee_f2d4),
    (Conditions::Swarm, 4703, 0xb1b5_8eeb_4c24_6762),
    (Conditions::Swarm, 99928, 0x878c_96ce_8821_a818),
    (Conditions::Calm, 7, 0x0623_c2cb_bcd5_cf9e),
    (Conditions::CutLink, 1, 0xeedf_d9df_f6f8_8442),
];

#[test]
fn traces_are_the_same_as_ever() {
    let (mut moved, mut table) = (0, String::new());
    for (conditions, seed, pinned) in PINNED {
        let options = Options {
            conditions,
            // A minute of calm is no other than ten seconds of it.
            duration_us: (conditions != Conditions::Swarm).then_some(10_000_000),
            ..Options::default()
        };
        let outcome = run(seed, &options);
        assert_eq!(outcome.failure, None, "{conditions:?}, seed {seed}");
        let hash = outcome.trace_hash;
        moved += usize::from(hash != pinned);
        writeln!(table, "    (Conditions::{conditions:?}, {seed}, 0x{hash:016x}),")
            .expect("a string takes all");
    }
    assert_eq!(
        moved, 0,
        "so many traces have moved. If that is meant, this is the table now:\n{table}"
    );
}
