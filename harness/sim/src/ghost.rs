//! What is known of the whole cluster and would survive all of it: the entries that were ever written, the leaders of each
//! term, what was committed, and what was acknowledged.

use crate::options::{Broken, Invariant};
use bytes::Bytes;
use raft::{Configuration, Entry, EntryData, Index, LogPosition, NodeId, Term};
use replica::StateMachine;
use std::collections::BTreeMap;
use wire::record::Invocation;

/// An entry that somebody wrote at some index.
#[derive(Clone, Debug)]
struct Known {
    term: Term,
    /// The term of the entry before it.
    before: Term,
    data: EntryData<Bytes>,
}

/// An entry that is committed.
#[derive(Clone, Copy, Debug)]
struct Committed {
    term: Term,
    /// The term of whoever was first to know: later leaders must have the entry.
    in_term: Term,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ghost {
    /// By index, from 1; at each the entries of different terms.
    known: Vec<Vec<Known>>,
    leaders: BTreeMap<Term, NodeId>,
    /// By index, from 1.
    committed: Vec<Committed>,
    /// All committed entries, folded.
    machine: StateMachine,
    /// The hash of the state after each index, from 0.
    hashes: Vec<u64>,
    /// The highest index whose command was acknowledged to a client.
    acknowledged: Index,
    /// Who takes part from each index on at which that was committed; the first from the beginning.
    configurations: Vec<(Index, Configuration)>,
}

/// Whether each quorum of `before` meets each of `after`, by the rules of changes one at a time and of joint configurations: one voter
/// comes or goes, or the old voters are one side of a joint configuration, or the new ones.
fn quorums_meet(before: &Configuration, after: &Configuration) -> bool {
    let differing = |one: &[NodeId], other: &[NodeId]| {
        let only =
            |these: &[NodeId], those: &[NodeId]| these.iter().filter(|node| !those.contains(node)).count();
        only(one, other) + only(other, one)
    };
    match (before.outgoing(), after.outgoing()) {
        ([], []) => differing(before.voters(), after.voters()) <= 1,
        ([], outgoing) => outgoing == before.voters(),
        (_, []) => after.voters() == before.voters(),
        (_, _) => false,
    }
}

fn place(index: Index) -> usize {
    index.previous().since(Index(0))
}

impl Ghost {
    pub(crate) fn new(voters: impl IntoIterator<Item = NodeId>) -> Ghost {
        Ghost {
            configurations: vec![(Index(0), Configuration::of_voters(voters))],
            hashes: vec![StateMachine::default().state_hash()],
            ..Ghost::default()
        }
    }

    pub(crate) fn acknowledged(&self) -> Index {
        self.acknowledged
    }

    pub(crate) fn acknowledge(&mut self, index: Index) {
        self.acknowledged = self.acknowledged.max(index);
    }

