//! Raft §5.2: leader election; dissertation §9.6 and §4.2.3: pre-votes and stickiness.

use super::*;
use raft::{RawNode, Silent, Timing};

/// Raft §5.2: "when servers start up, they begin as followers", whatever they were before.
#[test]
fn servers_start_as_followers() {
    let mut leader = in_role(RoleKind::Leader, 3, 2, 1);
    leader.settle();
    let again = Server::start(Config::new(OWN), leader.crash(0));
    assert_eq!(again.raft.role(), RoleKind::Follower);
    assert_eq!(again.raft.leader(), None);
    assert_eq!((again.raft.term(), again.raft.vote()), (Term(2), Some(OWN)));
}

/// Raft §5.2: "leaders send periodic heartbeats to all followers in order to maintain their authority".
#[test]
fn leader_sends_heartbeats_to_everybody() {
    let mut server = in_role(RoleKind::Leader, 5, 2, 0);
    server.raft.heartbeat_timeout();
    let settled = server.settle();
    for to in (2..=5).map(NodeId) {
        let heartbeat = Message::Heartbeat {
            commit: Index(0),
            round: 0,
        };
        assert_eq!(said_to(&settled, to), (Term(2), heartbeat));
    }
    assert_eq!(settled.messages.len(), 4);
}

/// Raft §5.2: only a leader sends heartbeats.
#[test]
fn others_send_no_heartbeats() {
    for role in [RoleKind::Follower, RoleKind::PreCandidate, RoleKind::Candidate] {
        let mut server = in_role(role, 3, 2, 0);
        server.raft.heartbeat_timeout();
        server.raft.quorum_check();
        assert_eq!(server.settle().messages, [], "{role}");
    }
}

