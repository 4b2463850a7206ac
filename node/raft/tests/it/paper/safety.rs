//! Raft §5.4: safety.

use super::*;

/// Raft §5.4.1: "the RPC includes information about the candidate's log": where it ends.
#[test]
fn a_vote_request_says_where_the_log_ends() {
    for (log, last) in [(&[][..], at(0, 0)), (&[1], at(1, 1)), (&[1, 2, 2], at(3, 2))] {
        let mut server = given(3, 2, log);
        server.raft.campaign();
        let settled = server.settle();
        for to in [OTHER, THIRD] {
            assert_eq!(
                said_to(&settled, to),
                (
                    Term(3),
                    Message::Vote {
                        last,
                        by_transfer: false
                    }
                )
            );
        }
    }
}

/// Raft §5.4.1: "the voter denies its vote if its own log is more up-to-date": a later last term wins, then a longer log.
#[test]
fn a_voter_denies_its_vote_to_an_older_log() {
    for (log, last, granted) in [
        (&[][..], at(0, 0), true),
        (&[1], at(0, 0), false),
        (&[1], at(1, 1), true),
        (&[1], at(2, 1), true),
        (&[1, 1], at(1, 1), false),
        // A later term with fewer entries is more up to date.
        (&[1, 1], at(1, 2), true),
        (&[1, 2], at(9, 1), false),
        (&[1, 2], at(2, 2), true),
        (&[2], at(2, 1), false),
    ] {
        let mut server = given(3, 2, log);
        let settled = tell(
            &mut server,
            OTHER,
            3,
            Message::Vote {
                last,
                by_transfer: false,
            },
        );
        let answer = Message::VoteResponse { granted };
        assert_eq!(
            said_to(&settled, OTHER),
            (Term(3), answer),
            "{last} against {log:?}"
        );
        assert_eq!(server.raft.vote(), granted.then_some(OTHER));
    }
}

/// Raft §5.4.2: "only log entries from the leader's current term are committed by counting replicas".
#[test]
fn a_leader_commits_only_entries_of_its_term_by_counting() {
    for (matched, committed) in [(1, 0), (2, 0), (3, 3), (4, 4)] {
        let mut server = in_role(RoleKind::Leader, 3, 3, 2);
        server.raft.propose(7).unwrap();
        server.settle();
        tell(&mut server, OTHER, 3, accepted(matched));
        assert_eq!(server.raft.commit_index(), Index(committed), "matched {matched}");
    }
}

/// Raft §5.4.3, and figure 2: a server that starts again knows its term, vote and log, so that what it promised holds.
#[test]
fn a_promise_survives_a_crash() {
    let mut server = given(3, 1, &[1]);
    tell(
        &mut server,
        OTHER,
        2,
        Message::Vote {
            last: at(1, 1),
            by_transfer: false,
        },
    );
    tell(&mut server, OTHER, 2, append(at(1, 1), entries(2, &[2, 2]), 2));
    let again = Server::start(Config::new(OWN), server.crash(0));
    assert_eq!((again.raft.term(), again.raft.vote()), (Term(2), Some(OTHER)));
    assert_eq!(log_terms(&again), [1, 2, 2]);
}

/// Raft figure 2: servers answer "after updating stable storage": nothing that promises or claims leaves before the disk has it.
#[test]
fn promises_wait_for_the_disk() {
    type Input = fn(&mut Server<u8>);
    let promising: [(&str, Input); 3] = [
        ("a vote", |server| {
            server.raft.step(Envelope {
                from: OTHER,
                to: OWN,
                term: Term(2),
                message: Message::Vote {
                    last: at(1, 1),
                    by_transfer: false,
                },
            });
        }),
        ("an acknowledgement", |server| {
            server.raft.step(Envelope {
                from: OTHER,
                to: OWN,
                term: Term(2),
                message: append(at(1, 1), entries(2, &[2]), 0),
            });
        }),
        ("a candidacy", |server| server.raft.campaign()),
    ];
    for (promise, input) in promising {
        let mut server = given(3, 1, &[1]);
        input(&mut server);
        assert_eq!(server.ready().messages, [], "{promise} left too early");
        assert!(!server.raft.has_ready(), "{promise}");
        server.persist().expect("a promise is written");
        assert_ne!(server.ready().messages, [], "{promise} never left");
    }
}
