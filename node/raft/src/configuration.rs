//! Who takes part: configurations, and how one leads to the next (Raft §6; dissertation §4).
//!
//! ```text
//!              one voter more or less                       several at once
//!   {1 2 3} ───────────────────────────▶ {1 2 3 4}    {1 2 3} ──▶ {1 2 4}&{1 2 3} ──▶ {1 2 4}
//!            any two majorities meet                    the joint one needs a majority of both
//! ```

use crate::quorum::{self, VoteResult};
use crate::symmetry::{Permute, permute_sorted};
use crate::types::{Index, NodeId};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::{self, Display};

/// The members of a cluster, and who of them decides. Displayed as in traces: `1 2 4 & 1 2 3, learners 5`.
///
/// Empty for a server that was never told: it waits to be added to a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Configuration {
    /// Sorted.
    voters: Vec<NodeId>,
    /// Sorted; empty unless the configuration is joint.
    outgoing: Vec<NodeId>,
    /// Sorted; nobody who votes.
    learners: Vec<NodeId>,
    /// Sorted; those that vote as `outgoing` and become learners when the joint configuration is left.
    learners_next: Vec<NodeId>,
    /// Sorted: everybody above. Derived, since it is asked for whenever something is sent.
    members: Vec<NodeId>,
    /// Sorted by id, of members only, none empty.
    contexts: Vec<(NodeId, Bytes)>,
}

/// What is wrong with the parts of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfiguration {
    /// A server is named twice in a list, or by lists that exclude each other.
    #[error("{0} is named twice")]
    Twice(NodeId),
    /// A server is to become a learner, and votes on neither or both sides.
    #[error("{0} is to become a learner, and does not leave the voters")]
    NotLeaving(NodeId),
    /// Nobody votes, though there are members.
    #[error("there are members, and nobody votes")]
    NoVoters,
}

/// A step from one configuration to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// The server votes from then on; a learner is promoted.
    AddVoter(NodeId),
    /// The server is sent everything and decides nothing; a voter is demoted.
    AddLearner(NodeId),
    /// The server takes no part any more.
    Remove(NodeId),
}

impl Change {
    /// Whom it is about.
    pub fn node(self) -> NodeId {
        match self {
            Change::AddVoter(node) | Change::AddLearner(node) | Change::Remove(node) => node,
        }
    }
}

/// Why a configuration can't be changed like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChange {
    /// No change is asked for.
    #[error("nothing is to be changed")]
    Nothing,
    /// Two changes are about the same server.
    #[error("two changes are about {0}")]
    Conflicting(NodeId),
    /// The server votes already.
    #[error("{0} is a voter already")]
    AlreadyVoter(NodeId),
    /// The server is a learner already.
    #[error("{0} is a learner already")]
    AlreadyLearner(NodeId),
    /// The server takes no part.
    #[error("{0} is no member")]
    NotMember(NodeId),
    /// Nobody would be left to decide anything.
    #[error("the last voter can't be removed")]
    LastVoter,
}

impl Configuration {
    /// The configuration in which `voters` decide.
    pub fn of_voters(voters: impl IntoIterator<Item = NodeId>) -> Configuration {
        Configuration::derived(sorted(voters), Vec::new(), Vec::new(), Vec::new())
    }

