//! What a message may not do, whoever sends it.

use crate::common::{elect, from, open, options, turn};
use raft::{LogPosition, Message, Term};
use replica::Outbox;
use sim::SimDisk;

/// The term of a single frame does not lead to the end of all terms: it would stay on the disk, and no node could be elected after it.
#[test]
fn a_term_far_beyond_the_own_is_not_taken_up() {
    const AHEAD_MAX: u64 = 1 << 32;
    let mut node = open(&SimDisk::new(), &options(3)).unwrap();
    let mut out = Outbox::default();
    elect(&mut node, &mut out);
    let vote = || Message::Vote {
        last: LogPosition::default(),
        by_transfer: true,
    };
    for message in [Message::VoteResponse { granted: false }, vote()] {
        for term in [1 + AHEAD_MAX + 1, 1 << 62, u64::MAX] {
            node.step(from(2, term, message.clone()));
            turn(&mut node, &mut out).unwrap();
            assert_eq!(node.core().raft().term(), Term(1), "{message:?} of term {term}");
        }
    }
    node.step(from(2, 1 + AHEAD_MAX, vote()));
    assert_eq!(node.core().raft().term(), Term(1 + AHEAD_MAX));
}
