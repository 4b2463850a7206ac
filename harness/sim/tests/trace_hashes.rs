//! The same seed gives the same trace on every machine: the hashes of a few are pinned.
//!
//! A trace's hash covers everything that happens in a world, in order: when what arrives where and with which bytes, who leads, what is
//! committed, and what is answered. So it moves with every change of what a world does, or the node in it, and with none that only
//! makes them faster or moves code. Where a change is meant to move it, the failing test prints what to put here instead.

use sim::{Conditions, Options, run};
use std::fmt::Write as _;

/// Conditions, seed, and the trace's hash.
const PINNED: [(Conditions, u64, u64); 13] = [
    (Conditions::Swarm, 0, 0xbe55_6479_662c_1ab9),
    (Conditions::Swarm, 1, 0xa748_2fd8_b758_4db7),
    (Conditions::Swarm, 2, 0x338d_ab6a_f972_39a0),
    (Conditions::Swarm, 3, 0x4b60_6b11_81ab_6892),
    (Conditions::Swarm, 5, 0x5d44_84ed_51c3_54f7),
    (Conditions::Swarm, 43, 0xf39b_d430_33ad_8b78),
    (Conditions::Swarm, 373, 0x12d8_9a4f_ae88_a3fa),
    (Conditions::Swarm, 499, 0xd29f_64ea_3e90_5ea4),
    (Conditions::Swarm, 814, 0x81ff_3a9c_b8fc_1bef),
    (Conditions::Swarm, 4703, 0xa09f_56ae_55bb_d1b2),
    (Conditions::Swarm, 99928, 0x428b_dc40_ed3c_5d4c),
    (Conditions::Calm, 7, 0x8930_c13b_2ad5_f714),
    (Conditions::CutLink, 1, 0x2075_17d8_2f67_63ee),
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