    /// The configuration with these parts, as they come from a disk or another server.
    ///
    /// # Errors
    /// The parts contradict each other.
    pub fn from_parts(
        voters: Vec<NodeId>,
        outgoing: Vec<NodeId>,
        learners: Vec<NodeId>,
        learners_next: Vec<NodeId>,
    ) -> Result<Configuration, InvalidConfiguration> {
        for list in [&voters, &outgoing, &learners, &learners_next] {
            if let Some(pair) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
                return Err(InvalidConfiguration::Twice(pair[1]));
            }
        }
        let votes = |node: &&NodeId| contains(&voters, **node) || contains(&outgoing, **node);
        if let Some(twice) = learners.iter().find(votes) {
            return Err(InvalidConfiguration::Twice(*twice));
        }
        let leaves = |node: &&NodeId| contains(&outgoing, **node) && !contains(&voters, **node);
        if let Some(stays) = learners_next.iter().find(|node| !leaves(node)) {
            return Err(InvalidConfiguration::NotLeaving(*stays));
        }
        if voters.is_empty() && !(outgoing.is_empty() && learners.is_empty()) {
            return Err(InvalidConfiguration::NoVoters);
        }
        Ok(Configuration::derived(voters, outgoing, learners, learners_next))
    }

    fn derived(
        voters: Vec<NodeId>,
        outgoing: Vec<NodeId>,
        learners: Vec<NodeId>,
        learners_next: Vec<NodeId>,
    ) -> Configuration {
        let everybody = [&voters, &outgoing, &learners];
        let members = sorted(everybody.into_iter().flatten().copied());
        Configuration {
            voters,
            outgoing,
            learners,
            learners_next,
            members,
            contexts: Vec::new(),
        }
    }

    /// This configuration with other contexts for some of its members; an empty one takes a context away. Those of others are left out.
    #[must_use]
    pub fn with_contexts<'a>(
        mut self,
        contexts: impl IntoIterator<Item = (NodeId, &'a Bytes)>,
    ) -> Configuration {
        for (node, context) in contexts {
            let place = self.contexts.binary_search_by_key(&node, |(id, _)| *id);
            match place {
                Ok(place) if context.is_empty() => {
                    self.contexts.remove(place);
                }
                Ok(place) => self.contexts[place].1 = context.clone(),
                Err(place) if !context.is_empty() && self.is_member(node) => {
                    self.contexts.insert(place, (node, context.clone()));
                }
                Err(_) => {}
            }
        }
        self
    }

    /// This configuration, whose members keep the contexts that they have in `before`.
    fn keeping(self, before: &Configuration) -> Configuration {
        self.with_contexts(before.contexts())
    }

    /// What a driver keeps of a member beside its id, such as where it is reached; opaque to the protocol. `None` where it keeps nothing.
    pub fn context(&self, node: NodeId) -> Option<&Bytes> {
        let place = self.contexts.binary_search_by_key(&node, |(id, _)| *id).ok()?;
        Some(&self.contexts[place].1)
    }

    /// The contexts of all members that have one, by id.
    pub fn contexts(&self) -> impl Iterator<Item = (NodeId, &Bytes)> {
        self.contexts.iter().map(|(node, context)| (*node, context))
    }

    /// Those who decide; the new ones of a joint configuration. Sorted.
    pub fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// Those who decide as well while the configuration is joint: the voters before the change. Sorted.
    pub fn outgoing(&self) -> &[NodeId] {
        &self.outgoing
    }

    /// Those who are sent everything and decide nothing. Sorted.
    pub fn learners(&self) -> &[NodeId] {
        &self.learners
    }

    /// Those of [`Configuration::outgoing`] who will be learners. Sorted.
    pub fn learners_next(&self) -> &[NodeId] {
        &self.learners_next
    }

    /// Everybody. Sorted.
    pub fn members(&self) -> &[NodeId] {
        &self.members
    }

    /// Whether decisions need a majority of the old voters and of the new ones.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `node` decides, be it only until a joint configuration is left.
    pub fn is_voter(&self, node: NodeId) -> bool {
        contains(&self.voters, node) || contains(&self.outgoing, node)
    }

    /// Whether `node` takes part.
    pub fn is_member(&self, node: NodeId) -> bool {
        contains(&self.members, node)
    }

    /// This configuration after all of `changes`: at once where at most one voter comes or goes, and by way of a joint configuration
    /// otherwise.
    ///
    /// # Errors
    /// The changes make no sense here.
    ///
    /// # Panics
    /// This configuration is joint: it must be left first.
    pub fn changed(&self, changes: &[Change]) -> Result<Configuration, InvalidChange> {
        assert!(
            !self.is_joint(),
            "a change was asked of the joint configuration {self}"
        );
        if changes.is_empty() {
            return Err(InvalidChange::Nothing);
        }
        let (mut voters, mut learners) = (self.voters.clone(), self.learners.clone());
        for (place, change) in changes.iter().enumerate() {
            let node = change.node();
            if changes[..place].iter().any(|other| other.node() == node) {
                return Err(InvalidChange::Conflicting(node));
            }
            let (votes, learns) = (contains(&voters, node), contains(&learners, node));
            match change {
                Change::AddVoter(_) if votes => return Err(InvalidChange::AlreadyVoter(node)),
                Change::AddLearner(_) if learns => return Err(InvalidChange::AlreadyLearner(node)),
                Change::Remove(_) if !votes && !learns => return Err(InvalidChange::NotMember(node)),
                Change::AddVoter(_) | Change::AddLearner(_) | Change::Remove(_) => {}
            }
            voters.retain(|voter| *voter != node);
            learners.retain(|learner| *learner != node);
            match change {
                Change::AddVoter(_) => voters.push(node),
                Change::AddLearner(_) => learners.push(node),
                Change::Remove(_) => {}
            }
            voters.sort_unstable();
            learners.sort_unstable();
        }
        if voters.is_empty() {
            return Err(InvalidChange::LastVoter);
        }
        let come = voters
            .iter()
            .filter(|voter| !contains(&self.voters, **voter))
            .count();
        let go = self
            .voters
            .iter()
            .filter(|voter| !contains(&voters, **voter))
            .count();
        if come + go <= 1 {
            return Ok(Configuration::derived(voters, Vec::new(), learners, Vec::new()).keeping(self));
        }
        // Who still votes on the old side can't be a learner yet.
        let (learners_next, learners) = learners
            .into_iter()
            .partition(|learner| contains(&self.voters, *learner));
        let outgoing = self.voters.clone();
        Ok(Configuration::derived(voters, outgoing, learners, learners_next).keeping(self))
    }

    /// What a joint configuration leads to.
    pub fn left(&self) -> Configuration {
        let learners = self.learners.iter().chain(&self.learners_next).copied();
        Configuration::derived(self.voters.clone(), Vec::new(), sorted(learners), Vec::new()).keeping(self)
    }

    /// Whether those for whom `is_in` holds are enough to decide.
    pub fn has_quorum(&self, is_in: impl Fn(NodeId) -> bool) -> bool {
        let majority_of = |voters: &[NodeId]| {
            let count = voters.iter().filter(|voter| is_in(**voter)).count();
            count >= quorum::majority(voters.len())
        };
        majority_of(&self.voters) && (!self.is_joint() || majority_of(&self.outgoing))
    }

    /// Where an election stands, given who granted (`Some(true)`) and who refused.
    pub fn vote_result(&self, answer: impl Fn(NodeId) -> Option<bool>) -> VoteResult {
        let result_of = |voters: &[NodeId]| {
            let count = |wanted| {
                voters
                    .iter()
                    .filter(|voter| answer(**voter) == Some(wanted))
                    .count()
            };
            quorum::vote_result(voters.len(), count(true), count(false))
        };
        if !self.is_joint() {
            return result_of(&self.voters);
        }
        match (result_of(&self.voters), result_of(&self.outgoing)) {
            (VoteResult::Lost, _) | (_, VoteResult::Lost) => VoteResult::Lost,
            (VoteResult::Won, VoteResult::Won) => VoteResult::Won,
            (VoteResult::Pending, _) | (_, VoteResult::Pending) => VoteResult::Pending,
        }
    }

    /// The highest index that a quorum has reached, given how far each voter is.
    ///
    /// # Panics
    /// There are no voters.
    pub fn quorum_index(&self, reached: impl Fn(NodeId) -> Index) -> Index {
        let index_of = |voters: &[NodeId]| quorum::majority_index(voters.iter().map(|voter| reached(*voter)));
        let index = index_of(&self.voters);
        if self.is_joint() {
            index.min(index_of(&self.outgoing))
        } else {
            index
        }
    }
}

