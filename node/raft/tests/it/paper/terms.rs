//! Raft §5.1: terms act as a logical clock.

use super::*;
use raft::{Life, ReadRequest, RoleKind};

/// Everything that is said in a term, pre-vote requests and granted pre-votes left out: those are outside of the terms.
fn said_in_a_term() -> Vec<Message<u8>> {
    vec![
        Message::PreVoteResponse {
            next_term: Term(9),
            granted: false,
        },
        Message::Vote {
            last: at(0, 0),
            by_transfer: false,
        },
        Message::VoteResponse { granted: false },
        append(at(0, 0), Vec::new(), 0),
        accepted(0),
        Message::AppendRejected {
            probed: Index(1),
            hint: at(0, 0),
        },
        Message::Heartbeat {
            commit: Index(0),
            round: 0,
        },
        Message::HeartbeatResponse { round: 0 },
        Message::ReadIndex { request: REQUEST },
        Message::ReadIndexResponse {
            request: REQUEST,
            index: Index(0),
        },
    ]
}

const REQUEST: ReadRequest = ReadRequest {
    life: Life(1),
    number: 1,
};

/// Raft §5.1: "if one server's current term is smaller than the other's, then it updates its current term to the larger value";
/// a candidate or leader that discovers that its term is out of date reverts to follower.
#[test]
fn every_role_adopts_a_higher_term_and_follows() {
    for role in ROLES {
        for message in said_in_a_term() {
            let mut server = in_role(role, 3, 2, 2);
            if role == RoleKind::Leader && matches!(message, Message::Vote { .. }) {
                // Leaders don't hear candidates: see `a_server_with_a_leader_does_not_hear_candidates`.
                continue;
            }
            tell(&mut server, OTHER, 5, message.clone());
            assert_eq!(server.raft.term(), Term(5), "{role}: {message:?}");
            assert_eq!(server.raft.role(), RoleKind::Follower, "{role}: {message:?}");
            let durable = server.raft.storage().hard_state();
            assert_eq!(
                (durable.term, durable.vote),
                (Term(5), None),
                "{role}: {message:?}"
            );
        }
    }
}

/// Raft §5.1: "if a server receives a request with a stale term number, it rejects the request". The rejection carries the term,
/// so that the sender learns of it.
#[test]
fn every_role_rejects_requests_of_an_older_term() {
    for role in ROLES {
        for message in said_in_a_term() {
            let mut server = in_role(role, 3, 5, 2);
            let before = server.raft.clone();
            let settled = tell(&mut server, OTHER, 4, message.clone());
            assert_eq!(server.raft, before, "{role}: {message:?}");
            match message {
                Message::Vote { .. } => assert_eq!(
                    said_to(&settled, OTHER),
                    (Term(5), Message::VoteResponse { granted: false })
                ),
                Message::Append { .. } => assert!(
                    matches!(
                        said_to(&settled, OTHER),
                        (Term(5), Message::AppendRejected { .. })
                    ),
                    "{settled:?}"
                ),
                Message::Heartbeat { .. } => assert_eq!(
                    said_to(&settled, OTHER),
                    (Term(5), Message::HeartbeatResponse { round: 0 })
                ),
                Message::Snapshot { .. } => assert!(
                    matches!(
                        said_to(&settled, OTHER),
                        (Term(5), Message::AppendRejected { .. })
                    ),
                    "{settled:?}"
                ),
                // Answers are dropped, and so is what makes no sense in another term: a request to stand, or about reads.
                Message::PreVote { .. }
                | Message::PreVoteResponse { .. }
                | Message::VoteResponse { .. }
                | Message::AppendAccepted { .. }
                | Message::AppendRejected { .. }
                | Message::HeartbeatResponse { .. }
                | Message::TimeoutNow
                | Message::ReadIndex { .. }
                | Message::ReadIndexResponse { .. } => assert_eq!(settled.messages, []),
            }
        }
    }
}

