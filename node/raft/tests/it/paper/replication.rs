//! Raft §5.3: log replication.

use super::*;

/// The terms of the logs in Raft figure 7, (a) to (f), and the term of each server: the leader of term 8 has `FIGURE_7_LEADER`.
const FIGURE_7_LEADER: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
const FIGURE_7_FOLLOWERS: [(u64, &[u64]); 6] = [
    (6, &[1, 1, 1, 4, 4, 5, 5, 6, 6]),
    (4, &[1, 1, 1, 4]),
    (6, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]),
    (7, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
    (4, &[1, 1, 1, 4, 4, 4, 4]),
    (3, &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
];

/// A leader of term 2 whose first entry everybody has and knows to be committed.
fn leader_at_rest(voters: u64) -> Server<u8> {
    let mut server = in_role(RoleKind::Leader, voters, 2, 0);
    for from in (2..=voters).map(NodeId) {
        tell(&mut server, from, 2, accepted(1));
    }
    assert_eq!(server.raft.commit_index(), Index(1));
    server
}

/// Raft §5.3: the leader appends the command to its log as a new entry, then sends it to each of the other servers, in parallel,
/// with the position just before it.
#[test]
fn a_leader_appends_and_sends_what_is_proposed() {
    let mut server = leader_at_rest(3);
    assert_eq!(server.raft.propose(7), Ok(at(2, 2)));
    let settled = server.settle();
    let entry = Entry {
        term: Term(2),
        index: Index(2),
        data: EntryData::Command(7),
    };
    for to in [OTHER, THIRD] {
        let sent = append(at(1, 2), vec![entry.clone()], 1);
        assert_eq!(said_to(&settled, to), (Term(2), sent));
    }
    assert_eq!(server.raft.storage().log()[1..], [entry]);
    assert_eq!(server.raft.commit_index(), Index(1));
}

/// Raft §5.3: only the leader takes commands in; the others say who it is.
#[test]
fn others_refuse_what_is_proposed() {
    let mut server = in_role(RoleKind::Follower, 3, 2, 0);
    tell(&mut server, THIRD, 2, append(at(0, 0), Vec::new(), 0));
    let refused = raft::ProposeError::NotLeader { leader: Some(THIRD) };
    assert_eq!(server.raft.propose(7), Err(refused));
    for role in [RoleKind::Follower, RoleKind::PreCandidate, RoleKind::Candidate] {
        let mut server = in_role(role, 3, 2, 0);
        let refused = raft::ProposeError::NotLeader { leader: None };
        assert_eq!(server.raft.propose(7), Err(refused), "{role}");
    }
}

/// Raft §5.3: "a log entry is committed once the leader that created the entry has replicated it on a majority of the servers",
/// itself among them.
#[test]
fn a_majority_of_acknowledgements_commits() {
    for (voters, acknowledge, commits) in [
        (1, 0, true),
        (2, 0, false),
        (2, 1, true),
        (3, 0, false),
        (3, 1, true),
        (4, 1, false),
        (4, 2, true),
        (5, 1, false),
        (5, 2, true),
        (7, 2, false),
        (7, 3, true),
    ] {
        let mut server = leader_at_rest(voters);
        server.raft.propose(7).unwrap();
        let mut applied = server.settle().applied;
        for from in (2..2 + acknowledge).map(NodeId) {
            // Twice: nobody counts double.
            applied.extend(tell(&mut server, from, 2, accepted(2)).applied);
            applied.extend(tell(&mut server, from, 2, accepted(2)).applied);
        }
        let expected = if commits { Index(2) } else { Index(1) };
        assert_eq!(server.raft.commit_index(), expected, "{acknowledge} of {voters}");
        assert_eq!(applied.len(), usize::from(commits));
    }
}

/// Raft §5.3: a commit "also commits all preceding entries in the leader's log, including entries created by previous leaders".
#[test]
fn a_commit_covers_what_came_before() {
    for log in [&[][..], &[2], &[1, 2], &[1, 1, 1]] {
        let mut server = given(3, 2, log);
        server.raft.campaign();
        server.settle();
        tell(&mut server, OTHER, 3, Message::VoteResponse { granted: true });
        let last = log.len() as u64 + 1;
        let settled = tell(&mut server, OTHER, 3, accepted(last));
        let applied: Vec<u64> = settled.applied.iter().map(|entry| entry.term.0).collect();
        assert_eq!(applied, [log, &[3]].concat());
    }
}

/// Raft §5.3: "once a follower learns that a log entry is committed, it applies the entry to its local state machine (in log
/// order)", as far as it was shown to agree.
#[test]
fn a_follower_applies_what_is_committed() {
    for (commit, applied) in [(0, 0), (1, 1), (2, 2), (3, 3), (9, 3)] {
        let mut server = given(3, 1, &[]);
        let settled = tell(
            &mut server,
            OTHER,
            1,
            append(at(0, 0), entries(1, &[1, 1, 1]), commit),
        );
        assert_eq!(
            settled.applied,
            entries(1, &[1, 1, 1])[..applied],
            "commit {commit}"
        );
        assert_eq!(server.raft.commit_index(), Index(applied as u64));
    }
}

/// Raft figure 2, AppendEntries rule 5: "commitIndex = min(leaderCommit, index of last new entry)"; what lies behind that may be
/// another leader's.
#[test]
fn a_follower_commits_no_more_than_was_verified() {
    for (prev, new, verified) in [
        (at(1, 1), &[][..], 1),
        (at(1, 1), &[1], 2),
        (at(2, 1), &[], 2),
        (at(0, 0), &[1, 1], 2),
    ] {
        // Its last two entries are none of the leader's.
        let mut server = given(3, 2, &[1, 1, 2, 2]);
        let settled = tell(
            &mut server,
            OTHER,
            3,
            append(prev, entries(prev.index.0 + 1, new), 4),
        );
        assert_eq!(said_to(&settled, OTHER), (Term(3), accepted(verified)), "{prev}");
        assert_eq!(server.raft.commit_index(), Index(verified), "{prev}");
        assert_eq!(log_terms(&server), [1, 1, 2, 2]);
    }
}

/// Raft §5.3: "if the follower does not find an entry in its log with the same index and term, then it refuses the new entries".
/// The refusal says where the logs could still agree.
#[test]
fn a_follower_checks_that_its_log_matches() {
    for (prev, hint) in [
        (at(0, 0), None),
        (at(1, 1), None),
        (at(2, 2), None),
        (at(3, 2), Some(at(2, 2))),
        (at(9, 3), Some(at(2, 2))),
        (at(2, 3), Some(at(2, 2))),
        (at(2, 1), Some(at(1, 1))),
        (at(1, 3), Some(at(1, 1))),
    ] {
        let mut server = given(3, 2, &[1, 2]);
        let settled = tell(&mut server, OTHER, 3, append(prev, Vec::new(), 0));
        let answer = match hint {
            None => accepted(prev.index.0),
            Some(hint) => Message::AppendRejected {
                probed: prev.index,
                hint,
            },
        };
        assert_eq!(said_to(&settled, OTHER), (Term(3), answer), "{prev}");
        assert_eq!(log_terms(&server), [1, 2]);
    }
}

/// Raft figure 2, AppendEntries rules 3 and 4: an entry that conflicts goes, with all that follow it; what is missing is appended;
/// an append that carries less than the log has takes nothing.
#[test]
fn a_follower_replaces_what_conflicts_and_keeps_what_does_not() {
    /// Terms of a log, or of a part of it.
    type Terms = &'static [u64];
    let table: [(Terms, LogPosition, Terms, Terms); 10] = [
        (&[], at(0, 0), &[1], &[1]),
        (&[], at(0, 0), &[1, 2, 3], &[1, 2, 3]),
        (&[1, 1], at(2, 1), &[3], &[1, 1, 3]),
        (&[1, 1], at(1, 1), &[3], &[1, 3]),
        (&[1, 1], at(0, 0), &[3, 3], &[3, 3]),
        (&[1, 1, 2, 2], at(1, 1), &[1, 3], &[1, 1, 3]),
        (&[1, 1, 2, 2], at(2, 1), &[2, 2, 3], &[1, 1, 2, 2, 3]),
        (&[1, 1, 2, 2], at(1, 1), &[1], &[1, 1, 2, 2]),
        (&[1, 1, 2, 2], at(1, 1), &[], &[1, 1, 2, 2]),
        (&[1, 1, 2, 2], at(3, 2), &[3], &[1, 1, 2, 3]),
    ];
    for (log, prev, new, expected) in table {
        let mut server = given(3, 2, log);
        let message = append(prev, entries(prev.index.0 + 1, new), 0);
        let verified = prev.index.0 + new.len() as u64;
        // Raft §5.3: "AppendEntries RPCs are idempotent".
        for _ in 0..2 {
            let settled = tell(&mut server, OTHER, 3, message.clone());
            assert_eq!(said_to(&settled, OTHER), (Term(3), accepted(verified)));
            assert_eq!(log_terms(&server), expected, "{new:?} behind {prev} on {log:?}");
        }
    }
}

/// Raft §5.3: "the leader handles inconsistencies by forcing the followers' logs to duplicate its own": each follower of figure 7.
#[test]
fn a_leader_brings_a_follower_to_its_own_log() {
    for (follower_term, follower_log) in FIGURE_7_FOLLOWERS {
        let mut leader = given(3, 7, FIGURE_7_LEADER);
        leader.raft.campaign();
        leader.settle();
        // The third server's vote is enough; it isn't heard from again.
        let mut to_follower = tell(&mut leader, THIRD, 8, Message::VoteResponse { granted: true });

        let mut config = Config::new(OTHER);
        config.append_entries_max = 2;
        let mut follower = given_with(config, 3, follower_term, follower_log);
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(
                rounds <= 4,
                "{follower_log:?} takes more rounds than it has terms"
            );
            let mut answers = Vec::new();
            for envelope in to_follower.messages.drain(..) {
                if envelope.to == OTHER {
                    follower.raft.step(envelope);
                    answers.extend(follower.settle().messages);
                }
            }
            if answers.is_empty() {
                break;
            }
            for answer in answers {
                leader.raft.step(answer);
                to_follower.messages.extend(leader.settle().messages);
            }
        }
        let leader_log = [FIGURE_7_LEADER, &[8]].concat();
        assert_eq!(log_terms(&follower), leader_log, "{follower_log:?}");
        assert_eq!(follower.raft.storage().log(), leader.raft.storage().log());
    }
}

