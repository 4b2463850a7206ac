//! The observer who sees every server at once, and remembers what none of them may forget.

use super::observer::Observer;
use super::server::{Effects, Input, Server};
use super::worlds::Judge;
use raft::{
    Configuration, Entry, EntryData, Index, LogPosition, NodeId, Permute, ReadOutcome, ReadToken,
    Storage as _, Term,
};

/// What has been seen, and the first promise that was seen to be broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ghost {
    /// The leader of each term that had one, by term.
    leaders: Vec<(Term, NodeId)>,
    /// Every entry that was ever committed, by index, with the lowest term of a server that held it to be.
    committed: Vec<(Term, EntryData<u8>, Term)>,
    /// The highest index that a leader has applied, and so told a client of.
    acknowledged: Index,
    /// Reads that are being confirmed, by whom, and what was acknowledged when each was asked.
    reads: Vec<(ReadToken, NodeId, Index)>,
    /// Whether reads are left to the observer.
    leaves_reads: bool,
    /// Who sees the same as clients do, in the worlds that have one.
    observer: Option<Box<Observer>>,
    /// The first promise that was broken, in words.
    pub(super) violation: Option<String>,
}

impl Ghost {
    /// Before anything happened.
    pub(super) fn new(judge: Judge) -> Ghost {
        Ghost {
            leaves_reads: judge == Judge::Register,
            observer: (judge != Judge::Ghost).then(Box::default),
            ..Ghost::default()
        }
    }

    pub(super) fn has_leader(&self) -> bool {
        !self.leaders.is_empty()
    }

    pub(super) fn has_leader_in(&self, term: Term) -> bool {
        self.leaders.iter().any(|(led, _)| *led == term)
    }

    /// Whether something of the kind was committed.
    pub(super) fn has_committed(&self, kind: impl Fn(&EntryData<u8>) -> bool) -> bool {
        self.committed.iter().any(|(_, data, _)| kind(data))
    }

