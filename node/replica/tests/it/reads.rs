//! Entries read back from the disk are those that were written last, however the log came about.

use crate::common::{Log, append, log_of, open, options, turn};
use proptest::prelude::*;
use raft::{Index, Storage};
use replica::Outbox;
use sim::SimDisk;

/// An append: how much of the log it keeps, in 256ths; how many entries; how large; whether in a new term.
type Append = (u8, usize, usize, bool);

fn appends() -> impl Strategy<Value = Vec<Append>> {
    let bytes = prop_oneof![0..40_usize, 100..900_usize, 3000..9000_usize];
    prop::collection::vec((any::<u8>(), 1..4_usize, bytes, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_read_is_what_was_written_last(
        appends in appends(),
        tail_bytes_max in prop_oneof![Just(0_usize), 1..400_usize, Just(1 << 20)],
        blocks in 1..20_u64,
        bytes_max in prop_oneof![Just(1_usize), 500..20_000_usize],
        restart in any::<bool>(),
    ) {
        let mut settings = options(3);
        settings.tail_bytes_max = tail_bytes_max;
        settings.segment_bytes = blocks * 4096;
        let disk = SimDisk::new();
        let mut node = open(&disk, &settings).unwrap();
        let mut log = Log::new();
        let mut term = 1;
        for (keep, count, bytes, new_term) in appends {
            term += u64::from(new_term);
            // Within a term a leader only adds to its log; what another term left may go.
            let own = log.iter().rposition(|entry| entry.term.0 < term).map_or(0, |last| last + 1);
            let keep = if own < log.len() { log.len() } else { log.len() * usize::from(keep) / 256 };
            node.step(append(2 + term % 2, term, &mut log, keep, count, bytes));
            turn(&mut node, &mut Outbox::default()).unwrap();
        }
        if restart {
            drop(node);
            node = open(&disk, &settings).unwrap();
        }
        prop_assert_eq!(&log_of(&node), &log);
        let store = node.core().raft().storage();
        for from in 1..=log.len() {
            let range = Index(from as u64)..Index(log.len() as u64 + 1);
            let read = store.entries(range, bytes_max).unwrap();
            let fits = |count: usize| log[from - 1..][..count].iter().map(raft::Entry::size).sum::<usize>() <= bytes_max;
            let most = (1..=log.len() + 1 - from).rev().find(|count| *count == 1 || fits(*count)).unwrap();
            prop_assert_eq!(&read[..], &log[from - 1..from - 1 + most]);
        }
    }
}
