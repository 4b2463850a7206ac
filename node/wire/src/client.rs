//! What a client asks and what it is told.
//!
//! Requests are pipelined: a client may have many in flight on one connection, and responses come back by id, not in
//! order. Every error says whether it is *definite*: see [`Error::is_definite`].

use crate::command::{Command, Once, OperationAnswer, Unfit};
use crate::payload::few;
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<B = Bytes> {
    /// Chosen by the client, echoed in the [`Response`]; unique among its requests in flight.
    pub id: u64,
    /// What is asked.
    pub body: RequestBody<B>,
}

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestBody<B = Bytes> {
    /// The value at a key; linearizable.
    Get {
        /// The key.
        key: B,
    },
    /// Writes a value.
    Put {
        /// The key.
        key: B,
        /// What it holds afterwards.
        value: B,
    },
    /// Writes a value if the key holds what is expected.
    Cas {
        /// The key.
        key: B,
        /// What it must hold; `None`: the key must be absent.
        expected: Option<B>,
        /// What it holds afterwards, if it did.
        value: B,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: B,
    },
    /// How this node is; answered from local state by any node.
    Status,
    /// Where this node's time went since it started; answered from local state by any node.
    Stages,
    /// Changes who takes part; several changes become one by way of a joint configuration. Answered when the configuration that was asked
    /// for is committed.
    Reconfigure {
        /// At least one, each about another node; at most [`crate::limits::MEMBERS_MAX`].
        #[serde(deserialize_with = "few")]
        changes: Vec<MemberChange>,
    },
    /// Hands leadership over. Answered when the other node leads.
    Transfer {
        /// To this voter.
        to: u64,
    },
    /// Has this node take a snapshot of its state now, and drop the log before it. Any node does.
    Snapshot,
    /// Who takes part; answered by the leader from the configuration in force.
    Members,
    /// Opens a session: commands that are given in it can be given again without being carried out again.
    OpenSession,
    /// Ends a session. Nothing is to be given in it any more.
    CloseSession {
        /// As [`Reply::SessionOpened`] names it.
        session: u64,
    },
    /// Carries out a command: [`RequestBody::Put`] and the others are short for it where they do.
    Command {
        /// In which session, and as which of its commands, if in any.
        once: Option<Once>,
        /// The command.
        command: Command<B>,
    },
}

/// A change of who takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberChange {
    /// The node is sent everything, and decides nothing.
    AddLearner {
        /// Its id.
        node: u64,
        /// Where the other nodes reach it.
        address: String,
    },
    /// A learner that keeps up votes from then on.
    Promote {
        /// Its id.
        node: u64,
    },
    /// A voter decides nothing any more.
    Demote {
        /// Its id.
        node: u64,
    },
    /// The node takes no part any more.
    Remove {
        /// Its id.
        node: u64,
    },
}

/// The answer to one [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The request's id.
    pub id: u64,
    /// What came of it.
    pub result: Result<Reply, Error>,
}

/// What a request that succeeded returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`RequestBody::Get`]: the value, or `None` where there is none.
    Value(Option<Bytes>),
    /// To [`RequestBody::Put`].
    Written,
    /// To [`RequestBody::Cas`]: whether it matched. One that doesn't match is a success that says so.
    Swapped(bool),
    /// To [`RequestBody::Delete`]: whether there was a value.
    Deleted(bool),
    /// To [`RequestBody::Status`].
    Status(Status),
    /// To [`RequestBody::Stages`]: each stage once.
    Stages(Vec<StageTimes>),
    /// To [`RequestBody::Reconfigure`].
    Reconfigured,
    /// To [`RequestBody::Transfer`].
    Transferred,
    /// To [`RequestBody::Snapshot`].
    Snapshotted {
        /// The last entry that the snapshot covers.
        index: u64,
    },
    /// To [`RequestBody::Members`], by id.
    Members(Vec<Member>),
    /// To [`RequestBody::OpenSession`].
    SessionOpened {
        /// Names it from here on.
        session: u64,
        /// How long it lives unused, in milliseconds, at least.
        lifetime: u64,
    },
    /// To [`RequestBody::CloseSession`]: there is no such session any more, whether or not there was.
    SessionClosed,
    /// To [`crate::record::Operation::Append`]: how many bytes the value has now.
    Length(u64),
    /// To [`crate::record::Operation::Add`]: what the number is now.
    Sum(i64),
    /// To [`Command::Transaction`].
    Transaction {
        /// Whether all conditions held.
        held: bool,
        /// To each operation of the branch that was taken.
        answers: Vec<OperationAnswer>,
    },
}

