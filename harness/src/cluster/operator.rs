//! What an operator asks of a cluster: other members, another leader. Asked over a node's socket, as `node add` and its like do.

use super::{Cluster, ClusterError};
use crate::client::Connection;
use crate::node_number::NodeNumber;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wire::client::{Error, Member, MemberChange, MemberRole, Reply, RequestBody};

/// How long members may take to become what was asked for.
const MEMBERS_TIME_MAX: Duration = Duration::from_secs(10);
/// How long leadership may take to be handed over.
const TRANSFER_TIME_MAX: Duration = Duration::from_secs(3);
/// How long one question may take.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(1000);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(10);

/// Where a node is said to be reached. Nodes are told which links lead to the others, whatever the configuration says.
const ADDRESS: &str = "127.0.0.1:1";

impl Cluster {
    /// Makes these nodes the cluster's members, and no others: the voters and the learners. What must be changed at once is; whoever
    /// comes is a learner before it votes.
    ///
    /// # Errors
    /// They are not within some seconds.
    pub async fn make_members(
        &self,
        voters: &BTreeSet<NodeNumber>,
        learners: &BTreeSet<NodeNumber>,
    ) -> Result<(), ClusterError> {
        self.0.reconfigured.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let mut last = String::from("no leader answers");
        while begun.elapsed() < MEMBERS_TIME_MAX {
            match self.ask_leader(RequestBody::Members).await {
                Ok(Reply::Members(members)) => match next_changes(&members, voters, learners) {
                    Step::Done => return Ok(()),
                    Step::Wait => {}
                    Step::Change(changes) => {
                        // Whatever comes of it, the members will show.
                        if let Err(reason) = self.ask_leader(RequestBody::Reconfigure { changes }).await {
                            last = reason;
                        }
                    }
                },
                Ok(_) => last = String::from("an answer to another question"),
                Err(reason) => last = reason,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ClusterError::Operator {
            what: "change its members",
            reason: last,
        })
    }

    /// Has leadership handed over to `to`.
    ///
    /// # Errors
    /// It was not within some seconds.
    pub async fn transfer(&self, to: NodeNumber) -> Result<(), ClusterError> {
        let begun = Instant::now();
        let mut last = String::from("no leader answers");
        while begun.elapsed() < TRANSFER_TIME_MAX {
            match self.ask_leader(RequestBody::Transfer { to }).await {
                Ok(_) => return Ok(()),
                Err(reason) => last = reason,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ClusterError::Operator {
            what: "hand leadership over",
            reason: last,
        })
    }

    /// The answer of a node that leads, or why there is none.
    async fn ask_leader(&self, body: RequestBody) -> Result<Reply, String> {
        let mut nodes = self.all_nodes();
        let leader = self.observe().leader;
        // Whoever was seen to lead comes first.
        nodes.sort_by_key(|node| Some(*node) != leader);
        let mut last = String::from("no node is up");
        for node in nodes {
            let Some(address) = self.client_address(node).filter(|_| !self.is_paused(node)) else {
                continue;
            };
            let asking = async {
                let mut connection = Connection::dial(address, "", Some(node))
                    .await
                    .map_err(|error| error.to_string())?;
                let answer = connection.call(body.clone()).await;
                answer.map_err(|error| error.to_string())
            };
            match tokio::time::timeout(ANSWER_TIME_MAX, asking).await {
                Ok(Ok(Ok(reply))) => return Ok(reply),
                Ok(Ok(Err(Error::NotLeader { .. }))) => {}
                Ok(Ok(Err(error))) => last = format!("node {node}: {error}"),
                Ok(Err(reason)) => last = format!("node {node}: {reason}"),
                Err(_) => last = format!("node {node}: no answer in time"),
            }
        }
        Err(last)
    }
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Done,
    /// A change is under way.
    Wait,
    Change(Vec<MemberChange>),
}

/// The next changes on the way from `members` to what they are to be.
fn next_changes(members: &[Member], voters: &BTreeSet<NodeNumber>, learners: &BTreeSet<NodeNumber>) -> Step {
    let mut is: BTreeMap<NodeNumber, bool> = BTreeMap::new();
    for member in members {
        match member.role {
            MemberRole::Voter => is.insert(member.node, true),
            MemberRole::Learner => is.insert(member.node, false),
            MemberRole::Joining | MemberRole::Leaving | MemberRole::Demoting => return Step::Wait,
        };
    }
    let wanted = voters.iter().chain(learners);
    let coming: Vec<MemberChange> = wanted
        .filter(|node| !is.contains_key(*node))
        .map(|node| MemberChange::AddLearner {
            node: *node,
            address: ADDRESS.to_owned(),
        })
        .collect();
    if !coming.is_empty() {
        return Step::Change(coming);
    }
    let changes: Vec<MemberChange> = is
        .iter()
        .filter_map(|(node, votes)| {
            let node = *node;
            match (voters.contains(&node), learners.contains(&node)) {
                (true, _) if !votes => Some(MemberChange::Promote { node }),
                (false, true) if *votes => Some(MemberChange::Demote { node }),
                (false, false) => Some(MemberChange::Remove { node }),
                (true, _) | (false, true) => None,
            }
        })
        .collect();
    if changes.is_empty() {
        Step::Done
    } else {
        Step::Change(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(voters: &[u64], learners: &[u64]) -> Vec<Member> {
        let member = |role| {
            move |node: &u64| Member {
                node: *node,
                role,
                address: String::new(),
                incarnation: None,
            }
        };
        let voters = voters.iter().map(member(MemberRole::Voter));
        voters
            .chain(learners.iter().map(member(MemberRole::Learner)))
            .collect()
    }

    fn next(members: &[Member], voters: &[u64], learners: &[u64]) -> Step {
        let set = |nodes: &[u64]| nodes.iter().copied().collect();
        next_changes(members, &set(voters), &set(learners))
    }

    #[test]
    fn whoever_comes_learns_first_and_then_all_is_changed_at_once() {
        let (add, promote) = (
            MemberChange::AddLearner {
                node: 4,
                address: ADDRESS.to_owned(),
            },
            MemberChange::Promote { node: 4 },
        );
        let before = members(&[1, 2, 3], &[]);
        assert_eq!(next(&before, &[1, 2, 4], &[]), Step::Change(vec![add]));
        let learning = members(&[1, 2, 3], &[4]);
        let changes = vec![MemberChange::Remove { node: 3 }, promote];
        assert_eq!(next(&learning, &[1, 2, 4], &[]), Step::Change(changes));
        assert_eq!(next(&members(&[1, 2, 4], &[]), &[1, 2, 4], &[]), Step::Done);
    }

    #[test]
    fn voters_are_demoted_and_a_joint_configuration_is_waited_for() {
        let before = members(&[1, 2, 3], &[]);
        let demote = MemberChange::Demote { node: 2 };
        assert_eq!(next(&before, &[1, 3], &[2]), Step::Change(vec![demote]));
        let mut joint = before;
        joint[0].role = MemberRole::Leaving;
        assert_eq!(next(&joint, &[2, 3], &[]), Step::Wait);
    }
}