    /// A promise is broken.
    pub(super) fn accuse(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// Looks at what an input has led to at a server.
    pub(super) fn see(&mut self, server: &Server, input: &Input, effects: &Effects) {
        if let Some(accusation) = &effects.accusation {
            self.accuse(accusation.clone());
            // After a panic a server's state says nothing.
            return;
        }
        match (input, effects.taken_in) {
            (Input::Crash | Input::Wipe, _) => {
                self.reads.retain(|(_, asked, _)| *asked != server.id);
                if let Some(observer) = &mut self.observer {
                    observer.crashed(server.id);
                }
            }
            (Input::Read(token) | Input::LeaseRead(token), Some(_)) => {
                let token = ReadToken(u64::from(*token));
                self.reads.push((token, server.id, self.acknowledged));
                if let Some(observer) = &mut self.observer {
                    observer.reads(token);
                }
            }
            (Input::Propose(command), Some(Some(position))) => {
                if let Some(observer) = &mut self.observer {
                    observer.proposes(server.id, *command, position);
                }
            }
            _ => {}
        }
        self.applied(server, &effects.applied);
        for outcome in &effects.reads {
            self.decided(server, *outcome);
        }
        // Whoever is not let in may take itself for a leader, by votes that were given to what it was before.
        if server.leads() && server.is_let_in {
            self.look_at_leader(server);
        }
        self.look_at_commits(server);
        if let Some(accusation) = self.observer.as_deref().and_then(Observer::accusation) {
            self.accuse(accusation);
        }
    }

    /// What became of a read.
    fn decided(&mut self, server: &Server, outcome: ReadOutcome) {
        let token = match outcome {
            ReadOutcome::Confirmed { token, .. } | ReadOutcome::Aborted { token } => token,
        };
        let Some(place) = self.reads.iter().position(|(asked, ..)| *asked == token) else {
            return;
        };
        let (_, _, acknowledged) = self.reads.remove(place);
        if let ReadOutcome::Confirmed { index, .. } = outcome {
            if let Some(observer) = &mut self.observer {
                observer.reads_at(token, server, index);
            }
            if index < acknowledged && !self.leaves_reads {
                self.accuse(format!(
                    "linearizable reads: {} reads at {index}, and {acknowledged} was acknowledged before",
                    server.id
                ));
            }
        }
    }

    /// Entries are applied at `server`, in order.
    fn applied(&mut self, server: &Server, entries: &[Entry<u8>]) {
        if let Some(last) = entries.last().filter(|_| server.leads()) {
            self.acknowledged = self.acknowledged.max(last.index);
            if let Some(observer) = &mut self.observer {
                observer.applies(server.id, entries);
            }
        }
    }

    fn look_at_leader(&mut self, server: &Server) {
        let (id, term) = (server.id, server.raft.term());
        match self.leaders.binary_search_by_key(&term, |(term, _)| *term) {
            Ok(place) if self.leaders[place].1 != id => {
                let other = self.leaders[place].1;
                self.accuse(format!("election safety: {other} and {id} both lead term {term}"));
            }
            Ok(_) => {}
            Err(place) => {
                self.leaders.insert(place, (term, id));
                let first = server.raft.first_index();
                let missing = (1..)
                    .zip(&self.committed)
                    .find(|(index, (entry_term, _, commit_term))| {
                        *commit_term < term
                            && *index >= first.0
                            && server.raft.log_term(Index(*index)) != Some(*entry_term)
                    });
                if let Some((index, (entry_term, ..))) = missing {
                    let position = LogPosition {
                        term: *entry_term,
                        index: Index(index),
                    };
                    self.accuse(format!(
                        "leader completeness: {id} leads term {term} without the committed {position}"
                    ));
                }
            }
        }
    }

    fn look_at_commits(&mut self, server: &Server) {
        let raft = &server.raft;
        self.look_at_snapshot(server);
        for index in raft.first_index().0..=raft.commit_index().0 {
            let (index, place) = (
                Index(index),
                usize::try_from(index - 1).expect("worlds are small"),
            );
            let Some(entry) = raft.entry(index) else {
                return self.accuse(format!(
                    "log: {} has committed {index}, and does not have it",
                    server.id
                ));
            };
            let known = self.committed.len();
            match self.committed.get_mut(place) {
                None if place > known => {
                    return self.accuse(format!(
                        "log: {} begins its log at {}, and nobody has committed what comes before",
                        server.id,
                        raft.first_index()
                    ));
                }
                None => self.committed.push((entry.term, entry.data, raft.term())),
                Some((term, data, commit_term)) if (*term, &*data) == (entry.term, &entry.data) => {
                    *commit_term = (*commit_term).min(raft.term());
                }
                Some((term, ..)) => {
                    let before = LogPosition { term: *term, index };
                    let (id, now) = (server.id, entry.position());
                    return self.accuse(format!(
                        "state machine safety: {id} commits {now}, and {before} was committed"
                    ));
                }
            }
        }
    }

    /// A snapshot is what the committed log comes to, membership included.
    fn look_at_snapshot(&mut self, server: &Server) {
        let Some(snapshot) = server.raft.storage().snapshot() else {
            return;
        };
        let (id, last) = (server.id, snapshot.last);
        let covered = usize::try_from(last.index.0).expect("worlds are small");
        let Some(log) = self.committed.get(..covered) else {
            return self.accuse(format!(
                "snapshot: that of {id} ends at {last}, beyond what is committed"
            ));
        };
        let (term, ..) = log.last().expect("a snapshot covers something");
        if *term != last.term {
            return self.accuse(format!(
                "state machine safety: the snapshot of {id} ends at {last}, and {}@{term} was committed",
                last.index
            ));
        }
        let configuration = log.iter().rev().find_map(|(_, data, _)| configuration(data));
        if configuration.is_some_and(|committed| *committed != *snapshot.configuration) {
            self.accuse(format!(
                "snapshot: that of {id} up to {last} has the configuration ({})",
                snapshot.configuration
            ));
        }
    }
}

fn configuration(data: &EntryData<u8>) -> Option<&Configuration> {
    match data {
        EntryData::Configuration(configuration) => Some(configuration),
        EntryData::Noop | EntryData::Command(_) => None,
    }
}

/// What two servers must agree on, whenever one of them has changed.
///
/// Two logs that have an entry of the same index and term are equal up to there (Raft §5.3). And what a leader takes a follower to
/// hold, the follower's disk holds, until it follows a later term (a leader commits by that).
pub(super) fn disagreement(one: &Server, other: &Server) -> Option<String> {
    if !one.is_let_in || !other.is_let_in {
        // Nobody goes by what the other one has.
        return None;
    }
    let (a, b) = (&one.raft, &other.raft);
    let first = a.first_index().max(b.first_index());
    let last = a.last().index.min(b.last().index);
    let mut agreed = None;
    for index in (first.0..=last.0).rev().map(Index) {
        if a.log_term(index) == b.log_term(index) {
            agreed = agreed.or(Some(index));
        }
        if let Some(agreed) = agreed
            && a.entry(index) != b.entry(index)
        {
            return Some(format!(
                "log matching: {} and {} have the same entry at {agreed}, and others at {index}",
                one.id, other.id
            ));
        }
    }
    overrated(one, other).or_else(|| overrated(other, one))
}

fn overrated(leader: &Server, follower: &Server) -> Option<String> {
    let progress = leader.raft.progress()?.get(follower.id)?;
    // What a wiped server had is no more; whether that matters is seen when somebody goes by what it says.
    if follower.raft.term() > leader.raft.term() || follower.was_wiped() {
        return None;
    }
    let disk = follower.raft.storage();
    let first = disk.first_index().max(leader.raft.first_index());
    let holds = (first.0..=progress.matched().0).map(Index).all(|index| {
        let on_disk = disk.term(index).ok();
        on_disk.is_some() && on_disk == leader.raft.log_term(index)
    });
    (!holds || progress.matched() > disk.last_index()).then(|| {
        format!(
            "durability: {} takes {} to hold its log up to {}, and its disk does not",
            leader.id,
            follower.id,
            progress.matched()
        )
    })
}

impl Permute for Ghost {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Ghost {
            leaders,
            committed,
            acknowledged,
            reads,
            leaves_reads,
            observer,
            violation,
        } = self;
        let leaders = leaders.iter();
        let committed = committed.iter();
        let reads = reads.iter();
        Ghost {
            leaders: leaders
                .map(|(term, leader)| (*term, Permute::permute(leader, permutation)))
                .collect(),
            committed: committed
                .map(|(term, data, since)| (*term, data.permute(permutation), *since))
                .collect(),
            acknowledged: *acknowledged,
            reads: reads
                .map(|(token, server, index)| (*token, Permute::permute(server, permutation), *index))
                .collect(),
            leaves_reads: *leaves_reads,
            observer: observer
                .as_ref()
                .map(|observer| Box::new(observer.permute(permutation))),
            violation: violation.clone(),
        }
    }
}