/// Dissertation §9.6: a pre-vote changes no term, neither the voter's nor, when it is granted, the asker's.
#[test]
fn pre_votes_are_outside_of_the_terms() {
    for role in ROLES {
        for message in [
            Message::PreVote {
                next_term: Term(9),
                last: at(9, 8),
            },
            Message::PreVoteResponse {
                next_term: Term(9),
                granted: true,
            },
        ] {
            let mut server = in_role(role, 3, 2, 2);
            let before = server.raft.clone();
            tell(&mut server, OTHER, 8, message.clone());
            assert_eq!(server.raft, before, "{role}: {message:?}");
        }
    }
}

/// Raft §6: a server that asks may know of a later configuration, so it is heard; what a stranger answers counts for nothing,
/// and what it asks about reads is a member's to ask.
#[test]
fn answers_of_strangers_count_for_nothing() {
    let answers = said_in_a_term().into_iter().filter(|message| match message {
        Message::PreVoteResponse { .. }
        | Message::VoteResponse { .. }
        | Message::AppendAccepted { .. }
        | Message::AppendRejected { .. }
        | Message::HeartbeatResponse { .. }
        | Message::ReadIndex { .. }
        | Message::ReadIndexResponse { .. } => true,
        Message::PreVote { .. }
        | Message::Vote { .. }
        | Message::Append { .. }
        | Message::Heartbeat { .. }
        | Message::Snapshot { .. }
        | Message::TimeoutNow => false,
    });
    let answers: Vec<Message<u8>> = answers.collect();
    assert_eq!(answers.len(), 7);
    for role in ROLES {
        for (message, term) in answers
            .iter()
            .flat_map(|message| [1, 2, 8].map(|term| (message, term)))
        {
            let mut server = in_role(role, 3, 2, 2);
            let before = server.raft.clone();
            let settled = tell(&mut server, NodeId(9), term, message.clone());
            assert_eq!(
                (&server.raft, settled.messages),
                (&before, Vec::new()),
                "{message:?} of term {term}"
            );
        }
    }
}

/// Two members that lead one term stop a server (`hostile.rs`). A stranger that says it leads is not followed beside a leader, and stops
/// nobody: it may be of another cluster.
#[test]
fn a_stranger_does_not_lead_beside_the_leader() {
    let said = said_in_a_term().into_iter().chain([Message::TimeoutNow]);
    let orders: Vec<Message<u8>> = said.filter(Message::is_order).collect();
    assert_eq!(orders.len(), 3);
    for (role, order) in [RoleKind::Follower, RoleKind::Leader]
        .into_iter()
        .flat_map(|role| orders.iter().map(move |order| (role, order)))
    {
        let mut server = in_role(role, 3, 2, 2);
        let heartbeat = Message::Heartbeat {
            commit: Index(0),
            round: 0,
        };
        if role == RoleKind::Follower {
            tell(&mut server, OTHER, 2, heartbeat);
        }
        let before = server.raft.clone();
        let settled = tell(&mut server, NodeId(9), 2, order.clone());
        assert_eq!(
            (&server.raft, settled.messages),
            (&before, Vec::new()),
            "{role}: {order:?}"
        );
    }
}

/// Raft §6: a server votes for, and follows, one that is not in its own configuration.
#[test]
fn whoever_asks_is_answered_member_or_not() {
    let stranger = NodeId(9);
    let mut server = in_role(RoleKind::Follower, 3, 2, 2);
    server.raft.leader_silent();
    let last = server.raft.last();
    let asks = Message::Vote {
        last,
        by_transfer: false,
    };
    let settled = tell(&mut server, stranger, 3, asks);
    let granted = Message::VoteResponse { granted: true };
    assert_eq!(said_to(&settled, stranger), (Term(3), granted));
    let leads = Message::Heartbeat {
        commit: Index(0),
        round: 1,
    };
    tell(&mut server, stranger, 3, leads);
    assert_eq!(server.raft.leader(), Some(stranger));
}
