//! Which configuration is in force.
//!
//! A server uses the latest configuration *in its log*, committed or not; when that entry is cut off again, so is its effect (bug zoo,
//! *config-not-rolled-back*). A leader begins a change only when the one before it and an entry of its own term are committed
//! (Ongaro's correction of 2015; *change-before-noop*), so at most one configuration is uncommitted in any leader's log.

use crate::configuration::Configuration;
use crate::symmetry::Permute;
use crate::types::{Index, NodeId};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The configurations that somebody may still ask for: the one of the applied state, and those behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Membership {
    /// By index; never empty. The last is in force.
    history: Vec<(Index, Arc<Configuration>)>,
}

impl Membership {
    /// As a log says, whose configurations these are.
    ///
    /// # Panics
    /// There is none, or they are out of order.
    pub(crate) fn new(history: Vec<(Index, Arc<Configuration>)>) -> Membership {
        assert!(
            !history.is_empty() && history.is_sorted_by(|(one, _), (next, _)| one < next),
            "the log's configurations are out of order: {history:?}"
        );
        Membership { history }
    }

    /// The configuration in force.
    pub(crate) fn latest(&self) -> &Arc<Configuration> {
        &self.last().1
    }

    /// All of them, by index.
    pub(crate) fn history(&self) -> &[(Index, Arc<Configuration>)] {
        &self.history
    }

    /// Where it stands in the log.
    pub(crate) fn latest_index(&self) -> Index {
        self.last().0
    }

    fn last(&self) -> &(Index, Arc<Configuration>) {
        self.history.last().expect("there always is a configuration")
    }

    /// Whether `node` takes part in any of them.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        let mut configurations = self.history.iter().map(|(_, configuration)| configuration);
        configurations.any(|configuration| configuration.is_member(node))
    }

    /// The configuration that is in force at `index`; `None` where a later one was applied.
    pub(crate) fn at(&self, index: Index) -> Option<&Arc<Configuration>> {
        let at = self.history.iter().rev().find(|(from, _)| *from <= index)?;
        Some(&at.1)
    }

    /// Whether `node` may be needed as a leader: it votes in the latest configuration that is committed, or in one behind it.
    ///
    /// Not only in the latest of all: a server whose log ends with its own removal may be the only one that can be elected, since
    /// others lack that entry (dissertation §4.2.2).
    pub(crate) fn may_stand(&self, node: NodeId, committed: Index) -> bool {
        let latest_committed = self.history.partition_point(|(index, _)| *index <= committed);
        let in_question = &self.history[latest_committed.saturating_sub(1)..];
        in_question
            .iter()
            .any(|(_, configuration)| configuration.is_voter(node))
    }

    /// The log got an entry with a configuration.
    pub(crate) fn push(&mut self, index: Index, configuration: Arc<Configuration>) {
        assert!(
            index > self.latest_index(),
            "a configuration at {index} follows one at {}",
            self.latest_index()
        );
        self.history.push((index, configuration));
    }

    /// The log was cut at `from`.
    pub(crate) fn truncate(&mut self, from: Index) {
        self.history.retain(|(index, _)| *index < from);
        assert!(
            !self.history.is_empty(),
            "a committed configuration was cut off at {from}"
        );
    }

    /// Everything up to `index` was applied. What was replaced before is neither come back to, since that is committed, nor part of any
    /// snapshot to come.
    pub(crate) fn applied(&mut self, index: Index) {
        let later = self.history.partition_point(|(at, _)| *at <= index);
        self.history.drain(..later.saturating_sub(1));
    }
}

impl Permute for Membership {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Membership { history } = self;
        let history = history.iter();
        Membership {
            history: history
                .map(|(index, configuration)| (*index, configuration.permute(permutation)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn a_configuration_comes_back_when_the_next_one_is_cut_off() {
        let configuration = |ids: &[u64]| Arc::new(Configuration::of_voters(ids.iter().copied().map(NodeId)));
        let mut membership = Membership::new(vec![(Index(0), configuration(&[1]))]);
        membership.push(Index(3), configuration(&[1, 2]));
        membership.push(Index(5), configuration(&[1, 2, 3]));
        assert_eq!(membership.latest().to_string(), "1 2 3");
        membership.truncate(Index(4));
        assert_eq!(
            (
                membership.latest().to_string().as_str(),
                membership.latest_index()
            ),
            ("1 2", Index(3))
        );
        assert_eq!(membership.at(Index(2)).unwrap().to_string(), "1");
        membership.applied(Index(3));
        assert_eq!(membership.at(Index(2)), None);
        assert_eq!(membership.at(Index(3)).unwrap().to_string(), "1 2");
    }
}