/// Raft §5.3: a leader retries until all followers store all entries; a heartbeat's answer shows that what was sent is lost.
#[test]
fn a_leader_sends_again_what_was_lost() {
    let mut server = leader_at_rest(3);
    server.raft.propose(7).unwrap();
    let lost = said_to(&server.settle(), OTHER).1;
    server.raft.heartbeat_timeout();
    server.settle();
    // It asks whether the follower has it, behind what it sent last.
    let settled = tell(&mut server, OTHER, 2, Message::HeartbeatResponse { round: 0 });
    assert_eq!(said_to(&settled, OTHER).1, append(at(2, 2), Vec::new(), 1));
    let missing = Message::AppendRejected {
        probed: Index(2),
        hint: at(1, 2),
    };
    let settled = tell(&mut server, OTHER, 2, missing);
    assert_eq!(said_to(&settled, OTHER).1, lost);
}

/// Raft figure 3, leader append-only: whatever a leader is told, it removes nothing from its log.
#[test]
fn a_leader_never_shortens_its_log() {
    let mut server = in_role(RoleKind::Leader, 3, 2, 3);
    let before = server.raft.storage().log().to_vec();
    for hint in [at(0, 0), at(1, 1), at(3, 1), at(9, 9)] {
        for probed in (0..5).map(Index) {
            tell(&mut server, OTHER, 2, Message::AppendRejected { probed, hint });
            server.raft.heartbeat_timeout();
            tell(&mut server, OTHER, 2, Message::HeartbeatResponse { round: 0 });
            assert_eq!(server.raft.storage().log(), before);
            assert_eq!(server.raft.last(), at(4, 2));
        }
    }
}