/// Why a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// This node does not lead, and the command entered no log. Definite.
    #[error("not the leader{}", leader_hint(.leader))]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<Leader>,
    },
    /// Leadership was lost after the command was appended: it may yet take effect. Indefinite.
    #[error("leadership was lost while the command was in flight; it may yet take effect")]
    LeadershipLost,
    /// Leadership was lost before the read was confirmed; reads change nothing. Definite.
    #[error("leadership was lost before the read was confirmed")]
    ReadAborted,
    /// Too much is in flight; the command has no effect and never will. Definite.
    #[error("busy: too much is in flight")]
    Busy,
    /// The request breaks a limit; the command entered no log. Definite.
    #[error("invalid request: {reason}")]
    Invalid {
        /// Which limit, and what is allowed.
        reason: String,
    },
    /// What was asked for can't be done at present, and nothing was begun; the reason passes by itself. Definite.
    #[error("not yet: {reason}")]
    NotYet {
        /// What stands in its way.
        reason: String,
    },
    /// What was asked for makes no sense in the cluster as it is, and nothing was begun. Definite.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// There is no such session: it was not used for too long, or had to make room. Nothing was carried out, and nothing that is
    /// given in it ever will be. Definite of this sending, but not of an earlier one of the same command.
    #[error("the session has expired")]
    SessionExpired,
    /// The command was carried out before, and its answer is kept no more. Indefinite.
    #[error("the command was carried out before, and its answer is kept no more")]
    ReplyForgotten,
    /// What is stored does not fit the command, which changed nothing. Definite.
    #[error("the command changed nothing: {0}")]
    Unfit(Unfit),
    /// What was asked for was begun, and has not come about; it may yet. Indefinite.
    #[error("{reason}")]
    InDoubt {
        /// What was waited for.
        reason: String,
    },
}

impl Error {
    /// Whether this sending of the command certainly has no effect and never will. What became of an *earlier* sending of the same
    /// command in a session, nothing but an answer to it tells.
    pub fn is_definite(&self) -> bool {
        match self {
            Error::NotLeader { .. }
            | Error::ReadAborted
            | Error::Busy
            | Error::Invalid { .. }
            | Error::NotYet { .. }
            | Error::Refused { .. }
            | Error::SessionExpired
            | Error::Unfit(_) => true,
            Error::LeadershipLost | Error::ReplyForgotten | Error::InDoubt { .. } => false,
        }
    }
}

fn leader_hint(leader: &Option<Leader>) -> String {
    match leader {
        Some(leader) => alloc::format!("; node {} at {} leads", leader.node, leader.client_address),
        None => String::from("; no leader is known"),
    }
}

/// A leader, and where clients reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its node id.
    pub node: u64,
    /// Where clients reach it; empty while this node hasn't heard.
    pub client_address: String,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node's id.
    pub node: u64,
    /// The cluster it belongs to.
    pub cluster_id: String,
    /// Its role.
    pub role: NodeRole,
    /// Its current term.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<u64>,
    /// The last index of its log.
    pub last_index: u64,
    /// The highest index known to be committed.
    pub commit_index: u64,
    /// The highest index applied to its state machine.
    pub applied_index: u64,
    /// A hash of its state machine: equal at equal `applied_index`.
    pub state_hash: u64,
    /// The voting members.
    pub voters: Vec<u64>,
    /// On the leader: how far each other node is.
    pub progress: Vec<PeerStatus>,
    /// The first index of its log; what comes before is in its snapshot.
    pub first_index: u64,
    /// The last index that its latest snapshot covers; 0 if it has none.
    pub snapshot_index: u64,
    /// The configuration in force, by id.
    pub members: Vec<Member>,
}

/// A member of the cluster, as a configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its node id.
    pub node: u64,
    /// Its part.
    pub role: MemberRole,
    /// Where the other nodes reach it; empty if the configuration doesn't say.
    pub address: String,
    /// The random identity of its data folder; `None` before it was heard of.
    pub incarnation: Option<u128>,
}