impl Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, nodes: &[NodeId]| {
            nodes.iter().enumerate().try_for_each(|(place, node)| {
                let space = if place == 0 { "" } else { " " };
                write!(f, "{space}{}", node.0)
            })
        };
        list(f, &self.voters)?;
        for (name, nodes) in [
            (" & ", &self.outgoing),
            (", learners ", &self.learners),
            (", then learners ", &self.learners_next),
        ] {
            if !nodes.is_empty() {
                f.write_str(name)?;
                list(f, nodes)?;
            }
        }
        Ok(())
    }
}

fn contains(sorted: &[NodeId], node: NodeId) -> bool {
    sorted.binary_search(&node).is_ok()
}

fn sorted(nodes: impl IntoIterator<Item = NodeId>) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = nodes.into_iter().collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

impl Permute for Configuration {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Configuration {
            voters,
            outgoing,
            learners,
            learners_next,
            members: _,
            contexts,
        } = self;
        let permuted = Configuration::derived(
            permute_sorted(voters, permutation),
            permute_sorted(outgoing, permutation),
            permute_sorted(learners, permutation),
            permute_sorted(learners_next, permutation),
        );
        let contexts = contexts.iter();
        permuted.with_contexts(contexts.map(|(node, context)| (node.permute(permutation), context)))
    }
}

#[cfg(test)]
mod tests;