/// Raft §5.2: "to begin an election, a follower increments its current term and transitions to candidate state. It then votes for
/// itself and issues RequestVote RPCs in parallel"; a candidate whose election timed out does the same again.
#[test]
fn a_time_out_starts_an_election_in_a_new_term() {
    for role in [RoleKind::Follower, RoleKind::Candidate] {
        let mut server = in_role(role, 3, 2, 2);
        server.raft.campaign();
        let settled = server.settle();
        assert_eq!(
            (server.raft.term(), server.raft.role()),
            (Term(3), RoleKind::Candidate)
        );
        let durable = server.raft.storage().hard_state();
        assert_eq!((durable.term, durable.vote), (Term(3), Some(OWN)));
        for to in [OTHER, THIRD] {
            let last = server.raft.last();
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

/// Dissertation §9.6: a server asks before it takes a new term, and takes it only when a majority would vote for it.
#[test]
fn the_term_is_raised_when_a_majority_would_vote() {
    for (granted, stands) in [(0, false), (1, false), (2, true)] {
        let mut server = in_role(RoleKind::PreCandidate, 5, 2, 2);
        for from in (2..2 + granted).map(NodeId) {
            let answer = Message::PreVoteResponse {
                next_term: Term(3),
                granted: true,
            };
            tell(&mut server, from, 2, answer);
        }
        let expected = if stands {
            (RoleKind::Candidate, Term(3))
        } else {
            (RoleKind::PreCandidate, Term(2))
        };
        assert_eq!(
            (server.raft.role(), server.raft.term()),
            expected,
            "{granted} granted"
        );
    }
}

/// Raft §5.2: "a candidate wins an election if it receives votes from a majority of the servers in the full cluster for the same
/// term"; each counts once.
#[test]
fn an_election_takes_one_round() {
    use RoleKind::{Candidate, Follower, Leader};
    let table = [
        // voters, granted (beside its own), refused, role
        (1, 0, 0, Leader),
        (3, 0, 0, Candidate),
        (3, 1, 0, Leader),
        (3, 2, 0, Leader),
        (3, 1, 1, Leader),
        (3, 0, 1, Candidate),
        (3, 0, 2, Follower),
        (4, 1, 1, Candidate),
        (4, 2, 0, Leader),
        (4, 1, 2, Follower),
        (5, 1, 0, Candidate),
        (5, 2, 0, Leader),
        (5, 2, 2, Leader),
        (5, 1, 2, Candidate),
        (5, 1, 3, Follower),
        (7, 2, 0, Candidate),
        (7, 3, 0, Leader),
        (7, 2, 3, Candidate),
        (7, 2, 4, Follower),
    ];
    for (voters, granted, refused, role) in table {
        let mut server = given(voters, 1, &[]);
        server.raft.campaign();
        server.settle();
        let answers = (0..granted).map(|_| true).chain((0..refused).map(|_| false));
        for (from, granted) in (2..).map(NodeId).zip(answers) {
            for _ in 0..2 {
                tell(&mut server, from, 2, Message::VoteResponse { granted });
            }
        }
        assert_eq!(
            server.raft.role(),
            role,
            "{granted} granted and {refused} refused of {voters}"
        );
    }
}

/// Raft §5.2: "each server will vote for at most one candidate in a given term, on a first-come-first-served basis". The same
/// candidate gets the same answer again, for the first may be lost.
#[test]
fn a_server_votes_once_in_a_term() {
    let ask = || Message::Vote {
        last: at(0, 0),
        by_transfer: false,
    };
    for (first, second, granted) in [
        (OTHER, OTHER, true),
        (OTHER, THIRD, false),
        (THIRD, OTHER, false),
        (THIRD, THIRD, true),
    ] {
        let mut server = given(3, 1, &[]);
        let settled = tell(&mut server, first, 2, ask());
        let answer = |granted| (Term(2), Message::VoteResponse { granted });
        assert_eq!(said_to(&settled, first), answer(true));
        assert_eq!(server.raft.storage().hard_state().vote, Some(first));

        // Over a crash too.
        for _ in 0..2 {
            let settled = tell(&mut server, second, 2, ask());
            assert_eq!(
                said_to(&settled, second),
                answer(granted),
                "{first} before {second}"
            );
            assert_eq!(server.raft.vote(), Some(first));
            server = Server::start(Config::new(OWN), server.crash(0));
        }
    }
}

/// Raft §5.2: where somebody leads a term already, no other candidate can win it, and gets no vote that could tell it otherwise.
#[test]
fn a_server_that_knows_its_terms_leader_votes_for_nobody_else() {
    let mut server = given(3, 2, &[]);
    tell(&mut server, OTHER, 2, append(at(0, 0), Vec::new(), 0));
    server.raft.leader_silent();
    let settled = tell(
        &mut server,
        THIRD,
        2,
        Message::Vote {
            last: at(9, 1),
            by_transfer: false,
        },
    );
    let refused = Message::VoteResponse { granted: false };
    assert_eq!(said_to(&settled, THIRD), (Term(2), refused));
    assert_eq!(server.raft.vote(), None);
}

/// Raft §5.2: a candidate that hears from a leader of its term "recognizes the leader as legitimate and returns to follower state".
#[test]
fn a_candidate_gives_way_to_the_leader_of_its_term() {
    for role in [RoleKind::PreCandidate, RoleKind::Candidate] {
        for message in [
            append(at(0, 0), Vec::new(), 0),
            Message::Heartbeat {
                commit: Index(0),
                round: 0,
            },
        ] {
            let mut server = in_role(role, 3, 2, 0);
            tell(&mut server, OTHER, 2, message);
            assert_eq!(
                (server.raft.role(), server.raft.leader(), server.raft.term()),
                (RoleKind::Follower, Some(OTHER), Term(2))
            );
        }
    }
}

/// A server that has just come into this role, in a term in which there may be a leader to wait for.
fn waiting_in(role: RoleKind, own: NodeId, seed: u64) -> RawNode<MemoryStorage<u8>, Silent> {
    let storage = given(5, 1, &[]).crash(0);
    let mut node = RawNode::new(Config::new(own), Timing::default(), seed, storage, Silent)
        .expect("the settings can work");
    match role {
        RoleKind::Follower => {}
        RoleKind::PreCandidate => while_not(&mut node, RoleKind::PreCandidate),
        RoleKind::Candidate => {
            node.campaign();
            let write = node.ready().write.expect("a candidacy is written");
            node.storage_mut().apply(&write);
            node.persisted(write.id);
        }
        RoleKind::Leader => unreachable!("leaders wait for nobody"),
    }
    assert_eq!(node.raft().role(), role);
    node
}

fn while_not(node: &mut RawNode<MemoryStorage<u8>, Silent>, role: RoleKind) {
    for _ in 0..Timing::default().election_ticks_max {
        if node.raft().role() != role {
            node.tick();
        }
    }
}

/// After how many ticks it stands, or asks whether it could: the latter is seen at once.
fn ticks_until_it_is_time(mut node: RawNode<MemoryStorage<u8>, Silent>) -> u32 {
    let is_time = |_: &u32| {
        let due = node.due().election;
        node.tick();
        due
    };
    (1..=Timing::default().election_ticks_max)
        .find(is_time)
        .expect("its time comes before the longest time-out is over")
}

const WITHOUT_A_LEADER: [RoleKind; 3] = [RoleKind::Follower, RoleKind::PreCandidate, RoleKind::Candidate];

/// Raft §5.2: "election timeouts are chosen randomly from a fixed interval": every value of it occurs, and none beside; anew for each
/// candidacy.
#[test]
fn election_time_outs_are_spread_over_the_interval() {
    let timing = Timing::default();
    let interval: Vec<u32> = (timing.election_ticks_min..=timing.election_ticks_max).collect();
    for role in WITHOUT_A_LEADER {
        let drawn = (0..500).map(|seed| ticks_until_it_is_time(waiting_in(role, OWN, seed)));
        let mut drawn: Vec<u32> = drawn.collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, interval, "{role}");
    }
}

/// Raft §5.2: "this spreads out the servers so that in most cases only a single server will time out": of five that begin to wait at the
/// same moment, one is first by a tick or more. (Drawn alike from eleven values, the least is drawn twice in 21 of 100 cases.)
#[test]
fn time_outs_of_several_servers_rarely_coincide() {
    const TRIALS: u64 = 1_000;
    for role in WITHOUT_A_LEADER {
        let coincide = |seed: &u64| {
            let ticks = (1..=5).map(|id| ticks_until_it_is_time(waiting_in(role, NodeId(id), *seed)));
            let mut ticks: Vec<u32> = ticks.collect();
            ticks.sort_unstable();
            ticks[0] == ticks[1]
        };
        let coincidences = (0..TRIALS).filter(coincide).count();
        assert!(
            (150..=270).contains(&coincidences),
            "{role}: {coincidences} of {TRIALS}"
        );
    }
}

/// Raft §5.2: a follower "remains in follower state as long as it receives valid RPCs from a leader", and stands when they end.
#[test]
fn heartbeats_keep_a_follower_from_standing() {
    let timing = Timing::default();
    for seed in 0..20 {
        let storage = given(3, 2, &[]).crash(0);
        let mut node = RawNode::new(Config::new(OWN), timing, seed, storage, Silent).unwrap();
        for _ in 0..10 {
            node.step(Envelope {
                from: OTHER,
                to: OWN,
                term: Term(2),
                message: Message::Heartbeat {
                    commit: Index(0),
                    round: 0,
                },
            });
            for _ in 0..timing.election_ticks_min - 1 {
                node.tick();
                assert_eq!(node.raft().role(), RoleKind::Follower, "seed {seed}");
            }
        }
        for _ in 0..timing.election_ticks_max {
            node.tick();
        }
        assert_eq!(node.raft().role(), RoleKind::PreCandidate, "seed {seed}");
    }
}

/// Dissertation §4.2.3: "if a server receives a RequestVote request within the minimum election timeout of hearing from a current
/// leader, it does not update its term or grant its vote". A leader hears from itself.
#[test]
fn a_server_with_a_leader_does_not_hear_candidates() {
    let mut follower = given(3, 2, &[]);
    let heartbeat = Message::Heartbeat {
        commit: Index(0),
        round: 0,
    };
    tell(&mut follower, OTHER, 2, heartbeat);
    for mut server in [follower, in_role(RoleKind::Leader, 3, 2, 0)] {
        let before = server.raft.clone();
        let settled = tell(
            &mut server,
            THIRD,
            7,
            Message::Vote {
                last: at(9, 6),
                by_transfer: false,
            },
        );
        assert_eq!((&server.raft, settled.messages), (&before, Vec::new()));
        let ask = Message::PreVote {
            next_term: Term(7),
            last: at(9, 6),
        };
        let refused = Message::PreVoteResponse {
            next_term: Term(7),
            granted: false,
        };
        let settled = tell(&mut server, THIRD, 6, ask);
        assert_eq!(said_to(&settled, THIRD), (Term(2), refused));
    }
}

/// Dissertation §4.2.3: after the minimum election time-out without a word from the leader, candidates are heard again.
#[test]
fn a_server_whose_leader_is_silent_hears_candidates() {
    let mut server = given(3, 2, &[]);
    let heartbeat = Message::Heartbeat {
        commit: Index(0),
        round: 0,
    };
    tell(&mut server, OTHER, 2, heartbeat);
    server.raft.leader_silent();
    let settled = tell(
        &mut server,
        THIRD,
        7,
        Message::Vote {
            last: at(0, 0),
            by_transfer: false,
        },
    );
    assert_eq!(
        said_to(&settled, THIRD),
        (Term(7), Message::VoteResponse { granted: true })
    );
}

/// Dissertation §9.6: a pre-vote is granted to whoever would get a vote in the term it would stand in, and binds nobody.
#[test]
fn pre_votes_go_to_whom_a_vote_would_go() {
    for (next_term, last, granted) in [
        (4, at(2, 3), true),
        (4, at(3, 2), false),
        (4, at(1, 3), false),
        (4, at(9, 3), true),
        (9, at(2, 3), true),
        // Not above the voter's own term: it could not win.
        (3, at(2, 3), false),
        (2, at(9, 9), false),
    ] {
        let mut server = given(3, 3, &[2, 3]);
        let before = server.raft.clone();
        for asker in [OTHER, THIRD] {
            let next_term = Term(next_term);
            let settled = tell(
                &mut server,
                asker,
                next_term.0 - 1,
                Message::PreVote { next_term, last },
            );
            let answer = Message::PreVoteResponse { next_term, granted };
            assert_eq!(
                said_to(&settled, asker),
                (Term(3), answer),
                "for {next_term} with {last}"
            );
        }
        assert_eq!(server.raft, before);
    }
}

/// Dissertation §6.2: "a leader steps down if an election timeout elapses without a successful round of heartbeats to a majority".
#[test]
fn a_leader_without_a_majority_steps_down() {
    for (voters, answers, leads) in [
        (1, 0, true),
        (3, 0, false),
        (3, 1, true),
        (5, 1, false),
        (5, 2, true),
    ] {
        let mut server = in_role(RoleKind::Leader, voters, 2, 0);
        for from in (2..=voters).map(NodeId) {
            tell(&mut server, from, 2, Message::HeartbeatResponse { round: 0 });
        }
        server.raft.quorum_check();
        assert_eq!(server.raft.role(), RoleKind::Leader);
        // What came before the last check doesn't count.
        for from in (2..2 + answers).map(NodeId) {
            tell(&mut server, from, 2, Message::HeartbeatResponse { round: 0 });
        }
        server.raft.quorum_check();
        let still = server.raft.role() == RoleKind::Leader;
        assert_eq!(still, leads, "{answers} answers of {voters}");
    }
}