/// A member's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberRole {
    /// It decides.
    Voter,
    /// It is sent everything, and decides nothing.
    Learner,
    /// The configuration is joint, and it will be a voter; it decides already, on the new side.
    Joining,
    /// The configuration is joint, and it will be none; it still decides, on the old side.
    Leaving,
    /// The configuration is joint, and it will be a learner; it still decides, on the old side.
    Demoting,
}

impl MemberRole {
    /// Its name where people and programs read it.
    pub fn name(self) -> &'static str {
        match self {
            MemberRole::Voter => "voter",
            MemberRole::Learner => "learner",
            MemberRole::Joining => "joining",
            MemberRole::Leaving => "leaving",
            MemberRole::Demoting => "demoting",
        }
    }
}

/// A node's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRole {
    /// Follows.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// A peer's progress as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer's node id.
    pub node: u64,
    /// The highest index known to be durable there.
    pub matched: u64,
    /// The next index to be sent.
    pub next: u64,
    /// How it is being replicated to: `probe`, `replicate` or `snapshot`.
    pub state: String,
    /// Append messages in flight.
    pub in_flight: u32,
    /// Whether it answered since the last quorum check.
    pub active: bool,
    /// Whether it is a learner that keeps up, so that it may be promoted.
    pub caught_up: bool,
}

/// A part of what a node does for a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// A request has come and waits for its turn; once for each request.
    Queue,
    /// What came in is taken in, and what leaves for other nodes is encoded and given to the sockets; once for each turn that writes
    /// the log.
    Encode,
    /// A batch is written to the log, not durably yet; once for each write.
    LogWrite,
    /// The log is made durable; once for each sync.
    Sync,
    /// An append was given to a peer's socket and is not acknowledged; once for each append.
    Peer,
    /// What is committed is applied; once for each turn that answers requests.
    Apply,
    /// Answers are encoded and given to the sockets; once for each turn that answers requests.
    Reply,
    /// All of it: from a write's arrival until its answer is given to the socket; once for each write that succeeds.
    Commit,
}

impl Stage {
    /// All of them, in the order in which a commit meets them.
    pub const ALL: [Stage; 8] = [
        Stage::Queue,
        Stage::Encode,
        Stage::LogWrite,
        Stage::Sync,
        Stage::Peer,
        Stage::Apply,
        Stage::Reply,
        Stage::Commit,
    ];

    /// Its name where people and programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Queue => "queue",
            Stage::Encode => "encode",
            Stage::LogWrite => "log_write",
            Stage::Sync => "sync",
            Stage::Peer => "peer",
            Stage::Apply => "apply",
            Stage::Reply => "reply",
            Stage::Commit => "commit",
        }
    }
}

/// How long a stage took, as a histogram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Which stage.
    pub stage: Stage,
    /// From the shortest to the longest; every time stands for those within 1 % of it.
    pub times: Vec<TimeCount>,
}

impl StageTimes {
    /// How many times there are.
    pub fn count(&self) -> u64 {
        self.times
            .iter()
            .fold(0, |count, time| count.saturating_add(time.count))
    }

    /// The shortest of the times that at least so many of 1,000 don't exceed, in nanoseconds; `None` if there are none.
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let rank = u128::from(self.count()) * u128::from(per_mille);
        let rank = rank.div_ceil(1000).max(1);
        let mut counted = 0;
        let reached = self.times.iter().find(|time| {
            counted += u128::from(time.count);
            counted >= rank
        });
        reached.map(|time| time.nanoseconds)
    }
}

/// How often something took how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeCount {
    /// How long, in nanoseconds.
    pub nanoseconds: u64,
    /// How often since the node started.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_that_was_counted() {
        let times = |times: &[(u64, u64)]| StageTimes {
            stage: Stage::Sync,
            times: times
                .iter()
                .map(|(nanoseconds, count)| TimeCount {
                    nanoseconds: *nanoseconds,
                    count: *count,
                })
                .collect(),
        };
        let some = times(&[(10, 500), (20, 499), (30, 1)]);
        assert_eq!(some.count(), 1000);
        let quantiles = [0, 500, 501, 999, 1000].map(|per_mille| some.quantile(per_mille));
        assert_eq!(quantiles, [10, 10, 20, 20, 30].map(Some));
        assert_eq!(times(&[]).quantile(500), None);
        assert_eq!(times(&[(1, u64::MAX), (2, u64::MAX)]).quantile(500), Some(1));
    }
}