/// Raft §5.3, and a network that doubles and delays: a rejection of what was acknowledged since is old, and changes nothing.
#[test]
fn an_old_rejection_changes_nothing() {
    let mut server = leader_at_rest(3);
    server.raft.propose(7).unwrap();
    server.settle();
    tell(&mut server, OTHER, 2, accepted(2));
    let before = server.raft.clone();
    for (probed, hint) in [(1, at(0, 0)), (2, at(1, 2))] {
        let probed = Index(probed);
        let settled = tell(&mut server, OTHER, 2, Message::AppendRejected { probed, hint });
        assert_eq!(
            (&server.raft, settled.messages),
            (&before, Vec::new()),
            "{probed}"
        );
    }
}

/// Appends that become durable together are acknowledged by one answer, for the one that reaches further, in whatever order they came.
#[test]
fn acknowledgements_share_an_answer() {
    for order in [[0, 1], [1, 0]] {
        let mut server = given(3, 1, &[1, 1]);
        let messages = [
            append(at(2, 1), entries(3, &[2, 2]), 0),
            append(at(1, 1), entries(2, &[1]), 0),
        ];
        for place in order {
            server.raft.step(Envelope {
                from: OTHER,
                to: OWN,
                term: Term(2),
                message: messages[place].clone(),
            });
        }
        assert_eq!(
            said_to(&server.settle(), OTHER),
            (Term(2), accepted(4)),
            "{order:?}"
        );
    }
}