    pub(crate) fn committed_index(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// Whether the entry at `position` is committed.
    pub(crate) fn has_committed(&self, position: LogPosition) -> bool {
        position.index > Index(0)
            && self
                .committed
                .get(place(position.index))
                .is_some_and(|committed| committed.term == position.term)
    }

    /// How many configurations were committed since the beginning.
    pub(crate) fn configurations(&self) -> u64 {
        self.configurations.len() as u64 - 1
    }

    /// Who takes part as of `index`, by what is committed.
    pub(crate) fn configuration_at(&self, index: Index) -> &Configuration {
        let until = self.configurations.iter().rev();
        let mut until = until.filter(|(since, _)| *since <= index);
        let (_, configuration) = until.next().expect("the first holds from the beginning");
        configuration
    }

    pub(crate) fn elections(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// Log matching (Raft §5.3), by induction: an index and a term name one entry, and what it follows on.
    pub(crate) fn written(&mut self, node: NodeId, before: Term, entry: Entry<Bytes>) -> Result<(), Broken> {
        let position = entry.position();
        let place = place(entry.index);
        if self.known.len() <= place {
            self.known.resize_with(place + 1, Vec::new);
        }
        let known = self.known[place].iter().find(|known| known.term == entry.term);
        let Some(known) = known else {
            self.known[place].push(Known {
                term: entry.term,
                before,
                data: entry.data,
            });
            return Ok(());
        };
        let holds = known.before == before && known.data == entry.data;
        Broken::unless(holds, Invariant::LogMatching, || {
            format!(
                "{node} writes {position} as {:?} behind term {before}; elsewhere it is {:?} behind term {}",
                entry.data, known.data, known.before
            )
        })
    }

    /// `node` leads `term`, with the log that `log_term` tells from `first` on; what comes before is in its snapshot.
    pub(crate) fn leads(
        &mut self,
        node: NodeId,
        term: Term,
        first: Index,
        log_term: impl Fn(Index) -> Option<Term>,
    ) -> Result<(), Broken> {
        let leader = *self.leaders.entry(term).or_insert(node);
        Broken::unless(leader == node, Invariant::ElectionSafety, || {
            format!("{leader} and {node} both lead term {term}")
        })?;
        for (
            place,
            Committed {
                term: committed,
                in_term,
            },
        ) in self.committed.iter().enumerate()
        {
            // An election that was won by messages may be noticed after a later term has committed more.
            if *in_term >= term {
                continue;
            }
            let index = Index(1).plus(place);
            if index < first {
                continue;
            }
            let found = log_term(index);
            Broken::unless(found == Some(*committed), Invariant::LeaderCompleteness, || {
                let found = found.map_or_else(|| String::from("nothing"), |term| format!("{index}@{term}"));
                format!("{node} leads term {term} with {found} where {index}@{committed} is committed")
            })?;
        }
        Ok(())
    }

    /// `node`, in its term `in_term`, holds the entry of `term` at `index` to be committed. Returns whether that is news.
    pub(crate) fn commits(
        &mut self,
        node: NodeId,
        in_term: Term,
        index: Index,
        term: Term,
    ) -> Result<bool, Broken> {
        if let Some(Committed { term: committed, .. }) = self.committed.get(place(index)) {
            Broken::unless(*committed == term, Invariant::StateMachineSafety, || {
                format!("{node} commits {index}@{term}, and {index}@{committed} was committed before")
            })?;
            return Ok(false);
        }
        let known = self.known.get(place(index));
        let known = known.and_then(|known| known.iter().find(|known| known.term == term));
        let Some(known) = known else {
            return Err(Broken {
                invariant: Invariant::Durability,
                what: format!("{node} commits {index}@{term}, which nobody has written"),
            });
        };
        assert_eq!(
            index,
            self.committed_index().next(),
            "commits are looked at in order"
        );
        if let EntryData::Configuration(configuration) = &known.data {
            let (_, before) = self.configurations.last().expect("the first is always there");
            Broken::unless(quorums_meet(before, configuration), Invariant::Membership, || {
                format!(
                    "{node} commits the configuration ({configuration}) at {index} after ({before}): majorities of both need not meet"
                )
            })?;
            self.configurations
                .push((index, Configuration::clone(configuration)));
        }
        if let EntryData::Command(command) = &known.data {
            match <Invocation>::from_bytes(command) {
                // What came of it, the nodes answer.
                Ok(invocation) => drop(self.machine.invoke(index, invocation)),
                Err(error) => {
                    return Err(Broken {
                        invariant: Invariant::StateMachineSafety,
                        what: format!("the committed command {index}@{term} can't be read: {error}"),
                    });
                }
            }
        }
        self.committed.push(Committed { term, in_term });
        self.hashes.push(self.machine.state_hash());
        Ok(true)
    }

    /// `node` has applied everything up to `applied`, and its state's hash is `hash`.
    pub(crate) fn applied(&self, node: NodeId, applied: Index, hash: u64) -> Result<(), Broken> {
        let expected = self.hashes.get(applied.since(Index(0))).copied();
        Broken::unless(expected == Some(hash), Invariant::StateHash, || {
            format!(
                "{node} has applied {applied} and its state is {hash:016x}; the committed log gives {}",
                expected.map_or_else(|| String::from("nothing"), |hash| format!("{hash:016x}"))
            )
        })
    }
}
