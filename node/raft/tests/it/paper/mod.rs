//! One test for each claim of the paper, by its section. They look at one server at a time: what it is, what it is told, what it
//! says then.
//!
//! | claim | section of Raft | test |
//! |---|---|---|
//! | whoever hears of a later term takes it up and follows, in every role | §5.1 | `terms::every_role_adopts_a_higher_term_and_follows` |
//! | requests of an older term are rejected | §5.1 | `terms::every_role_rejects_requests_of_an_older_term` |
//! | servers start as followers | §5.2 | `election::servers_start_as_followers` |
//! | a leader beats to everybody | §5.2 | `election::leader_sends_heartbeats_to_everybody` |
//! | a follower whose time-out passes stands in a new term, votes for itself and asks everybody | §5.2 | `election::a_time_out_starts_an_election_in_a_new_term` |
//! | a candidate whose time-out passes does so again | §5.2 | `election::a_time_out_starts_an_election_in_a_new_term` |
//! | a majority of votes elects, in one round | §5.2 | `election::an_election_takes_one_round` |
//! | one vote a term, first come first served | §5.2 | `election::a_server_votes_once_in_a_term` |
//! | a candidate gives way to its term's leader | §5.2 | `election::a_candidate_gives_way_to_the_leader_of_its_term` |
//! | time-outs are drawn from an interval | §5.2 | `election::election_time_outs_are_spread_over_the_interval` |
//! | a candidate's, too, and anew each time | §5.2 | `election::election_time_outs_are_spread_over_the_interval` |
//! | so followers, and candidates, rarely time out together | §5.2 | `election::time_outs_of_several_servers_rarely_coincide` |
//! | a leader appends what is proposed and sends it, with what stands before it | §5.3 | `replication::a_leader_appends_and_sends_what_is_proposed` |
//! | what a majority has acknowledged is committed, and nothing sooner | §5.3 | `replication::a_majority_of_acknowledgements_commits` |
//! | what comes before is committed with it | §5.3 | `replication::a_commit_covers_what_came_before` |
//! | a follower applies what is committed, in order | §5.3 | `replication::a_follower_applies_what_is_committed` |
//! | a follower refuses entries behind one that it does not have | §5.3 | `replication::a_follower_checks_that_its_log_matches` |
//! | a follower replaces what conflicts, and nothing else | §5.3, figure 2 | `replication::a_follower_replaces_what_conflicts_and_keeps_what_does_not` |
//! | a leader brings every log of figure 7 to its own | §5.3 | `replication::a_leader_brings_a_follower_to_its_own_log` |
//! | who asks for a vote says where its log ends | §5.4.1 | `safety::a_vote_request_says_where_the_log_ends` |
//! | a vote is denied to an older log | §5.4.1 | `safety::a_voter_denies_its_vote_to_an_older_log` |
//! | entries of older terms are not committed by counting | §5.4.2 | `safety::a_leader_commits_only_entries_of_its_term_by_counting` |
//!
//! The modules have more: pre-votes, stickiness and reads (dissertation §9.6, §4.2.3, §6.4), and what must be durable first.

mod election;
mod reads;
mod replication;
mod safety;
mod terms;

use crate::server::{Server, Settled};
use raft::{
    Config, Entry, EntryData, Envelope, HardState, Index, LogPosition, MemoryStorage, Message, NodeId,
    RoleKind, Term, Write, WriteId,
};

/// The server that is looked at.
const OWN: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition {
        term: Term(term),
        index: Index(index),
    }
}

/// Entries from `first` on with these terms; their command names their position.
fn entries(first: u64, terms: &[u64]) -> Vec<Entry<u8>> {
    let entry = |(index, term): (u64, &u64)| Entry {
        term: Term(*term),
        index: Index(index),
        data: EntryData::Command((index * 16 + term) as u8),
    };
    (first..).zip(terms).map(entry).collect()
}

/// Server 1 of `voters`, started with this term and a log with these terms.
fn given_with(config: Config, voters: u64, term: u64, log: &[u64]) -> Server<u8> {
    let mut storage = MemoryStorage::new((1..=voters).map(NodeId));
    storage.apply(&Write {
        id: WriteId(0),
        hard_state: HardState {
            term: Term(term),
            ..HardState::default()
        },
        snapshot: None,
        entries: entries(1, log),
    });
    Server::start(config, storage)
}

fn given(voters: u64, term: u64, log: &[u64]) -> Server<u8> {
    given_with(Config::new(OWN), voters, term, log)
}

/// Server 1 in this role and term, with a log of that many entries of the term before, and at rest. A leader's own first entry is
/// behind them.
pub(crate) fn in_role(role: RoleKind, voters: u64, term: u64, entries_before: usize) -> Server<u8> {
    let log = vec![term - 1; entries_before];
    let mut server = match role {
        RoleKind::Follower | RoleKind::PreCandidate => given(voters, term, &log),
        RoleKind::Candidate | RoleKind::Leader => given(voters, term - 1, &log),
    };
    match role {
        RoleKind::Follower => {}
        RoleKind::PreCandidate => server.raft.election_timeout(),
        RoleKind::Candidate => server.raft.campaign(),
        RoleKind::Leader => {
            server.raft.campaign();
            server.settle();
            for voter in (2..=voters).map(NodeId) {
                tell(&mut server, voter, term, Message::VoteResponse { granted: true });
            }
        }
    }
    server.settle();
    assert_eq!((server.raft.role(), server.raft.term()), (role, Term(term)));
    server
}

pub(crate) const ROLES: [RoleKind; 4] = [
    RoleKind::Follower,
    RoleKind::PreCandidate,
    RoleKind::Candidate,
    RoleKind::Leader,
];

/// Gives the server a message and returns all that it says and does then.
fn tell(server: &mut Server<u8>, from: NodeId, term: u64, message: Message<u8>) -> Settled<u8> {
    server.raft.step(Envelope {
        from,
        to: OWN,
        term: Term(term),
        message,
    });
    server.settle()
}

/// The one message that the server says to `to`.
fn said_to(settled: &Settled<u8>, to: NodeId) -> (Term, Message<u8>) {
    let mut said = settled.messages.iter().filter(|envelope| envelope.to == to);
    let first = said
        .next()
        .unwrap_or_else(|| panic!("nothing is said to {to}: {settled:?}"));
    assert_eq!(said.next(), None, "more than one message to {to}");
    (first.term, first.message.clone())
}

/// The terms of the server's durable log.
fn log_terms(server: &Server<u8>) -> Vec<u64> {
    server
        .raft
        .storage()
        .log()
        .iter()
        .map(|entry| entry.term.0)
        .collect()
}

fn append(prev: LogPosition, entries: Vec<Entry<u8>>, commit: u64) -> Message<u8> {
    Message::Append {
        prev,
        entries,
        commit: Index(commit),
    }
}

pub(crate) fn accepted(matched: u64) -> Message<u8> {
    Message::AppendAccepted {
        matched: Index(matched),
    }
}
