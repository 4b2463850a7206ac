//! The same seed gives the same trace on every machine: the hashes of a few are pinned.
//!
//! A trace's hash covers everything that happens in a world, in order: when what arrives where and with which bytes, who leads, what is
//! committed, and what is answered. So it moves with every change of what a world does, or the node in it, and with none that only
//! makes them faster or moves code. Where a change is meant to move it, the failing test prints what to put here instead.

use sim::{Conditions, Options, run};
use std::fmt::Write as _;

/// Conditions, seed, and the trace's hash.
const PINNED: [(Conditions, u64, u64); 13] = [
    (Conditions::Swarm, 0, 0x0b38_572c_14a7_664b),
    (Conditions::Swarm, 1, 0x0c30_9d03_2d0e_9aa1),
    (Conditions::Swarm, 2, 0xaecb_ce21_96e8_c018),
    (Conditions::Swarm, 3, 0x4eeb_7480_9f50_4b43),
    (Conditions::Swarm, 5, 0x2f8a_f2bd_f519_13d1),
    (Conditions::Swarm, 43, 0x6337_add8_eac0_b1c3),
    (Conditions::Swarm, 373, 0xea04_4ae4_5105_20c2),
    (Conditions::Swarm, 499, 0x14aa_e3bd_7c31_9d69),
    (Conditions::Swarm, 814, 0x3389_fc41_b38d_1cb9),
    (Conditions::Swarm, 4703, 0xfe54_e596_01d2_ffae),
    (Conditions::Swarm, 99928, 0x52ef_5be9_fa85_e21b),
    (Conditions::Calm, 7, 0x62f7_6302_1e6c_1c17),
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
